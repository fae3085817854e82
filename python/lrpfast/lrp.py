"""LRP: a model prepared to be explained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution, Origin
from lrpfast.composites import Composite, named
from lrpfast.engine.backend import Backend, Explained, Inside, joined, parts_of
from lrpfast.engine.plan import Plan, make_plan
from lrpfast.errors import InputError, InputTypeError, ModelError
from lrpfast.model import Model, load
from lrpfast.model.graph import Node
from lrpfast.model.layers import Array, Shape
from lrpfast.seeds import Against, Seeds, array_of, checked_against, checked_target, finite

BackendName: TypeAlias = Literal["native", "reference"]

MOST_THREADS = 1024  # few systems give a process many more


class LRP:
    """Layer-wise Relevance Propagation for one model and one composite.

    Weights are prepared here, once. Afterwards the object does not change visibly: many threads may use it at
    once.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    composite : str or Composite
        Which rule each layer gets: the name of a preset, or a composite.
    backend : {"native", "reference"}
        ``"native"`` is C++ in float32, ``"reference"`` NumPy in the float type of the input. Same numbers.
    threads : int, optional
        Threads of the native backend; None takes ``OMP_NUM_THREADS``, else the cores that the process may run on
        and that the quota of its container pays for.
    max_memory : int, optional
        Bytes that the native backend may take beyond the model itself, for packed weights and the values of a pass.
        With less, convolutions run by slower methods and a batch in smaller parts; what a single sample needs at
        the least is taken all the same. None leaves speed the choice.

    Raises
    ------
    CompositeError
        An unknown preset, or layers that no rule fits; all of them are listed.
    ModelError
        The model cannot be read, or holds what cannot be explained.
    InputError
        An unknown backend, a number of threads or bytes below 1, or of threads above 1024.
    InputTypeError
        The composite is neither a name nor a `Composite`.

    References
    ----------
    Bach et al., *On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance
    Propagation*, PLOS ONE 10(7), 2015.

    Examples
    --------
    >>> lrp = lrpfast.LRP(lrpfast.load("model.onnx"), composite="epsilon_plus_flat")
    >>> attribution = lrp.attribute(x)
    >>> attribution.save("heatmap.png")
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str] | bytes,
        composite: str | Composite = "epsilon_plus_flat",
        backend: BackendName = "native",
        threads: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        if isinstance(composite, str):
            composite = named(composite)
        elif not isinstance(composite, Composite):
            raise InputTypeError(f"composite is a preset's name or a Composite, not {type(composite).__name__}.")
        if backend not in get_args(BackendName):
            raise InputError(f"There is no backend {backend!r}; the backends are {', '.join(get_args(BackendName))}.")
        if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS):
            raise InputError(
                f"threads is the number of threads, 1 to {MOST_THREADS}, or None for all cores; not {threads!r}."
            )
        if max_memory is not None and (not isinstance(max_memory, int) or max_memory < 1):
            raise InputError(f"max_memory is a number of bytes, 1 or more, or None for no limit; not {max_memory!r}.")
        self.model = model if isinstance(model, Model) else load(model)
        self.composite = composite
        self.backend: BackendName = backend
        self.threads = threads
        self.max_memory = max_memory
        self.plan: Plan = make_plan(self.model.graph, composite)
        self._engine = _engine(self.plan, backend, threads, max_memory)

    def attribute(
        self,
        x: npt.ArrayLike,
        target: npt.ArrayLike | None = None,
        *,
        against: Against | None = None,
        layers: Sequence[str] = (),
        masks: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Attribution:
        """Explain the model's output for a batch of inputs.

        Parameters
        ----------
        x : array_like, shape (N, ...)
            Inputs in the model's own layout, batch first; whole numbers for a model that begins with an embedding.
            Tensors of other libraries are taken as they are, from the CPU.
        target : optional
            None explains each sample's highest score; an int, or N ints, that class; an (N, T) int array T
            classes a sample, which share one forward pass; a float array of the output's shape is put at the
            output as it is. A class is seeded with its score (with 1 for composites that are gradients), so
            that the relevance sums to what was explained.
        against : {"runner_up", "others"} or int, optional
            What speaks for the target rather than for something else: the seed of that class, of the highest one beside
            the target, or the mean of all others is taken away. Relevance then sums to the difference of the scores.
        layers : sequence of str
            Layers whose relevance is wanted too, at their output, by their names or by those of their outputs in the
            file; ``print(lrp)`` names them.
        masks : mapping of str to array_like, optional
            Relevance at the output of a layer is multiplied by its mask, so that only what goes through these channels
            arrives: one factor for each channel (C,), or (T, C) for T explanations a sample, which share one forward
            pass. Several masks hold together (Achtibat et al., *From attribution maps to human-understandable
            explanations through Concept Relevance Propagation*, Nature Machine Intelligence 2023).

        Returns
        -------
        Attribution
            With relevance of the shape of `x`, or (N, T, ...) for T explanations a sample.

        Raises
        ------
        InputError
            The shape of `x` does not fit the model, `x` is empty or holds NaN or infinity, ids or the target are
            out of range, or a layer or a mask is not there or does not fit. Nothing has been computed then.
        InputTypeError
            `x`, `target` or a mask are not numbers.
        """
        x = self._checked(x)
        graph, shapes = self.model.graph, self._shapes(x.shape[1:])
        explained = checked_target(target, len(x), shapes[graph.output], x.dtype)
        told_apart = checked_against(against, explained, shapes[graph.output])
        masks = masks or {}
        nodes = {name: self._node(name) for name in (*layers, *masks)}
        factors = {name: _checked_mask(name, mask, shapes[nodes[name].output]) for name, mask in masks.items()}
        counts = {len(mask) for mask in factors.values() if mask.ndim == 2}
        seeds = Seeds(explained, told_apart, self.composite.seed, max(counts, default=None))
        if any(count != seeds.explanations for count in counts) or (seeds.columns or 1) not in (1, seeds.explanations):
            raise InputError(
                f"The masks are for {sorted(counts)} explanations a sample, the target for {seeds.columns or 1}; "
                f"give as many of each, or one."
            )
        whole = {
            nodes[name].name: _whole_mask(mask, len(x), seeds.explanations, shapes[nodes[name].output])
            for name, mask in factors.items()
        }
        inside = Inside(tuple(nodes[name].name for name in layers), whole)
        scores, chosen, passed = self._explained(graph.arranged(x), seeds, inside)
        relevance = graph.returned(passed.relevance)
        inner = {}
        for name in layers:  # relevance reaches none that only makes gates
            nothing = np.zeros((len(x), seeds.explanations, *shapes[nodes[name].output]), x.dtype)
            inner[name] = passed.layers.get(nodes[name].name, nothing)
        return Attribution(
            relevance=np.ascontiguousarray(relevance if seeds.several else relevance[:, 0]),
            output=scores,
            target=chosen,
            audit=passed.audit if seeds.several else passed.audit.single(),
            input=x,
            channel_axis=_channel_axis(graph.input_permutation, x.ndim - 1),
            layers={name: found if seeds.several else found[:, 0] for name, found in inner.items()},
            origin=Origin(self.model.name, self.composite.name, str(self._engine), self.composite.seed == "score"),
        )

    def scores(self, x: npt.ArrayLike) -> Array:
        """The model's scores for a batch of inputs, without an explanation.

        Parameters
        ----------
        x : array_like, shape (N, ...)
            Inputs, as for `attribute`.

        Returns
        -------
        ndarray, shape (N, classes)
            What `attribute` returns as ``output``.

        Raises
        ------
        InputError, InputTypeError
            As from `attribute`, for the input.
        """
        x = self._checked(x)
        self._shapes(x.shape[1:])  # refuses what is too small for a model of free size
        arranged = self.model.graph.arranged(x)
        return joined([self._engine.forward(arranged[here])[0] for here in parts_of(self._engine, arranged, 1)])

    def _explained(self, x: Array, seeds: Seeds, inside: Inside) -> tuple[Array, npt.NDArray[Any], Explained]:
        """Output, what was explained, and what became of it, in parts that fit the memory."""
        parts = []
        for here in parts_of(self._engine, x, seeds.explanations):
            output, state = self._engine.forward(x[here], inside)
            seed, chosen = seeds.for_scores(output, here)
            parts.append((output, chosen, self._engine.relevance(state, seed, inside.part(here))))
            del state  # its memory serves the next part
        outputs, targets, passed = zip(*parts, strict=True)
        return joined(outputs), joined(targets), Explained.joined(passed)

    def _node(self, name: str) -> Node:
        """The layer of that name, or the one that makes the value of that name; InputError if there is none."""
        known = {key: node for node in self.model.graph.nodes for key in (node.output, node.name)}
        if name not in known:
            close = get_close_matches(str(name), known, n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise InputError(f"The model has no layer {name!r}.{hint} print(lrp) names them.")
        return known[name]

    def _checked(self, x: npt.ArrayLike) -> Array:
        """The input as an array of the float type that the backend computes in."""
        array = array_of(x, "The input")
        if array.dtype.kind not in "fiub":
            raise InputTypeError(f"The input must hold real numbers, not {array.dtype}.")
        self.model.accept(array.shape)
        if array.size == 0:
            raise InputError(f"The input is empty: shape {array.shape}. Give at least one sample.")
        wide = self.backend == "reference" and array.dtype == np.float64
        values = finite(array, np.dtype(np.float64 if wide else np.float32), "The input")
        if self.model.graph.input_table is not None:
            _require_ids(values, len(self.model.graph.input_table))
        return values

    def _shapes(self, sample: Shape) -> Mapping[str, Shape]:
        """Shape of every value for one sample."""
        graph = self.model.graph
        try:
            return graph.known_shapes or graph.shapes(sample)
        except ModelError as error:
            raise InputError(str(error)) from None

    def __str__(self) -> str:
        threads = "all" if self.threads is None else self.threads
        head = f"LRP of '{self.model.name}', composite {self.composite.name}, backend {self.backend}, threads {threads}"
        return f"{head}\n{self.plan}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "composite", "backend", "threads", "max_memory")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # packed weights are made anew, not pickled


def _engine(plan: Plan, backend: BackendName, threads: int | None, max_memory: int | None) -> Backend:
    if backend == "reference":
        from lrpfast.engine.reference import ReferenceEngine

        return ReferenceEngine(plan)
    from lrpfast.engine.native import NativeEngine

    return NativeEngine(plan, threads, max_memory)


def _require_ids(values: Array, count: int) -> None:
    """InputError for what names no row of a table."""
    wrong = values[(values < 0) | (values >= count) | (values % 1 != 0)]
    if wrong.size:
        raise InputError(
            f"The input holds {wrong[0]:g}, where the model takes ids: whole numbers from 0 to {count - 1}."
        )


def _checked_mask(name: str, mask: npt.ArrayLike, shape: Shape) -> Array:
    """A mask (C,) or (T, C) for an output of `shape`."""
    factors = array_of(mask, f"The mask of '{name}'")
    if factors.dtype.kind not in "fiub":
        raise InputTypeError(f"The mask of '{name}' must hold numbers, not {factors.dtype}.")
    if factors.ndim not in (1, 2) or factors.size == 0 or factors.shape[-1] != shape[0]:
        raise InputError(
            f"The mask of '{name}' has shape {factors.shape}; give one factor for each of the {shape[0]} channels "
            f"of its output {shape}, or (T, {shape[0]}) for T explanations."
        )
    return finite(factors, np.dtype(np.float32), f"The mask of '{name}'")


def _whole_mask(mask: Array, batch: int, explanations: int, shape: Shape) -> Array:
    """A mask (C,) or (T, C) as it multiplies relevance (N, T, C, ...)."""
    by_channel = mask.reshape(1, -1, shape[0], *(1,) * (len(shape) - 1))
    return np.broadcast_to(by_channel, (batch, explanations, *shape))


def _channel_axis(permutation: tuple[int, ...], rank: int) -> int | None:
    """The axis of a caller's sample that holds channels."""
    if rank < 2:
        return None
    return permutation[0] if permutation else 0
