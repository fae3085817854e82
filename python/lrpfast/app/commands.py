"""The commands and their options; each command's work is in a module of its own, imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrpfast.app import options
from lrpfast.app.usage import command, failures, given, group, scaling, show_version

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tell which inputs made a neural network say what it said.",
    cls=group(
        "# see it work",
        "lrpfast demo",
        "# a model of yours",
        "lrpfast explain model.onnx cat.png --preprocess imagenet --labels names.txt",
        "# complete names with the tab key, in new shells",
        "lrpfast --install-completion",
    ),
)


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Options of the command as a whole."""


@app.command(cls=command("lrpfast demo", "lrpfast demo -o digits.jpg --colors coldnhot", "lrpfast demo --json"))
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the picture goes.")] = Path(
        "lrpfast_demo.png"
    ),
    colors: options.Colors = "seismic",
    as_json: options.AsJson = False,
    backend: options.BackendName = options.Backend.native,
    debug: options.Debug = False,
) -> None:
    """Explain handwritten digits that come with the package, in one picture."""
    with failures(debug):
        from lrpfast.app.demo import run_demo

        run_demo(out, colors, backend.value, as_json)


@app.command(
    cls=command(
        "lrpfast explain model.onnx cat.png -p imagenet --labels names.txt",
        "# every picture in a folder, with figures for a program",
        "lrpfast explain model.onnx photos -o explained --json > figures.json",
        "# a pattern; ** also looks into folders inside",
        "lrpfast explain model.onnx 'photos/**/*.jpg' -o explained",
        "# several presets in one picture",
        "lrpfast explain model.onnx cat.png -c epsilon_plus -c epsilon_gamma_box",
        "# a report: a page that shows the account of every layer too",
        "lrpfast explain model.onnx cat.png --html",
        "# why a tabby and not a lynx",
        "lrpfast explain model.onnx cat.png --labels names.txt -t tabby --against lynx",
    )
)
def explain(
    model: options.Classifier,
    images: options.Images,
    target: options.Target = None,
    against: options.Against = None,
    composite: options.CompositeNames = None,
    epsilon: options.Epsilon = None,
    gamma: options.Gamma = None,
    labels: options.Labels = None,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    bgr: options.Bgr = None,
    resize: options.Resizing = options.Resize.crop,
    size: options.Size = None,
    out: options.Out = None,
    overlay: options.Overlay = False,
    html: options.Html = False,
    colors: options.Colors = "seismic",
    top: options.Top = 5,
    as_json: options.AsJson = False,
    threads: options.Threads = None,
    backend: options.BackendName = options.Backend.native,
    debug: options.Debug = False,
) -> None:
    """Show what in a picture speaks for, and what against, a model's prediction.

    Writes a picture per IMAGE: the input beside its relevance. Pixels must be
    scaled as in the model's training: see --preprocess.
    """
    with failures(debug):
        from lrpfast.app.explain import run_explain
        from lrpfast.app.explainer import Request

        request = Request(
            model=model,
            images=images,
            out=out,
            composites=list(dict.fromkeys(composite or ["epsilon_plus_flat"])),
            parameters=given(epsilon=epsilon, gamma=gamma),
            target=target,
            against=against,
            labels=labels,
            preprocessing=scaling(preprocess, mean, std, bgr),
            assumed=not given(preprocess=preprocess, mean=mean, std=std),
            resize=resize.value,
            size=size,
            overlay=overlay,
            html=html,
            colors=colors,
            top=top,
            threads=threads,
            backend=backend.value,
            json=as_json,
        )
        run_explain(request)


@app.command(
    cls=command(
        "lrpfast batch model.onnx photos -o relevance.zarr -p imagenet",
        "# smaller: half precision, summed over the channels",
        "lrpfast batch model.onnx photos -o small.zarr --precision float16 --pooled",
        "# interrupted, or killed? The same command goes on where it stopped",
        "lrpfast batch model.onnx photos -o relevance.zarr -p imagenet",
    )
)
def batch(
    model: options.ModelFile,
    inputs: options.Inputs,
    out: options.StorePath,
    target: options.Target = None,
    against: options.Against = None,
    composite: options.CompositeName = "epsilon_plus_flat",
    epsilon: options.Epsilon = None,
    gamma: options.Gamma = None,
    labels: options.Labels = None,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    bgr: options.Bgr = None,
    resize: options.Resizing = options.Resize.crop,
    size: options.Size = None,
    column: options.Column = None,
    precision: options.PrecisionName = options.Precision.float32,
    pooled: options.Pooled = False,
    chunk: options.Chunk = None,
    as_json: options.AsJson = False,
    threads: options.Threads = None,
    backend: options.BackendName = options.Backend.native,
    scheduler: options.Scheduler = None,
    debug: options.Debug = False,
) -> None:
    """Explain millions of inputs into a Zarr store, and go on after any interruption.

    Arrays hold inputs as the model takes them, or pixels as uint8. Exit code 1
    says that some inputs could not be read: the store says which, and why.
    """
    with failures(debug):
        from lrpfast.app.batch import Request, run_batch

        request = Request(
            model=model,
            inputs=inputs,
            out=out,
            composite=composite,
            parameters=given(epsilon=epsilon, gamma=gamma),
            target=target,
            against=against,
            labels=labels,
            preprocessing=scaling(preprocess, mean, std, bgr),
            assumed=not given(preprocess=preprocess, mean=mean, std=std),
            resize=resize.value,
            size=size,
            column=column,
            precision=precision.value,
            pooled=pooled,
            chunk=chunk,
            threads=threads,
            backend=backend.value,
            scheduler=scheduler,
            json=as_json,
        )
        if not run_batch(request):
            raise typer.Exit(1)


@app.command(
    cls=command(
        "lrpfast check model.onnx",
        "lrpfast check model.onnx cat.png --preprocess imagenet",
        "# in a pipeline: exit code 1 says that LRP is not applicable",
        "lrpfast check model.onnx --json > report.json",
    )
)
def check(
    model: options.ModelFile,
    image: options.Probe = None,
    composite: options.CompositeName = "epsilon_plus_flat",
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    bgr: options.Bgr = None,
    size: options.Size = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with shares of the score.")] = False,
    debug: options.Debug = False,
) -> None:
    """Tell whether LRP is applicable to a model, layer by layer, and measure it.

    Exit code 1 says that it is not.
    """
    with failures(debug):
        from lrpfast.app.check import Request, run_check

        if not run_check(Request(model, image, composite, scaling(preprocess, mean, std, bgr), size, as_json)):
            raise typer.Exit(1)


@app.command(
    cls=command(
        "lrpfast bench model.onnx --layers",
        "lrpfast bench model.onnx --batch 8 --threads 1 -c epsilon_plus --json",
    )
)
def bench(
    model: options.ModelFile,
    composite: options.CompositeName = "epsilon_plus_flat",
    threads: options.Threads = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Samples a call.")] = 1,
    layers: Annotated[bool, typer.Option("--layers", help="Also show the time of each layer.")] = False,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture to explain.", show_default="random numbers")
    ] = None,
    preprocess: options.PreprocessName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in seconds and bytes.")] = False,
    debug: options.Debug = False,
) -> None:
    """Measure what an explanation costs: time, memory, and share of each layer.

    Where onnxruntime is installed, its forward pass takes turns with lrpfast's.
    """
    with failures(debug):
        from lrpfast.app.bench import Request, run_bench

        run_bench(Request(model, composite, image, scaling(preprocess), batch, threads, layers, as_json))


@app.command(
    cls=command(
        "lrpfast models",
        "# the network and its digits as files, to try the other commands on",
        "lrpfast models --export try",
        "lrpfast explain try/digits.onnx try -p 0-1 -o explained",
    )
)
def models(
    export: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the networks and pictures they know there.")
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """List the networks that come with the package."""
    with failures(debug):
        from lrpfast.app.models import run_models

        run_models(export, as_json)


@app.command(cls=command("lrpfast rules", "lrpfast rules Gamma ZBox", "lrpfast rules --json"))
def rules(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RULE]", help="Rules to show.", show_default="all", autocompletion=options.rule_names),
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """List the relevance rules: formula, parameters, layers they are for, source."""
    with failures(debug):
        from lrpfast.app.rules import run_rules

        run_rules(names or [], as_json)


@app.command(cls=command("lrpfast composites", "lrpfast composites epsilon_gamma_box", "lrpfast composites --json"))
def composites(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRESET]", help="Preset to show in full.", show_default="all", autocompletion=options.preset_names
        ),
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """List the presets: which rule each kind of layer gets, with formulas."""
    with failures(debug):
        from lrpfast.app.composites import run_composites

        run_composites(name, as_json)


@app.command(
    cls=command(
        "# draw digits",
        "lrpfast serve --open",
        "# drop pictures, for a model of yours",
        "lrpfast serve model.onnx -p imagenet --labels names.txt",
    )
)
def serve(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="ONNX file of a classifier of pictures.",
            show_default="handwritten digits, to draw",
        ),
    ] = None,
    labels: options.Labels = None,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    bgr: options.Bgr = None,
    resize: options.Resizing = options.Resize.crop,
    size: options.Size = None,
    host: Annotated[
        str, typer.Option(metavar="NAME", help="Address to listen on; 0.0.0.0 for the whole network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 for any that is free.")
    ] = 8477,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: options.AsJson = False,
    threads: options.Threads = None,
    debug: options.Debug = False,
) -> None:
    """Explain in the browser, live: digits that one draws, or pictures with MODEL.

    Anybody who can reach the address can use it; unless told otherwise, that
    is this machine alone.
    """
    with failures(debug):
        from lrpfast.app.serve.command import Request, run_serve

        run_serve(
            Request(
                model=model,
                labels=labels,
                preprocessing=scaling(preprocess, mean, std, bgr),
                assumed=not given(preprocess=preprocess, mean=mean, std=std),
                resize=resize.value,
                size=size,
                threads=threads,
                host=host,
                port=port,
                open=open_page,
                json=as_json,
            )
        )
