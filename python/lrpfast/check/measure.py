"""Two measurements: where the relevance of a composite goes, and what holds of every ReLU and every max pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrpfast.attribution import Attribution
from lrpfast.check.findings import Account, Proof
from lrpfast.composites import Composite, OfKind
from lrpfast.engine.audit import FIGURES, Audit, Sums
from lrpfast.engine.plan import Step, make_plan
from lrpfast.engine.proofs import floors_at_zero
from lrpfast.engine.reference import ReferenceEngine
from lrpfast.lrp import LRP
from lrpfast.model import Model
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Array, MaxPool, Pad
from lrpfast.rules import Epsilon, LinearRule, Norm, ZPlus

#: In proportion to contributions, those of the biases among them: nothing else is there that could take relevance.
PROPORTIONAL = Composite(
    "proportional", [(OfKind("conv", "dense", "affine"), Epsilon(0)), (OfKind("sum", "average"), Norm(0))]
)

#: Biases left out; denominators of one sign alone, for others come close to zero without their bias, and relevance
#: grows without bounds.
WITHOUT_BIASES = Composite("zplus without biases", [(OfKind("conv", "dense"), ZPlus(zero_bias=True))])


def audit_of(attribution: Attribution) -> Audit:
    """The audit, which the attribution holds without knowing what it is."""
    assert isinstance(attribution.audit, Audit)
    return attribution.audit


def accounts_of(graph: Graph, attribution: Attribution) -> tuple[Account | None, dict[str, Account]]:
    """The account of the whole, and that of each layer by its name; nothing where scores are zero or not finite."""
    audit = audit_of(attribution)
    seed = audit[graph.producers[graph.output].name].received
    arrived = attribution.relevance.reshape(len(seed), -1).sum(axis=1, dtype=np.float64)
    if not (seed.any() and np.isfinite(arrived).all()):
        return None, {}
    weights = shares(seed)
    layers = {layer.name: Account(*(float(weights @ getattr(layer, name)) for name in FIGURES)) for layer in audit}
    absorbed = (sum(getattr(layer, name) for layer in layers.values()) for name in FIGURES[2:])
    return Account(1.0, float(weights @ arrived), *absorbed), layers


def arrived_without_biases(model: Model, x: Array) -> float:
    """Share of the score that arrives at the input by ZPlus for all weighted layers, biases left out."""
    whole, _ = accounts_of(model.graph, LRP(model, WITHOUT_BIASES).attribute(x))
    return 0.0 if whole is None else whole.handed_down


def shares(seed: Sums) -> Sums:
    """Weights that make figures (N,) of the samples one share of the seed: a mean in which a score near zero counts
    little.
    """
    weights: Sums = np.sign(seed) / np.abs(seed).sum()
    return weights


@dataclass
class Watcher:
    """What is seen at single units in the passes of one sample each; `score` and `unclaimed` are of the last."""

    score: float = 1.0
    units: int = 0
    dead: int = 0
    dead_relevance: float = 0.0
    unclaimed: float = 0.0
    pool_loss: float = 0.0

    def __call__(self, step: Step, output: Array, received: Array, handed: Sequence[Array | None]) -> None:
        """Look at one step of a relevance pass."""
        if floors_at_zero(step.node.layer):
            dead = output == 0
            self.units += output.size
            self.dead += int(np.count_nonzero(dead))
            largest = float(np.abs(received).max(where=dead, initial=0.0))
            self.dead_relevance = max(self.dead_relevance, largest / abs(self.score))
        elif isinstance(step.rule, LinearRule):
            self.unclaimed += float(received.sum(where=output == 0))
        elif isinstance(step.node.layer, MaxPool):
            (part,) = handed
            assert part is not None
            missing, moved = abs(float(received.sum() - part.sum())), float(np.abs(received).sum())
            self.pool_loss = max(self.pool_loss, missing / moved if moved else 0.0)


def prove(graph: Graph, x: Array) -> Proof | None:
    """Relevance in proportion to contributions, for each sample's highest score, in double precision.

    `x` is a batch in the caller's layout. Samples run one by one, which keeps the memory small; those whose score
    is zero or not finite say nothing, and if none is left the proof is None.
    """
    engine, watcher = ReferenceEngine(make_plan(graph, PROPORTIONAL)), Watcher()
    pads = {node.name for node in graph.nodes if isinstance(node.layer, Pad)}
    found = []
    with np.errstate(all="ignore"):
        for sample in graph.arranged(x.astype(np.float64)):
            output, state = engine.forward(sample[np.newaxis])
            watcher.score, watcher.unclaimed = float(output.max()), 0.0
            if watcher.score == 0 or not np.isfinite(output).all():
                continue
            seed = np.zeros_like(output)
            seed.flat[output.argmax()] = watcher.score
            relevance, audit, _ = engine.relevance(state, seed[:, np.newaxis], watch=watcher)
            constants = sum((layer.rule if layer.name in pads else layer.bias).item() for layer in audit)
            found.append((watcher.score, float(relevance.sum()), constants, watcher.unclaimed))
    if not found:
        return None
    scores, arrived, biases, unclaimed = np.array(found).T
    return Proof(
        arrived=float(shares(scores) @ arrived),
        biases=float(shares(scores) @ biases),
        unclaimed=float(shares(scores) @ unclaimed),
        deviation=float(np.abs((arrived + biases + unclaimed) / scores - 1).max()),
        units=watcher.units,
        dead=watcher.dead,
        dead_relevance=watcher.dead_relevance,
        pools=sum(isinstance(node.layer, MaxPool) for node in graph.nodes),
        pool_loss=watcher.pool_loss,
    )
