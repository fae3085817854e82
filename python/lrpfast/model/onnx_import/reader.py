"""The walk over an ONNX file, from its input to the chosen output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy.typing as npt
import onnx

from lrpfast.errors import ModelError, Refusal, UnsupportedError
from lrpfast.model.fitting import shape_after
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Activation, Affine, Concat, Gate, Gather, Layer, Shape, Sum
from lrpfast.model.onnx_import.activations import PLAIN
from lrpfast.model.onnx_import.embedding import all_ids, begun, made_by_id, table_length
from lrpfast.model.onnx_import.ends import chosen_input, chosen_output, head, held, sized
from lrpfast.model.onnx_import.evaluation import (
    CONTROL_FLOW,
    Budget,
    Constant,
    constant,
    domain_of,
    evaluate,
    from_type,
    infer,
    shape_of,
    weight_array,
)
from lrpfast.model.onnx_import.quantization import without_measuring
from lrpfast.model.onnx_import.registry import (
    IMPORTERS,
    FreeShape,
    Join,
    Operation,
    Value,
    describe,
    fixed,
    full_name,
)
from lrpfast.model.onnx_import.sklearn import without_transforms

#: what comes of attributes and weights that make no sense, in ways that ONNX's checks and the importers do not look for
NONSENSE = (ArithmeticError, AssertionError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
SATURATING = {"sigmoid", "hard_sigmoid", "tanh", "erf", "softsign"}
AVERAGING = {"GlobalAveragePool", "ReduceMean"}
BY_ROWS = {  # what may read values without a batch axis
    *PLAIN, "Add", "Cast", "Clip", "Div", "Dropout", "Elu", "Gather", "Gelu", "Gemm", "HardSigmoid",
    "Identity", "LeakyRelu", "MatMul", "Mul", "Neg", "Reshape", "Squeeze", "Sub", "Unsqueeze",
}  # fmt: skip
MOST_LAYERS = 5000  # the time to simplify a graph grows with the square of their number
SEVERAL_OUTPUTS = {"LinearClassifier", "Split"}


@dataclass(frozen=True)
class Reading:
    """A file as a graph, with the names and shapes (batch first, None where free) that its user knows it by."""

    graph: Graph
    input_name: str
    input_shape: FreeShape
    output_name: str
    output_shape: FreeShape
    dropped_head: str | None


def read(
    model: onnx.ModelProto,
    output: str | None = None,
    fixed_inputs: Mapping[str, npt.ArrayLike] | None = None,
    shape: Sequence[int | None] | None = None,
) -> Reading:
    """The part of a model that computes one output, a final Softmax or Sigmoid left out."""
    graph, nodes = model.graph, list(without_measuring(without_transforms(model.graph.node)))
    chosen = chosen_output(graph, output)
    producers = {name: node for node in nodes for name in node.output}
    dropped, skipped = head(producers, chosen)
    needed = _leading_to(chosen, nodes)
    constants = held(graph, fixed_inputs or {})
    source = chosen_input(graph, needed, chosen, constants)
    declared = from_type(source.name, source.type)
    if shape is not None:
        declared = sized(declared, shape)
    if not declared.shape:
        raise ModelError(
            f"The input '{source.name}' is declared without a shape or without a batch axis; give one, batch first: "
            f"load(..., shape=(None, 3, 224, 224))."
        )
    walk = _Walk(model, declared, needed, skipped, values=constants)
    result = walk.result(chosen)
    entry, table, first = begun(walk.looked_up) if walk.looked_up else (source.name, None, [])
    reading = Graph(
        input=entry,
        input_shape=declared.shape[1:],
        nodes=_reaching(result.name, [*first, *walk.nodes]),
        output=result.name,
        input_table=table,
    )
    return Reading(
        graph=reading,
        input_name=source.name,
        input_shape=declared.shape,
        output_name=chosen,
        output_shape=(declared.shape[0], *result.sample_shape),
        dropped_head=dropped,
    )


def _leading_to(value: str, nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes that a value depends on, in order."""
    wanted, found = {value}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            wanted.update(_read_by(node))
            found.append(node)
    return found[::-1]


def _read_by(node: onnx.NodeProto) -> set[str]:
    """What a node reads, and what its branches do."""
    inner = (_read_by(one) for attribute in node.attribute for one in attribute.g.node)
    return set(node.input).union(*inner)


def _following(value: str, nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """A value and all that are made of it."""
    found = {value}
    for node in nodes:
        if found.intersection(_read_by(node)):
            found.update(node.output)
    return found


def _reaching(value: str, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The same for nodes of a graph: a value whose shape alone was asked for leaves nodes that nothing reads."""
    wanted, found = {value}, []
    for node in reversed(list(nodes)):
        if node.output in wanted:
            wanted.update(node.inputs)
            found.append(node)
    return tuple(reversed(found))


def _activations(node: onnx.NodeProto, outputs: Sequence[Value]) -> dict[str, Value]:
    """The outputs of a node as values that depend on the input."""
    return {name: replace(value, is_activation=True) for name, value in zip(node.output, outputs, strict=False)}


@dataclass
class _Walk:
    """State of the walk: what is known of each value, the nodes made so far, and what was refused."""

    model: onnx.ModelProto
    source: Value
    needed: list[onnx.NodeProto]
    skipped: set[str]  # values that are taken as the inputs of the nodes that make them
    looked_up: dict[str, Constant] = field(default_factory=dict)  # what is read of each id, for every id
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)  # of nodes, with how many were asked to have each
    refusals: list[Refusal] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)  # values behind a refusal: what fits them or not says nothing

    def __post_init__(self) -> None:
        self.opsets = {domain_of(entry): entry.version for entry in self.model.opset_import}
        self.weights = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self.used = {name for node in self.needed for name in _read_by(node)}
        self.budget = Budget.of(self.model)
        shape = self.source.shape or ()
        # A free batch is taken as 1 here: layers work sample by sample, so nothing may depend on it.
        self.batch = shape[0] or 1
        self.values[self.source.name] = replace(self.source, shape=(self.batch, *shape[1:]), is_activation=True)

    def result(self, name: str) -> Value:
        """Visit all nodes; what is known of the output, or everything that stands in the way of it."""
        self.used.add(name)
        of_input = _following(self.source.name, self.needed)
        for node in self.needed:
            if not of_input.intersection(node.output):
                self._visit(node)
        followers = [node for node in self.needed if of_input.intersection(node.output)]
        source = self.values[self.source.name]
        if length := table_length(source, followers, {name: self._value(name) for name in self.used}):
            self.values[self.source.name] = all_ids(source, length)
        for node in followers:
            self._visit(node)
        if self.refusals:
            count = "a node" if len(self.refusals) == 1 else f"{len(self.refusals)} nodes"
            listing = "".join(f"\n  - {refusal}" for refusal in self.refusals)
            raise UnsupportedError(
                f"The model holds {count} that lrpfast cannot explain:{listing}\nReplace what is named "
                f"here before the export. {self._hint()}Operators that can be read: {', '.join(sorted(IMPORTERS))}.",
                self.refusals,
            )
        value = self._value(name)
        if not value.is_activation or value.name in (self.source.name, *self.looked_up):
            raise ModelError(f"No layer lies between the model's input and '{name}', so there is nothing to explain.")
        return value

    def _hint(self) -> str:
        """What may help where sizes are unknown."""
        shape = self.source.shape or ()
        return f"Sizes left free in {shape} can be fixed: load(..., shape=...). " if None in shape[1:] else ""

    def _value(self, name: str) -> Value:
        if name not in self.values and name in self.weights:
            self.values[name] = constant(name, weight_array(self.weights[name]))
        return self.values.get(name, Value(name))

    def _visit(self, node: onnx.NodeProto) -> None:
        inputs = tuple(self._value(name) if name else None for name in node.input)
        present = [value for value in inputs if value is not None]
        outputs = [Value(name) for name in node.output]
        doubtful = bool(self.doubtful.intersection(node.input))
        try:
            if node.op_type == "If" and present[0].constant is not None:
                outputs = self._branch(node, "then_branch" if present[0].constant.all() else "else_branch")
            elif node.op_type in CONTROL_FLOW:
                raise UnsupportedError("its course depends on the data; export a model without control flow")
            elif self.skipped.intersection(node.output):
                outputs = [present[0]] * len(outputs)
            elif made := made_by_id(node, inputs, self.opsets, self.budget):
                outputs = made
            elif node.op_type == "Shape" and present[0].constant is None:
                sizes = shape_of(node, present[0])
                outputs = outputs if sizes is None else [constant(node.output[0], sizes)]
            elif any(value.is_activation for value in present):
                inputs = tuple(self._looked_up(value) for value in inputs)
                outputs = infer(node, inputs, self.opsets)
                for position in self._explained_outputs(node):
                    opset = self.opsets.get(domain_of(node), 1)
                    op = Operation(node, inputs, outputs[position], self.batch, opset, position)
                    outputs[position] = self._convert(op)
            elif all(value.constant is not None for value in present):
                outputs = evaluate(node, inputs, self.opsets, self.budget) or outputs
            known = dict(zip(node.output, outputs, strict=True))
        except UnsupportedError as error:
            name = node.name or node.output[0]
            self.refusals.append(Refusal(name, node.op_type, describe(node, inputs), str(error)))
            # Treated as an activation all the same, so that what comes behind it is looked at too.
            known, doubtful = _activations(node, outputs), True
        except (ModelError, *NONSENSE) as error:
            if not doubtful:
                sense = f"its attributes or weights make no sense ({type(error).__name__}: {error})"
                reason = error if isinstance(error, ModelError) else sense
                raise ModelError(
                    f"The model cannot be read: {describe(node, inputs)}: {reason}. Repair it, or export it again."
                ) from error
            known = _activations(node, outputs)
        if doubtful:
            self.doubtful.update(filter(None, node.output))
        self.values.update(known)

    def _branch(self, node: onnx.NodeProto, name: str) -> list[Value]:
        """The outputs of a branch that is known to be taken, as after a question about a known size."""
        branch = next(attribute.g for attribute in node.attribute if attribute.name == name)
        self.weights.update({tensor.name: tensor for tensor in branch.initializer})
        self.used.update(value.name for value in branch.output)
        for inner in branch.node:
            self._visit(inner)
        return [self._value(value.name) for value in branch.output]

    def _looked_up(self, value: Value | None) -> Value | None:
        """What is made of each id as a value that the graph reads."""
        if value is None or value.by_id is None:
            return value
        self.looked_up[value.name] = value.by_id
        return replace(value, by_id=None, is_activation=True)

    def _convert(self, op: Operation) -> Value:
        """Append the layers of one node; its output as a value of the graph."""
        self._require_readable(op)
        unknown = [value.name for value in op.activations if value.shape is None]
        if unknown and self.refusals:
            return replace(op.output, is_activation=True)  # behind a node that was refused
        if unknown:
            raise UnsupportedError(
                f"nothing says what shape its input '{unknown[0]}' has; export with a fixed input size"
            )
        chain = _chain(op, IMPORTERS[full_name(op.node)](op))
        if any(len(join.branches) > 1 and not isinstance(join.layer, (Concat, Gate, Sum)) for join in chain):
            raise UnsupportedError(
                f"it reads {len(op.activations)} activations, where one is expected; make others constant"
            )
        for layer in _layers(chain):
            self.budget.spend(_bytes(layer))
        if op.stacks and not op.is_stacked and op.node.op_type != "Reshape":
            raise UnsupportedError(
                f"its output {op.output.shape} does not have the batch as its first axis; keep it there"
            )
        name = self._append(op, chain) if chain else op.activations[0].name
        return replace(
            op.output,
            name=name,
            dtype=op.output.dtype or op.activations[0].dtype,
            shape=self._shape(op, chain),
            is_activation=True,
            is_stacked=op.stacks,
            saturates=_saturates(op, chain),
            mean_of=op.activations[0].name if op.node.op_type in AVERAGING else "",
        )

    def _shape(self, op: Operation, chain: list[Join]) -> FreeShape | None:
        """Shape of the output as the layers have it, else as ONNX infers it.

        They differ for pools with ceil_mode: ONNX counts a last window that begins in the padding behind the map,
        and runtimes leave it out.
        """
        shapes = [fixed(value.sample_shape) for value in op.activations if value.shape]
        values = [shape for shape in shapes if shape is not None]
        if len(values) < len(shapes):
            return op.output.shape
        for join in chain:
            values = [_joined_shape(join, values)]
        if min(values[0], default=1) < 1:
            raise ModelError(f"it gives an empty output {values[0]}")
        return values[0] if op.stacks else (self.batch, *values[0])

    def _require_readable(self, op: Operation) -> None:
        """Raise UnsupportedError for a node that no importer should see."""
        if full_name(op.node) not in IMPORTERS:
            raise UnsupportedError("lrpfast has no layer for this operator")
        stacked = [value for value in op.activations if value.is_stacked]
        if stacked and (op.node.op_type not in BY_ROWS or len({value.shape for value in op.activations}) > 1):
            raise UnsupportedError(
                f"its input '{stacked[0].name}' of shape {stacked[0].shape} holds the rows of all samples, without a "
                f"batch axis; keep the batch as the first axis"
            )
        extra = sorted(self.used.intersection(op.node.output[1:]))
        if extra and op.node.op_type not in SEVERAL_OUTPUTS:
            raise UnsupportedError(f"its additional output '{extra[0]}' is used; lrpfast explains the first one only")
        unknown = [value for value in op.inputs if value and not value.is_activation and value.constant is None]
        if unknown:
            raise UnsupportedError(
                f"its input '{unknown[0].name}' cannot be computed beforehand; export with a fixed input size"
            )

    def _explained_outputs(self, node: onnx.NodeProto) -> list[int]:
        """Numbers of the outputs that become values of the graph."""
        if node.op_type not in SEVERAL_OUTPUTS:
            return [0]
        return [position for position, name in enumerate(node.output) if name in self.used]

    def _append(self, op: Operation, chain: list[Join]) -> str:
        """Add the layers of a node, the one that does the work under the node's own name; the name of its output."""
        output, name = op.output.name, op.node.name or op.output.name
        kinds = [join.layer.kind for join in chain]
        working = next((index for index, kind in enumerate(kinds) if kind != "routing"), len(chain) - 1)
        values = [value.name for value in op.activations]
        for index, join in enumerate(chain):
            ends = self._branches(op, join, values, f"#{index}")
            value = output if index == len(chain) - 1 else f"{output}#{index}"
            values = [self._add(op, join.layer, ends, name if index == working else f"{name}#{index}", value)]
        return output

    def _branches(self, op: Operation, join: Join, values: Sequence[str], place: str) -> tuple[str, ...]:
        """Add the layers in front of a join; the names of what it reads."""
        ends, (name, output) = [], (op.node.name or op.output.name, op.output.name)
        for number, (source, layers) in enumerate(join.branches):
            suffix = f"{place}.{number}"
            if isinstance(source, Join):
                inner = self._branches(op, source, values, suffix)
                end = self._add(op, source.layer, inner, name + suffix, output + suffix)
            else:
                end = values[source]
            for step, layer in enumerate(layers):
                end = self._add(op, layer, (end,), f"{name}{suffix}.{step}", f"{output}{suffix}.{step}")
            ends.append(end)
        return tuple(ends)

    def _add(self, op: Operation, layer: Layer, inputs: tuple[str, ...], name: str, output: str) -> str:
        if len(self.nodes) >= MOST_LAYERS:
            raise ModelError(f"it is beyond the first {MOST_LAYERS:,} layers; lrpfast reads no more")
        self.nodes.append(Node(self._unique(name), op.node.op_type, layer, inputs, output))
        return output

    def _unique(self, name: str) -> str:
        unique = name
        while unique in self.names:
            self.names[name] = self.names.get(name, 1) + 1
            unique = f"{name}_{self.names[name]}"
        self.names[unique] = 1
        return unique


def _chain(op: Operation, made: Sequence[Layer | Join]) -> list[Join]:
    """The layers of a node, each with what it reads."""
    everything, before = tuple((index, ()) for index in range(len(op.activations))), ((0, ()),)
    return [
        step if isinstance(step, Join) else Join(before if index else everything, step)
        for index, step in enumerate(made)
    ]


def _layers(chain: Iterable[Join]) -> Iterator[Layer]:
    """All layers of some joins."""
    for join in chain:
        yield join.layer
        for source, layers in join.branches:
            yield from layers
            if isinstance(source, Join):
                yield from _layers([source])


def _bytes(layer: Layer) -> int:
    """Memory that a layer takes of which its file may hold nothing: places, and what fills in between constants."""
    if isinstance(layer, Gather):
        return 40 * len(layer.indices)
    return layer.scale.nbytes + layer.shift.nbytes if isinstance(layer, Affine) else 0


def _joined_shape(join: Join, values: Sequence[Shape]) -> Shape:
    """Shape of what a join makes of values of these shapes."""
    ends = []
    for source, layers in join.branches:
        shape = _joined_shape(source, values) if isinstance(source, Join) else values[source]
        for layer in layers:
            shape = shape_after(layer, [shape])
        ends.append(shape)
    return shape_after(join.layer, ends)


def _saturates(op: Operation, chain: list[Join]) -> bool:
    """Whether a function that saturates made the value, up to scale and shift."""
    if op.node.op_type == "Softmax":
        return True
    deciding = [join.layer for join in chain if join.layer.kind not in ("affine", "routing")]
    if not deciding:
        return all(value.saturates for value in op.activations)
    last = deciding[-1]
    if not isinstance(last, Activation):
        return False
    return last.function in SATURATING or (
        last.function == "clip" and math.isfinite(last.low) and math.isfinite(last.high)
    )
