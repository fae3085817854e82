"""Modules of torch become models that compute the same, and stay as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lrpfast
from lrpfast import LRP, InputError, InputTypeError, ModelError, from_torch
from lrpfast.composites import Composite, Named
from lrpfast.rules import Flat, ZPlus

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    """A residual network with what forward functions call by name."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout())
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8 * 8 * 8, 5)

    def forward(self, x):
        x = self.features(x)
        x = functional.max_pool2d(functional.relu(x + self.inner(x)), 2)
        return self.head(x.flatten(1))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image, scale):
        return (self.conv(image) * scale[:, :, None, None]).mean((2, 3))


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        return {"out": x.mean((2, 3)), "aux": x.amax((2, 3))}


def same(model, module, x=X):
    """Whether the model's scores are the module's, to 1e-4 of the largest."""
    with torch.no_grad():
        expected = module.float().eval()(x).numpy()
    found = LRP(model).scores(x.numpy())
    return found.shape == expected.shape and np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def unaccounted(attribution):
    """What neither arrives nor is in the audit, by the explained score."""
    explained = np.take_along_axis(attribution.output, attribution.target[:, None], 1)[:, 0]
    arrived = attribution.relevance.reshape(len(explained), -1).sum(1)
    absorbed = sum(layer.bias + layer.stabilizer + layer.rule for layer in attribution.audit)
    return np.abs((explained - arrived - absorbed) / explained).max()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_module_becomes_a_model_of_free_batch(batch):
    module = Small().eval()
    model = from_torch(module, X[:batch])
    assert model.name == "Small"
    assert model.input_shape == (None, 3, 16, 16)
    assert same(model, module)


def test_the_module_stays_as_it_is():
    module = Small().half()
    module.features.eval()
    before = [(inner.training, parameter.dtype) for inner in module.modules() for parameter in inner.parameters()]
    from_torch(module, X.half())
    assert [(inner.training, p.dtype) for inner in module.modules() for p in inner.parameters()] == before


@pytest.mark.parametrize(
    "changed",
    [
        lambda module: module.half(),
        lambda module: module.double(),
        lambda module: module.train(),
        lambda module: nn.DataParallel(module),
        lambda module: torch.compile(module),
        lambda module: torch.jit.trace(module.eval(), X, check_trace=False),
    ],
    ids=["half", "double", "training", "DataParallel", "compiled", "TorchScript"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_module_is_read_in_any_state(changed):
    module = Small()
    model = from_torch(changed(module), X)
    assert same(model, module)


def test_an_example_may_be_an_array_or_need_gradients():
    module = Small()
    assert same(from_torch(module, X.numpy()), module)
    assert same(from_torch(module, X.clone().requires_grad_()), module)


def test_layers_are_named_like_submodules():
    model = from_torch(Small(), X)
    names = {node.name for node in model.graph.nodes}
    assert {"features.0", "features.2", "inner", "head", "Add", "MaxPool"} <= names
    composite = Composite("mine", [(Named("features.0"), Flat()), ("conv", ZPlus()), ("dense", ZPlus())])
    attribution = LRP(model, composite).attribute(X, layers=["inner"])
    assert attribution.layers["inner"].shape == (3, 8, 16, 16)


def test_of_several_inputs_others_are_held():
    module, scale = Gated(), torch.tensor([[1.0, 2.0, 0.5, 3.0]])
    model = from_torch(module, (X, scale.expand(3, 4)), fixed={"scale": scale})
    assert model.input_name == "image"
    expected = module(X, scale).detach().numpy()
    np.testing.assert_allclose(LRP(model).scores(X), expected, atol=1e-5)
    with pytest.raises(ModelError, match=r"2 inputs \('image', 'scale'\).*fixed=\{'scale'"):
        from_torch(module, (X, scale))


def test_of_several_outputs_one_is_chosen_by_its_key():
    module = Several()
    np.testing.assert_allclose(LRP(from_torch(module, X, "aux")).scores(X), module(X)["aux"].detach(), atol=1e-5)
    with pytest.raises(ModelError, match=r"'out', 'aux'.*output=NAME"):
        from_torch(module, X)


@pytest.mark.parametrize(
    ("module", "example", "error", "message"),
    [
        (Small().state_dict(), X, InputTypeError, r"state_dict holds .*load_state_dict\(.*from_torch"),
        ("model.pt", X, InputTypeError, "takes a torch.nn.Module and an example of its input, not str"),
        (
            Small(),
            X.permute(0, 2, 3, 1),
            InputError,
            r"does not run on the example of shape \(3, 16, 16, 3\): .*batch first",
        ),
        (Small(), X[:, :, :8], InputError, r"does not run on the example"),
        (Small().to("meta"), X, ModelError, "weights that are not there yet"),
        (nn.LazyLinear(3), torch.zeros(1, 4), ModelError, "call the module once"),
        (nn.AdaptiveAvgPool2d(7), X, ModelError, r"torch cannot export the module AdaptiveAvgPool2d .*other exporter"),
    ],
    ids=["state_dict", "path", "layout", "size", "meta", "lazy", "export"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_wrong_turns_are_met_with_what_to_do(module, example, error, message):
    with pytest.raises(error, match=message):
        from_torch(module, example)


def test_a_module_given_to_load_is_shown_the_way():
    for reader in (lrpfast.load, LRP):
        with pytest.raises(InputTypeError, match=r"not from Small; lrpfast.from_torch\(module, example\) reads it"):
            reader(Small())
        with pytest.raises(InputTypeError, match=r"weights of a network .* lrpfast.from_torch"):
            reader(Small().state_dict())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_of_torch_given_to_load_are_shown_the_way(tmp_path):
    torch.save(Small().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=r"a checkpoint of PyTorch; build its module.*lrpfast.from_torch"):
        lrpfast.load(tmp_path / "weights.pt")
    torch.save(Small().state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"a Python pickle\. If it is a checkpoint of PyTorch"):
        lrpfast.load(tmp_path / "old.pt")
    torch.jit.trace(Small().eval(), X, check_trace=False).save(tmp_path / "traced.pt")
    with pytest.raises(ModelError, match=r"a TorchScript module; lrpfast.from_torch\(torch.jit.load"):
        lrpfast.load(tmp_path / "traced.pt")


def test_tensors_are_taken_from_the_cpu_without_gradients():
    lrp = LRP(from_torch(Small(), X))
    assert (lrp.attribute(X).relevance == lrp.attribute(X.numpy()).relevance).all()
    with pytest.raises(InputTypeError, match=r"requires grad.* x\.detach\(\)\.cpu\(\)\.float\(\)"):
        lrp.attribute(X.clone().requires_grad_())
    with pytest.raises(InputTypeError, match=r"BFloat16.* x\.detach\(\)\.cpu\(\)\.float\(\)"):
        lrp.attribute(X.bfloat16())


@pytest.fixture(scope="module")
def torchvision():
    """The networks of torchvision, also where its compiled part does not fit torch: nothing of it runs here."""
    found = pytest.importorskip("importlib.util").find_spec("torchvision")
    if found is None:
        pytest.skip("torchvision is not installed")
    source = (Path(found.origin).parent / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted({"nms", *re.findall(r'"(?:torchvision::)?([a-z_0-9]+)"', source)}):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor x) -> Tensor")
    yield pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))
    library._destroy()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 64), ("mobilenet_v2", 64), ("mobilenet_v3_small", 64), ("vgg11", 64), ("densenet121", 64),
        ("convnext_tiny", 64),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_networks_of_torchvision_compute_the_same_and_conserve_relevance(torchvision, name, size):
    torch.manual_seed(0)
    module = getattr(torchvision.models, name)().eval()
    if name == "vgg11":  # its own head takes most of the time, and pictures of 224 pixels
        module.avgpool, module.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)
    x = torch.randn(2, 3, size, size)
    model = from_torch(module, x)
    assert same(model, module, x)
    assert unaccounted(LRP(model).attribute(x)) < 1e-4
