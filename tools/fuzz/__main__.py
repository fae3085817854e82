"""One command for each way to look for what hurts."""

from __future__ import annotations

import argparse
import sys

from tools.fuzz.cases import KINDS
from tools.fuzz.watch import watch


def main() -> int:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument(
        "kind", choices=KINDS, help="; ".join(f"{name}: {case.__doc__}" for name, case in KINDS.items())
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next has the next one")
    parser.add_argument("--seconds", type=float, help="stop after that time")
    asked = parser.parse_args()
    return 0 if watch(KINDS[asked.kind], asked.seed, asked.cases, asked.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
