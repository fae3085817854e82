"""The page over the digits that come with the package, and over a model of three colours."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import subprocess
import sys
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lrpfast import load
from lrpfast.app.classes import Classes
from lrpfast.app.demo import shipped
from lrpfast.app.images import PREPROCESSINGS, InputFormat
from lrpfast.app.serve.explainer import Explainer
from oracles.onnx_models import color_model

NEEDS = 'the live page needs more packages: pip install "lrpfast[test]"'


def explainer_of(model, names=()):
    """An explainer of a model that takes values from 0 to 1."""
    form = InputFormat.of(model)
    count = model.output_shape[1]
    return Explainer(model, form, PREPROCESSINGS["0-1"], Classes(count, names), threads=1)


@pytest.fixture(scope="session")
def digits():
    """The digits that come with the package, (12, 28, 28)."""
    return shipped()[1]


@pytest.fixture
def digit_explainer():
    return explainer_of(shipped()[0])


@pytest.fixture
def color_explainer():
    """Three scores, twice the means of the red, green and blue of a picture 12 wide and 16 high."""
    return explainer_of(load(color_model()), ("red", "green", "blue"))


class Client:
    """Asks an application, without a network between."""

    def __init__(self, app, url):
        self.app, self.url = app, url

    def get(self, path, **request):
        return self.ask("GET", path, **request)

    def post(self, path, **request):
        return self.ask("POST", path, **request)

    def ask(self, method, path, **request):
        httpx = pytest.importorskip("httpx", reason=NEEDS)

        async def ask():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.url) as client:
                return await client.request(method, path, **request)

        return asyncio.run(ask())


@pytest.fixture
def connect():
    """Ask the page of an explainer as a browser does that found it at `url`."""
    make_app = pytest.importorskip("lrpfast.app.serve.page", reason=NEEDS).make_app
    return lambda explainer, digits=None, url="http://127.0.0.1:8477": Client(make_app(explainer, digits), url)


@pytest.fixture
def page(connect, digit_explainer, digits):
    """The page on which one draws."""
    return connect(digit_explainer, digits)


@pytest.fixture
def picture_page(connect, color_explainer):
    """The page for pictures."""
    return connect(color_explainer)


@pytest.fixture(scope="session")
def serving():
    """Run the command `serve` with some arguments while a block lasts; gives the process and its address."""
    pytest.importorskip("lrpfast.app.serve.command", reason=NEEDS)

    @contextmanager
    def serving(*arguments, folder=None):
        command = [sys.executable, "-m", "lrpfast.app.main", "serve", "--port", "0", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder) as process:
            try:
                told = next(line for line in process.stdout if "http://" in line)
                yield process, re.search(r"http://[^\s\"]+", told)[0]
            finally:
                process.kill()

    return serving


@pytest.fixture
def parts():
    """The facts and the bytes of a framed answer."""

    def parts(response):
        assert response.status_code == 200, response.text
        (length,) = struct.unpack_from("<I", response.content)
        return json.loads(response.content[4 : 4 + length]), response.content[4 + length :]

    return parts


@pytest.fixture
def arrays(parts):
    """The facts, scores, probabilities and maps of an explanation."""

    def arrays(response):
        facts, data = parts(response)
        numbers = np.frombuffer(data, "<f4")
        count = facts["classes"]
        maps = numbers[2 * count :].reshape(facts["maps"], facts["height"], facts["width"])
        return facts, numbers[:count], numbers[count : 2 * count], maps

    return arrays


@pytest.fixture
def file_of():
    """The bytes of a picture file of one colour."""

    def file_of(color="red", size=(40, 30), kind="PNG"):
        buffer = BytesIO()
        Image.new("RGB", size, color).save(buffer, kind)
        return buffer.getvalue()

    return file_of
