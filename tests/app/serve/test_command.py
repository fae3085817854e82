"""`lrpfast serve` as a process, and what it refuses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest

pytest.importorskip("lrpfast.app.serve.command", reason='the live page needs more: pip install "lrpfast[test]"')


def test_it_serves_until_interrupted_and_ends_quietly(serving):
    with serving() as (process, url):
        assert url.startswith("http://127.0.0.1:")
        with urlopen(url) as response:
            assert b"<title>lrpfast" in response.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def test_small_answers_are_sent_at_once():
    from lrpfast.app.serve.command import listening

    with listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_model_of_ones_own_is_served(serving, here):
    own = ("model.onnx", "--labels", "labels.txt", "-p", "0-1")
    with serving(*own) as (_, url), urlopen(f"{url}/api/model") as response:
        assert b'"classes":["red","green","blue"]' in response.read()


def test_programs_are_told_in_json_where_it_serves(serving):
    with serving("--json") as (_, url), urlopen(url) as response:
        assert response.status == 200


def test_a_port_that_is_taken_is_named(lrpfast):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = lrpfast("serve", "--port", port)
    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1, port {port}" in result.output


@pytest.mark.parametrize("options", [("--labels", "labels.txt"), ("--preprocess", "caffe"), ("--size", "64")])
def test_options_of_a_model_need_one(lrpfast, options):
    result = lrpfast("serve", *options)
    assert result.exit_code == 1
    assert "belong to a model of yours" in result.output


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_is_named_with_the_way_to_install_it(package):
    code = f"import sys\nsys.modules['{package}'] = None\nfrom lrpfast.app.main import run\nrun()"
    done = subprocess.run([sys.executable, "-c", code, "serve"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f'needs the package {package}, which is not installed: pip install "lrpfast[web]"' in done.stderr
