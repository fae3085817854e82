"""The interface of Captum, with its conventions for targets and for the tensors that come back."""

from __future__ import annotations

import numpy as np
import pytest

import lrpfast
from lrpfast import InputError
from lrpfast.captum import LRP
from oracles.graphs import model_of, small_cnn

MODEL = model_of(small_cnn())
X = np.random.default_rng(1).standard_normal((3, 3, 12, 12)).astype(np.float32)
EXPLAINED = lrpfast.LRP(MODEL)


def test_arrays_come_back_as_arrays():
    found = LRP(MODEL).attribute(X, target=2)
    assert (found == EXPLAINED.attribute(X, 2).relevance).all()


@pytest.mark.parametrize(
    ("target", "same"),
    [
        (None, None),
        ((2,), 2),
        ([1, 2, 3], [1, 2, 3]),
        ([(1,), (2,), (3,)], [1, 2, 3]),
        (np.array([2]), 2),
        (np.array([1, 2, 3]), [1, 2, 3]),
    ],
)
def test_targets_are_those_of_captum(target, same):
    assert (LRP(MODEL).attribute(X, target) == EXPLAINED.attribute(X, same).relevance).all()


def test_the_rules_are_chosen_by_the_composite():
    expected = lrpfast.LRP(MODEL, "epsilon").attribute(X).relevance
    assert (LRP(MODEL, "epsilon").attribute(X) == expected).all()


def test_a_tuple_of_inputs_comes_back_as_one():
    lrp = LRP(MODEL)
    (found,) = lrp.attribute((X,))
    assert (found == lrp.attribute(X)).all()
    with pytest.raises(InputError, match=r"There are 2 inputs.*from_torch\(module, example, fixed="):
        lrp.attribute((X, X))


def test_the_convergence_delta_is_what_does_not_arrive():
    found, delta = LRP(MODEL).attribute(X, [1, 2, 3], return_convergence_delta=True)
    scores = EXPLAINED.scores(X)[range(3), [1, 2, 3]]
    np.testing.assert_allclose(delta, scores - found.sum((1, 2, 3)), rtol=1e-5, atol=1e-6)
    assert LRP(MODEL).has_convergence_delta()


def test_a_place_that_the_output_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"target \(1, 2\) is no place in the output .*one index for each axis"):
        LRP(MODEL).attribute(X, (1, 2))


class TestTorch:
    """Modules and tensors of torch."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    @pytest.fixture
    def module(self, torch):
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        )

    def test_a_module_is_explained_for_inputs_of_several_sizes(self, torch, module):
        lrp = LRP(module)
        for size in (8, 12):
            x = torch.randn(2, 3, size, size)
            expected = lrpfast.LRP(lrpfast.from_torch(module, x)).attribute(x, 1).relevance
            assert (lrp.attribute(x, 1).numpy() == expected).all()

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
    def test_tensors_come_back_as_they_were_given(self, torch, module, dtype):
        x = torch.randn(2, 3, 8, 8).to(getattr(torch, dtype)).requires_grad_()
        found, delta = LRP(module).attribute(x, target=1, return_convergence_delta=True)
        assert found.shape == x.shape
        assert found.dtype == delta.dtype == x.dtype
        assert found.device == x.device
        assert not found.requires_grad
        assert delta.shape == (2,)

    def test_targets_may_be_tensors(self, torch, module):
        x, lrp = torch.randn(2, 3, 8, 8), LRP(module)
        assert (lrp.attribute(x, torch.tensor(1)) == lrp.attribute(x, 1)).all()
        assert (lrp.attribute(x, torch.tensor([3, 1])) == lrp.attribute(x, [3, 1])).all()

    def test_outputs_of_several_axes_take_a_place(self, torch):
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
        x = torch.randn(2, 3, 8, 8)
        found, delta = LRP(module, "epsilon").attribute(x, (1, 0, 3), return_convergence_delta=True)
        assert found[:, :, :, :3].abs().max() == 0  # what the place does not see
        scores = module(x)[:, 1, 0, 3]
        torch.testing.assert_close(delta, (scores - found.sum((1, 2, 3))).detach(), atol=1e-5, rtol=1e-4)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_captum_agrees_where_rules_do(self, torch):
        captum = pytest.importorskip("captum.attr")
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.ReLU())
        module.append(torch.nn.Conv2d(4, 5, 6, bias=False))
        x = torch.randn(2, 3, 8, 8)
        place = [(3, 0, 0), (1, 0, 0)]
        expected, delta = captum.LRP(module).attribute(x, place, return_convergence_delta=True)
        found, left = LRP(module, "epsilon").attribute(x, place, return_convergence_delta=True)
        torch.testing.assert_close(found, expected.detach(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(left, delta.detach(), rtol=1e-3, atol=1e-4)


def test_arrays_of_jax_come_back_as_such():
    jax = pytest.importorskip("jax")
    given = jax.numpy.asarray(X)
    found = LRP(MODEL).attribute(given, 2)
    assert isinstance(found, jax.Array)
    assert (np.asarray(found) == LRP(MODEL).attribute(X, 2)).all()
