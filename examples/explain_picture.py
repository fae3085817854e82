"""From a trained model to a picture: which pixels make the network read an 8, and why not a 3.

The model and the digit come with the package; a model of your own takes their place.
"""

from importlib.resources import files

import numpy as np

import lrpfast

data = files("lrpfast") / "data"
model = lrpfast.load((data / "digits.onnx").read_bytes())  # or lrpfast.load("model.onnx")
with (data / "digits.npz").open("rb") as file:
    digit = np.load(file)["images"][9]
x = digit[None, None].astype(np.float32) / 255  # as in training: a batch of one, one channel, values from 0 to 1

lrp = lrpfast.LRP(model, composite="epsilon_plus_flat")  # prepares the weights, once
attribution = lrp.attribute(x)
print(f"Read as {attribution.target[0]}, with a score of {attribution.output.max():.2f}.")
print(f"The pixels' relevance sums to {attribution.relevance.sum():.2f}; the rest was absorbed here:\n")
print(attribution.audit)
print(f"\nWritten to {attribution.save('eight.png')}")

contrast = lrp.attribute(x, 8, against=3)
print(f"What tells it from a 3 is in {contrast.save('eight_not_three.png')}")
