"""Tables and the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..tables import table
from .evaluation import Results, depths, weighted
from .methods import INTEGRATED, METHODS

#: Methods of the picture: colours that colour-blind people tell apart (Okabe and Ito), and dashes for those who print.
DRAWN = {
    "random": ("#000000", ":"),
    "Gradient": ("#999999", "-"),
    "SmoothGrad": ("#E69F00", "-"),
    "Gradient x Input": ("#CC79A7", "--"),
    "Integrated Gradients": ("#D55E00", "--"),
    "Occlusion": ("#56B4E9", "-."),
    "LRP epsilon_plus_flat": ("#0072B2", "-"),
    "LRP epsilon_gamma_box": ("#009E73", "-"),
}

#: What is measured with the score, and its title.
MEASURES = {
    "AOPC, random": "AOPC %, random values",
    "AOPC, blurred": "AOPC %, blurred",
    "deletion": "deletion AUC (low is good)",
    "insertion": "insertion AUC (high is good)",
}

#: What others are compared with, picture by picture.
DEFAULT = "LRP epsilon_plus_flat"


def lines(found: Iterable[Results]) -> list[str]:
    """All tables."""
    written = []
    for results in found:
        written += ["", f"**{results.subject.name}**", "", *faithfulness(results)]
        written += ["", f"**Pictures in which a method does better than {DEFAULT}**, {results.subject.name}", ""]
        missed = spread(results.values["incomplete"][INTEGRATED], 100, 1)
        written += [*paired(results), "", f"Integrated Gradients misses {missed} % of the difference of scores."]
        if results.subject.boxes:
            written += ["", f"**Where maps point**, {results.subject.name}", "", *pointing(results)]
        written += ["", f"**Randomised weights**, {results.subject.name}", "", *randomisation(results)]
    return written[1:]


def faithfulness(results: Results) -> list[str]:
    """What happens to the score when pixels go and come: mean and standard deviation."""
    rows = []
    for name in METHODS:
        measured = [results.values[measure][name] for measure in MEASURES]
        over = [spread(values, 100, 1) for values in measured[:2]]
        rows.append((name, *over, *(spread(values, 1, 3) for values in measured[2:])))
    return table(("method", *MEASURES.values()), rows)


def paired(results: Results) -> list[str]:
    """In how many pictures a method does better than the default."""
    rows = []
    for name in METHODS:
        if name == DEFAULT:
            continue
        better = []
        for measure in MEASURES:
            ours, theirs = (np.asarray(results.values[measure][one]) for one in (DEFAULT, name))
            better.append(int((theirs < ours if measure == "deletion" else theirs > ours).sum()))
        rows.append((name, *(f"{count} of {len(ours)}" for count in better)))
    return table(("method", *MEASURES.values()), rows)


def pointing(results: Results) -> list[str]:
    """Hits of the boxes, and what share of the positive relevance they hold."""
    boxes, (height, width) = results.subject.boxes, results.subject.question.x.shape[2:]
    share = [(right - left) * (bottom - top) / (height * width) for left, top, right, bottom in boxes]
    rows = [("(area of the box)", "", spread(share, 100, 0))]
    for name in METHODS:
        hits = results.values["pointing"][name]
        inside = spread(results.values["mass"][name], 100, 0)
        rows.append((name, f"{sum(map(int, hits))} of {len(hits)}", inside))
    return table(("method", "maximum in the box", "positive relevance in the box %"), rows)


def randomisation(results: Results) -> list[str]:
    """Likeness of maps to themselves, for more and more layers."""
    model = results.subject.question.model
    titles = [f"{count} of {len(weighted(model))} layers" for count in depths(model)]
    measured = [results.values[f"randomised, {count}"] for count in depths(model)]
    rows = [(name, *(spread(values[name], 1, 2) for values in measured)) for name in METHODS if name in measured[0]]
    return table(("method", *titles), rows)


def spread(values: Sequence[float], factor: float, digits: int) -> str:
    """Mean and standard deviation over pictures."""
    scaled = np.asarray(values, np.float64) * factor
    mean = scaled.mean().round(digits) + 0.0  # no minus before a zero
    return f"{mean:.{digits}f} ± {scaled.std(ddof=1):.{digits}f}"


def draw(found: Sequence[Results], path: Path) -> None:
    """The perturbation curves: a row for each model, a column for each replacement."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    size = (9.6, 4.1 * len(found) + 1.7)
    style = {"font.size": 17, "axes.titlesize": 17, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, panels = pyplot.subplots(len(found), 2, figsize=size, sharey=True, squeeze=False, layout="constrained")
        for row, results in zip(panels, found, strict=True):
            for panel, how, title in zip(row, ("random", "blurred"), ("random values", "blurred"), strict=True):
                draw_curves(panel, results, how)
                panel.set_title(f"{results.subject.name.split()[0]}, {title}", loc="left")
        figure.supxlabel("pixels replaced, most relevant first, %", fontsize=17)
        figure.supylabel("score that is left, %", fontsize=17)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(path, dpi=100)
        pyplot.close(figure)


def draw_curves(panel: Any, results: Results, how: str) -> None:
    """Means over the pictures, a line for each method."""
    subject = results.subject
    area = subject.region**2 * subject.at_once / np.prod(subject.question.x.shape[2:])
    for name, (color, dashes) in DRAWN.items():
        mean = 100 * np.mean(results.values[f"flipping, {how}"][name], axis=0)
        replaced = 100 * np.minimum(area * np.arange(len(mean)), 1)
        panel.plot(replaced, mean, color=color, linestyle=dashes, linewidth=2.6, label=name)
    panel.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
