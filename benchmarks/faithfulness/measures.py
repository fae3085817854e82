"""What is measured: curves of scores while pixels are replaced, likeness of maps, and where a map points.

Maps are (H, W), inputs (C, H, W). A ranking (H, W) says at which step each pixel is replaced.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ranking = npt.NDArray[np.int64]
Box = tuple[int, int, int, int]  # left, top, right, bottom
Scores = Callable[[Floats], Floats]


def ranked_regions(relevance: Floats, size: int, at_once: int, seed: int = 0) -> Ranking:
    """Square regions, the most relevant first, so many at a step; a region's relevance is the sum of its pixels."""
    rows, columns = (np.arange(side) // size for side in relevance.shape)
    regions = rows[:, np.newaxis] * (columns[-1] + 1) + columns
    sums = np.bincount(regions.ravel(), relevance.ravel())
    return places(sums, seed)[regions] // at_once


def ranked_pixels(relevance: Floats, steps: int, seed: int = 0) -> Ranking:
    """Pixels, the most relevant first, in so many steps of equal size."""
    return (places(relevance.ravel(), seed) * steps // relevance.size).reshape(relevance.shape)


def places(values: Floats, seed: int) -> Ranking:
    """Place of each value, 0 for the highest. Chance decides among equal ones, so that no corner is preferred."""
    order = np.lexsort((np.random.default_rng(seed).permutation(values.size), -values))
    place = np.empty(values.size, np.int64)
    place[order] = np.arange(values.size)
    return place


def curve(scores: Scores, ranking: Ranking, steps: int, before: Floats, after: Floats) -> Floats:
    """Scores (steps + 1, ...) while `after` takes the place of `before`."""
    return scores(np.stack([np.where(ranking < step, after, before) for step in range(steps + 1)]))


def area_over(remaining: Floats) -> float:
    """Area over a perturbation curve: the mean loss, for scores that begin at 1 (AOPC)."""
    return float(np.mean(1 - remaining))


def area_under(probabilities: Floats) -> float:
    """Area under a curve over the share of pixels, by trapezia (AUC)."""
    return float((probabilities[1:] + probabilities[:-1]).mean() / 2)


def blurred(x: Floats) -> Floats:
    """Without detail: a Gaussian of a twentieth of the side."""
    sigma = x.shape[-1] / 20
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (1, 2):
        pads = [(reach, reach) if here == axis else (0, 0) for here in range(3)]
        x = np.apply_along_axis(np.convolve, axis, np.pad(x, pads, "edge"), kernel, "valid")
    return x.astype(np.float32)


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's: 1 for the same order of pixels, 0 for none in common. A map without any order is like no other."""
    first, second = ranks(one.ravel()), ranks(other.ravel())
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def ranks(values: Floats) -> Floats:
    """Rank of each value; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def points_into(relevance: Floats, box: Box) -> bool:
    """Whether the highest value lies in a box."""
    row, column = np.unravel_index(np.argmax(relevance), relevance.shape)
    left, top, right, bottom = box
    return bool(left <= column < right and top <= row < bottom)


def mass_inside(relevance: Floats, box: Box) -> float:
    """Share of the positive relevance that lies in a box."""
    left, top, right, bottom = box
    positive = np.maximum(relevance, 0)
    return float(positive[top:bottom, left:right].sum() / positive.sum())
