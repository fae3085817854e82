"""A job: everything it takes to explain any chunk of a dataset, in this process or in another one."""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lrpfast.app.images import PREPROCESSINGS, InputFormat, Preprocessing, Resize
from lrpfast.app.samples import composite_with, require_preset
from lrpfast.attribution import Attribution
from lrpfast.composites import PRESETS, Composite, named
from lrpfast.dataset.digest import digest
from lrpfast.dataset.preparation import Mapper, Preparation
from lrpfast.dataset.sources import Joined, find_inputs
from lrpfast.dataset.store import FORMAT, Column, Store
from lrpfast.engine.audit import Audit
from lrpfast.errors import FileError, InputError
from lrpfast.lrp import LRP, BackendName
from lrpfast.model import Model, Source, load
from lrpfast.seeds import Against, checked_against, checked_target

Precision: TypeAlias = Literal["float32", "float16"]

#: Bytes of samples that are explained, and committed, together.
CHUNK_BYTES = 2**24

#: Images a chunk at the most.
MOST_IMAGES = 1024

#: What the array ``audit`` holds: what was explained, and the sums that it went to over all layers.
AUDIT = ("explained", "arrived", "bias", "stabilizer", "rule", "rounding")


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """How a dataset is explained: the arguments of `explain_dataset`, and parameters of a preset."""

    composite: str | Composite = "epsilon_plus_flat"
    parameters: Mapping[str, float] = field(default_factory=dict)
    target: npt.ArrayLike | None = None
    against: Against | None = None
    preprocess: str | Preprocessing = "0-1"
    resize: Resize = "crop"
    size: int | None = None
    column: str | None = None
    precision: Precision = "float32"
    pooled: bool = False
    chunk: int | None = None
    backend: BackendName = "native"
    threads: int | None = None
    max_memory: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise InputError(f"precision is {' or '.join(get_args(Precision))}, not {self.precision!r}.")
        if self.resize not in get_args(Resize):
            raise InputError(f"resize is {' or '.join(get_args(Resize))}, not {self.resize!r}.")
        if self.chunk is not None and (not isinstance(self.chunk, int) or self.chunk < 1):
            raise InputError(f"chunk is a number of images, 1 or more, not {self.chunk!r}.")
        if isinstance(self.preprocess, str) and self.preprocess not in PREPROCESSINGS:
            raise InputError(f"There is no scale {self.preprocess!r} of pixels; there are {', '.join(PREPROCESSINGS)}.")

    @property
    def scaling(self) -> Preprocessing:
        """What is done to pixels."""
        return PREPROCESSINGS[self.preprocess] if isinstance(self.preprocess, str) else self.preprocess


@dataclass(frozen=True, eq=False)
class Batch:
    """The inputs of a chunk as the model takes them; `rows` are the places of `samples` among `names`."""

    names: list[str]
    samples: npt.NDArray[Any]
    rows: list[int]
    errors: dict[int, str]


#: Attributions, and the rows of a batch that each is for.
Found: TypeAlias = list[tuple[list[int], Attribution]]


@dataclass(frozen=True, eq=False)
class Job:
    """What is explained, how, and where it goes.

    It can be pickled. `explain_chunk` does one of its chunks; several processes may do several at once.
    """

    lrp: LRP
    source: Joined
    preparation: Preparation
    store: Store
    target: npt.NDArray[Any] | None
    against: Against | None
    pooled: bool

    def read(self, chunk: int, mapper: Mapper = map) -> Batch:
        """The inputs of a chunk, decoded."""
        names, items = self.source.read(*self.store.images(chunk))
        return Batch(names, *self.preparation.samples(items, mapper))

    def explain(self, chunk: int, batch: Batch) -> Found:
        """Explain the inputs of a chunk; one that the model cannot take does not keep the others from it."""
        return list(self._explained(chunk, batch, 0, len(batch.rows)))

    def commit(self, chunk: int, batch: Batch, found: Found) -> int:
        """Write what was found for a chunk, and return how many of its images were explained."""
        rows = {column.name: column.filled(len(batch.names)) for column in self.store.columns}
        rows["names"][:] = batch.names
        for row, reason in batch.errors.items():
            rows["errors"][row] = reason
        for places, attribution in found:
            self._enter(attribution, places, rows)
        explained = int(np.count_nonzero(rows["errors"] == ""))
        self.store.commit(chunk, rows, explained)
        return explained

    def _explained(self, chunk: int, batch: Batch, first: int, end: int) -> Iterator[tuple[list[int], Attribution]]:
        """Explain some samples, halves by themselves until those in the way are alone; their errors go to the batch."""
        places = batch.rows[first:end]
        if not places:
            return
        target = None if self.target is None else self.target[slice(*self.store.images(chunk))][places]
        try:
            found = self.lrp.attribute(batch.samples[first:end], target, against=self.against)
        except InputError as error:
            if len(places) == 1:
                batch.errors[places[0]] = f"'{batch.names[places[0]]}': {error}"
                return
            half = (first + end) // 2
            yield from self._explained(chunk, batch, first, half)
            yield from self._explained(chunk, batch, half, end)
        else:
            yield places, found

    def _enter(self, found: Attribution, places: list[int], rows: dict[str, npt.NDArray[Any]]) -> None:
        """Put an attribution into its places of the rows."""
        relevance = found.relevance
        if self.pooled:
            assert found.channel_axis is not None, "refused when the job was made"
            relevance = relevance.sum(axis=1 + found.channel_axis, dtype=relevance.dtype)
        with np.errstate(over="ignore"):
            rows["relevance"][places] = relevance
        if rows["relevance"].dtype == np.float16:
            _refuse_overflow(rows, places)
        rows["scores"][places] = found.output
        rows["targets"][places] = found.target
        rows["audit"][places] = _sums(found)


def _refuse_overflow(rows: dict[str, npt.NDArray[Any]], places: list[int]) -> None:
    """Keep no relevance that became infinite."""
    for place in places:
        if np.isinf(rows["relevance"][place]).any():
            rows["relevance"][place] = np.nan
            rows["errors"][place] = f"'{rows['names'][place]}': its relevance is too large for float16; keep float32."


def explain_chunk(job: Job, chunk: int) -> int:
    """Explain one chunk of a job and commit it.

    This is the unit of work of an executor. It may be done again, or elsewhere at the same time, with the same result.

    Parameters
    ----------
    job : Job
        From `make_job`, or a pickled copy of it in another process that sees the same files.
    chunk : int
        Which one, from 0 to ``job.store.chunks - 1``.

    Returns
    -------
    int
        How many of its images were explained.
    """
    batch = job.read(chunk)
    return job.commit(chunk, batch, job.explain(chunk, batch))


def make_job(
    model: Model | Source,
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    options: Options,
) -> tuple[Job, list[str]]:
    """Look at everything that there is to do, and make the store, or find what is left of it.

    Parameters
    ----------
    model, inputs, out
        As for `explain_dataset`.
    options : Options
        Its other arguments.

    Returns
    -------
    Job
        What is to be done.
    list of str
        What of folders and patterns was left out, in words.
    """
    model = model if isinstance(model, Model) else load(model)
    arguments = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    source, notes = find_inputs([os.fspath(each) for each in arguments], model, options.column)
    preparation = Preparation(_form(model, source, options.size), options.scaling, options.resize)
    sample = _sample_shape(model, source, preparation)
    lrp = LRP(model, _composite(options, preparation.form), options.backend, options.threads, options.max_memory)
    output = model.graph.shapes(sample)[model.graph.output]
    target = checked_target(options.target, source.count, output, np.dtype(np.float32))
    if target is not None and (target.ndim > 1 or target.dtype.kind == "f"):
        raise InputError("target is one class for all images, or one for each of them.")
    against = checked_against(options.against, target, output)

    channel_axis = model.graph.input_permutation[0] if model.graph.input_permutation else 0
    if options.pooled and len(sample) < 2:
        raise InputError(f"Samples of shape {sample} have no channels to pool over; leave out pooled.")
    kept = tuple(size for axis, size in enumerate(sample) if not (options.pooled and axis == channel_axis))
    precision = np.dtype(options.precision).newbyteorder("<")
    columns = (
        Column("relevance", kept, precision, np.nan),
        Column("scores", output, np.dtype("<f4"), np.nan),
        Column("targets", (), np.dtype("<i8"), -1),
        Column("audit", (len(AUDIT),), np.dtype("<f8"), np.nan),
        Column("names", (), None, ""),
        Column("errors", (), None, ""),
    )
    path = Path(out).absolute()
    earlier = _attributes(path) if os.path.lexists(path) else None
    chunk = options.chunk or (earlier or {}).get("options", {}).get("chunk") or _chunk(sample)
    store = Store(path, source.count, int(chunk), columns)
    attributes = _described(lrp, source, options, target, preparation, store.chunk)
    if earlier is None:
        store.create(attributes)
    elif differences := list(_differences(earlier, attributes)):
        raise InputError(
            f"The store '{out}' was begun with something else:\n  " + "\n  ".join(differences) + "\n"
            "Run it with what it was begun with, and it goes on where it stopped; or write to another store."
        )
    return Job(lrp, source, preparation, store, target, against, options.pooled), notes


def _composite(options: Options, form: InputFormat | None) -> Composite:
    """The composite, with the bounds of the pixels if it takes them."""
    if isinstance(options.composite, Composite):
        return options.composite
    require_preset(options.composite)
    if form is None and "low" in inspect.signature(PRESETS[options.composite]).parameters:
        return named(options.composite)  # which says that it takes bounds
    bounds = (0, 0) if form is None else options.scaling.bounds(form)
    return composite_with(options.composite, *bounds, **options.parameters)


def _form(model: Model, source: Joined, size: int | None) -> InputFormat | None:
    """The pictures that the model takes; None if it takes none, and none are there."""
    if all(part.kind is not None and part.kind[1] != np.uint8 for part in source.parts):
        with suppress(InputError):
            return InputFormat.of(model)  # for the bounds of its values
        return None
    try:
        return InputFormat.of(model, size)
    except InputError:
        if all(part.kind is not None for part in source.parts):
            return None  # small whole numbers that are no pixels
        raise


def _sample_shape(model: Model, source: Joined, preparation: Preparation) -> tuple[int, ...]:
    """Shape of the samples; InputError where the model does not take them, or the inputs make several."""
    found: dict[tuple[int, ...], str] = {}
    for part in source.parts:
        if part.kind is not None:
            shape = preparation.shape(*part.kind)
        else:
            assert preparation.form is not None, "a model that takes no pictures was refused"
            shape = preparation.form.shape
        model.accept((part.count, *shape))
        found.setdefault(shape, part.title)
    if len(found) > 1:
        listed = ", ".join(f"{shape} from '{name}'" for shape, name in found.items())
        raise InputError(f"The inputs make samples of several shapes: {listed}. Give each kind a store of its own.")
    return next(iter(found))


def _chunk(sample: tuple[int, ...]) -> int:
    """How many images go together where nobody says so."""
    return min(max(CHUNK_BYTES // (4 * math.prod(sample)), 1), MOST_IMAGES)


def _sums(found: Attribution) -> npt.NDArray[np.float64]:
    """What was explained, what arrived at the input, and what layers absorbed by cause, for each sample."""
    assert isinstance(found.audit, Audit)
    figures = found.audit.figures
    received, handed, *absorbed = figures.sum(axis=0)  # over all layers
    lines = found.relevance.sum(axis=-1)  # short sums in float32, which is many times faster
    arrived = lines.reshape(len(lines), -1).sum(axis=1, dtype=np.float64)
    return np.stack([figures[0, 0], arrived, *absorbed, received - handed - sum(absorbed)], axis=1)


def _described(
    lrp: LRP,
    source: Joined,
    options: Options,
    target: npt.NDArray[Any] | None,
    preparation: Preparation,
    chunk: int,
) -> dict[str, Any]:
    """What the store says of how it was made, as JSON; all but names and versions is what it is recognised by."""
    single = None if target is None else int(target[0]) if (target == target[0]).all() else digest(target)
    described = {
        "format": FORMAT,
        "versions": {name: version(name) for name in ("lrpfast", "numpy")},
        "model": {"name": lrp.model.name, "sha256": digest(lrp.model.graph)},
        "composite": {"name": lrp.composite.name, "sha256": digest(lrp.composite), "rules": str(lrp.composite)},
        "inputs": [part.identity() for part in source.parts],
        "options": {
            "target": single,
            "against": options.against,
            "preprocessing": asdict(preparation.preprocessing),
            "resize": options.resize,
            "backend": lrp.backend,
            "precision": options.precision,
            "pooled": options.pooled,
            "chunk": chunk,
        },
        "audit": AUDIT,
    }
    return json.loads(json.dumps(described))  # type: ignore[no-any-return]


def _attributes(path: Path) -> dict[str, Any]:
    """What a store says of itself."""
    try:
        found = json.loads((path / ".zattrs").read_bytes())
        if found["format"] == FORMAT:
            return found  # type: ignore[no-any-return]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise FileError(f"Cannot write the store '{path}': there is something else of that name. Give another name.")


def _differences(there: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What a store was made with that is otherwise now, in words."""
    if there["versions"]["lrpfast"] != now["versions"]["lrpfast"]:
        yield f"lrpfast {there['versions']['lrpfast']}, now {now['versions']['lrpfast']}"
    for what in ("model", "composite"):
        before, after = there[what], now[what]
        if before["sha256"] != after["sha256"]:
            same = " of other content" if before["name"] == after["name"] else ""
            yield f"the {what} {before['name']}, now {after['name']}{same}"
    if len(there["inputs"]) != len(now["inputs"]):
        yield f"{_listed(there['inputs'])}, now {_listed(now['inputs'])}"
    else:
        for before, after in zip(there["inputs"], now["inputs"], strict=True):
            for key in before.keys() | after.keys():
                if before.get(key) != after.get(key):
                    both = f" {before.get(key)}, now {after.get(key)}" if key in ("count", "shape", "dtype") else ""
                    yield f"the inputs {before['inputs']}: other {key}{both}"
    for name, value in now["options"].items():
        if there["options"][name] != value:
            yield f"{name} {there['options'][name]}, now {value}"


def _listed(inputs: list[dict[str, Any]]) -> str:
    return f"the inputs {', '.join(part['inputs'] for part in inputs)}"
