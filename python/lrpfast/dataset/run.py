"""The run: inputs are decoded ahead, and what was found is written, while the next chunk is explained."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from lrpfast.app.images import Preprocessing, Resize
from lrpfast.composites import Composite
from lrpfast.dataset.job import Batch, Job, Options, Precision, make_job
from lrpfast.dataset.store import MISSING
from lrpfast.lrp import BackendName
from lrpfast.model import Model, Source
from lrpfast.seeds import Against

#: Chunks that are read ahead, and chunks that wait to be written: what bounds the memory.
AHEAD, BEHIND = 2, 2

#: Threads that decode pictures.
DECODERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Progress:
    """How far a dataset is explained.

    Attributes
    ----------
    images : int
        How many inputs there are.
    done : int
        Those that are committed: that a further call does not do again.
    explained : int
        Those of them that could be read and explained.
    earlier : int
        Those that were committed before this call.
    """

    images: int
    done: int
    explained: int
    earlier: int

    @property
    def unexplained(self) -> int:
        """Inputs that could not be read or explained; the store's ``errors`` say why."""
        return self.done - self.explained


def explain_dataset(
    model: Model | Source,
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    composite: str | Composite = "epsilon_plus_flat",
    target: npt.ArrayLike | None = None,
    against: Against | None = None,
    preprocess: str | Preprocessing = "0-1",
    resize: Resize = "crop",
    size: int | None = None,
    column: str | None = None,
    precision: Precision = "float32",
    pooled: bool = False,
    chunk: int | None = None,
    backend: BackendName = "native",
    threads: int | None = None,
    max_memory: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Progress:
    """Explain any number of inputs into a Zarr store, within bounded memory; called again, it goes on where it stopped.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    inputs : path, or sequence of paths
        Pictures, folders of them, patterns, lists of pictures (``.txt``, one a line), arrays (``.npy``, ``.npz``, Zarr)
        and Parquet files with a column of encoded pictures or of paths. Arrays hold inputs in the model's own layout,
        batch first; arrays of uint8 hold pixels, and are treated as pictures if the model takes such.
    out : path
        The store: a folder that does not exist yet, or an unfinished store.
    composite : str or Composite
        The rules, as for `LRP`; a preset that takes bounds gets those of the pixels.
    target : int or sequence of int, optional
        The class to explain, or one for each input; None explains each one's highest score.
    against : {"runner_up", "others"} or int, optional
        As for `LRP.attribute`.
    preprocess : str or Preprocessing
        How pixels are scaled, by the names of ``lrpfast explain --preprocess``.
    resize : {"crop", "squash"}
        Cut pictures to the model's shape, or squash them.
    size : int, optional
        Pixels a side, for a model that takes any.
    column : str, optional
        The column of Parquet files, where there are several to choose from.
    precision : {"float32", "float16"}
        That of the stored relevance.
    pooled : bool
        Store the sum over the channels.
    chunk : int, optional
        Images that are explained, stored and committed together; None takes 16 MB of them, 1024 at the most.
    backend, threads, max_memory
        As for `LRP`.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``"tcp://node17:8786"``: its workers explain, which have to see the inputs
        and the store by the same paths. A chunk then takes one thread where `threads` leaves it open.
    progress : callable, optional
        Is called with a `Progress` after each chunk.

    Returns
    -------
    Progress
        How many inputs there were, and how many could be explained.

    Raises
    ------
    InputError
        The inputs or options do not fit the model, or the store was begun with others; it says which.
    FileError
        An input that holds many cannot be read, or the store cannot be written, as when the disk is full. A picture
        that cannot be read is no error: its reason goes into the store.
    MissingExtraError
        A package of the extra ``batch`` is not installed.

    Notes
    -----
    The store can be opened by ``zarr.open``. It has the arrays ``relevance``, ``scores``, ``targets``, ``audit``,
    ``names`` and ``errors`` with one row for each input, in their order, and as attributes what made it. Whatever
    ends a call, at most the chunks under way are done again, and the finished store has the values of one made in one
    go.

    Examples
    --------
    >>> lrpfast.explain_dataset("model.onnx", "photos/**/*.jpg", "relevance.zarr", preprocess="imagenet")
    >>> zarr.open("relevance.zarr")["relevance"][0]
    """
    options = Options(
        composite=composite,
        target=target,
        against=against,
        preprocess=preprocess,
        resize=resize,
        size=size,
        column=column,
        precision=precision,
        pooled=pooled,
        chunk=chunk,
        backend=backend,
        threads=threads,
        max_memory=max_memory,
    )
    job, _ = make_job(model, inputs, out, options)
    return run_job(job, progress, scheduler)


def progress_of(job: Job) -> tuple[Progress, list[int]]:
    """How far a job is, and the chunks that are left."""
    committed, store = job.store.committed(), job.store
    left = [int(chunk) for chunk in np.flatnonzero(committed == MISSING)]
    done = store.count - sum(end - first for first, end in map(store.images, left))
    return Progress(store.count, done, int(committed[committed != MISSING].sum()), done), left


def run_job(job: Job, progress: Callable[[Progress], object] | None = None, scheduler: str | None = None) -> Progress:
    """Explain and commit what is left of a job, here or on the workers of a Dask scheduler.

    Here, one thread reads and has others decode, one writes, and the calling one explains and calls `progress`. At most
    `AHEAD` chunks of samples and `BEHIND` of results are held besides the one in work.
    """
    if scheduler is not None:
        from lrpfast.dataset.cluster import run_on_cluster

        return run_on_cluster(job, scheduler, progress)
    with job.store.held():
        return _run(job, progress or (lambda state: None))


def _run(job: Job, progress: Callable[[Progress], object]) -> Progress:
    state, left = progress_of(job)
    waiting, reads, writes = iter(left), deque[tuple[int, Future[Batch]]](), deque[tuple[int, Future[int]]]()

    def read_ahead() -> None:
        for chunk in islice(waiting, AHEAD - len(reads)):
            reads.append((chunk, reader.submit(job.read, chunk, decoders.map)))

    def finish_oldest() -> None:
        nonlocal state
        chunk, commit = writes.popleft()
        first, end = job.store.images(chunk)
        state = replace(state, explained=state.explained + commit.result(), done=state.done + end - first)
        progress(state)

    with _threads(DECODERS) as decoders, _threads(1) as reader, _threads(1) as writer:
        read_ahead()
        while reads:
            chunk, batch = reads.popleft()
            samples = batch.result()
            read_ahead()
            found = job.explain(chunk, samples)
            while len(writes) >= BEHIND or (writes and writes[0][1].done()):
                finish_oldest()
            writes.append((chunk, writer.submit(job.commit, chunk, samples, found)))
        while writes:
            finish_oldest()
    return state


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing new once something failed."""
    executor = ThreadPoolExecutor(count)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
