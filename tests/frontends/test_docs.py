"""The page on front ends says what works: its snippets run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "frontends.md"
SECTIONS = {"torch": ["torch", "Captum"], "keras": ["Keras"], "sklearn": ["scikit-learn"]}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("framework", SECTIONS)
def test_snippets_lead_to_a_picture(framework, tmp_path, monkeypatch):
    for package in (framework, "sklearn", "PIL", "matplotlib"):
        pytest.importorskip(package, exc_type=ImportError)
    if not PAGE.exists():
        pytest.skip("the page is not beside the tests")
    parts = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    snippets = [
        code for name in SECTIONS[framework] for code in re.findall(r"```python\n(.*?)```", parts[name], re.DOTALL)
    ]
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(snippets), str(PAGE), "exec"), {})
    assert (tmp_path / f"{framework}.png").exists()
