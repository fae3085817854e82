"""What can be known before any input is seen: types of values, and elements of those that are constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.onnx_import.registry import Value, known_size

Constant: TypeAlias = npt.NDArray[Any]
Opsets: TypeAlias = Mapping[str, int]

LARGEST = 2**31  # bytes of a computed constant
ALLOWED, TIMES = 2**28, 32  # bytes of all constants computed for a model, and how many more for each byte of the file
SMALL = 1024  # elements of a constant that shape inference may look at

# Stands for the size of a free axis among the elements of a computed shape: fits int32, and is nobody's size.
FREE = -2_000_000_011
MOVING = {"Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"}
ELEMENTWISE = {"Add", "Div", "Mul", "Sub"}

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}

#: What is computed beforehand: operators that take time and memory in proportion to their inputs and outputs, whatever
#: their attributes say, and have an answer that is always the same.
COMPUTED = {
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization",
    "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip",
    "Concat", "Constant", "ConstantOfShape", "Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear", "Div",
    "Dropout", "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Gelu", "Gemm", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "MatMul", "MatMulInteger", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "OneHot", "Or",
    "PRelu", "Pad", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu",
    "Reshape", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
    "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum",
    "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
BY_ELEMENT = {"Erf", "GatherElements", "GatherND", "ScatterElements", "ScatterND"}  # slow: a step of Python for each


def infer(node: onnx.NodeProto, inputs: Sequence[Value | None], opsets: Opsets) -> list[Value]:
    """The outputs of a node, with what ONNX's shape inference says about them."""
    outputs = [Value(name) for name in node.output]
    present = [value for value in inputs if value is not None]
    if any(value.shape is None or value.dtype == onnx.TensorProto.UNDEFINED for value in present):
        return outputs
    if node.op_type == "Slice" and any(0 in (value.shape or ()) for value in present):
        return outputs  # ONNX ends the process where it slices an empty axis backwards
    if any(0 in attribute.ints for attribute in node.attribute if attribute.name == "strides"):
        return outputs  # ONNX 1.20 divides by them
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(domain_of(node), 1), domain_of(node))
    except onnx.defs.SchemaError:
        return outputs
    names = [name for name, value in zip(node.input, inputs, strict=True) if value is not None]
    types = {name: value.type_proto for name, value in zip(names, present, strict=True)}
    try:
        inferred = onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            types,
            _visible(node, dict(zip(names, present, strict=True))),
            opset_imports=[onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(f"it does not fit its inputs ({str(error).strip()})") from error
    return [from_type(name, inferred[name]) if name in inferred else Value(name) for name in node.output]


def _visible(node: onnx.NodeProto, inputs: Mapping[str, Value]) -> dict[str, onnx.TensorProto]:
    """The elements that inference may use: few, and all known."""
    tensors = {}
    for name, value in inputs.items():
        array = value.constant
        if array is None or array.size > SMALL:
            continue
        if is_partly_free(array):
            # A single free size in the target of a Reshape is what -1 means.
            if node.op_type != "Reshape" or np.isin(array, (FREE, -1)).sum() != 1:
                continue
            array = np.where(array == FREE, -1, array)
        tensors[name] = onnx.numpy_helper.from_array(np.asarray(array))
    return tensors


def domain_of(entry: onnx.NodeProto | onnx.OperatorSetIdProto) -> str:
    """Domain of a node or an operator set, empty for ONNX's own, which files also write as "ai.onnx"."""
    return "" if entry.domain == "ai.onnx" else entry.domain


def from_type(name: str, proto: onnx.TypeProto) -> Value:
    """A value with the element type and the shape that ONNX writes down."""
    if not proto.HasField("tensor_type"):
        return Value(name)
    tensor = proto.tensor_type
    if not tensor.HasField("shape"):
        return Value(name, tensor.elem_type)
    # Some exporters write 0 or -1 for an axis of free size.
    sizes = (axis.dim_value if axis.HasField("dim_value") else 0 for axis in tensor.shape.dim)
    return Value(name, tensor.elem_type, tuple(size if size > 0 else None for size in sizes))


def constant(name: str, array: Constant) -> Value:
    """A value whose elements are known."""
    if not array.size and max(array.shape) > SMALL:
        raise ModelError(f"the constant '{name}' of shape {array.shape} has no elements")
    dtype = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return Value(name, dtype, array.shape, array)


def weight_array(tensor: onnx.TensorProto) -> Constant:
    """Elements of an initializer."""
    if min(tensor.dims, default=0) < 0:
        raise ModelError(f"The weights '{tensor.name}' have the shape {tuple(tensor.dims)}. Export the model again.")
    try:
        array: Constant = onnx.numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The weights '{tensor.name}' are damaged: {error}. Export the model again.") from error
    return array


def is_partly_free(array: Constant) -> bool:
    """Whether the elements of a computed shape include the size of a free axis."""
    return array.dtype.kind == "i" and array.size <= SMALL and bool((array == FREE).any())


def shape_of(node: onnx.NodeProto, value: Value) -> Constant | None:
    """What the Shape operator gives, FREE for axes of free size; None where the rank is unknown."""
    if value.shape is None:
        return None
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    sizes = value.shape[bounds.get("start", 0) : bounds.get("end", len(value.shape))]
    return np.array([FREE if size is None else size for size in sizes], np.int64)


@dataclass
class Budget:
    """Bytes that may still be taken for what a model's file does not hold but asks for."""

    left: int

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Budget:
        """What a file of that size may take, so that a small one cannot ask for much."""
        return cls(ALLOWED + TIMES * model.ByteSize())

    def spend(self, size: int) -> None:
        """Take so many bytes, or raise UnsupportedError."""
        self.left -= size
        if self.left < 0:
            raise UnsupportedError(
                f"the constants computed up to here take {-self.left / 2**20:,.0f} MiB more than a file of this size "
                f"may ask for; write them into the file"
            )


def evaluate(
    node: onnx.NodeProto, inputs: Sequence[Value | None], opsets: Opsets, budget: Budget
) -> list[Value] | None:
    """The outputs of a node with constant inputs only, None where they cannot be known."""
    if node.op_type not in COMPUTED or domain_of(node):
        return None
    arrays = [None if value is None else value.constant for value in inputs]
    free = [index for index, array in enumerate(arrays) if array is not None and is_partly_free(array)]
    if free and not _keeps_free(node, free):
        return None
    size = _size(node, infer(node, inputs, opsets))
    if size is None:
        return None
    # What is read counts less: it takes time, and no memory.
    read = sum(array.nbytes for array in arrays if array is not None) // 8
    budget.spend((size + read) * (32 if node.op_type in BY_ELEMENT else 1))
    results = [_dequantized(node, arrays)] if node.op_type == "DequantizeLinear" else _run(node, arrays, opsets)
    if results is None:
        return None
    if free and node.op_type in ELEMENTWISE:
        mask = np.logical_or(*(array == FREE for array in arrays if array is not None))
        results = [np.where(mask, FREE, results[0])]
    return [constant(name, result) for name, result in zip(node.output, results, strict=True)]


def _keeps_free(node: onnx.NodeProto, free: list[int]) -> bool:
    """Whether sizes of free axes stay recognisable: moved around, or in arithmetic whose result is as free."""
    if node.op_type == "Cast":
        to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        return to in (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    if node.op_type in MOVING:
        return node.op_type == "Concat" or free == [0]
    return node.op_type in ELEMENTWISE


def _size(node: onnx.NodeProto, outputs: Sequence[Value]) -> int | None:
    """Bytes that a constant will take, None where that is unknown; refuses one too large to make."""
    total = 0
    for output in outputs:
        if output.shape is None:
            return node.ByteSize() if node.op_type == "Constant" else None
        size = known_size(output.shape)
        if size is None:
            # An empty tensor looks like one with an axis of free size; it is small in either case for these.
            if node.op_type not in MOVING | ELEMENTWISE | {"Constant"}:
                return None
            continue
        size *= onnx.helper.tensor_dtype_to_np_dtype(output.dtype).itemsize
        if size > LARGEST:
            raise UnsupportedError(
                f"it makes a constant of shape {output.shape}, {size / 2**30:,.0f} GiB; lrpfast makes "
                f"none above {LARGEST / 2**30:.0f} GiB"
            )
        total += size
    return total


def dequantized(values: Constant, scale: Constant, zero: Constant | None, axis: int) -> npt.NDArray[np.float32]:
    """``scale (values - zero)``, one scale for all or one for each place along an axis."""

    def placed(array: Constant) -> Constant:
        if array.size == 1:
            return array.reshape(())
        shape = [1] * values.ndim
        shape[axis] = -1
        return array.reshape(shape)

    middle = 0 if zero is None else placed(zero.astype(np.int64))
    real = (values.astype(np.int64) - middle) * placed(scale.astype(np.float64))
    return real.astype(np.float32)


def _dequantized(node: onnx.NodeProto, arrays: Sequence[Constant | None]) -> Constant:
    """ONNX's reference implementation knows the operator of newer operator sets only."""
    settings = {attribute.name: attribute.i for attribute in node.attribute}
    values, scale = arrays[:2]
    assert values is not None
    assert scale is not None
    if settings.get("block_size", 0):
        raise UnsupportedError("it dequantises in blocks; export it with a scale for each channel, or for all")
    return dequantized(values, scale, arrays[2] if len(arrays) > 2 else None, settings.get("axis", 1))


def _run(node: onnx.NodeProto, arrays: Sequence[Constant | None], opsets: Opsets) -> list[Constant] | None:
    """Outputs according to ONNX's reference implementation, None where that has no answer."""
    empty = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_value_info(name, empty) for name in dict.fromkeys(node.input) if name],
        [onnx.helper.make_value_info(name, empty) for name in node.output],
    )
    feeds = {name: array for name, array in zip(node.input, arrays, strict=True) if name}
    from onnx.reference import ReferenceEvaluator  # slow to import, and seldom needed

    try:
        results = ReferenceEvaluator(graph, opsets=dict(opsets)).run(None, feeds)
    except MemoryError:
        raise
    except Exception:  # whatever an operator's implementation raises, the value stays unknown
        return None
    if not all(isinstance(result, (np.ndarray, np.generic)) for result in results):
        return None
    return [np.asarray(result) for result in results]
