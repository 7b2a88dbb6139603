"""Files of pages, well-formed and not, made by hand."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Sequence
from types import ModuleType

import pytest
from PIL import Image, ImageDraw

PDF, TIFF, GIF = "application/pdf", "image/tiff", "image/gif"
A4 = (595, 842)


@pytest.fixture(scope="session")
def make() -> ModuleType:
    """The functions of this file."""
    return sys.modules[__name__]


def objects(*bodies: bytes) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    file = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    file += b"".join(b"%010d 00000 n \n" % place for place in places)
    file += b"trailer <</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, table)
    return bytes(file)


def stream(content: bytes, keys: bytes = b"") -> bytes:
    return b"<<%s /Length %d>>\nstream\n%s\nendstream" % (keys, len(content), content)


def pdf(
    drawings: Sequence[bytes], size: tuple[float, float] = A4, keys: bytes = b"", *more: bytes
) -> bytes:
    """One page per drawing (a content stream); ``keys`` go into each page; the font is /F; objects
    ``more`` are numbered from 4."""
    first = 4 + len(more)
    pages = range(first, first + 2 * len(drawings), 2)
    box = b"[0 0 %f %f]" % size
    bodies = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Count %d /Kids [%s]>>"
        % (len(pages), b" ".join(b"%d 0 R" % page for page in pages)),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        *more,
    ]
    for page, drawing in zip(pages, drawings, strict=True):
        bodies.append(
            b"<</Type /Page /Parent 2 0 R /MediaBox %s /Contents %d 0 R /Resources "
            b"<</Font <</F 3 0 R>> /XObject <</I 4 0 R>>>> %s>>" % (box, page + 1, keys)
        )
        bodies.append(stream(drawing))
    return objects(*bodies)


def words(text: str, size: int = 40, at: tuple[int, int] = (60, 700)) -> bytes:
    """A drawing of a line of text."""
    return b"BT /F %d Tf %d %d Td (%s) Tj ET" % (size, *at, text.encode())


def square(red: float, green: float, blue: float) -> bytes:
    """A drawing of one coloured square over the middle of the page."""
    return b"%f %f %f rg 150 300 300 300 re f" % (red, green, blue)


def numbered(pages: int) -> bytes:
    """A PDF whose pages say which they are."""
    return pdf([words(f"Page number {number}") for number in range(1, pages + 1)])


def with_image(data: bytes, keys: bytes) -> bytes:
    """A PDF of one page filled with one image of 64x64 pixels in some compression."""
    image = stream(data, b"/Type /XObject /Subtype /Image /Width 64 /Height 64 " + keys)
    return pdf([b"595 0 0 842 0 0 cm /I Do"], A4, b"", image)


def frames(kind: str, colours: Sequence[str], size: tuple[int, int] = (200, 100)) -> bytes:
    """A TIFF or GIF with a frame per colour."""
    first, *others = [Image.new("RGB", size, colour) for colour in colours]
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=others)
    return file.getvalue()


def scan(text: str, kind: str = "TIFF", **options: object) -> bytes:
    """A picture of a line of text as a file of one page."""
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).text((60, 100), text, fill="black", font_size=72)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg_2000() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(file, "JPEG2000")
    return file.getvalue()


def jbig2_generic_region() -> bytes:
    """Page information and a generic region whose data are noise, as segments of an embedded
    stream (ITU-T T.88, 7.2)."""
    page = struct.pack(">IIIIBH", 64, 64, 0, 0, 0, 0)
    region = struct.pack(">IIIIB", 64, 64, 0, 0, 0) + b"\x00" + bytes([3, 255, 253, 255, 2, 254])
    region += bytes(range(64))
    return (
        struct.pack(">IBBBI", 0, 48, 0, 1, len(page))
        + page
        + struct.pack(">IBBBI", 1, 38, 0, 1, len(region) + 2)
        + region
        + b"\xff\xac"
    )


def encrypted() -> bytes:
    """A PDF that says it is encrypted (standard handler, 40 bits) with a password not known."""
    body = pdf([words("secret")])
    keys = (
        b"/Encrypt <</Filter /Standard /V 1 /R 2 /P -4 /O <" + b"41" * 32 + b"> /U <" + b"42" * 32
        + b">>> /ID [<00> <00>] /Size"
    )  # fmt: skip
    return body.replace(b"/Size", keys)


def looped_tree() -> bytes:
    """A page tree that is its own kid."""
    return objects(
        b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Count 5 /Kids [2 0 R 2 0 R 3 0 R]>>",
        b"<</Type /Pages /Count 3 /Parent 2 0 R /Kids [2 0 R 3 0 R]>>",
    )  # fmt: skip


def many_objects(count: int = 100_000) -> bytes:
    """A PDF of one page and ``count`` objects nobody needs."""
    return pdf([words("Page number 1")], A4, b"", *[b"<</A [1 2 3]>>"] * count)


def nested_forms(depth: int = 8, breadth: int = 12) -> bytes:
    """A form that draws another many times, which draws another: breadth ** depth drawings."""
    forms = []
    for level in range(depth):
        inner = b"/I Do " * breadth if level + 1 < depth else b"0 0 500 500 re f"
        keys = b"/Type /XObject /Subtype /Form /BBox [0 0 600 600]"
        keys += b" /Resources <</XObject <</I %d 0 R>>>>" % (5 + level)
        forms.append(stream(inner, keys))
    return pdf([b"/I Do"], A4, b"", *forms)


def flate_bomb(size: int = 2**31) -> bytes:
    """A page whose drawing unpacks to ``size`` bytes."""
    packer = zlib.compressobj(1)
    piece = b" " * 2**20
    packed = b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()
    bomb = stream(packed, b"/Filter /FlateDecode")
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R>>"
    tree = b"<</Type /Pages /Count 1 /Kids [3 0 R]>>"
    return objects(b"<</Type /Catalog /Pages 2 0 R>>", tree, page, bomb)


def empty_pdf() -> bytes:
    tree = b"<</Type /Pages /Count 0 /Kids []>>"
    return objects(b"<</Type /Catalog /Pages 2 0 R>>", tree)


def looped_tiff() -> bytes:
    """A TIFF whose first directory says that it is also the next one."""
    content = bytearray(frames("TIFF", ["red"], (4, 4)))
    place = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, place)[0]
    struct.pack_into("<I", content, place + 2 + 12 * entries, place)
    return bytes(content)
