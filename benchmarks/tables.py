"""Rows of a run as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrpfast.app.bench import milliseconds

from .machine import copy_bandwidth, fma_peak
from .timing import Spread


@dataclass(frozen=True)
class KernelRow:
    """One kernel: natively, by the NumPy reference, and against what the machine can do.

    `flops` are the operations by definition, whatever an algorithm saves; `moved` are the bytes that have to be read
    and written. A kernel has the one or the other, for what bounds it.
    """

    name: str
    native: Spread
    reference: Spread
    flops: int = 0
    product: float = 0.0  # flop/s of NumPy's matrix product
    moved: int = 0

    def figures(self) -> dict[str, Any]:
        """For a machine to read."""
        low, high = self.native.quartiles()
        native = {"median": self.native.median, "low": low, "high": high}
        bound = {"flops": self.flops, "product": self.product, "moved": self.moved}
        return {"kernel": self.name, "native": native, "reference": self.reference.median, **bound}


@dataclass
class Results:
    """Kernels of one run, in the order in which they came, and the limits of the machine."""

    threads: int
    kernels: list[KernelRow] = field(default_factory=list)
    peak: float = 0.0  # operations a second
    peak_is: str = ""
    bandwidth: float = 0.0  # bytes a second

    def measure_limits(self) -> None:
        (self.peak, self.peak_is), self.bandwidth = fma_peak(self.threads), copy_bandwidth(self.threads)

    def figures(self) -> dict[str, Any]:
        """For a machine to read."""
        limits = {"peak": self.peak, "peak_is": self.peak_is, "bandwidth": self.bandwidth}
        return {"threads": self.threads, **limits, "rows": [row.figures() for row in self.kernels]}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    titles = "| " + " | ".join(title.ljust(w) for title, w in zip(head, widths, strict=True)) + " |"
    return [titles, "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines]


def summary(results: Results) -> list[str]:
    """The kernels' table, with what it is measured by."""
    return kernel_lines(results.figures())


def kernel_lines(found: Mapping[str, Any]) -> list[str]:
    """The kernels' table from their figures."""
    head = ("kernel", "lrpfast ms", "NumPy ms", "NumPy / lrpfast", "GFLOP/s", "of peak", "GB/s", "of copy")
    rows = []
    for row in found["rows"]:
        took = row["native"]["median"]
        speed, moved = row["flops"] / took, row["moved"] / took
        rows.append(
            (
                row["kernel"],
                spread(row["native"]),
                milliseconds(row["reference"]),
                f"{row['reference'] / took:.1f}",
                f"{speed / 1e9:.0f}" if speed else "",
                f"{speed / found['peak']:.0%}" if speed else "",
                f"{moved / 1e9:.0f}" if moved else "",
                f"{moved / found['bandwidth']:.0%}" if moved else "",
            )
        )
    limits = (
        f"{found['threads']} threads. Peak: {found['peak'] / 1e9:.0f} GFLOP/s, measured by {found['peak_is']}. "
        f"Copy: {found['bandwidth'] / 1e9:.0f} GB/s read and written, of a large array."
    )
    return [*table(head, rows), "", limits]


def spread(figures: Mapping[str, Any]) -> str:
    """Median and quartiles in milliseconds."""
    low, high = milliseconds(figures["low"]), milliseconds(figures["high"])
    return f"{milliseconds(figures['median'])} ({low}-{high})"
