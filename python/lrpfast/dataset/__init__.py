"""Explanations of whole datasets: millions of inputs, read and written piece by piece, resumable at any moment.

Data takes one way: inputs -> `sources` -> `preparation` -> `job` -> `store`; `run` has the steps overlap.
"""

from lrpfast.dataset.job import Job, Options, explain_chunk, make_job
from lrpfast.dataset.run import Progress, explain_dataset, run_job

__all__ = ["Job", "Options", "Progress", "explain_chunk", "explain_dataset", "make_job", "run_job"]
