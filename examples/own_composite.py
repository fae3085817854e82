"""A composite of your own: which rule each layer gets, what that costs in relevance, and where it stays.

A larger epsilon absorbs the relevance of weakly activated units: the picture gets sparser, and the audit says what is
missing.
"""

from importlib.resources import files

import numpy as np

import lrpfast
from lrpfast.composites import Composite, Depth, First, OfKind
from lrpfast.rules import Epsilon, Flat, Gamma

data = files("lrpfast") / "data"
with (data / "digits.npz").open("rb") as file:
    x = np.load(file)["images"][:, None].astype(np.float32) / 255

for epsilon in (1e-6, 0.25):
    mine = Composite(
        f"gamma, then epsilon {epsilon:g}",
        [
            (First(), Flat()),  # the first condition that a layer meets decides
            (Depth(0, 2) & OfKind("conv"), Gamma(0.25)),
            ("conv", Epsilon(epsilon)),
            ("dense", Epsilon(epsilon)),
        ],
    )
    lrp = lrpfast.LRP((data / "digits.onnx").read_bytes(), mine)
    attribution = lrp.attribute(x)
    arrived = attribution.relevance.sum() / attribution.output.max(axis=1).sum()
    print(mine)
    print(f"\nOf the scores {arrived:.1%} arrives at the pixels.\n")
    print(attribution.audit, "\n")
