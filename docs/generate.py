"""Sphinx extension: tables made from the code, the examples, and links that work in the repository as well."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import tables
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode


def directive(made: Callable[[], str]) -> type[SphinxDirective]:
    """A directive that stands for the Markdown that a function makes."""

    class Made(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(made(), allow_section_headings=True)

    return Made


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> nodes.Node | None:
    """What a docstring calls by its public name, such as `LRP.attribute`, wherever that docstring is."""
    if node["refdomain"] != "py":
        return None
    objects = env.domains["py"].objects  # type: ignore[attr-defined]
    name = node["reftarget"].removeprefix("lrpfast.")
    found = [known for known in objects if known.startswith("lrpfast.") and f".{known}".endswith(f".{name}")]
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def copy_examples(app: Sphinx) -> None:
    """Bring the examples to where Sphinx looks for pages."""
    source, here = Path(app.srcdir).parent / "examples", Path(app.srcdir) / "examples"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(source, here, ignore=lambda _, names: {name for name in names if name.startswith((".", "_"))})


def lead_inside(app: Sphinx, page: str, text: list[str]) -> None:
    """Lead links that leave `docs/` to the examples' copies, and to copies of other texts."""
    inside = text[0].replace("](../examples/", "](examples/")
    text[0] = re.sub(r"\[([^]]*)\]\((\.\./[^)]*\.md)\)", r"{download}`\1 <\2>`", inside)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register a directive for each table: ``made-rules`` for ``rules``."""
    for name, made in tables.TABLES.items():
        app.add_directive(f"made-{name}", directive(made))
    app.connect("builder-inited", copy_examples)
    app.connect("source-read", lead_inside)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
