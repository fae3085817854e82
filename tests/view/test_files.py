"""Files are written whole or not at all."""

from __future__ import annotations

import os
import sys

import pytest

from lrpfast.errors import FileError
from lrpfast.view.files import check_writable, write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write anywhere")


def test_content_is_there_and_nothing_else(tmp_path):
    assert write_whole(tmp_path / "a", lambda file: file.write(b"new")) == tmp_path / "a"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [OSError("no space"), ValueError("bug"), KeyboardInterrupt()])
def test_failure_leaves_the_old_content(tmp_path, error):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises((FileError, ValueError, KeyboardInterrupt)):
        write_whole(target, write)
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@posix
def test_permissions_are_those_of_any_new_file(tmp_path):
    write_whole(tmp_path / "a", lambda file: None)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@posix
def test_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_whole(tmp_path / "link", lambda file: file.write(b"new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"


@posix
def test_what_is_no_regular_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        check_writable(tmp_path / "pipe")


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(FileError, match="there is no folder"):
        check_writable(tmp_path / "a" / "b")


@posix
@not_root
def test_folder_without_permission_is_refused(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(FileError, match="no permission"):
        check_writable(folder / "a")


@posix
@not_root
def test_file_without_permission_is_refused(tmp_path):
    target = tmp_path / "a"
    target.touch(mode=0o400)
    with pytest.raises(FileError, match="no permission"):
        check_writable(target)
