"""A module of torch as a model, through the exporter that torch brings along."""

from __future__ import annotations

import copy
import inspect
import io
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx

from lrpfast.errors import InputError, InputTypeError, ModelError
from lrpfast.model import Model, load

if TYPE_CHECKING:
    import torch

OPSET = 17
WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}


def from_torch(
    module: torch.nn.Module,
    example: torch.Tensor | npt.ArrayLike | tuple[Any, ...],
    output: str | None = None,
    *,
    fixed: Mapping[str, Any] | None = None,
) -> Model:
    """Read a module of torch, by way of ONNX in memory.

    A copy of the module is exported: on the CPU, in float32 and evaluation mode, its batch axis free. The module stays
    as it is, and the model keeps the weights of this moment. Layers are named like the submodules that they come from.
    The exporter is the TorchScript-based one, which needs nothing beside torch.

    Parameters
    ----------
    module : torch.nn.Module
        The network, with its weights, on any device and in any float type.
    example : tensor, or tuple of tensors
        What the module is called with, a batch of any size. Its other axes fix the size of the model's input.
    output : str, optional
        The output that is explained, where the module returns several; a key where it returns a dict.
    fixed : mapping of str to array_like, optional
        Where the module takes several inputs, values for all but the one that is explained, by the names in its
        `forward`, each with a batch axis of size 1.

    Returns
    -------
    Model

    Raises
    ------
    InputTypeError
        What is given is no module; a dict of weights alone is none.
    InputError
        The module does not run on the example.
    ModelError
        torch cannot export it, or it has several inputs or outputs to choose from.
    UnsupportedError
        lrpfast cannot explain it; the message lists all nodes concerned.

    Examples
    --------
    >>> model = lrpfast.from_torch(torchvision.models.resnet18(weights="DEFAULT"), torch.zeros(1, 3, 224, 224))
    >>> lrpfast.LRP(model).attribute(x).save("heatmap.png")
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise InputTypeError(_no_module(module))
    name = type(_unwrapped(module)).__name__
    given = tuple(_prepared(value) for value in (example if isinstance(example, tuple) else (example,)))
    network = _copied(_unwrapped(module), name)
    try:
        with torch.no_grad():
            result = network(*given)
    except Exception as error:
        shapes = ", ".join(str(tuple(value.shape)) for value in given)
        raise InputError(
            f"The module {name} does not run on the example of shape {shapes}: {_first_line(error)}. Give what it is "
            f"called with, batch first: from_torch(module, torch.zeros(1, 3, 224, 224)), or a tuple of its arguments."
        ) from error
    proto = _exported(network, name, given, result)
    proto.graph.name = name
    _name_by_modules(proto.graph, network)
    held = {key: np.asarray(_prepared(value)) for key, value in (fixed or {}).items()}
    return load(proto, output, fixed=held)


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside those that only spread or compile it."""
    inner = getattr(module, WRAPPERS.get(type(module).__name__, ""), None)
    return module if inner is None else _unwrapped(inner)


def _prepared(value: Any) -> torch.Tensor:
    """A tensor on the CPU; floats of any width as float32."""
    import torch

    tensor = torch.as_tensor(value).detach().cpu()
    return tensor.float() if tensor.is_floating_point() else tensor


def _copied(module: torch.nn.Module, name: str) -> torch.nn.Module:
    """A copy for evaluation on the CPU, so that the caller's module is not touched."""
    from torch.nn.parameter import is_lazy

    if any(is_lazy(weight) or weight.is_meta for weight in (*module.parameters(), *module.buffers())):
        raise ModelError(
            f"The module {name} has weights that are not there yet: lazy ones, or on the meta device. Load them, or "
            f"call the module once."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # tracing leaves tensors that a copy asks for their gradients
            return copy.deepcopy(module).cpu().float().eval()
    except Exception as error:
        raise ModelError(
            f"The module {name} cannot be copied: {_first_line(error)}. Remove what computes its weights anew "
            f"(torch.nn.utils.remove_weight_norm), or export it: torch.onnx.export(module, example, 'model.onnx')."
        ) from error


def _exported(module: torch.nn.Module, name: str, given: tuple[torch.Tensor, ...], result: Any) -> onnx.ModelProto:
    """The module as torch writes it, its inputs named as its `forward` names them."""
    import torch

    inputs = _argument_names(module, len(given))
    file = io.BytesIO()
    try:
        # The exporter tells of its age, and of constants that it does not fold. What the tracer warns of stays: a
        # course that depends on the data is frozen as the example takes it.
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            torch.onnx.export(
                module,
                given,
                file,
                input_names=inputs,
                output_names=list(result) if isinstance(result, Mapping) else ["output"],
                dynamic_axes={key: {0: "batch"} for key, value in zip(inputs, given, strict=True) if value.ndim},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:
        raise ModelError(
            f"torch cannot export the module {name} to ONNX: {_first_line(error)}. Give an example of the size that it "
            f"was trained with, or replace what is named here; or export it by torch's other exporter, "
            f"torch.onnx.export(module, example, 'model.onnx', dynamo=True), and load the file: "
            f"lrpfast.load('model.onnx')."
        ) from error
    return onnx.load_model_from_string(file.getvalue())


def _argument_names(module: torch.nn.Module, count: int) -> list[str]:
    """What `forward` calls its first arguments."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # compiled modules tell nothing
        parameters = []
    named = [entry.name for entry in parameters if entry.kind is entry.POSITIONAL_OR_KEYWORD]
    return named[:count] if len(named) >= count else [f"input_{number}" for number in range(count)]


def _name_by_modules(graph: onnx.GraphProto, module: torch.nn.Module) -> None:
    """Give nodes the names of the submodules that they come from, in place of the exporter's paths.

    The path "/features/features.0/Conv" is that of "features.0", where this is a layer that has no other node, else of
    "features.0.Conv".
    """
    leaves = {path for path, inner in module.named_modules() if path and not any(inner.children())}
    places = {node.name: _place(node.name) for node in graph.node}
    counts = Counter(places[node.name][0] for node in graph.node if node.op_type != "Constant")
    for node in graph.node:
        place, operator = places[node.name]
        alone = place in leaves and counts[place] == 1
        node.name = place if alone else f"{place}.{operator}".lstrip(".")


def _place(path: str) -> tuple[str, str]:
    """The submodule and the operator of an exporter's path; its steps repeat the name of a list they are in."""
    *steps, operator = path.strip("/").split("/")
    place: list[str] = []
    for step in steps:
        if place and step.startswith(f"{place[-1]}."):
            place.pop()
        place.append(step)
    return ".".join(place), operator


def _no_module(given: object) -> str:
    """Why something that is no module cannot be read, and what to do."""
    if isinstance(given, Mapping):
        return (
            "A state_dict holds the weights of a network without the network: build the module, "
            "module.load_state_dict(state_dict), and pass the module to lrpfast.from_torch."
        )
    return f"from_torch takes a torch.nn.Module and an example of its input, not {type(given).__name__}."


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(" Please feel free")[0].rstrip(".: ")
