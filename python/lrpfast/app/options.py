"""The options of the commands: their names, their help, and what a shell completes them to."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lrpfast.app.images import PREPROCESSINGS


class Backend(str, Enum):
    """Names of the backends."""

    native = "native"
    reference = "reference"


class Resize(str, Enum):
    """Ways to give a picture the model's shape."""

    crop = "crop"
    squash = "squash"


class Precision(str, Enum):
    """Types of stored relevance."""

    float32 = "float32"
    float16 = "float16"


def preset_names() -> list[str]:
    """The presets, for the completion of a shell."""
    from lrpfast.composites import PRESETS

    return list(PRESETS)


def rule_names() -> list[str]:
    """The rules, for the completion of a shell."""
    from lrpfast.app.rules import RULES

    return list(RULES)


def color_names() -> list[str]:
    """The colour maps, for the completion of a shell."""
    from lrpfast.view.heatmap import color_maps

    return color_maps()


Preprocess = Enum("Preprocess", {name: name for name in PREPROCESSINGS}, type=str)  # type: ignore[misc]

QUESTION, SCALES, PICTURE, RUN = "What is explained", "What the model takes", "What is written", "How it runs"

CompositeName = Annotated[
    str, typer.Option("--composite", "-c", metavar="PRESET", help="Preset of rules.", autocompletion=preset_names)
]
PreprocessName = Annotated[
    Preprocess | None,
    typer.Option(
        "--preprocess",
        "-p",
        metavar="NAME",
        help=f"What the model was trained with: {', '.join(PREPROCESSINGS)}.",
        show_default="0-1",
        rich_help_panel=SCALES,
    ),
]
Mean = Annotated[
    str | None, typer.Option(metavar="M[,M,M]", help="Subtract this from the scaled pixels.", rich_help_panel=SCALES)
]
Std = Annotated[str | None, typer.Option(metavar="S[,S,S]", help="Then divide by this.", rich_help_panel=SCALES)]
Bgr = Annotated[
    bool | None,
    typer.Option("--bgr/--rgb", help="Order of the model's channels.", show_default=False, rich_help_panel=SCALES),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Pixels a side, for a model that takes any.",
        show_default="224",
        rich_help_panel=SCALES,
    ),
]
Colors = Annotated[
    str,
    typer.Option(
        metavar="MAP",
        help="seismic, bwr, coldnhot, blueorange, or another colour map of matplotlib.",
        autocompletion=color_names,
        rich_help_panel=PICTURE,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Threads to use.", show_default="all cores", rich_help_panel=RUN),
]
BackendName = Annotated[Backend, typer.Option(help="What computes.", rich_help_panel=RUN)]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Dask scheduler whose workers do it, such as tcp://node17:8786; a chunk then takes one thread.",
        rich_help_panel=RUN,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file.")]
Classifier = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file of a classifier of pictures.")]
Images = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE", help="Pictures, folders of pictures, or patterns such as 'photos/*.jpg'."),
]
Probe = Annotated[
    Path | None, typer.Argument(metavar="IMAGE", help="Picture to measure on.", show_default="random numbers")
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        metavar="CLASS",
        help="Class to explain: index, or name from --labels.",
        show_default="the highest score",
        rich_help_panel=QUESTION,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="Explain the class rather than this one: index, name, runner_up, or others (their mean).",
        rich_help_panel=QUESTION,
    ),
]
CompositeNames = Annotated[
    list[str] | None,
    typer.Option(
        "--composite",
        "-c",
        metavar="PRESET",
        help="Preset of rules; several share a picture. lrpfast composites lists them.",
        show_default="epsilon_plus_flat",
        autocompletion=preset_names,
        rich_help_panel=QUESTION,
    ),
]
Epsilon = Annotated[
    float | None, typer.Option(min=0, metavar="X", help="The preset's epsilon.", rich_help_panel=QUESTION)
]
Gamma = Annotated[float | None, typer.Option(min=0, metavar="X", help="The preset's gamma.", rich_help_panel=QUESTION)]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='Names of the classes: one per line, "0 name" lines, or JSON.',
        rich_help_panel=QUESTION,
    ),
]
Resizing = Annotated[
    Resize, typer.Option(help="Cut the picture to the model's shape, or squash it.", rich_help_panel=SCALES)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        help="Picture to write, or the folder for it.",
        show_default="here, IMAGE_PRESET.png",
        rich_help_panel=PICTURE,
    ),
]
Overlay = Annotated[
    bool, typer.Option("--overlay", help="Also show the relevance over the picture.", rich_help_panel=PICTURE)
]
Html = Annotated[
    bool,
    typer.Option(
        "--html",
        help="Write a report in place of the picture: one page to point and switch in.",
        rich_help_panel=PICTURE,
    ),
]
Top = Annotated[int, typer.Option(min=1, metavar="N", help="Predictions to list.", rich_help_panel=PICTURE)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Pictures, folders, patterns, lists (.txt), arrays (.npy, .npz, Zarr), Parquet.",
    ),
]
StorePath = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="STORE", help="Zarr store to write, or to go on with.", rich_help_panel=PICTURE
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of a Parquet file, where it has several pictures.", rich_help_panel=SCALES
    ),
]
PrecisionName = Annotated[Precision, typer.Option(help="Type of the stored relevance.", rich_help_panel=PICTURE)]
Pooled = Annotated[bool, typer.Option("--pooled", help="Store the sum over the channels.", rich_help_panel=PICTURE)]
Chunk = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Images that are explained and committed together.",
        show_default="16 MB of them",
        rich_help_panel=PICTURE,
    ),
]
