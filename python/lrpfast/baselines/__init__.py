"""Explanations that are not LRP, to compare it with.

They run on the same engine as LRP, take the same inputs and targets, and give an `Attribution` without an audit. The
plain gradient, its product with the input, guided backpropagation and DeconvNet need one pass, so they are presets:
``LRP(model, "gradient")``.
"""

from lrpfast.baselines.integrated_gradients import integrated_gradients
from lrpfast.baselines.occlusion import occlusion
from lrpfast.baselines.smooth_grad import smooth_grad

__all__ = ["integrated_gradients", "occlusion", "smooth_grad"]
