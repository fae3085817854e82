"""The fuzzers find nothing in their first cases, and do find what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / "tools" / "fuzz").is_dir(), reason="the tools are not beside the tests")


def run(*arguments, code="import runpy; runpy.run_module('tools.fuzz', run_name='__main__')"):
    """Exit code and last line of a run."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("kind", "cases"), [("models", 800), ("bytes", 150), ("geometries", 60), ("calls", 1000)])
def test_nothing_is_found(kind, cases):
    failed, text = run(kind, "--cases", cases)
    assert not failed, text
    assert f"{cases:,} cases from seed 0: 0 findings" in text


WRONG = {
    "an error": ("raise KeyError(seed)", "KeyError: 2"),
    "a crash": ("os.kill(os.getpid(), 9)", "seed 2: the process ended with -9"),
    "a hang": ("time.sleep(60)", "HangError"),
    "greed": ("np.ones(5 * 10**7)", "took 3"),
    "far more": ("np.ones(10**12)", "MemoryError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_and_the_rest_goes_on(case, tmp_path):
    statement, message = WRONG[case]
    (tmp_path / "wrong.py").write_text(
        f"import os, time\nimport numpy as np\nfrom tools.fuzz import watch\nwatch.SECONDS, watch.BYTES = 5, 2**28\n"
        f"def case(seed):\n    if seed == 2:\n        {statement}\n    return 'fine'\n"
    )
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]\n"
        "import wrong\nfrom tools.fuzz.watch import watch\n"
        "if __name__ == '__main__':\n    print(watch(wrong.case, 0, 4))"
    )
    _, text = run(code=code)
    assert message in text
    assert "4 cases from seed 0: 1 findings" in text
    assert "\nFalse\n" in text
