"""Explain again and again, and tell how much memory the process has had: python tools/flat_memory.py --seconds 600."""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

import lrpfast

MODEL = Path(lrpfast.__file__).parent / "data" / "digits.onnx"


def main() -> None:
    """Calls of several shapes, composites and targets, and new models now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    end = time.monotonic() + parser.parse_args().seconds
    rng, calls, following = np.random.default_rng(0), 0, 0.0
    while time.monotonic() < end:
        model = lrpfast.load(MODEL)
        for composite in ("epsilon_plus_flat", "epsilon_alpha2_beta1", "gradient"):
            lrp = lrpfast.LRP(model, composite)
            for batch in (1, 3, 8):
                x = rng.standard_normal((batch, *model.input_shape[1:]))
                for target in (None, 3, rng.integers(0, 10, (batch, 2))):
                    for _ in range(10):
                        lrp.attribute(x, target)
                        calls += 1
        if time.monotonic() >= following:
            tell(calls)
            following = time.monotonic() + 10
    tell(calls)


def tell(calls: int) -> None:
    """Print the most memory that the process has had by now."""
    print(f"{calls:>8,} calls: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
