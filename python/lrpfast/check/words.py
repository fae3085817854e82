"""What was found, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from lrpfast.check.findings import Account, LayerReport, Proof

#: Names that a sentence lists before it only counts.
NAMED = 3

#: Share of the score from which on a layer is named among those that absorb it.
MUCH = 0.01

NOTHING_MEASURED = "Nothing was measured: the scores are zero, or not finite, for these inputs. Give other ones."


def verdict(layers: Sequence[LayerReport], proof: Proof | None) -> str:
    """The answer, with the figures that show it."""
    refused = sum(layer.verdict == "unsupported" for layer in layers)
    if refused:
        return f"LRP is not applicable (yet): {_count(refused, 'node')} cannot be explained."
    conventions = sum(layer.verdict == "heuristic" for layer in layers)
    answer = (
        f"LRP is applicable with conventions, in {conventions} of {_count(len(layers), 'layer')}; every other one "
        "hands relevance down or accounts for what it absorbs."
        if conventions
        else "LRP is applicable: every layer hands relevance down or accounts for what it absorbs."
    )
    return f"{answer} {NOTHING_MEASURED if proof is None else _measured(proof)}"


def reasons(layers: Sequence[LayerReport]) -> list[str]:
    """Each reason against a layer once, with the layers that it concerns; all nodes that cannot be explained."""
    found = [f"{layer.name} ({layer.operator}): {layer.reason}." for layer in layers if layer.verdict == "unsupported"]
    conventions = [layer for layer in layers if layer.verdict == "heuristic"]
    for reason in dict.fromkeys(layer.reason for layer in conventions):
        names = [layer.name for layer in conventions if layer.reason == reason]
        rest = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
        found.append(f"Heuristic in {', '.join([*names[:NAMED], *rest])}: {reason}.")
    return found


def whereabouts(account: Account, layers: Sequence[LayerReport]) -> str:
    """Where the score went."""
    arrived, bias, stabilizer, rule = map(
        percent, (account.handed_down, account.bias, account.stabilizer, account.rule)
    )
    shares = {layer.name: layer.account.absorbed for layer in layers if layer.account}
    most = sorted((name for name in shares if abs(shares[name]) > MUCH), key=lambda name: -abs(shares[name]))
    where = ", ".join(f"{name} ({percent(shares[name])} %)" for name in most[:NAMED])
    return (
        f"Of the score {arrived} % arrives at the input. Biases absorb {bias} %, stabilizers {stabilizer} %, rules "
        f"{rule} %; rounding leaves {abs(account.rounding):.0e} of it open."
        f"{f' Most is absorbed by {where}.' if most else ''}"
    )


def warning(composite: str, without_biases: float) -> str:
    """What to do if most of the score went to biases."""
    return (
        f"Warning: under {composite} biases absorb most of the score, so that its relevance speaks of the rest alone. "
        f"Under ZPlus(zero_bias=True), which leaves biases out, {percent(without_biases)} % of the score arrives."
    )


def percent(share: float) -> str:
    """A share in per cent, with two digits behind the point, zero without a sign."""
    return f"{round(100 * share, 2) + 0.0:.2f}"


def absorbed(account: Account) -> str:
    """What a layer absorbed, in per cent, and by what."""
    causes = {"bias": account.bias, "stabilizer": account.stabilizer, "rule": account.rule}
    return "  ".join(f"{percent(share):>6} {cause}" for cause, share in causes.items() if percent(share) != "0.00")


def _measured(proof: Proof) -> str:
    """What holds with relevance in proportion to contributions."""
    unclaimed = f", units at zero {percent(proof.unclaimed)} %" if percent(proof.unclaimed) != "0.00" else ""
    facts = [
        f"In proportion to contributions the input gets {percent(proof.arrived)} % of the score, biases "
        f"{percent(proof.biases)} %{unclaimed}: together all of it, {_within(proof.deviation)}."
    ]
    if proof.dead:
        carried = f"up to {proof.dead_relevance:.0e} of the score each" if proof.dead_relevance else "nothing"
        facts.append(f"The {proof.dead:,} of {proof.units:,} units that ReLU set to zero get {carried}.")
    if proof.pools:
        pools = "The max pool hands" if proof.pools == 1 else f"The {proof.pools} max pools hand"
        facts.append(f"{pools} down all that arrives there, {_within(proof.pool_loss)}.")
    return " ".join(facts)


def _within(difference: float) -> str:
    return f"within {difference:.0e}" if difference else "exactly"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
