"""What the README and docs/ show can be run, and their links lead somewhere."""

from __future__ import annotations

import inspect
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import onnx
import pytest
import typer
from PIL import Image

import lrpfast
from lrpfast.app.commands import app
from lrpfast.model.onnx_import.registry import IMPORTERS
from oracles.onnx_models import make_model, node

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples/README.md",
]

pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the documentation is not beside the tests")

#: Sides of the pictures, channels of the last convolution, and classes of the model that pages speak of.
SIDE, CHANNELS, CLASSES = 32, 8, 1000


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the comment right above it that says why it cannot run here."""

    page: Path
    line: int
    language: str
    text: str
    excuse: str

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def blocks(page):
    """All fenced blocks of a page."""
    lines = page.read_text("utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        above = re.fullmatch(r"<!-- (not run: .+|test command) -->", lines[start - 1] if start else "")
        text = "\n".join(lines[start + 1 : number]) + "\n"
        yield Block(page, start + 1, lines[start].strip("`"), text, above[1] if above else "")
        start = None
    assert start is None, f"{page.name}: a block that begins in line {start} has no end"


def picture_model():
    """Five convolutions, conv1 to conv5, and a dense layer: RGB pictures of SIDE pixels, CLASSES classes."""
    rng, sizes = np.random.default_rng(0), [3, CHANNELS, CHANNELS, CHANNELS, CHANNELS, CHANNELS]
    weights = {
        f"w{index}": rng.normal(0, (2 / (9 * sizes[index - 1])) ** 0.5, (sizes[index], sizes[index - 1], 3, 3))
        for index in range(1, 6)
    }
    weights["dense"] = rng.normal(0, CHANNELS**-0.5, (CHANNELS, CLASSES))
    nodes, value = [], "x"
    for index in range(1, 6):
        nodes.append(node("Conv", f"{value} w{index}", f"c{index}", name=f"conv{index}", pads=[1, 1, 1, 1]))
        nodes.append(node("Relu", f"c{index}", f"r{index}", name=f"relu{index}"))
        value = f"r{index}"
    nodes += [
        node("MaxPool", value, "p", name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "p", "g", name="mean"),
        node("Flatten", "g", "f", name="flatten"),
        node("MatMul", "f dense", "y", name="dense"),
    ]
    return make_model(nodes, ["N", 3, SIDE, SIDE], {name: value.astype(np.float32) for name, value in weights.items()})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files that pages name, where nothing that runs leaves a trace.

    model.onnx and squeezenet.onnx are the same small model; cat.png is noise, and so is what the folder photos holds.
    The classes of imagenet_labels.txt and names.txt are the same, a tabby and a lynx among them.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("model.onnx", "squeezenet.onnx"):
        onnx.save(picture_model(), name)
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    for name in ("cat.png", "photos/first.png", "photos/second.jpg"):
        Image.fromarray(pixels).save(name)
    classes = [f"class {index}" for index in range(CLASSES - 2)]
    for name in ("imagenet_labels.txt", "names.txt"):
        (tmp_path / name).write_text("\n".join([*classes, "tabby", "lynx"]) + "\n")
    importers = dict(IMPORTERS)
    yield tmp_path
    IMPORTERS.clear()
    IMPORTERS.update(importers)


def given():
    """Names that pages use without making them: a batch of two, the model, and a class."""
    x = np.random.default_rng(2).standard_normal((2, 3, SIDE, SIDE), np.float32)
    return {"__name__": "page", "np": np, "x": x, "model": lrpfast.load("model.onnx"), "target": 281}


def run_until_ready(words):
    """Run `lrpfast serve`, which goes on until it is stopped, up to the line that tells its address."""
    command = [sys.executable, "-m", "lrpfast.app.main", *words, "--port", "0"]
    browser = os.environ | {"BROWSER": "true"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=browser) as process:
        try:
            assert any("http://" in line for line in process.stdout)
        finally:
            process.kill()


def run_in_shell(block):
    """Run a bash block, of which every line has to call lrpfast."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        assert words[:1] in ([], ["lrpfast"]), f"{block}: {words[0]} does not run here; a comment above has to say why"
    command = f'lrpfast() {{ "{sys.executable}" -m lrpfast.app.main "$@"; }}\n{block.text}'
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, here):
    names = given()
    for block in blocks(page):
        if block.excuse or block.language == "text" or block.language.startswith("{"):
            continue  # what is no code: output, and what Sphinx fills in
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True), names)
        else:
            assert block.language == "bash", f"{block}: it is not known how to run {block.language}"
            run_in_shell(block)


@pytest.mark.parametrize(("name", "command"), typer.main.get_command(app).commands.items())
def test_the_examples_of_a_command_run(name, command, here):
    if name == "serve":
        for example in command.examples:
            if words := shlex.split(example, comments=True)[1:]:
                run_until_ready(words)
        return
    run_in_shell(Block(Path(f"lrpfast {name} --help"), 0, "bash", "\n".join(command.examples), ""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings(page):
    """In the repository; where they lead in the site, Sphinx checks."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, heading = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), f"{page.name} links to {path}, which is not there"
        if heading:
            assert heading in anchors(found), f"{page.name} links to {target}, which has no such heading"


def anchors(page):
    """Anchors of a page's headings, as code hosts and Sphinx make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_has_a_place_in_the_site():
    index = (ROOT / "docs/index.md").read_text("utf-8")
    trees = "".join(re.findall(r"\{toctree\}(.*?)```", index, re.DOTALL))
    entries = [word.strip("<>") for word in trees.split()]
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem == "index" or page.stem in entries


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs(script, here, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")


def test_presets_can_be_compared_on_a_photograph(here, monkeypatch):
    arguments = ["--model", "squeezenet.onnx", "--photo", "cat.png", "--out", "presets.jpg"]
    monkeypatch.setattr(sys, "argv", ["compare_presets.py", *arguments])
    runpy.run_path(str(ROOT / "examples/compare_presets.py"), run_name="__main__")
    with Image.open("presets.jpg") as picture:
        assert picture.width > 1000


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, here):
    nbclient.NotebookClient(nbformat.read(notebook, as_version=4), timeout=120).execute()


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_results(notebook):
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def public():
    """What the API reference has: functions and classes, by name, and the methods of those that a user calls."""
    modules = [lrpfast, lrpfast.rules, lrpfast.composites, lrpfast.baselines, import_module("lrpfast.check")]
    named = {name: getattr(module, name) for module in modules for name in module.__all__}
    named["explain_func"] = import_module("lrpfast.quantus").explain_func
    named["dask.attribute"] = import_module("lrpfast.dask").attribute
    found = {name: thing for name, thing in named.items() if callable(thing)}
    for owner in (lrpfast.LRP, lrpfast.Attribution, lrpfast.Model, lrpfast.Report):
        for name, method in vars(owner).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                found[f"{owner.__name__}.{name}"] = method
    return found


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_names_every_parameter_and_what_comes_back(name):
    thing = PUBLIC[name]
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    if inspect.isfunction(thing) and thing.__module__.endswith(".presets"):
        text += inspect.getmodule(thing).__doc__  # where parameters that presets share are explained once
    signature = inspect.signature(thing)
    parameters = [parameter for parameter in signature.parameters if parameter != "self"]
    for parameter in parameters:
        assert re.search(rf"\b{parameter}\b", text), f"{name} says nothing of its parameter {parameter}"
    makes_presets = signature.return_annotation == "Composite" and name != "named"
    if inspect.isfunction(thing) and parameters and signature.return_annotation != "None" and not makes_presets:
        assert "Returns\n-------" in text, f"{name} does not say what it returns"


@pytest.fixture
def tables(monkeypatch):
    """The module that makes the documentation's tables."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import tables

    return tables


def test_tables_hold_everything_that_the_code_has(tables):
    shown = {name: made() for name, made in tables.TABLES.items()}
    for operator in IMPORTERS:
        assert f"| `{operator}` |" in shown["operators"]
    for preset in lrpfast.composites.PRESETS:
        assert f"| `{preset}` |" in shown["presets"]
    for rule in set(lrpfast.rules.__all__) - {"Rule", "LinearRule"}:
        assert f"| [`{rule}`]" in shown["rules"]
    for option in ("--preprocess", "--overlay", "--json"):
        assert option in shown["commands"]


@pytest.mark.parametrize(
    ("operator", "sets", "kinds"),
    [
        ("Conv", "7+", {"conv"}),
        ("Upsample", "7 to 9", {"average", "routing"}),
        ("LayerNormalization", "17+", {"affine", "activation", "average", "gate", "routing"}),
        ("Identity", "7+", set()),
        ("ai.onnx.ml.Scaler", "1+", {"affine"}),
    ],
)
def test_an_operator_has_its_sets_and_what_it_can_become(tables, operator, sets, kinds):
    assert tables.operator_sets(operator) == sets
    assert tables.becomes(IMPORTERS[operator]) == kinds
