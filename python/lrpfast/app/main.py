"""Entry point of the command `lrpfast`."""

from __future__ import annotations

import io
import sys

from lrpfast.errors import MissingExtraError
from lrpfast.view.extras import optional


def run() -> None:
    """Run the command line; exit code 0: done, 1: the work failed, 2: wrong usage, 130: interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names of files and classes need not fit the terminal's encoding
    try:
        with optional("The command lrpfast"):
            from lrpfast.app.commands import app
        app(prog_name="lrpfast")
    except MissingExtraError as error:
        sys.exit(f"lrpfast: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
