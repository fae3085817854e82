"""What ``nox -s wheel`` does on Linux: sdist and wheel of the last commit, and are they fit for a release?

The commit is cloned to two places. One clone builds the sdist, and the wheel from that; the other builds the wheel at
once. Repaired by auditwheel, both wheels must be the same bytes, as must both sdists; and the wheel small, its metadata
right, and the package at work in an environment with nothing but what pip brings along, away from the repository.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 3_000_000  # bytes of a wheel


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command, and end with it if it fails."""
    print("+", *command, flush=True)
    subprocess.run(command, check=True, cwd=cwd)


def built(clone: Path, *steps: tuple[str, ...]) -> dict[str, bytes]:
    """Build a clone in steps, repair the wheel; all that comes of it, by name."""
    for step in steps:
        run(sys.executable, "-m", "build", *step, clone)
    for wheel in (clone / "dist").glob("*.whl"):
        run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", clone / "dist", wheel)
        wheel.unlink()
    return {path.name: path.read_bytes() for path in sorted((clone / "dist").iterdir())}


def install_and_use(wheel: Path, folder: Path) -> None:
    """Install a wheel in a new environment, and run the smoke test in an empty folder."""
    run(sys.executable, "-m", "venv", folder / "environment")
    (folder / "empty").mkdir()
    python = folder / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    run(python, "-m", "pip", "check", "--disable-pip-version-check")
    run(python, "-I", ROOT / "tools" / "smoke.py", cwd=folder / "empty")


def main(target: Path) -> None:
    """Leave in a folder what passed."""
    date = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True)
    os.environ["SOURCE_DATE_EPOCH"] = date.stdout.strip()
    with TemporaryDirectory() as name:
        work = Path(name)
        places = work / "one", work / "some" / "other" / "place"
        for place in places:
            run("git", "clone", "--quiet", ROOT, place)
        files = built(places[0], ())  # the sdist, and the wheel from it
        again = built(places[1], ("--sdist",), ("--wheel",))
        assert files == again, f"two builds differ: {[n for n in files | again if files.get(n) != again.get(n)]}"
        target.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (target / file).write_bytes(content)
            print(f"{len(content):9,} bytes, the same twice: {file}")
        run(sys.executable, "-m", "twine", "check", "--strict", *(target / file for file in files))
        (wheel,) = (target / file for file in files if file.endswith(".whl"))
        assert wheel.stat().st_size <= LARGEST, f"{wheel.name} is larger than {LARGEST:,} bytes"
        install_and_use(wheel, work)


main(Path(sys.argv[1]).resolve())
