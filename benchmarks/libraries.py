"""The competitors: each library as methods that compute one thing from one array.

A library is imported when its first method is made, in a process that imports no other one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .task import COMPOSITES, Floats, Task

Method = Callable[[], Any]
Maker = Callable[[Task, str, Floats], Method]

FORWARD, GRADIENT = "forward", "forward and gradient"

#: what each library is asked for; the names of composites mean an explanation
METHODS: dict[str, tuple[str, ...]] = {
    "lrpfast": (FORWARD, *COMPOSITES),
    "onnxruntime": (FORWARD,),
    "reference": COMPOSITES,
    "torch": (FORWARD, GRADIENT),
    "zennit": COMPOSITES,
    "captum": ("epsilon_plus",),
    "innvestigate": ("preset_a_flat", "preset_b_flat"),
}

#: libraries that run on the interpreter of `--peer-python`
PEERS = ("torch", "zennit", "zennit64", "captum")

#: composites that start with 1 in place of the score, as gradients do
GRADIENTS = ("gradient", "deconvnet", "guided_backprop", "beta_smooth")

#: what each library is called in tables
TITLES = {
    "reference": "lrpfast, NumPy reference",
    "innvestigate": "iNNvestigate",
    "zennit": "Zennit",
    "captum": "Captum",
}


def method(library: str, name: str, task: Task, batch: int) -> Method:
    """A method ready to be called; it returns relevance or scores, channels first where there are any."""
    return MAKERS[library](task, name, task.samples(batch))


def lrpfast_composite(task: Task, name: str) -> Any:
    from lrpfast.composites import PRESETS

    low, high = task.bounds(channels_first=False)
    return PRESETS[name](low=low, high=high) if name == "epsilon_gamma_box" else name


def lrpfast(task: Task, name: str, samples: Floats) -> Method:
    import lrpfast

    explained = COMPOSITES[0] if name == FORWARD else name
    lrp = lrpfast.LRP(str(task.model), lrpfast_composite(task, explained), threads=task.threads)
    if name == FORWARD:
        from lrpfast.engine.native.timing import forward

        inner = task.inner(samples)
        return lambda: forward(lrp._engine, inner)
    return lambda: task.inner(lrp.attribute(samples).relevance)


def reference(task: Task, name: str, samples: Floats) -> Method:
    import lrpfast

    lrp = lrpfast.LRP(str(task.model), lrpfast_composite(task, name), backend="reference")
    return lambda: task.inner(lrp.attribute(samples).relevance)


def onnxruntime(task: Task, name: str, samples: Floats) -> Method:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = task.threads, 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(task.model), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: samples}
    return lambda: session.run(None, feed)[0]


def torch(task: Task, name: str, samples: Floats) -> Method:
    import torch

    from .network import read
    from .torch_model import TorchNetwork

    torch.set_num_threads(task.threads)
    model, x = TorchNetwork(read(task.network)), torch.from_numpy(task.inner(samples))

    def forward() -> Floats:
        with torch.inference_mode():
            return model(x).numpy()

    def gradient() -> Floats:
        given = x.clone().requires_grad_()
        scores = model(given)
        return torch.autograd.grad(scores.max(1).values.sum(), given)[0].numpy()

    return forward if name == FORWARD else gradient


def zennit(task: Task, name: str, samples: Floats) -> Method:
    import torch

    from .torchvision_stand_in import stand_in

    stand_in()
    from zennit import composites
    from zennit.attribution import Gradient
    from zennit.layer import Sum

    from .network import read
    from .torch_model import TorchNetwork

    torch.set_num_threads(task.threads)
    x = torch.from_numpy(task.inner(samples))
    model = TorchNetwork(read(task.network), Sum).to(x.dtype)
    low, high = (torch.from_numpy(bound)[None].to(x.dtype) for bound in task.bounds(channels_first=True))
    box = {"low": low, "high": high} if name == "epsilon_gamma_box" else {}
    composite = None if name == "gradient" else composites.COMPOSITES[name](**box)
    attributor = Gradient(model=model, composite=composite, attr_output=partial(seed, one=name in GRADIENTS))
    attributor.__enter__()  # hooks stay for all calls; leaving and entering again would count against the library
    return lambda: attributor(x.clone())[1].detach().numpy()


def seed(scores: Any, one: bool) -> Any:
    """The highest score, or 1, where it is, zeros elsewhere."""
    import torch

    highest, places = scores.max(1, keepdim=True)
    return torch.zeros_like(scores).scatter(1, places, torch.ones_like(highest) if one else highest)


def captum(task: Task, name: str, samples: Floats) -> Method:
    import torch
    from captum.attr import LRP
    from captum.attr._utils.custom_modules import Addition_Module
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule

    from .network import read
    from .torch_model import SumOfTwo, TorchNetwork

    torch.set_num_threads(task.threads)
    model = TorchNetwork(read(task.network), lambda: SumOfTwo(Addition_Module()))
    x = torch.from_numpy(task.inner(samples))
    with torch.inference_mode():
        target = model(x).argmax(1)
    lrp = LRP(model)

    def explain() -> Floats:
        for layer in model.modules():  # each call takes the rules away with it
            if isinstance(layer, torch.nn.Conv2d):
                layer.rule = Alpha1_Beta0_Rule()
            elif isinstance(layer, (torch.nn.Linear, torch.nn.AvgPool2d, torch.nn.MaxPool2d, Addition_Module)):
                layer.rule = EpsilonRule(1e-6)
        return lrp.attribute(x.clone().requires_grad_(), target=target).detach().numpy()

    return explain


def innvestigate(task: Task, name: str, samples: Floats) -> Method:
    import tensorflow

    tensorflow.compat.v1.disable_eager_execution()
    tensorflow.config.threading.set_intra_op_parallelism_threads(task.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    import innvestigate as library

    from .keras_model import keras_network
    from .network import read

    last = np.ascontiguousarray(task.inner(samples).transpose(0, 2, 3, 1))
    model = keras_network(read(task.network), last.shape[1:])
    kind = {"preset_a_flat": "lrp.sequential_preset_a_flat", "preset_b_flat": "lrp.sequential_preset_b_flat"}[name]
    analyzer = library.create_analyzer(kind, model, disable_model_checks=True)  # its warnings end in an error
    return lambda: np.asarray(analyzer.analyze(last)).transpose(0, 3, 1, 2)


def in_float64(maker: Maker) -> Maker:
    """The same library, given its samples in double precision."""
    return lambda task, name, samples: maker(task, name, samples.astype(np.float64))


MAKERS: dict[str, Maker] = {
    "lrpfast": lrpfast,
    "onnxruntime": onnxruntime,
    "reference": reference,
    "reference64": in_float64(reference),
    "torch": torch,
    "zennit": zennit,
    "zennit64": in_float64(zennit),
    "captum": captum,
    "innvestigate": innvestigate,
}
