"""The command as a process: exit codes, streams, and what happens when something is missing or stops."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lrpfast import __version__

DEMO = ("demo", "--backend", "reference")


def command(*arguments, **options):
    """Run the command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "lrpfast.app.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def script(lines, *arguments):
    """Run the command as a process, after some lines of Python."""
    code = f"import sys\n{lines}\nfrom lrpfast.app.main import run\nrun()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


def test_done(tmp_path):
    result = command(*DEMO, "-o", str(tmp_path / "d.png"))
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "d.png").is_file()


def test_failed_work_is_one_paragraph_on_stderr(tmp_path):
    result = command(*DEMO, "-o", str(tmp_path / "none" / "d.png"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("lrpfast: Cannot write")
    assert len(result.stderr.splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path):
    result = command(*DEMO, "-o", str(tmp_path / "none" / "d.png"), "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("arguments", [("--unknown",), ("unknown",), ("demo", "--backend", "magic"), ("explain",)])
def test_wrong_usage(arguments):
    result = command(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


def test_version():
    result = command("--version")
    assert (result.returncode, result.stdout) == (0, f"lrpfast {__version__}\n")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("demo", "-h"), ("explain", "--help")])
def test_help(arguments):
    result = command(*arguments)
    assert result.returncode == 0
    assert "Usage:" in result.stdout


def test_name_alone_shows_the_commands(lrpfast):
    output = lrpfast().output
    assert "demo" in output and "explain" in output


@pytest.mark.parametrize(
    ("terminal", "settings", "colored"), [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False)]
)
def test_colors_are_for_terminals_that_want_them(terminal, settings, colored):
    reader, writer = os.openpty() if terminal else os.pipe()
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm"} | settings
    arguments = [sys.executable, "-m", "lrpfast.app.main", "rules", "Epsilon"]
    subprocess.run(arguments, stdout=writer, env=environment, timeout=120, check=True)
    os.close(writer)
    output = os.read(reader, 2**16).decode()
    os.close(reader)
    assert "W'(R / stab(Wx + b))" in output
    assert ("\x1b[36m" in output) == colored


def test_interrupt():
    lines = "import lrpfast.app.demo as demo\ndef stop(*_): raise KeyboardInterrupt\ndemo.run_demo = stop"
    result = script(lines, *DEMO)
    assert result.returncode == 130
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("module", "package"),
    [("typer", "typer"), ("rich", "rich"), ("PIL", "pillow"), ("matplotlib", "matplotlib")],
)
def test_missing_package_is_named_with_the_way_to_install_it(tmp_path, module, package):
    result = script(f"sys.modules['{module}'] = None", *DEMO, "-o", str(tmp_path / "d.png"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        f'the package {package}, which is not installed: pip install "lrpfast[cli]"'
    )
    assert "Traceback" not in result.stderr


def test_reader_that_goes_away_causes_no_traceback(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "lrpfast.app.main", *DEMO, "-o", str(tmp_path / "d.png")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)
    assert errors == ""
    assert (tmp_path / "d.png").is_file()


def test_text_that_the_terminal_cannot_show_is_no_failure(tmp_path):
    result = command(*DEMO, "-o", str(tmp_path / "zażółć.png"), env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert (tmp_path / "zażółć.png").is_file()
