"""Image files of every kind, whole and broken, decoded here and in a child."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tapetum.errors import BadImage, ImageError, ImageTooLarge
from tapetum.imaging import decoding
from tapetum.imaging.decoders import Decoders
from tapetum.imaging.picture import Picture

ORIENTATION = 0x0112

Decode = Callable[[bytes, Callable[[int, int], int]], Picture]


@pytest.fixture(scope="module", params=["here", "in a child"])
def decode(request: pytest.FixtureRequest, decoders: Decoders) -> Iterator[Decode]:
    """What decodes. Both ways give the same pixels and the same errors."""
    if request.param == "in a child":
        yield decoders.decode
        return
    limit = Image.MAX_IMAGE_PIXELS
    decoding.prepare()
    yield decoding.decode
    Image.MAX_IMAGE_PIXELS = limit


def whole(width: int, height: int) -> int:
    """All of the picture is wanted."""
    return max(width, height)


def pixels_of(width: int, height: int, channels: int = 3) -> NDArray[np.uint8]:
    """Noise: no two rows or columns are alike."""
    shape = (height, width, channels)
    return np.random.default_rng(width * height).integers(0, 256, shape, dtype=np.uint8)


def smooth(width: int, height: int) -> Image.Image:
    """Red from left to right, green from top to bottom: what lossy formats keep."""
    red = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.dstack([red, green, red * 0 + 128]).astype(np.uint8))


def packed(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def oriented(orientation: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def checked(picture: Picture) -> NDArray[np.uint8]:
    """The pixels, which are as `Picture` promises."""
    pixels = picture.pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    return pixels


PHOTO = packed(smooth(64, 40), "JPEG", quality=90)
DRAWING = Image.fromarray(pixels_of(40, 24))


# What is kept to the last bit.


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("WEBP", {"lossless": True}),
        ("ICO", {"sizes": [(40, 24)]}),
    ],
)
def test_lossless_formats(decode: Decode, kind: str, options: dict[str, Any]) -> None:
    picture = decode(packed(DRAWING, kind, **options), whole)
    assert np.array_equal(checked(picture), np.asarray(DRAWING))
    assert (picture.width, picture.height) == (40, 24)


def test_an_icon_with_a_bitmap(decode: Decode) -> None:
    image = Image.fromarray(pixels_of(32, 32))
    picture = decode(packed(image, "ICO", sizes=[(32, 32)], bitmap_format="bmp"), whole)
    assert np.array_equal(checked(picture), np.asarray(image))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": "4:1:1"}),
        ("MPO", {"save_all": True, "append_images": [Image.new("RGB", (64, 40))]}),
        ("WEBP", {}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_lossy_formats(decode: Decode, kind: str, options: dict[str, Any]) -> None:
    image = smooth(64, 40)
    picture = decode(packed(image, kind, quality=95, **options), whole)
    difference = np.abs(checked(picture).astype(int) - np.asarray(image))
    assert difference.mean() < 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_counts(decode: Decode, kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = packed(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (checked(decode(content, whole)) == (255, 0, 0)).all()


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("side", [1, 640, 3000])
def test_extreme_shapes(decode: Decode, size: tuple[int, int], kind: str, side: int) -> None:
    picture = decode(packed(Image.new("RGB", size, "white"), kind), lambda *_: side)
    pixels = checked(picture)
    assert (pixels > 250).all()
    assert (picture.width, picture.height) == size
    assert max(pixels.shape[:2]) >= min(side, max(size))


# Modes.


def test_sixteen_bit_grey_keeps_its_upper_byte(decode: Decode) -> None:
    samples = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    pixels = checked(decode(packed(Image.fromarray(samples), "PNG"), whole))
    assert np.array_equal(pixels, np.repeat((samples >> 8)[:, :, None], 3, axis=2))


def test_dark_sixteen_bit_grey_stays_dark(decode: Decode) -> None:
    content = packed(Image.fromarray(np.full((8, 8), 200, np.uint16)), "PNG")
    assert (checked(decode(content, whole)) == 0).all()


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_sixteen_bit_colour_keeps_its_upper_byte(decode: Decode, kind: str) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (12, 16, 3), dtype=np.uint16)
    ok, content = cv2.imencode(kind, samples[:, :, ::-1])
    assert ok
    assert np.array_equal(checked(decode(content.tobytes(), whole)), samples >> 8)


def test_big_endian_sixteen_bit_tiff(decode: Decode) -> None:
    samples = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    content = packed(Image.frombytes("I;16B", (16, 16), samples.astype(">u2").tobytes()), "TIFF")
    assert np.array_equal(checked(decode(content, whole))[:, :, 0], samples >> 8)


def test_float_tiff_is_stretched(decode: Decode) -> None:
    samples = np.linspace(-3.5, 1e6, 64, dtype=np.float32).reshape(8, 8)
    grey = checked(decode(packed(Image.fromarray(samples), "TIFF"), whole))[:, :, 0]
    assert (grey[0, 0], grey[-1, -1]) == (0, 255)
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(
    "samples",
    [
        np.full((4, 4), np.nan, np.float32),
        np.array([[np.inf, -np.inf], [0, np.nan]], np.float32),
        np.array([[3.4e38, -3.4e38]], np.float32),
        np.full((4, 4), 7.5, np.float32),
        np.array([[1e-45, 0]], np.float32),
        np.array([[-(2**31), 2**31 - 1]], np.int32),
        np.array([[-5, 5]], np.int32),
    ],
)
def test_odd_numbers(decode: Decode, samples: NDArray[Any]) -> None:
    picture = decode(packed(Image.fromarray(samples), "TIFF"), whole)
    assert checked(picture).shape[:2] == samples.shape


def test_cmyk_jpeg(decode: Decode) -> None:
    for colour, expected in (((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))):
        content = packed(Image.new("CMYK", (16, 16), colour), "JPEG", quality=100)
        difference = checked(decode(content, whole)).astype(int) - expected
        assert np.abs(difference).max() < 10


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 100), (127, 178)])
@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_transparency_goes_over_white(
    decode: Decode, mode: str, kind: str, alpha: int, expected: int
) -> None:
    colour = (100, 100, 100, alpha) if mode == "RGBA" else (100, alpha)
    image = Image.new(mode, (8, 8), colour)
    content = packed(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.abs(checked(decode(content, whole)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_goes_over_white(decode: Decode, kind: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    pixels = checked(decode(packed(image, kind, transparency=0), whole))
    assert pixels.tolist() == [[[255, 255, 255], [255, 0, 0], [0, 0, 255]]]


def test_a_palette_with_degrees_of_transparency(decode: Decode) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    pixels = checked(decode(packed(image, "PNG", transparency=bytes([255, 0, 127])), whole))
    assert pixels.tolist() == [[[0, 0, 0], [255, 255, 255], [128, 128, 255]]]


def test_transparency_leaves_no_dark_edge_when_reduced(decode: Decode) -> None:
    """Transparent black beside opaque white is white, at any size."""
    samples = np.zeros((64, 64, 4), np.uint8)
    samples[:, ::2] = 255
    picture = decode(packed(Image.fromarray(samples), "PNG"), lambda *_: 16)
    assert picture.pixels.shape == (16, 16, 3)
    assert (picture.pixels >= 254).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit(decode: Decode, kind: str) -> None:
    image = Image.new("1", (9, 3), 1)
    image.putpixel((4, 1), 0)
    pixels = checked(decode(packed(image, kind), whole))
    assert (pixels == 0).all(axis=2).nonzero() == (np.array([1]), np.array([4]))
    assert np.unique(pixels).tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "YCbCr", "LAB"])
def test_other_modes_of_tiff(decode: Decode, mode: str) -> None:
    image = Image.new("LAB", (16, 16)) if mode == "LAB" else smooth(16, 16).convert(mode)
    assert checked(decode(packed(image, "TIFF"), whole)).shape == (16, 16, 3)


# Orientation.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_orientation(decode: Decode, kind: str, options: dict[str, Any], orientation: int) -> None:
    content = packed(DRAWING, kind, exif=oriented(orientation), **options)
    sizes: list[tuple[int, int]] = []

    def side_for(width: int, height: int) -> int:
        sizes.append((width, height))
        return max(width, height)

    picture = decode(content, side_for)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(checked(picture), expected)
    assert sizes == [(picture.width, picture.height)] == [expected.shape[1::-1]]
    assert (picture.width > picture.height) is (orientation < 5)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation_of_a_reduced_picture(decode: Decode, kind: str) -> None:
    image = Image.new("RGB", (800, 400), "white")
    image.paste("red", (0, 0, 400, 400))
    picture = decode(packed(image, kind, exif=oriented(6)), lambda *_: 100)
    pixels = checked(picture)
    assert (picture.width, picture.height) == (400, 800)
    assert pixels.shape == (100, 50, 3)
    assert (pixels[:48, :, 1] < 20).all()  # the left half is now on top
    assert (pixels[52:, :, 1] > 235).all()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_orientation_that_is_none(decode: Decode, kind: str, orientation: int) -> None:
    picture = decode(packed(DRAWING, kind, exif=oriented(orientation)), whole)
    assert checked(picture).shape == (24, 40, 3)


BROKEN_EXIF = [
    b"",
    b"Exif\0\0",
    b"Exif\0\0garbage",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\0\x06\0\0",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0\0\0\0\0",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\xff\x7f\0\0\0\0",
]


@pytest.mark.parametrize("exif", BROKEN_EXIF, ids=range(len(BROKEN_EXIF)))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_beside_good_pixels(decode: Decode, kind: str, exif: bytes) -> None:
    """Also with every warning an error, as it is in these tests."""
    if kind == "JPEG":
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        content = PHOTO[:2] + segment + PHOTO[2:]
    else:
        content = packed(smooth(64, 40), kind, exif=exif)
    assert checked(decode(content, whole)).shape == (40, 64, 3)


def test_broken_mpo_index_beside_good_pixels(decode: Decode) -> None:
    segment = b"\xff\xe2" + struct.pack(">H", 2 + 4 + 8) + b"MPF\0II*\0\xff\xff\xff\xff"
    assert checked(decode(PHOTO[:2] + segment + PHOTO[2:], whole)).shape == (40, 64, 3)


# Decoding smaller.


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(1600, 1200), (1200, 1600), (1601, 7), (900, 900)])
@pytest.mark.parametrize("side", [1, 99, 100, 400, 640, 1024, 5000])
def test_at_least_the_wanted_side(
    decode: Decode, kind: str, size: tuple[int, int], side: int
) -> None:
    picture = decode(packed(Image.new("RGB", size, "teal"), kind), lambda *_: side)
    rows, columns = checked(picture).shape[:2]
    assert (picture.width, picture.height) == size
    assert min(side, max(size)) <= max(rows, columns) <= min(2 * side, max(size))
    if min(size) > 100:
        assert columns / rows == pytest.approx(size[0] / size[1], rel=0.1 if side > 50 else 1)


def test_a_reduced_photo_shows_the_same(decode: Decode) -> None:
    for options in ({}, {"progressive": True}):
        picture = decode(packed(smooth(1600, 1200), "JPEG", **options), lambda *_: 200)
        small = np.asarray(smooth(picture.pixels.shape[1], picture.pixels.shape[0]))
        assert np.abs(picture.pixels.astype(int) - small).mean() < 4


# What is no picture.


def broken_files() -> dict[str, bytes]:
    png = packed(DRAWING, "PNG")
    gif = packed(DRAWING.convert("P"), "GIF")
    return {
        "nothing": b"",
        "one byte": b"\xff",
        "text": b"This is not a picture, whatever its name says.\n" * 20,
        "html": b"<!doctype html><html><body>404</body></html>",
        "zeros": bytes(10_000),
        "half a JPEG": PHOTO[: len(PHOTO) // 2],
        "JPEG without its last bytes": PHOTO[:-40],
        "head of a JPEG": PHOTO[:4],
        "half a PNG": png[: len(png) // 2],
        "PNG with a wrong checksum": png[:40] + b"\0\0\0\0" + png[44:],
        "half a GIF": gif[: len(gif) // 2],
        "half a WEBP": packed(DRAWING, "WEBP")[:60],
        "half a BMP": packed(DRAWING, "BMP")[:900],
        "half a TIFF": packed(DRAWING, "TIFF")[:900],
        "PNG of no width": png[:16] + bytes(4) + png[20:],
        "empty icon": b"\0\0\1\0\0\0",
        "icon of nothing": b"\0\0\1\0\1\0" + bytes(16),
        "PPM": packed(DRAWING, "PPM"),
        "EPS": packed(DRAWING, "EPS"),
        "PDF": packed(DRAWING, "PDF"),
        "TGA": packed(DRAWING, "TGA"),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "AVIF": packed(DRAWING, "AVIF"),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>',
        "PSD": b"8BPS\0\1" + bytes(100),
    }


BROKEN = broken_files()


@pytest.mark.parametrize("name", BROKEN)
def test_bytes_that_are_no_picture(decode: Decode, name: str) -> None:
    with pytest.raises(BadImage) as caught:
        decode(BROKEN[name], whole)
    assert caught.value.message == "Bad image data."
    assert caught.value.code == 3


# What is too large.


def png_of(width: int, height: int) -> bytes:
    """A black grey-scale PNG, made a row at a time."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def icon_of(png: bytes) -> bytes:
    """An icon that says 16×16 and holds ``png``."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22) + png


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png_of(14_000, 14_000), id="PNG"),
        pytest.param(png_of(8661, 8661), id="PNG a little above"),
        pytest.param(icon_of(png_of(14_000, 14_000)), id="PNG in an icon"),
        pytest.param(icon_of(png_of(8661, 8661)), id="PNG a little above in an icon"),
        pytest.param(packed(Image.new("1", (14_000, 14_000)), "TIFF", compression="group4"),
                     id="TIFF"),
        pytest.param(packed(Image.new("1", (8661, 8661)), "GIF"), id="GIF"),
    ],
)  # fmt: skip
def test_too_many_pixels(decode: Decode, content: bytes) -> None:
    assert len(content) < 1_000_000
    with pytest.raises(ImageTooLarge) as caught:
        decode(content, whole)
    assert caught.value.message == "Image too large. Please limit to 75 megapixels."
    assert caught.value.code == 3


def test_the_largest_picture(decode: Decode) -> None:
    """75 megapixels are fine, and Pillow's own warning below that is not heard."""
    picture = decode(packed(Image.new("1", (10_000, 7500)), "PNG"), lambda *_: 100)
    assert (picture.width, picture.height) == (10_000, 7500)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_bomb_takes_no_memory() -> None:
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from tapetum.imaging.decoding import decode, prepare\n"
        "from tapetum.errors import ImageTooLarge\n"
        "def peak():\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])\n"
        "content = sys.stdin.buffer.read()\n"
        "prepare()\n"
        "before = peak()\n"
        "try:\n"
        "    decode(content, max)\n"
        "except ImageTooLarge:\n"
        "    print(peak() - before)\n"
    )
    for content in (png_of(14_000, 14_000), icon_of(png_of(8661, 8661))):
        run = subprocess.run(
            [sys.executable, "-c", script], input=content, capture_output=True, check=True
        )
        assert int(run.stdout) < 20_000  # kB; the pixels would be 196 and 75 MB


def test_an_icon_s_true_size(decode: Decode) -> None:
    inner = packed(DRAWING, "PNG")
    picture = decode(icon_of(inner), whole)
    assert (picture.width, picture.height) == (40, 24)
    assert np.array_equal(checked(picture), np.asarray(DRAWING))


# Anything at all.


def seeds() -> list[bytes]:
    frames = [DRAWING, DRAWING.rotate(180)]
    exif = oriented(6)
    many: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    deep = Image.fromarray(pixels_of(20, 12)[:, :, 0].astype(np.uint16) * 257)
    return [
        packed(DRAWING, "JPEG", exif=exif),
        packed(DRAWING, "JPEG", progressive=True),
        packed(DRAWING.convert("CMYK"), "JPEG"),
        packed(DRAWING, "MPO", **many),
        packed(DRAWING, "PNG", exif=exif),
        packed(DRAWING, "PNG", **many),
        packed(DRAWING.convert("P"), "PNG", transparency=b"\0\x7f"),
        packed(deep, "PNG"),
        packed(DRAWING, "GIF", **many),
        packed(DRAWING, "BMP"),
        packed(DRAWING, "WEBP", exif=exif),
        packed(DRAWING, "WEBP", **many),
        packed(DRAWING, "TIFF", exif=exif),
        packed(deep, "TIFF"),
        packed(DRAWING.convert("F"), "TIFF"),
        packed(DRAWING, "ICO"),
        packed(DRAWING, "ICO", bitmap_format="bmp"),
    ]


SEEDS = seeds()


def picture_or_image_error(decode: Decode, content: bytes) -> None:
    try:
        picture = decode(content, lambda *_: 20)
    except ImageError:
        return
    checked(picture)


@settings(max_examples=200, deadline=None)
@given(content=st.one_of(st.binary(max_size=300), st.builds(
    bytes.__add__,
    st.sampled_from([seed[:cut] for seed in SEEDS for cut in (4, 12, 30, 60)]),
    st.binary(max_size=200),
)))  # fmt: skip
def test_random_bytes(decode: Decode, content: bytes) -> None:
    picture_or_image_error(decode, content)


def mutated(seed: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    content = bytearray(seed)
    for place, kept, new in edits:
        start = int(place * len(content))
        content[start : start + len(new) - kept] = new
    return bytes(content)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1) | st.floats(0, 0.2),
            st.sampled_from([0, 0, 0, 1, -3]),
            st.binary(min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_mutated_files(decode: Decode, seed: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    picture_or_image_error(decode, mutated(seed, edits))


def test_many_files_with_one_wrong_byte(decode: Decode) -> None:
    """The same from a fixed row of random numbers, and more of it."""
    numbers = random.Random(1)
    for _ in range(3000):
        content = bytearray(numbers.choice(SEEDS))
        content[numbers.randrange(min(len(content), 300))] = numbers.choice((0, 1, 127, 128, 255))
        picture_or_image_error(decode, bytes(content))
