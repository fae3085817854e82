"""Signs that pixels are scaled otherwise than in a model's training, and what can be said then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lrpfast.app.classes import probabilities
from lrpfast.app.images import PREPROCESSINGS, Floats, Preprocessing

#: Classes from which on an even spread of the probability is a sign: of two, a picture may well show neither.
MANY = 10

#: Share of the classes that the probability is spread over, from which on a model tells them hardly apart.
EVEN = 0.9

#: What is scaled to where nobody says anything.
ASSUMED = "Pixels were scaled to 0 ... 1, as no --preprocess was given."


def undecided(probability: Floats) -> bool:
    """Whether a model tells its classes hardly apart: its probabilities are those of nearly as many equal classes.

    A network that sees values far smaller than in its training does that, whatever the picture shows.
    """
    if len(probability) < MANY or abs(probability.sum() - 1) > 1e-3:
        return False
    known = probability[probability > 0]
    return bool(np.exp(-(known * np.log(known)).sum()) > EVEN * len(probability))


def doubt(
    undecided_at: float | None,
    assumed: bool,
    scores: Callable[[Preprocessing], Floats],
    head: str | None,
    name: Callable[[int], str],
) -> str:
    """What to tell about the scale of the pixels; empty where there is nothing to tell.

    Parameters
    ----------
    undecided_at : float or None
        The highest probability where the model told the classes hardly apart on all pictures, else None.
    assumed : bool
        Nobody said how pixels are scaled. The known scales are tried then where the model was undecided.
    scores : callable
        Scores of a picture in a scale.
    head : str or None
        The head that the model has at its end.
    name : callable
        Name of a class.

    Notes
    -----
    Larger inputs make almost any network surer, right or wrong. That a model is surer in another scale says nothing;
    that it is undecided in one, and decided in another, does.
    """
    if undecided_at is None:
        wrong = "If the predictions look wrong, the model was probably trained with another scale; see"
        return f"{ASSUMED} {wrong} lrpfast explain --help." if assumed else ""
    sight = f"the model hardly tells its classes apart (none has more than {_percent(undecided_at)})"
    if not assumed:
        return (
            f"With this scale of the pixels {sight}: it was probably trained with another one. Leave out "
            f"--preprocess, --mean and --std to have the known scales tried."
        )
    readings = list(_readings(scores, head, name))
    if not readings:
        return (
            f"{ASSUMED} So {sight}, nor does it in any other scale known here. Say what it was trained with by --mean "
            f"and --std; or it does not know what the picture shows, or is not trained."
        )
    return "\n".join(
        [
            f"{ASSUMED} So {sight}: it was probably trained with another scale. With others it says:",
            *(f"  --preprocess {scale:<9} {words}" for scale, words in readings),
            "Being surer is no proof. Choose the one of the training, or the one whose answers are right.",
        ]
    )


def _readings(
    scores: Callable[[Preprocessing], Floats], head: str | None, name: Callable[[int], str]
) -> Iterator[tuple[str, str]]:
    """The known scales in which the model decides, and what it says then."""
    for scale, preprocessing in PREPROCESSINGS.items():
        probability, _ = probabilities(scores(preprocessing), head)
        best = int(probability.argmax())
        if not undecided(probability):
            yield scale, f"{name(best)}, {_percent(probability[best])}"


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
