"""All tables of a run, and a page that holds them between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .libraries import TITLES
from .tables import kernel_lines, spread, table

Found = Mapping[str, Any]

BEGIN, END = "<!-- figures: written by python -m benchmarks --page -->", "<!-- end of figures -->"


def lines(found: Found) -> list[str]:
    """Everything that a run found."""
    written = [f"- {name}: {value}" for name, value in found["machine"].items()]
    written += ["", "### Time"]
    for one in found["models"]:
        written += ["", *model_lines(one)]
    if any(one["starts"] for one in found["models"]):
        written += ["", "### Memory and start", "", *start_lines(found["models"])]
    if found["imports"]:
        written += ["", "### Import", "", *import_lines(found["imports"])]
    if found["kernels"]:
        written += ["", "### Kernels", "", *kernel_lines(found["kernels"])]
    return written


def model_lines(found: Found) -> list[str]:
    """The times of a model, a table for each number of threads and each batch."""
    written = []
    for threads, batch in dict.fromkeys((row["threads"], row["batch"]) for row in found["times"]):
        rows = [row for row in found["times"] if (row["threads"], row["batch"]) == (threads, batch)]
        title = f"**{found['name']}**, {found['weights']} weights, {found['input']}, threads {threads}, batch {batch}"
        head = ("library", "what", "ms (quartiles)", "of onnxruntime's forward", "rounds", "differs from lrpfast")
        written += [title, "", *table(head, [time_cells(row) for row in rows]), "", *failures(rows)]
    if found["peers"]:
        written += [f"Libraries without ONNX took no part: {found['peers']}.", ""]
    return written[:-1]


def time_cells(row: Found) -> tuple[str, ...]:
    """One method of one library."""
    name = TITLES.get(row["library"], row["library"])
    if "failure" in row:
        return name, row["method"], "failed", "", "0", ""
    ratio = f"{row['ratio'][0]:.2f} ({row['ratio'][1]:.2f}-{row['ratio'][2]:.2f})" if row.get("ratio") else "-"
    return name, row["method"], spread(row), ratio, str(row["rounds"]), difference(row.get("agreement"))


def difference(agreement: Found | None) -> str:
    """How far a result is from lrpfast's, by lrpfast's maximum."""
    if agreement is None:
        return ""
    if "failure" in agreement:
        return "not compared"
    return f"{agreement['largest']:.0e}, 99.9 %: {agreement['most']:.0e}"


def failures(rows: Iterable[Found]) -> list[str]:
    """Why some took no part, and why results could not be compared."""
    written = []
    for row in rows:
        problem = row.get("failure") or (row.get("agreement") or {}).get("failure")
        if problem:
            written.append(f"{TITLES.get(row['library'], row['library'])}, {row['method']}: {problem[:160]}")
    return [f"- {line}" for line in written] + [""] * bool(written)


def start_lines(models: Iterable[Found]) -> list[str]:
    """Seconds to the first result of a process, and its peak memory."""
    head = ("model", "library", "what", "first result s", "MiB at batch 1", "8", "64")
    rows = []
    for model in models:
        for row in model["starts"]:
            memory = [row["memory"].get(batch) for batch in ("1", "8", "64")]
            start = f"{row['start']:.2f}" if "start" in row else "failed"
            name = TITLES.get(row["library"], row["library"])
            rows.append((model["name"], name, row["method"], start, *(f"{m / 2**20:.0f}" if m else "" for m in memory)))
    return table(head, rows)


def import_lines(found: Sequence[Found]) -> list[str]:
    """Seconds that an import takes."""
    rows = [(row["package"], row["before"], f"{row['seconds'] * 1e3:.0f}") for row in found]
    return table(("import", "after", "ms"), rows)


def write_page(page: Path, written: Sequence[str], begin: str = BEGIN) -> None:
    """Put lines between the marks of a page, which may have other marks; ValueError where it has none."""
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} has no marks; give it the lines '{begin}' and '{END}'")
    page.write_text(before + "\n".join([begin, "", *written, "", END]) + after, "utf-8")
