"""Hostile and broken input, at random: `python -m tools.fuzz --help` in the folder of the sources."""
