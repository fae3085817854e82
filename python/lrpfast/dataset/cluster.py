"""The run on a cluster: workers of Dask explain and commit chunks, and what a worker leaves undone another one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lrpfast.dataset.job import Job, explain_chunk
from lrpfast.dataset.run import Progress, progress_of
from lrpfast.errors import InputError, LRPError
from lrpfast.view.extras import optional

if TYPE_CHECKING:
    from lrpfast.dask import Packed

#: How often a chunk that failed is tried once more: a shared file system fails for moments.
RETRIES = 2

#: Chunks that the scheduler knows of at a time: enough for thousands of workers, whatever there is to do.
UNDER_WAY = 10_000


def run_on_cluster(job: Job, scheduler: str, progress: Callable[[Progress], object] | None = None) -> Progress:
    """Explain and commit what is left of a job on the workers of a Dask cluster.

    Workers read the inputs and write to the store by themselves, as they see the same files. Chunks of a worker that
    fails or is killed are done by another one. The LRP takes one thread a chunk unless it was given a number.

    Parameters
    ----------
    job : Job
        From `make_job`.
    scheduler : str
        Address of the scheduler, such as ``"tcp://node17:8786"``.
    progress : callable, optional
        Is called with a `Progress` after each chunk.

    Returns
    -------
    Progress
        As of `run_job`.

    Raises
    ------
    InputError
        No scheduler answers at the address.
    LRPError
        Several workers died of one chunk. What failed on a worker is raised here as it was there.
    """
    with optional("Explaining on a cluster"):
        from dask import config
        from distributed import Client, KilledWorker, as_completed

        from lrpfast.dask import ForWorkers, Packed
    try:
        client = Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at '{scheduler}': {error}.") from error
    with client, client.as_current(), job.store.held():
        state, left = progress_of(job)
        for_workers: Any = ForWorkers(job.lrp)
        with config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):  # a model may be large
            packed = client.compute(Packed(replace(job, lrp=for_workers)).shared())
        waiting = iter(left)

        def submit(count: int) -> Any:
            chunks = list(islice(waiting, count))
            return client.map(_explained, chunks, packed=packed, pure=False, retries=RETRIES)

        try:
            # Of a batch, Dask would raise what the first chunk failed of, and hand out what the others did.
            running = as_completed(submit(UNDER_WAY), with_results=True, raise_errors=False)
            for finished in running.batches():
                for future, result in finished:
                    if future.status == "error":
                        _, failure, trace = result
                        raise failure.with_traceback(trace)
                    chunk, explained = result
                    first, end = job.store.images(chunk)
                    state = replace(state, explained=state.explained + explained, done=state.done + end - first)
                    if progress is not None:
                        progress(state)
                running.update(submit(len(finished)))
        except KilledWorker as error:
            raise LRPError(
                f"{error.allowed_failures + 1} workers died of one chunk, the last one at {error.last_worker.address}; "
                f"their logs say why. If memory was short, give workers more of it, or begin a store of smaller chunks."
            ) from error
        job.store.clean()
    return state


def _explained(chunk: int, packed: Packed) -> tuple[int, int]:
    """The chunk, and how many of its images were explained."""
    return chunk, explain_chunk(packed.value(), chunk)
