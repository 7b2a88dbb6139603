"""Opening files of pages and rendering them, in real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tapetum.errors import BadImage, BrokenFile, ImageFailed, InvalidImageParameter
from tapetum.imaging import child, decoders
from tapetum.imaging.child import MOST_CRASHES, Sheet
from tapetum.imaging.decoders import Decoders
from tapetum.imaging.pages import MAX_PAGE_PIXELS, MAX_PAGE_SIDE, full_size
from tapetum.pipeline.documents import MAX_FALLS, Document, spooled
from tapetum.vision.formats import GIF, PDF, TIFF
from tapetum.vision.limits import MAX_PAGES

DECODERS = decoders.shared()


@contextmanager
def opened(content: bytes, kind: str) -> Iterator[Document]:
    with Document(spooled(content), kind, "gs://b/file", DECODERS) as document:
        yield document


def whole(document: Document, number: int) -> Sheet:
    return document.page(number, max)


def middle(page: Sheet) -> tuple[int, ...]:
    rows, columns = page.picture.pixels.shape[:2]
    return tuple(page.picture.pixels[rows // 2, columns // 2].tolist())


def test_pdf_pages_are_rendered_at_200_dpi_and_know_their_points(make):
    with opened(make.pdf([make.square(1, 0, 0), make.square(0, 0, 1)]), PDF) as document:
        assert document.pages == 2
        second, first = whole(document, 2), whole(document, 1)
    assert (middle(first), middle(second)) == ((255, 0, 0), (0, 0, 255))
    assert (first.picture.width, first.picture.height) == (1653, 2339)
    assert first.picture.pixels.shape == (2339, 1653, 3)
    assert tuple(first.picture.pixels[0, 0]) == (255, 255, 255)
    assert first.points == (595, 842)


def test_a_page_is_rendered_no_larger_than_wanted(make):
    asked = []
    with opened(make.pdf([make.square(1, 0, 0)]), PDF) as document:
        page = document.page(1, lambda width, height: asked.append((width, height)) or 300)
    assert asked == [(1653, 2339)]
    assert page.picture.pixels.shape == (300, 213, 3)
    assert (page.picture.width, page.picture.height) == (1653, 2339)
    assert middle(page) == (255, 0, 0)


def test_a_turned_page_is_upright(make):
    with opened(make.pdf([make.square(1, 0, 0)], make.A4, b"/Rotate 90"), PDF) as document:
        page = document.page(1, lambda width, height: 300)
    assert page.points == (842, 595)
    assert page.picture.pixels.shape == (213, 300, 3)


def test_text_that_is_not_drawn_is_not_seen(make):
    hidden = b"BT 3 Tr /F 80 Tf 60 400 Td (hidden) Tj ET"
    with opened(make.pdf([hidden, make.words("drawn")]), PDF) as document:
        assert whole(document, 1).picture.pixels.min() == 255
        assert whole(document, 2).picture.pixels.min() < 50


def test_a_filled_in_form_is_seen(make):
    drawing = make.stream(b"0 0 1 rg 0 0 300 300 re f", b"/Subtype /Form /BBox [0 0 300 300]")
    content = make.pdf([b""], make.A4, b"/Annots [5 0 R]", drawing, (
        b"<</Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (x) /Rect [150 300 450 600] "
        b"/F 4 /AP <</N 4 0 R>>>>"
    ))  # fmt: skip
    form = b"/Type /Catalog /AcroForm <</Fields [5 0 R]>>"
    with opened(content.replace(b"/Type /Catalog", form), PDF) as document:
        assert middle(whole(document, 1)) == (0, 0, 255)


@pytest.mark.parametrize("size", [(595, 842), (2384, 3370), (1e9, 1e9), (1e9, 1), (1e-9, 5)])
def test_the_pixels_of_a_page_are_bounded(size):
    width, height = full_size(*size)
    assert width >= 1
    assert height >= 1
    assert max(width, height) <= MAX_PAGE_SIDE
    assert width * height <= MAX_PAGE_PIXELS * 1.01


def test_a_page_of_a_million_kilometres_is_rendered_small(make):
    with opened(make.pdf([make.square(1, 0, 0)], (1e9, 1e9)), PDF) as document:
        page = whole(document, 1)
    assert page.picture.width * page.picture.height <= MAX_PAGE_PIXELS * 1.01
    assert page.points == (1e9, 1e9)


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_pages_of_a_tiff_and_frames_of_a_gif_in_any_order(make, kind):
    colours = ["red", "lime", "blue"]
    with opened(make.frames(kind, colours), f"image/{kind.lower()}") as document:
        assert document.pages == 3
        seen = [whole(document, number) for number in (3, 1, 2)]
    assert [middle(page) for page in seen] == [(0, 0, 255), (255, 0, 0), (0, 255, 0)]
    assert {(page.picture.width, page.picture.height) for page in seen} == {(200, 100)}
    assert {page.points for page in seen} == {None}


def test_a_turned_tiff_page_is_upright(make):
    content = make.scan("Turned", tiffinfo={274: 6})
    with opened(content, TIFF) as document:
        page = whole(document, 1)
    assert (page.picture.width, page.picture.height) == (300, 900)
    assert page.picture.pixels.shape == (900, 300, 3)


def test_page_numbers_of_a_request(make):
    with opened(make.frames("TIFF", ["red"] * 7, (4, 4)), TIFF) as document:
        assert document.numbers([], 5) == [1, 2, 3, 4, 5]
        assert document.numbers([2, -1, -7, 2], 5) == [2, 7, 1, 2]
        for wrong in (8, -8):
            with pytest.raises(InvalidImageParameter) as caught:
                document.numbers([1, wrong], 5)
            said = f"pages[1]: there is no page {wrong}; the file has 7 pages."
            assert caught.value.message == said


NO_PDF = "it is damaged or no PDF."
BROKEN = {
    "no bytes": (lambda make: b"", PDF, "it is no PDF, as its mime_type application/pdf says."),
    "no PDF": (lambda make: b"a letter", PDF, "it is no PDF, as"),
    "a lie": (lambda make: make.frames("GIF", ["red"]), PDF, "it is no PDF, as"),
    "another lie": (lambda make: make.numbered(1), TIFF, "it is no TIFF, as its mime_type"),
    "a third": (lambda make: make.frames("TIFF", ["red"]), GIF, "it is no GIF, as"),
    "only a header": (lambda make: b"%PDF-1.7\n%%EOF", PDF, NO_PDF),
    "half a PDF": (lambda make: make.numbered(3)[:900], PDF, NO_PDF),
    "no pages": (lambda make: make.empty_pdf(), PDF, "it has no pages."),
    "encrypted": (lambda make: make.encrypted(), PDF, "it is encrypted and needs a password."),
    "10,000 pages": (
        lambda make: make.numbered(10_000), PDF, f"it has 10000 pages, the limit is {MAX_PAGES}."
    ),
    "5000 frames": (
        lambda make: make.frames("GIF", ["red", "blue"] * 2500, (2, 2)), GIF,
        f"it has 5000 pages, the limit is {MAX_PAGES}.",
    ),
    "half a TIFF": (lambda make: make.frames("TIFF", ["red"] * 3)[:300], TIFF, "Bad image data."),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_without_pages_to_give_says_why(make, name):
    content, kind, why = BROKEN[name]
    with pytest.raises(BrokenFile) as caught, opened(content(make), kind):
        pass
    what = {PDF: "PDF", TIFF: "TIFF", GIF: "GIF"}[kind]
    start = f"Error in extracting images from {what} file gs://b/file: {why}"
    assert caught.value.message.startswith(start)
    assert caught.value.code == 3


GREY = b"/BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode"
ODD = {
    "100,000 objects": lambda make: make.many_objects(),
    "JPEG 2000": lambda make: make.with_image(make.jpeg_2000(), b"/Filter /JPXDecode"),
    "broken JPEG 2000": lambda make: make.with_image(make.jpeg_2000()[:150], b"/Filter /JPXDecode"),
    "JBIG2": lambda make: make.with_image(make.jbig2_generic_region(), GREY),
    "broken JBIG2": lambda make: make.with_image(b"\0\1\2" * 50, GREY),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_contents_still_give_a_page(make, name):
    with opened(ODD[name](make), PDF) as document:
        page = document.page(1, lambda width, height: 400)
    if name == "JPEG 2000":
        red, green, blue = middle(page)
        assert abs(red - 200) + abs(green - 30) + abs(blue - 30) < 30
    assert page.points == (595, 842)


def test_a_page_tree_that_loops_is_bad_pages_and_no_hang(make):
    with opened(make.looped_tree(), PDF) as document:
        for number in range(1, document.pages + 1):
            with pytest.raises(BadImage, match="cannot be rendered"):
                whole(document, number)


def test_directories_of_a_tiff_that_loop_end(make):
    with opened(make.looped_tiff(), TIFF) as document:
        assert document.pages == 1
        assert middle(whole(document, 1)) == (255, 0, 0)


def test_a_truncated_frame_is_that_frames_error(make):
    with opened(make.frames("GIF", ["red", "lime", "blue"])[:400], GIF) as document:
        assert middle(whole(document, 1)) == (255, 0, 0)
        with pytest.raises(BadImage):
            whole(document, document.pages)


def test_a_page_there_is_not(make):
    said = "There is no page 2; the file has 1 pages"
    content = make.frames("TIFF", ["red"])
    with opened(content, TIFF) as document, pytest.raises(BadImage, match=said):
        whole(document, 2)


# --- processes --------------------------------------------------------------------------------


def slow(make) -> bytes:
    """A page that takes minutes to draw."""
    return make.pdf([b"0 0 595 842 re f " * 300_000, make.square(1, 0, 0)])


def test_a_page_that_takes_too_long_costs_only_itself(make, monkeypatch):
    monkeypatch.setattr(child, "PAGE_SECONDS", 1)
    with opened(slow(make), PDF) as document:
        with pytest.raises(ImageFailed, match="This page stopped the process"):
            whole(document, 1)
        assert middle(whole(document, 2)) == (255, 0, 0)


def test_a_child_that_does_not_answer_is_ended(make, monkeypatch):
    with opened(make.numbered(2), PDF) as document:
        os.kill(child_of(document), signal.SIGSTOP)
        monkeypatch.setattr(child, "PATIENCE", 0.2)
        with pytest.raises(ImageFailed):
            whole(document, 1)
        monkeypatch.undo()
        assert whole(document, 2).points == (595, 842)


def test_a_page_that_eats_memory_costs_only_itself(make):
    with opened(make.flate_bomb(), PDF) as document, pytest.raises((ImageFailed, BadImage)):
        whole(document, 1)


def test_a_file_that_goes_on_stopping_processes_is_left_alone(make, monkeypatch):
    monkeypatch.setattr(child, "PAGE_SECONDS", 1)
    with opened(make.pdf([b"0 0 595 842 re f " * 300_000] * MAX_FALLS + [b""]), PDF) as document:
        for number in range(1, MAX_FALLS + 1):
            with pytest.raises(ImageFailed, match="This page"):
                whole(document, number)
        with pytest.raises(ImageFailed, match="The pages of this file"):
            whole(document, MAX_FALLS + 1)


def test_a_child_that_somebody_kills_is_replaced_and_no_page_is_blamed(make):
    with opened(make.numbered(9), PDF) as document:
        for number in range(1, 10):
            os.kill(child_of(document), signal.SIGKILL)
            assert whole(document, number).points == (595, 842)


def test_a_page_that_goes_on_crashing_its_child_is_blamed(make):
    crashed = []

    def crash(width: int, height: int) -> int:
        crashed.append(child_of(document))
        os.kill(crashed[-1], signal.SIGSYS)  # as for a call that the jail forbids
        return 100

    with opened(make.numbered(2), PDF) as document:
        with pytest.raises(ImageFailed, match="This page"):
            document.page(1, crash)
        assert len(set(crashed)) == MOST_CRASHES
        assert whole(document, 2).points == (595, 842)


def child_of(document: Document) -> int:
    assert document._child is not None
    return document._child.pid


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for_end(pid: int) -> None:
    until = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_child_ends_with_the_document(make):
    with opened(make.numbered(1), PDF) as document:
        pid = child_of(document)
        assert is_running(pid)
    wait_for_end(pid)


def test_the_child_ends_with_a_parent_that_is_killed(make, tmp_path):
    (tmp_path / "a.pdf").write_bytes(make.numbered(1))
    program = (
        "import sys, time\n"
        "from tapetum.pipeline.documents import Document\n"
        "from tapetum.vision.formats import PDF\n"
        "from tapetum.imaging.decoders import Decoders\n"
        "document = Document(open(sys.argv[1], 'rb'), PDF, 'a', Decoders())\n"
        "print(document._child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.pdf")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for_end(pid)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_child_is_told_no_secrets(make, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    file, fresh = spooled(make.numbered(1)), Decoders()
    with Document(file, PDF, "gs://b/file", fresh) as document:
        environ = Path(f"/proc/{child_of(document)}/environ").read_bytes()
    fresh.close()
    assert b"PATH=" in environ
    assert b"hush" not in environ
