"""The command `bench`: what an explanation costs, beside a prediction of the same model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, TypeAlias, cast

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrpfast.app.images import Preprocessing
from lrpfast.app.report import say, seconds
from lrpfast.app.samples import Floats, composite_with, noise, pixels, require_preset
from lrpfast.engine.native import NativeEngine
from lrpfast.engine.native.timing import StageTime, forward, stage_times
from lrpfast.lrp import LRP
from lrpfast.model import load
from lrpfast.view.pictures import read_picture

Call: TypeAlias = Callable[[], object]

#: Seconds that the rounds take in all, and the least and the greatest number of rounds.
MEASURED, FEWEST, MOST = 2.0, 5, 200

#: Seconds after which idle threads of the one runtime sleep; until then they may take a core from the other one.
PAUSE = 0.1

#: Seconds of calls that are not timed, until the threads of a runtime are awake again.
WARM_UP = 0.02


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its options."""

    model: Path
    composite: str
    image: Path | None
    preprocessing: Preprocessing
    batch: int
    threads: int | None
    layers: bool
    json: bool


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the seconds of one thing."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of some times."""
        low, median, high = np.percentile(values, (25, 50, 75))
        return cls(float(median), float(low), float(high), len(values))

    def __str__(self) -> str:
        return f"{milliseconds(self.median)} ms ({milliseconds(self.low)} to {milliseconds(self.high)})"


def run_bench(request: Request) -> None:
    """Measure, and print what was found."""
    require_preset(request.composite)
    picture = None if request.image is None else read_picture(request.image)

    start = perf_counter()
    model = load(request.model)
    x, low, high = noise(model) if picture is None else pixels(model, picture, request.preprocessing)
    x = np.repeat(x[None], request.batch, axis=0)
    lrp = LRP(model, composite_with(request.composite, low, high), threads=request.threads)
    lrp.attribute(x)
    first = perf_counter() - start

    inner = np.ascontiguousarray(model.graph.arranged(x))
    engine = cast(NativeEngine, lrp._engine)
    calls: dict[str, Call] = {
        "forward": lambda: forward(engine, inner),
        "explanation": lambda: lrp.attribute(x),
    }
    for call in calls.values():
        call()
    memory = peak_memory()  # before onnxruntime, if it is there, takes its own
    other, reason = prediction(request.model, x, request.threads)
    times = in_turns({**calls, "onnxruntime": other} if other else calls)
    layers = stage_times(engine, inner, rounds=7) if request.layers else []
    found = figures(request, times, first, memory, reason)
    if request.json:
        json.dump({**found, "layers": [layer_figures(layer) for layer in layers]}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    console = Console(highlight=False)
    print_figures(console, request, times, found)
    if layers:
        print_layers(console, layers)


def prediction(path: Path, x: Floats, threads: int | None) -> tuple[Call | None, str]:
    """A call of onnxruntime's forward pass on the same file, or None and why there is none."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        return None, "onnxruntime is not installed"
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads or 0, 1
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        integers = source.type.removeprefix("tensor(").removesuffix(")")
        feed = {source.name: x.astype(integers) if integers.startswith("int") else x}
        session.run(None, feed)
    except Exception as error:  # it has many classes of errors; the file may fix another batch size
        return None, f"onnxruntime does not run it: {str(error).splitlines()[0]}"
    return (lambda: session.run(None, feed)), ""


def in_turns(calls: Mapping[str, Call], measured: float = MEASURED) -> dict[str, Spread]:
    """Time the calls round by round, so that what disturbs the machine for a while meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    pause = PAUSE if "onnxruntime" in calls else 0.0
    start, rounds = perf_counter(), 0
    while rounds < FEWEST or (perf_counter() - start < measured and rounds < MOST):
        for name, call in calls.items():
            if name != "explanation":  # it comes behind a forward pass by the same threads
                sleep(pause)
            begin = perf_counter()
            while pause and perf_counter() < begin + WARM_UP:
                call()
            begin = perf_counter()
            call()
            times[name].append(perf_counter() - begin)
        rounds += 1
    return {name: Spread.of(values) for name, values in times.items()}


def peak_memory() -> int | None:
    """Largest resident memory of this process so far, in bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def figures(
    request: Request, times: Mapping[str, Spread], first: float, memory: int | None, reason: str
) -> dict[str, Any]:
    """What was found, for a machine to read; times in seconds, memory in bytes."""
    explanation, ahead = times["explanation"], times["forward"]
    other = times.get("onnxruntime")
    return {
        "model": request.model.name,
        "composite": request.composite,
        "input": request.image.name if request.image else "random",
        "batch": request.batch,
        "threads": request.threads,
        "forward": vars(ahead),
        "explanation": vars(explanation),
        "explanation_over_forward": explanation.median / ahead.median,
        "explanations_per_second": request.batch / explanation.median,
        "load_to_first_explanation": first,
        "peak_memory": memory,
        "onnxruntime_forward": vars(other) if other else None,
        "explanation_over_onnxruntime": explanation.median / other.median if other else None,
        "without_onnxruntime": reason or None,
    }


def layer_figures(layer: StageTime) -> dict[str, Any]:
    """The times of a layer, for a machine to read."""
    return {
        "layer": layer.name,
        "operators": layer.operators,
        "rule": layer.rule,
        "forward": layer.forward,
        "back": layer.back,
    }


def print_figures(console: Console, request: Request, times: Mapping[str, Spread], found: dict[str, Any]) -> None:
    """A line for each figure."""
    memory, reason = found["peak_memory"], found["without_onnxruntime"]
    samples = "1 sample" if request.batch == 1 else f"{request.batch} samples"
    threads = "all cores" if request.threads is None else f"threads {request.threads}"
    say(console, f"{found['model']}, {request.composite}, {samples} of {found['input']} input a call, {threads}\n")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    rows = [
        ("forward pass", str(times["forward"])),
        ("explanation, forward pass included", str(times["explanation"])),
        ("explanation / forward pass", f"{found['explanation_over_forward']:.2f}"),
        ("explanations per second", f"{found['explanations_per_second']:.1f}"),
        ("from load() to the first explanation", seconds(found["load_to_first_explanation"])),
        ("peak resident memory", "unknown" if memory is None else f"{memory / 2**20:.0f} MiB"),
    ]
    if "onnxruntime" in times:
        rows.append(("forward pass of onnxruntime", str(times["onnxruntime"])))
        rows.append(("explanation / onnxruntime", f"{found['explanation_over_onnxruntime']:.2f}"))
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()
    say(console, f"Median (quartiles) of {times['explanation'].rounds} rounds, in which the calls take turns.", "dim")
    if reason:
        say(console, f"No comparison with another forward pass: {reason}.", "dim")


def print_layers(console: Console, layers: list[StageTime]) -> None:
    """A line for each layer, in the order of the forward pass."""
    whole = sum(layer.total for layer in layers) or 1.0
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("layer", "operators", "rule", "forward ms", "back ms", "share"):
        table.add_column(heading, justify="left" if heading in ("layer", "operators", "rule") else "right")
    for layer in layers:
        words = (Text(layer.name or "(ends)"), Text(layer.operators), Text(layer.rule))
        numbers = (milliseconds(layer.forward), milliseconds(layer.back), f"{layer.total / whole:.1%}")
        table.add_row(*words, *numbers)
    there, back = (sum(getattr(layer, side) for layer in layers) for side in ("forward", "back"))
    table.add_row("total", "", "", milliseconds(there), milliseconds(back), "", style="bold")
    console.print()
    console.print(table)


def milliseconds(duration: float) -> str:
    """Three digits, as far as they say something."""
    value = 1e3 * duration
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
