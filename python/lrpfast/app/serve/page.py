"""The page and its three questions: what model is this, how does it see a picture, and why does it say what it says.

Nothing is kept between requests but the prepared model: the page holds the picture, and sends it as the model sees it.
Answers are a JSON object and an array behind it (`framed`). Files are read once, at the start, so that no path that a
client names is ever opened.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lrpfast.app.serve.choices import Choice, described
from lrpfast.app.serve.explainer import Answer, Explainer
from lrpfast.app.serve.guard import Guard, TooLongError, body_of
from lrpfast.app.serve.line import BusyError, GoneError, Line
from lrpfast.errors import InputError, LRPError

Result = TypeVar("Result")

#: Bytes of a picture's file, and pixels of the picture in it.
MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000

#: Classes that one request may have explained.
MOST_TARGETS = 10

#: The preset that the page begins with.
FIRST = "epsilon_plus_flat"

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

#: Bytes of the page that are part of the package, by path.
STATIC = {
    "/": ("app/serve/static", "index.html"),
    "/base.css": ("view/web", "base.css"),
    "/heatmap.js": ("view/web", "heatmap.js"),
    **{
        f"/{name}": ("app/serve/static", name)
        for name in ("page.css", "page.js", "drawing.js", "picture.js", "settings.js", "server.js", "icon.svg")
    },
}


class Page:
    """Answers the page's questions with one explainer; `digits` are samples to begin with, where one draws."""

    def __init__(self, explainer: Explainer, digits: npt.NDArray[np.uint8] | None = None) -> None:
        self._explainer = explainer
        self._digits = digits
        self._line = Line()

    async def model(self, request: Request) -> Response:
        """What the model takes and gives, and what can be chosen."""
        explainer = self._explainer
        form, classes = explainer.form, explainer.classes
        facts: dict[str, Any] = {
            "name": explainer.model.name,
            "draws": self._digits is not None,
            "channels": form.channels,
            "width": form.width,
            "height": form.height,
            "classes": [classes.name(index) for index in range(classes.count)],
            "presets": described(),
            "preset": FIRST,
            "bytes": MOST_BYTES,
            "pixels": MOST_PIXELS,
        }
        if self._digits is not None:
            facts["classes"] = [str(index) for index in range(classes.count)]
            facts["samples"] = [b64encode(digit.tobytes()).decode() for digit in self._digits]
        return JSONResponse(facts)

    async def picture(self, request: Request) -> Response:
        """From the bytes of a picture's file: its pixels as the model sees them, and behind them a JPEG to show."""
        file = await body_of(request, MOST_BYTES)
        seen = await self._run(request, lambda: self._explainer.see(file, MOST_PIXELS))
        return framed({"pixels": len(seen.pixels)}, seen.pixels + seen.shown)

    async def explain(self, request: Request) -> Response:
        """From pixels as the model sees them, and choices in the query: scores, probabilities and relevance."""
        choice, targets = self._asked(request.query_params)
        pixels = await body_of(request, self._explainer.size)
        answer = await self._run(request, lambda: self._explainer.explain(pixels, choice, targets))
        return answered(answer)

    def _asked(self, query: QueryParams) -> tuple[Choice, Sequence[int] | None]:
        given = dict(query)
        name, target = given.pop("preset", FIRST), given.pop("target", None)
        targets = None
        if target is not None:
            try:
                targets = [int(part) for part in target.split(",")]
            except ValueError:
                reason = f"The target is a class, or several with commas between them, not '{target[:40]}'."
                raise InputError(reason) from None
            if len(targets) > MOST_TARGETS:
                raise InputError(f"{len(targets)} classes are too many at once; ask for {MOST_TARGETS} at most.")
        return Choice.of(name, given), targets

    async def _run(self, request: Request, work: Callable[[], Result]) -> Result:
        return await self._line.run(work, request.is_disconnected)


def framed(facts: dict[str, Any], data: bytes) -> Response:
    """The length of the JSON in 4 bytes, little-endian; the JSON, with blanks up to a multiple of 4; the data."""
    head = json.dumps(facts).encode()
    head += b" " * (-len(head) % 4)
    return Response(struct.pack("<I", len(head)) + head + data, media_type="application/octet-stream")


def answered(answer: Answer) -> Response:
    """An answer with its scores, probabilities and maps behind one another as float32, little-endian."""
    count, height, width = answer.maps.shape
    facts = {
        "classes": len(answer.scores),
        "maps": count,
        "height": height,
        "width": width,
        "targets": answer.targets,
        "sums": answer.sums,
        "origin": answer.origin,
        "seconds": answer.seconds,
    }
    arrays = (answer.scores, answer.probabilities, answer.maps)
    return framed(facts, b"".join(array.astype("<f4").tobytes() for array in arrays))


def make_app(explainer: Explainer, digits: npt.NDArray[np.uint8] | None = None, host: str = "127.0.0.1") -> Guard:
    """The live page as an ASGI application."""
    page = Page(explainer, digits)
    routes = [Route(path, _file(*place), methods=["GET"]) for path, place in STATIC.items()]
    routes.append(Route("/api/model", page.model, methods=["GET"]))
    routes.append(Route("/api/picture", page.picture, methods=["POST"]))
    routes.append(Route("/api/explain", page.explain, methods=["POST"]))
    handlers = {
        LRPError: _refused,
        TooLongError: _too_long,
        BusyError: _busy,
        GoneError: _gone,
        ClientDisconnect: _gone,
        HTTPException: _no_such_page,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), host)


def _file(folder: str, name: str) -> Callable[[Request], Awaitable[Response]]:
    content = files("lrpfast").joinpath(folder, name).read_bytes()
    kind = TYPES[name.rpartition(".")[2]]

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


def _too_long(request: Request, error: Exception) -> Response:
    what = f"This is larger than {MOST_BYTES // 2**20} MB, the most that is taken. Scale the picture down first."
    return JSONResponse({"error": what}, 413)


def _busy(request: Request, error: Exception) -> Response:
    what = "Others are being served, and enough are waiting. Ask again in a second."
    return JSONResponse({"error": what}, 503, {"retry-after": "1"})


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"error": "There is nothing here. The page is at /."}, status)
