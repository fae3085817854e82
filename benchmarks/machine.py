"""The machine: what it is, and what it can do at most."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

SOURCE = Path(__file__).with_name("peak.c")

#: packages of each interpreter that are named in a report
PACKAGES = ("lrpfast", "numpy", "onnx", "onnxruntime")
PEER_PACKAGES = ("torch", "zennit", "captum", "tensorflow", "innvestigate")

#: bytes of an array that no cache holds, and repetitions
LARGE, REPEATED = 256 << 20, 7


def circumstances(peers: Iterable[str] = ()) -> dict[str, str]:
    """Processor, cores, instruction set, versions, date; `peers` are further interpreters."""
    from lrpfast import _native as core

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    installed = [installed_here(name) for name in PACKAGES] + [text for python in peers for text in versions(python)]
    return {
        "processor": processor(),
        "cores": str(cores),
        "instruction set": core.isa(),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(text for text in installed if text),
        "load at the start": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "date": date.today().isoformat(),
    }


def processor() -> str:
    """The processor's own name for itself."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def installed_here(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def versions(python: str) -> list[str]:
    """Versions of the peers that an interpreter has."""
    code = "from importlib.metadata import distributions as d\nfor one in d():\n n = one.metadata['Name'] or ''\n"
    code += f" if n.lower() in {PEER_PACKAGES}: print(n, one.version)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return sorted(set(done.stdout.splitlines()))


def import_seconds(python: str, before: str, package: str) -> float | None:
    """Seconds that importing a package takes once others are there, median of several processes."""
    code = f"import {before}\nfrom time import perf_counter as t\nb = t()\nimport {package}\nprint(t() - b)"
    command = [python, "-c", code]
    took = []
    for _ in range(REPEATED):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        took.append(float(done.stdout.split()[-1]))
    return median(took)


def fma_peak(threads: int) -> tuple[float, str]:
    """Float32 operations a second at most, a multiply-add counting as two, and how they were measured."""
    compiler = which("cc") or which("gcc") or which("clang")
    if compiler is None or sys.platform == "win32":
        return dense_kernel(threads), "the core's dense convolution, 3x3, 256 to 256 channels (no C compiler for more)"
    with TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        command = [compiler, "-O2", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return dense_kernel(threads), "the core's dense convolution, 3x3, 256 to 256 channels"
        code = ctypes.CDLL(str(library))
        code.multiply_add.restype = ctypes.c_double
        code.multiply_add.argtypes = [ctypes.c_long]
        repeats = 20_000_000
        took = min(together([partial(code.multiply_add, repeats)] * threads) for _ in range(REPEATED))
        return threads * repeats * code.operations() / took, "independent multiply-adds on registers"


def dense_kernel(threads: int) -> float:
    """Operations a second of the core's dense kernel on a layer that suits it."""
    from lrpfast import _native as core
    from lrpfast.engine.native.layout import Bench, Halo

    bench, rng = Bench(threads), np.random.default_rng(0)
    channels, size = 256, 28
    weights = core.PackedWeights(rng.standard_normal((channels, channels, 9)).astype(np.float32), 1, False)
    window = core.Window((1, 3, 3), (1, 1, 1), (1, 1, 1), (0, 1, 1))
    source = bench.loaded(rng.standard_normal((1, channels, size, size)), Halo((0, 1, 1), (0, 1, 1)))
    target = bench.tensor(1, (channels, size, size))
    identity = core.FunctionParameters(core.Function.identity, 0, 0, 0, 0)
    step = core.convolve(weights, window, source, core.Activation(1, channels, [1, size, size], identity, y=target))
    step.run(threads)
    begin = perf_counter()
    for _ in range(200):
        step.run(threads)
    return 200 * 2 * 9 * channels**2 * size**2 / (perf_counter() - begin)


def copy_bandwidth(threads: int) -> float:
    """Bytes a second, read and written, of copying an array that no cache holds."""
    source, target = (np.ones(LARGE // 4, np.float32) for _ in range(2))
    parts = zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)
    copies = [partial(np.copyto, *part) for part in parts]
    return 2 * LARGE / min(together(copies) for _ in range(REPEATED))


def together(works: Sequence[Callable[[], object]]) -> float:
    """Seconds that threads take to do a piece of work each, side by side."""
    with ThreadPoolExecutor(len(works)) as pool:
        begin = perf_counter()
        for running in [pool.submit(work) for work in works]:
            running.result()
        return perf_counter() - begin
