"""What a child says that somebody's picture has taken over is not believed."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tapetum.errors import BadImage, ImageFailed
from tapetum.imaging import messages
from tapetum.imaging.child import Child, Fallen
from tapetum.vision.limits import MAX_PIXELS

Say = Callable[..., None]


def decoded_by(script: Callable[[socket.socket], None]) -> Any:
    """What comes of a picture whose child does what ``script`` does, and is then gone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    life, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def play() -> None:
        with theirs, told, suppress(messages.Silent, OSError):
            messages.receive(theirs)  # the file, which stays open: as it likes
            script(theirs)

    thread = threading.Thread(target=play)
    thread.start()
    child = Child("", ours, life)
    try:
        return child.decode(b"a picture", lambda *_: 8)
    finally:
        child.close()
        thread.join()


def size(line: socket.socket, width: Any = 8, height: Any = 8) -> None:
    messages.send(line, {"width": width, "height": height})


def pixels(line: socket.socket, file: int | None, columns: Any = 8, rows: Any = 8) -> None:
    messages.receive(line)  # the side that is wanted
    messages.send(line, {"columns": columns, "rows": rows}, file)


@pytest.mark.parametrize(
    ("width", "height"),
    [(0, 8), (-8, -8), (8.5, 8), ("8", 8), (None, 8), (True, []), (MAX_PIXELS, 2), (10**30, 1)],
)
def test_sizes_that_no_picture_has(width, height):
    with pytest.raises(Fallen):
        decoded_by(lambda line: size(line, width, height))


@pytest.mark.parametrize(("columns", "rows"), [(9, 8), (8, 9), (0, 8), (-8, -8), ("8", 8), (4, 8)])
def test_pixels_that_are_not_those_of_the_size(columns, rows):
    def script(line: socket.socket) -> None:
        size(line)
        pixels(line, messages.sealed(memoryview(bytes(8 * 8 * 3))), columns, rows)

    with pytest.raises(Fallen):
        decoded_by(script)


def test_a_file_that_can_still_be_cut():
    def script(line: socket.socket) -> None:
        size(line)
        pixels(line, messages.written(bytes(8 * 8 * 3)))

    with pytest.raises(Fallen):
        decoded_by(script)


def test_a_file_that_is_none_of_memory():
    def script(line: socket.socket) -> None:
        size(line)
        pixels(line, os.open(os.devnull, os.O_RDONLY))

    with pytest.raises(Fallen):
        decoded_by(script)


def test_no_file_at_all():
    def script(line: socket.socket) -> None:
        size(line)
        pixels(line, None)

    with pytest.raises(Fallen):
        decoded_by(script)


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"null", b"\xff\xfe", b"{" * 4000, b"[" * 4000, json.dumps({"width": 8}).encode()],
)
def test_what_makes_no_sense(said):
    with pytest.raises(Fallen):
        decoded_by(lambda line: line.send(said))


def test_an_error_of_a_kind_that_is_not_known_is_a_bad_image():
    with pytest.raises(BadImage, match=r"^Bad image data\.$"):
        decoded_by(lambda line: messages.send(line, {"wrong": "SystemExit", "text": "x" * 3000}))


def test_a_fault_reaches_the_log_and_not_the_caller(caplog: pytest.LogCaptureFixture):
    with pytest.raises(ImageFailed) as refused:
        decoded_by(lambda line: messages.send(line, {"wrong": "Fault", "text": "secret\nline"}))
    assert "secret" not in refused.value.message
    assert "secret\\nline" in caplog.text


def test_an_honest_child_is_believed():
    def script(line: socket.socket) -> None:
        size(line, 16, 16)
        pixels(line, messages.sealed(memoryview(bytes(range(192)))))

    picture = decoded_by(script)
    assert (picture.width, picture.height) == (16, 16)
    assert picture.pixels.tobytes() == bytes(range(192))
