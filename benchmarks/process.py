"""A competitor's process, seen from the driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from .libraries import PEERS
from .turns import CompetitorError

ROOT = Path(__file__).parent.parent

#: who gives memory back to the system and asks for it anew in every call is spared both: page faults take a good part
#: of its time otherwise; lrpfast and onnxruntime keep their memory themselves
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
SPARED = ("reference", "innvestigate", *PEERS)


@dataclass(frozen=True)
class Interpreters:
    """The Python of each library, None where it is not to be measured."""

    peers: str | None = None
    innvestigate: str | None = None

    def of(self, library: str) -> str | None:
        return {"innvestigate": self.innvestigate, **dict.fromkeys(PEERS, self.peers)}.get(library, sys.executable)


class Worker:
    """A process that computes when asked to, and sleeps otherwise."""

    def __init__(
        self, python: str, library: str, folder: Path, threads: int, batch: int, keep_memory: bool = True
    ) -> None:
        self.library = library
        self.began = perf_counter()
        self.log = folder / f"{library}.log"
        arguments = [python, "-m", "benchmarks.worker", library, str(folder), str(threads), str(batch)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=environment(threads, keep_memory and library in SPARED),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, do: str, **request: str) -> dict[str, Any]:
        """The answer to a request; raises CompetitorError if it is an error, or if the process is gone."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self.log.read_text().strip().splitlines()
            raise CompetitorError(f"{self.library} ended: {said[-1] if said else 'without a word'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CompetitorError(answer["error"])
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def environment(threads: int, keep_memory: bool = False) -> dict[str, str]:
    """The environment of a competitor; idle threads of OpenBLAS sleep soon."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    settings = dict.fromkeys(names, str(threads)) | {"OPENBLAS_THREAD_TIMEOUT": "20", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return os.environ | settings | (KEEP_MEMORY if keep_memory else {})
