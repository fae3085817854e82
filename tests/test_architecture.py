"""Imports point one way: upper floors may use lower ones, never the other way round."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lrpfast

PACKAGE = Path(lrpfast.__file__).parent
CORE = Path(__file__).parent.parent / "cpp"

LANGUAGE = {"errors", "model.layers", "model.functions", "rules", "composites"}
ENGINE = {"engine", "model.graph", *LANGUAGE}
READING = {"app.images", "app.inputs", "app.samples"}  # pictures, as the commands and datasets read them
DATASET = {"dataset", "dask", *READING, "lrp", "seeds", "attribution", "engine", "model", "view", *LANGUAGE}

#: what each part may import of the package; the longest name that fits a module counts, "" is the package itself
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model.sampling": set(),
    "model.layers": {"model.sampling"},
    "model.functions": {"model.layers"},
    "model.fitting": {"model.layers", "model.sampling", "errors"},
    "model.graph": {"model.fitting", "model.layers", "errors"},
    "model": {"model", "model.fitting", "model.graph", "model.layers", "model.functions", "model.sampling", "errors"},
    "rules": {"rules", "model.layers", "errors"},
    "composites": {"composites", "rules", "model.layers", "errors"},
    "engine": ENGINE,
    "engine.reference": ENGINE | {"engine.reference"},
    "engine.native": ENGINE | {"engine.reference", "engine.native", "_native"},
    "view": {"view", "errors"},
    "attribution": {"view", "errors"},
    "grid": {"attribution", "view", "errors"},
    "seeds": {"composites", "model.layers", "errors"},
    "lrp": {"attribution", "seeds", "engine", "engine.reference", "engine.native", "model", "model.graph", *LANGUAGE},
    "check": {"check", "lrp", "attribution", "engine", "engine.reference", "model", "model.graph", *LANGUAGE},
    "baselines": {"baselines", "lrp", "attribution", "model", "model.layers", "errors"},
    "quantus": {"lrp", "attribution", "composites", "model", "errors"},
    "dask": {"lrp", "seeds", "view", "model", "model.layers", "errors"},
    "frontends": {"frontends", "model", "errors"},
    "captum": {"frontends", "lrp", "composites", "model", "errors"},
    "app.images": {"", "check", "errors"},
    "app.inputs": {"composites", "errors"},
    "app.samples": {"app.images", "check", "composites", "model", "errors"},
    "dataset": DATASET,
    "app": {"", "app", *DATASET, "check", "engine.native"},
    "": {"baselines", "check", "dataset", "frontends", "grid", "lrp", "attribution", "model", *LANGUAGE},
}

#: packages beside the standard library and NumPy, and the parts that may use them
OTHERS = {
    "google": {"model"},  # protobuf, which onnx brings along
    "onnx": {"model", "frontends", "app"},
    "torch": {"frontends", "captum"},
    "keras": {"frontends"},
    "sklearn": {"frontends"},
    "PIL": {"view", "app", "dataset"},
    "matplotlib": {"view"},
    "cloudpickle": {"dask"},  # which Dask brings along
    "dask": {"dask", "dataset"},
    "distributed": {"dataset"},
    "numcodecs": {"dataset"},
    "pyarrow": {"dataset"},
    "rich": {"app"},
    "starlette": {"app"},
    "typer": {"app"},
    "uvicorn": {"app"},
    "zarr": {"dataset"},
}


def modules() -> Iterator[tuple[str, str]]:
    """Name (without the package's) and source of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path.read_text("utf-8")


MODULES = dict(modules())


def imports(source: str) -> Iterator[str]:
    """Full names of all modules that a source imports, also inside functions and for type checkers alone."""
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "imports are absolute"
            for alias in statement.names:
                name = f"{statement.module}.{alias.name}"
                inner = name.removeprefix("lrpfast.")
                is_module = inner in MODULES or inner == "_native"
                yield name if name.startswith("lrpfast.") and is_module else str(statement.module)


def own(source: str) -> set[str]:
    """Modules of the package that a source imports, without the package's name."""
    return {
        name.removeprefix("lrpfast").removeprefix(".") for name in imports(source) if name.split(".")[0] == "lrpfast"
    }


def part_of(module: str) -> str:
    """The part of the package that a module belongs to."""
    fitting = [part for part in (*MAY_IMPORT, "_native") if part and f"{module}.".startswith(f"{part}.")]
    assert fitting or not module, f"{module} has no place among the floors yet"
    return max(fitting, key=len, default="")


def violations(module: str, source: str) -> set[tuple[str, str]]:
    """Imports that point upwards."""
    allowed = MAY_IMPORT[part_of(module)]
    return {(module, name) for name in own(source) if part_of(name) not in allowed}


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "lrpfast")
def test_imports_point_downwards(module: str) -> None:
    assert violations(module, MODULES[module]) == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "lrpfast")
def test_other_packages_are_used_where_they_belong(module: str) -> None:
    used = {name.split(".")[0] for name in imports(MODULES[module])} - {"lrpfast", "numpy", *sys.stdlib_module_names}
    for package in used:
        assert part_of(module).split(".")[0] in OTHERS[package]


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("rules.epsilon", "from lrpfast.engine.plan import Plan", "engine.plan"),
        ("rules.epsilon", "def f():\n    import lrpfast.model.graph", "model.graph"),
        ("model.layers", "from lrpfast.rules import Rule", "rules"),
        ("engine.plan", "from lrpfast import _native as core", "_native"),
        ("engine.plan", "from lrpfast.engine import native", "engine.native"),
        ("view.heatmap", "if TYPE_CHECKING:\n    from lrpfast.attribution import Attribution", "attribution"),
        ("lrp", "from lrpfast import load", ""),
        ("lrp", "from lrpfast.app.main import run", "app.main"),
    ],
)
def test_an_upward_import_is_seen(module: str, source: str, found: str) -> None:
    assert violations(module, source) == {(module, found)}


def test_the_package_loads_no_optional_package() -> None:
    """Nor anything else that a first heatmap would have to wait for."""
    unwanted = (*(set(OTHERS) - {"google", "onnx"}), "onnxruntime", "scipy")
    code = f"import lrpfast, sys; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def includes(path: Path) -> set[str]:
    return set(re.findall(r"^#include [<\"](.*?)[>\"]", path.read_text("utf-8"), re.MULTILINE))


@pytest.mark.skipif(not CORE.exists(), reason="the core's sources are not beside the tests")
def test_the_core_knows_neither_python_nor_upper_floors() -> None:
    sources = [path for path in CORE.rglob("*") if path.suffix in (".cpp", ".h")]
    assert {path.name for path in sources if any("pybind11" in name for name in includes(path))} == {"bindings.cpp"}
    kernels = [path for path in sources if path.parent.name == "kernels"]
    assert len(kernels) > 3
    own_headers = {path.name for path in kernels}
    for path in kernels:
        assert includes(path) <= own_headers | {"stdint.h", "math.h"}, f"{path.name} looks up"
    for path in sources:
        if path not in kernels:
            inner = {name for name in includes(path) if name.startswith("kernels/")}
            assert inner <= {"kernels/kernels.h"}, f"{path.name} knows how kernels are made"
