"""What a request must be before anything is done for it, and what the browser is told to refuse.

The page listens on this machine, but every page that the browser shows can send requests here. So a request must name
this server in its Host header, which a name of another site that was made to point here (DNS rebinding) does not, and
one that asks for work must come from this page.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


class Guard:
    """Lets through what is meant for this server, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            await JSONResponse({"error": refusal}, 403)(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request is not let through; None where it is."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return f"This server is not called '{host[:80]}'. Open it by its address, or by the name after --host."
        if method == "POST":
            origin = headers.get("origin")
            foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
            if foreign or headers.get("sec-fetch-site", "same-origin") != "same-origin":
                return "Only the page of this server may ask for explanations."
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this server: an address always does, as no other site can claim it."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class TooLongError(Exception):
    """A body is longer than what is asked for."""


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request; stops reading, and raises TooLongError, where it has more than `most` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise TooLongError
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            raise TooLongError
        parts.append(part)
    return b"".join(parts)
