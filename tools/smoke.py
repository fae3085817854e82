"""Does an installed lrpfast compute what it should? ``python -I tools/smoke.py`` needs nothing but the core."""

from pathlib import Path

import numpy as np

import lrpfast

package = Path(lrpfast.__file__).parent
assert not (package.parents[1] / "pyproject.toml").exists(), f"{package} is a checkout, not an installed package"

model = lrpfast.load(package / "data" / "digits.onnx")
inputs = np.random.default_rng(0).random((4, *model.input_shape[1:]), dtype=np.float32)
native, reference = (
    lrpfast.LRP(model, backend=backend).attribute(inputs).relevance for backend in ("native", "reference")
)
difference = np.abs(native - reference).max() / np.abs(reference).max()
assert difference < 1e-5, f"the compiled core is off by {difference:.1e}"
print(f"lrpfast {lrpfast.__version__}: the compiled core and NumPy agree to {difference:.1e}")
