"""Lets Zennit be imported where torchvision's compiled part does not fit torch; its models are not used here."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

_LIBRARY = []  # torch forgets a library that nobody holds


def stand_in() -> None:
    """Register empty operators under the names that torchvision's Python part asks for, if it needs them."""
    import torch

    try:
        import torchvision  # noqa: F401

        return
    except (ImportError, RuntimeError):
        pass
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return
    source = (Path(found.origin).parent / "_meta_registrations.py").read_text()
    names = set(re.findall(r'"(?:torchvision::)?([a-z_0-9]+)"', source)) | {"nms"}
    names |= set(re.findall(r"torchvision\.([a-z_0-9]+)", source))
    library = torch.library.Library("torchvision", "DEF")
    _LIBRARY.append(library)
    for name in names:
        try:
            library.define(f"{name}(Tensor x) -> Tensor")
        except RuntimeError:
            continue  # registered already
