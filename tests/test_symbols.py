"""The kernels' object files share nothing: a copy made for one instruction set cannot serve another.

A function that two object files define under one weak name is kept once by the linker, from whichever file came
first. Were that the AVX-512 one, an older machine would crash.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CMAKE = ROOT / "CMakeLists.txt"
X86 = platform.machine().lower() in ("x86_64", "amd64")

#: what the kernels may take from the C library and the compiler's own
LIBRARY = {"expf", "tanhf", "expm1f", "erff", "logf", "log1pf", "powf", "sqrtf", "memcpy", "memmove", "memset"}
COMPILER = {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail", "__popcountdi2"}

#: kinds of symbols that the linker sees from other files; lower-case u, v and w are no local ones
SHARED = "TDBRGSCAiuVvWw"


@dataclass(frozen=True)
class Build:
    """How CMakeLists.txt compiles the kernels."""

    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    isas: dict[str, tuple[str, ...]]


def read_build(text: str) -> Build:
    """Sources, flags of all instruction sets, and flags of each."""
    sources = re.search(r"set\(KERNEL_SOURCES\s+(.*?)\)", text, re.S)
    options = re.search(r"target_compile_options\(kernels_\S+ PRIVATE\s+(.*?)\$\{ARGN\}\)", text, re.S)
    standard = re.search(r"set\(CMAKE_CXX_STANDARD (\d+)\)", text)
    choice = re.search(r"if\(CMAKE_SYSTEM_PROCESSOR MATCHES [^\n]*\n(.*?)else\(\)(.*?)endif\(\)", text, re.S)
    assert sources and options and standard and choice, "CMakeLists.txt has another form than this test can read"
    common = [f"-std=c++{standard[1]}", "-fPIC", "-fvisibility=hidden", "-DNDEBUG", *options[1].split()]
    isas = {}
    for call in re.findall(r"add_kernels\((.*?)\)", choice[1 if X86 else 2], re.S):
        isa, *own = call.split()
        isas[isa] = tuple(own)
    return Build(tuple(ROOT / name for name in sources[1].split()), tuple(common), isas)


BUILD = read_build(CMAKE.read_text()) if CMAKE.exists() else Build((), (), {})


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=BUILD.isas or ["none"])
def isa(request: pytest.FixtureRequest) -> str:
    if not BUILD.isas:
        pytest.skip("the sources of the core are not beside the tests")
    return str(request.param)


@pytest.fixture(scope="module")
def objects(isa: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every kernel source compiled for the instruction set."""
    compiler, *arguments = shlex.split(os.environ.get("CXX", "c++"))
    folder, made = tmp_path_factory.mktemp(isa), []
    for source in BUILD.sources:
        made.append(folder / f"{source.stem}.o")
        flags = (*arguments, *BUILD.flags, *BUILD.isas[isa], f"-DLRPFAST_ISA={isa}")
        output_of(tool(compiler), *flags, "-c", source, "-o", made[-1])
    return made


def symbols(path: Path, *which: str) -> list[tuple[str, str]]:
    """Kind and name of the symbols of an object file."""
    listing = output_of(tool("nm"), "-C", *which, path)
    return [(line[0], line[2:]) for line in (row[17:] for row in listing.splitlines()) if line]


def registers(objects: list[Path]) -> set[str]:
    """Classes of vector registers that the code names: xmm, ymm, zmm."""
    return {name for path in objects for name in re.findall(r"%([xyz]mm)\d", output_of(tool("objdump"), "-d", path))}


def test_every_kernel_source_is_compiled_for_every_instruction_set():
    if not BUILD.isas:
        pytest.skip("the sources of the core are not beside the tests")
    assert set(BUILD.sources) == set((ROOT / "cpp" / "kernels").glob("*.cpp"))


def test_what_an_object_shares_lies_in_the_namespace_of_its_instruction_set(isa: str, objects: list[Path]):
    defined = [entry for path in objects for entry in symbols(path, "--defined-only")]
    shared = [name for kind, name in defined if kind in SHARED]
    assert f"lrpfast::{isa}::table()" in shared
    assert [name for name in shared if not name.startswith(f"lrpfast::{isa}::")] == []


def test_no_object_defines_a_symbol_that_the_linker_may_merge(objects: list[Path]):
    assert [name for path in objects for kind, name in symbols(path, "--defined-only") if kind in "uVvWw"] == []


def test_an_object_needs_its_own_namespace_and_a_few_functions_of_c(isa: str, objects: list[Path]):
    needed = {name for path in objects for _, name in symbols(path, "--undefined-only")}
    assert {name for name in needed if not name.startswith(f"lrpfast::{isa}::")} <= LIBRARY | COMPILER


@pytest.mark.skipif(not X86, reason="registers of x86-64")
def test_an_object_uses_no_wider_registers_than_its_instruction_set_has(isa: str, objects: list[Path]):
    widest = {"baseline": {"xmm"}, "avx2": {"xmm", "ymm"}, "avx512": {"xmm", "ymm", "zmm"}}
    assert registers(objects) <= widest[isa]


@pytest.mark.skipif(not X86, reason="instructions of x86-64")
def test_the_convolution_is_made_of_the_widest_multiply_adds(isa: str, objects: list[Path]):
    code = output_of(tool("objdump"), "-d", next(path for path in objects if path.stem == "convolution"))
    fused = re.findall(r"\b(vf[n]?madd\d+ps)\s.*?%([xyz]mm)\d+$", code, re.M)
    widest = {"baseline": set(), "avx2": {"ymm"}, "avx512": {"zmm"}}[isa]
    assert {register for _, register in fused} == widest
    assert len(fused) >= (12 if widest else 0)  # a tile of at least 6 x 2 in registers
