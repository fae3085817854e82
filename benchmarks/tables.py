"""What a run found, as Markdown tables of ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .timing import Spread


@dataclass(frozen=True)
class KernelRow:
    """One kernel: natively, by the NumPy reference, and against NumPy's matrix product where that compares."""

    name: str
    native: Spread
    reference: Spread
    flops: int = 0
    product: float = 0.0  # flop/s of the matrix product

    def cells(self) -> tuple[str, ...]:
        speed = self.flops / self.native.median
        found = (f"{speed / 1e9:.0f}", f"{speed / self.product:.0%}") if self.flops else ("", "")
        ratio = self.reference.median / self.native.median
        return self.name, str(self.native), str(self.reference), f"{ratio:.1f}", *found


@dataclass(frozen=True)
class ModelRow:
    """One model under one composite."""

    model: str
    weights: str
    composite: str
    native: Spread
    forward: Spread | None
    reference: Spread

    def cells(self) -> tuple[str, ...]:
        ratio = f"{self.native.median / self.forward.median:.2f}" if self.forward else "-"
        gain = f"{self.reference.median / self.native.median:.1f}"
        shown = str(self.forward or "-")
        return self.model, self.weights, self.composite, shown, str(self.native), ratio, str(self.reference), gain


@dataclass
class Results:
    """Rows of one run, in the order in which they came."""

    threads: int
    batch: int
    kernels: list[KernelRow] = field(default_factory=list)
    models: list[ModelRow] = field(default_factory=list)


KERNEL_HEAD = ("kernel", "native ms", "NumPy ms", "NumPy / native", "GFLOP/s", "of NumPy's matrix product")
MODEL_HEAD = (
    "model",
    "weights",
    "composite",
    "onnxruntime forward ms",
    "native ms",
    "native / onnxruntime",
    "reference ms",
    "reference / native",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    titles = "| " + " | ".join(title.ljust(w) for title, w in zip(head, widths, strict=True)) + " |"
    return [titles, "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines]


def processor() -> str:
    """The processor's own name for itself."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def circumstances(results: Results) -> list[str]:
    """Where and how the run took place."""
    from lrpfast import _native as core

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"{processor()}, {cores} cores, {results.threads} threads, instruction set {core.isa()}; batch {results.batch}",
        ", ".join(installed(package) for package in ("lrpfast", "numpy", "onnxruntime")),
        "Milliseconds: median of the run (lower-upper quartile).",
    ]


def summary(results: Results) -> list[str]:
    """All lines of the report."""
    lines = circumstances(results)
    if results.kernels:
        lines += ["", *table(KERNEL_HEAD, [row.cells() for row in results.kernels])]
    if results.models:
        lines += ["", *table(MODEL_HEAD, [row.cells() for row in results.models])]
    return lines
