"""The command `serve`: prepare a model, and answer a browser until interrupted."""

from __future__ import annotations

import socket
import sys
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import uvicorn
from rich.console import Console

from lrpfast.app.demo import shipped
from lrpfast.app.doubts import ASSUMED
from lrpfast.app.explainer import classes_of
from lrpfast.app.images import PREPROCESSINGS, InputFormat, Preprocessing, Resize
from lrpfast.app.labels import match_labels, read_labels
from lrpfast.app.report import say, write_json
from lrpfast.app.serve.choices import Choice
from lrpfast.app.serve.explainer import Explainer
from lrpfast.app.serve.page import FIRST, make_app
from lrpfast.errors import InputError
from lrpfast.model import load

#: Seconds that an explanation under way may take after an interrupt.
PATIENCE = 2

#: Threads for the digits, where several would wait for one another longer than they work.
DRAWN = 1


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its options."""

    model: Path | None
    labels: Path | None
    preprocessing: Preprocessing
    assumed: bool
    """Nobody said how pixels are scaled."""
    resize: Resize
    size: int | None
    threads: int | None
    host: str
    port: int
    open: bool
    json: bool


def run_serve(request: Request) -> None:
    """Serve the page until interrupted."""
    explainer, digits = prepared(request)
    app = make_app(explainer, digits, request.host)
    with listening(request.host, request.port) as listener:
        url = address(listener)
        announce(request, explainer.model.name, url)
        if request.open:
            webbrowser.open(url)  # the socket listens already: the browser waits for the first answer
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=PATIENCE,
        )
        with suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run(sockets=[listener])


def announce(request: Request, name: str, url: str) -> None:
    """Tell where the page is; it can be opened from then on."""
    if request.json:
        write_json({"model": name, "url": url})
        sys.stdout.flush()  # a program that started this one waits for it
        return
    console = Console(highlight=False)
    say(console, f"Explaining {name} at {url}   (Ctrl+C ends it)")
    if request.model is not None and request.assumed:
        say(console, ASSUMED, "yellow")


def prepared(request: Request) -> tuple[Explainer, npt.NDArray[np.uint8] | None]:
    """An explainer that has explained once, so that the first answer is as fast as all; digits where one draws."""
    digits = None
    if request.model is None:
        if request.labels or not request.assumed or request.size:
            raise InputError("Labels, scaling and size belong to a model of yours: lrpfast serve MODEL ...")
        model, digits = shipped()
        form, preprocessing = InputFormat.of(model), PREPROCESSINGS["0-1"]
        classes = classes_of(model, form)
    else:
        names = read_labels(request.labels) if request.labels else None
        model = load(request.model)
        form, preprocessing = InputFormat.of(model, request.size), request.preprocessing
        classes = classes_of(model, form)
        if request.labels and names is not None:
            classes = match_labels(request.labels, names, classes.count)
    threads = request.threads or (None if digits is None else DRAWN)
    explainer = Explainer(model, form, preprocessing, classes, request.resize, threads)
    targets = None if digits is None else range(classes.count)
    explainer.explain(bytes(explainer.size), Choice.of(FIRST, {}), targets)
    return explainer, digits


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError where it cannot.

    It names its protocol: asyncio keeps small answers back (Nagle's algorithm) on sockets that do not, for 40 ms each.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"Cannot listen on {host}, port {port}: {reason}. Choose others with --host and --port."
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """Where a browser on this machine finds what listens."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
