"""Explanations of Dask arrays: chunk by chunk, on all cores or on many machines."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from operator import itemgetter
from threading import Lock
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError, InputTypeError
from lrpfast.lrp import LRP
from lrpfast.model import Model
from lrpfast.model.layers import Array, Shape
from lrpfast.seeds import Against, checked_against, checked_target
from lrpfast.view.extras import optional

with optional("Explaining Dask arrays"):
    import cloudpickle
    import dask.array as da
    from dask.delayed import delayed

#: How many unpacked values, LRPs for example, a process keeps for chunks and computations to come.
KEPT = 4


class Attributions(NamedTuple):
    """Explanations of a Dask array, as Dask arrays; computed together they cost no more than one of them.

    Attributes
    ----------
    relevance : dask.array.Array
        Of the shape of the input, or (N, T, ...) for T explanations a sample, in chunks of the same samples.
    output : dask.array.Array, shape (N, classes)
        The model's scores.
    target : dask.array.Array
        What was explained: classes (N,) or (N, T), or the seed.
    """

    relevance: da.Array
    output: da.Array
    target: da.Array


def attribute(
    lrp: LRP, x: da.Array, target: npt.ArrayLike | da.Array | None = None, *, against: Against | None = None
) -> Attributions:
    """Explain a Dask array, each chunk of samples where and when Dask computes it.

    Nothing is computed yet, for shapes and types either. The numbers are those of ``lrp.attribute``, bit for bit with
    the native backend, whatever the chunks. The model travels once to each process that takes part, which prepares its
    weights once.

    Parameters
    ----------
    lrp : LRP
        What explains. Where it leaves `threads` open, a chunk takes one: a worker works on as many chunks at once as it
        has threads. With ``LRP(..., threads=8)`` start workers of one thread for each eight cores.
    x : dask.array.Array, shape (N, ...)
        Inputs in the model's own layout, in chunks of whole samples, as of ``dask.array.from_zarr("images.zarr")``.
    target : optional
        As for `LRP.attribute`; an array may be of NumPy or Dask.
    against : {"runner_up", "others"} or int, optional
        As for `LRP.attribute`.

    Returns
    -------
    Attributions
        The Dask arrays ``relevance``, ``output`` and ``target``.

    Raises
    ------
    InputError
        Chunks cut samples apart or have no known size, or the shape of `x`, the target or `against` does not fit. What
        the chunks hold is checked when they are computed, as `LRP.attribute` does.
    InputTypeError
        `x` is no Dask array, or its type holds no real numbers.

    Examples
    --------
    >>> x = dask.array.from_zarr("images.zarr")
    >>> found = lrpfast.dask.attribute(lrpfast.LRP("model.onnx"), x)
    >>> found.relevance.astype("float16").to_zarr("relevance.zarr")
    """
    x = _samples(x, lrp.model)
    output = lrp._shapes(x.shape[1:])[lrp.model.graph.output]
    dtype = np.dtype(np.float64 if lrp.backend == "reference" and x.dtype == np.float64 else np.float32)
    chosen, against = _in_chunks(target, against, x, output, dtype)
    explained = da.blockwise(
        *(_explained, (0,), Packed(ForWorkers(lrp)).shared(), None, x, range(x.ndim)),
        *(chosen, None if chosen is None else (0, *range(-1, -chosen.ndim, -1)), against, None),
        concatenate=True,  # of the one chunk along each axis of a sample
        align_arrays=False,
        token="explain",
        meta=np.empty(0, object),
    )
    picked, kind = ((), np.dtype(np.int64)) if chosen is None else (chosen.shape[1:], chosen.dtype)
    several = picked if kind.kind == "i" else ()
    return Attributions(
        relevance=_part(explained, 0, (*several, *x.shape[1:]), dtype),
        output=_part(explained, 1, output, dtype),
        target=_part(explained, 2, picked, kind),
    )


def _samples(x: da.Array, model: Model) -> da.Array:
    """The input, if its chunks hold whole samples of known number, without chunks that hold none."""
    if not isinstance(x, da.Array):
        raise InputTypeError(
            f"x is a {type(x).__name__}, not a Dask array; lrp.attribute takes other arrays, and "
            f"dask.array.from_array(x, chunks=(64, -1, -1, -1)) makes one of them."
        )
    if x.dtype.kind not in "fiub":
        raise InputTypeError(f"The input must hold real numbers, not {x.dtype}.")
    if np.isnan(x.size):
        raise InputError(
            f"The input has the shape {x.shape}, not known before it is computed; x.compute_chunk_sizes() does."
        )
    model.accept(x.shape)
    if x.size == 0:
        raise InputError(f"The input is empty: shape {x.shape}. Give at least one sample.")
    cut = {axis: -1 for axis in range(1, x.ndim) if x.numblocks[axis] > 1}
    if cut:
        raise InputError(
            f"Chunks of shape {x.chunksize} cut samples of shape {x.shape[1:]} apart; join them: x.rechunk({cut})."
        )
    chunks: da.Array = x.rechunk({0: tuple(size for size in x.chunks[0] if size)})
    return chunks


def _in_chunks(
    target: npt.ArrayLike | da.Array | None, against: Against | None, x: da.Array, output: Shape, dtype: np.dtype[Any]
) -> tuple[da.Array | None, Against | None]:
    """The target in chunks of the same samples as `x`, and what it is told apart from, both checked as far as known."""
    if isinstance(target, da.Array):
        seed = target.dtype.kind == "f" and target.shape == (len(x), *output)
        if not seed and (target.dtype.kind not in "iu" or target.ndim > 2 or target.shape[:1] != x.shape[:1]):
            raise InputError(
                f"The target has shape {target.shape} and type {target.dtype}; give {len(x)} classes, ({len(x)}, T) "
                f"classes, or a float seed of shape {(len(x), *output)}."
            )
        chunks = (x.chunks[0], *((size,) for size in target.shape[1:]))
        return target.rechunk(chunks).astype(dtype if seed else np.int64), checked_against(against, None, output)
    if target is None:
        return None, checked_against(against, None, output)
    one_for_all = np.ndim(target) == 0
    checked = checked_target(target, 1 if one_for_all else len(x), output, dtype)
    against = checked_against(against, checked, output)
    assert checked is not None
    if one_for_all:
        return da.full(len(x), checked[0], chunks=(x.chunks[0],)), against
    return da.from_array(checked, (x.chunks[0], *checked.shape[1:])), against


class Packed:
    """A value on its way to other processes, each of which unpacks it once."""

    _unpacked: ClassVar[OrderedDict[str, Any]] = OrderedDict()
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, value: object) -> None:
        self.content = cloudpickle.dumps(value)
        self.key = hashlib.sha256(self.content).hexdigest()

    def shared(self) -> Any:
        """A task of its own, whose result others take: a process is sent it once."""
        return delayed(self, name=f"lrpfast-{self.key}", traverse=False)

    def value(self) -> Any:
        """The value that this process unpacked, as all copies of this object share it."""
        with self._lock:
            value = self._unpacked.pop(self.key, None) or cloudpickle.loads(self.content)
            self._unpacked[self.key] = value
            if len(self._unpacked) > KEPT:
                self._unpacked.popitem(last=False)
            return value


class ForWorkers:
    """Is unpacked as the given LRP, with one thread where that leaves it open."""

    def __init__(self, lrp: LRP) -> None:
        self.lrp = lrp

    def __reduce__(self) -> tuple[type[LRP], tuple[Any, ...]]:
        lrp = self.lrp
        return LRP, (lrp.model, lrp.composite, lrp.backend, lrp.threads or 1, lrp.max_memory)


def _explained(packed: Packed, x: Array, target: npt.NDArray[Any] | None, against: Against | None) -> tuple[Any, ...]:
    """Relevance, scores and target of a chunk."""
    found = packed.value().attribute(x, target, against=against)
    return found.relevance, found.output, found.target


def _part(explained: da.Array, index: int, shape: Shape, dtype: np.dtype[Any]) -> da.Array:
    """An array (N, *shape) of what chunks were explained to."""
    axes = range(len(shape) + 1)
    part: da.Array = da.blockwise(
        *(itemgetter(index), axes, explained, (0,)),
        new_axes=dict(zip(axes[1:], shape, strict=True)),
        token=Attributions._fields[index],
        meta=np.empty((0,) * len(axes), dtype),
    )
    return part
