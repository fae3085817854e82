"""How rules run: a plan made from graph and composite, and the backends that interpret it."""
