"""Everything that can be wrong with an image, in one batch through Google's client."""

from __future__ import annotations

import io
import json
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from google.cloud import vision_v1
from PIL import Image

from tapetum import wiring

BAD = (3, "Bad image data.")
TOO_LARGE = (3, "Image too large. Please limit to 75 megapixels.")


def photo(photos: Path) -> Image.Image:
    return Image.open(photos / "cat.jpg").convert("RGB")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def huge_png(side: int = 14_000) -> bytes:
    """A flat picture of 196 megapixels in a few hundred kilobytes."""
    row = b"\0" + bytes(side * 3)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + crc

    size = side.to_bytes(4, "big")
    head = chunk(b"IHDR", size + size + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def sixteen_bit(image: Image.Image) -> bytes:
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return cv2.imencode(".png", grey)[1].tobytes()


def turned(image: Image.Image) -> bytes:
    """The photo lying on its side, with the EXIF note that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image.rotate(90, expand=True), "JPEG", quality=95, exif=exif)


def animated(image: Image.Image) -> bytes:
    frames = [Image.new("RGB", image.size, colour) for colour in ("red", "blue")]
    return saved(image, "GIF", save_all=True, append_images=frames)


def with_alpha(image: Image.Image) -> bytes:
    paletted = image.quantize(64)
    return saved(paletted, "PNG", transparency=0)


def files(image: Image.Image) -> dict[str, tuple[bytes, tuple[int, str] | None]]:
    """name → (content, the error it must get; ``None`` for a picture that must be answered)."""
    jpeg = saved(image, "JPEG")
    return {
        "good.jpg": (jpeg, None),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], BAD),
        "text.jpg": (b"this is a text file\n" * 50, BAD),
        "huge.png": (huge_png(), TOO_LARGE),
        "empty.jpg": (b"", BAD),
        "animated.gif": (animated(image), None),
        "sixteen.png": (sixteen_bit(image), None),
        "cmyk.jpg": (saved(image.convert("CMYK"), "JPEG"), None),
        "alpha.png": (with_alpha(image), None),
        "turned.jpg": (turned(image), None),
        "dot.png": (saved(Image.new("RGB", (1, 1)), "PNG"), None),
        "heavy.png": (b"\x89PNG" + bytes(21 * 1024 * 1024), (3, "Image file too large")),
        "page.pdf": (b"%PDF-1.4\n%%EOF", (13, "A PDF is no image.")),
        "last good.jpg": (jpeg, None),
    }


MISSING = {
    "gs://bad/none.jpg": (5, "Error opening file: gs://bad/none.jpg."),
    "gs://bad/folder": (5, "Error opening file: gs://bad/folder."),
    "gs://no-such-bucket/a.jpg": (7, "Error opening file: gs://no-such-bucket/a.jpg."),
    "gs://bad/../bad/good.jpg": (3, "Invalid image URI specified: "),
    "file:///etc/passwd": (3, "Invalid image URI specified: "),
    "/etc/passwd": (3, "Invalid image URI specified: "),
    "http://127.0.0.1:1/a.jpg": (7, "The URL may not be fetched: "),
}


@pytest.fixture(scope="module")
def outcome(server, photos, request):
    """Expected and actual answers by URI, for all features there are."""
    bucket = server.bucket("bad")
    (bucket / "folder").mkdir()
    shutil.copy(photos / "cat.jpg", bucket / "folder")
    expected = dict(MISSING)
    for name, (content, error) in files(photo(photos)).items():
        (bucket / name).write_bytes(content)
        expected[f"gs://bad/{name}"] = error
    server.bucket("bad-out")
    with server.client() as client:
        operation = client.async_batch_annotate_images(
            requests=[
                {
                    "image": {"source": {"image_uri": uri}},
                    "features": [{"type_": feature.type} for feature in wiring.features()],
                }
                for uri in expected
            ],
            output_config={"gcs_destination": {"uri": "gs://bad-out/"}, "batch_size": 100},
        )
        operation.result(120)
    [path] = server.bucket("bad-out").iterdir()
    answers = json.loads(path.read_text())["responses"]
    vision_v1.BatchAnnotateImagesResponse.from_json(path.read_text())  # no unknown fields
    assert [answer["context"]["uri"] for answer in answers] == list(expected)
    return expected, {answer["context"]["uri"]: answer for answer in answers}, operation


def test_each_gets_its_entry(outcome):
    expected, answers, _ = outcome
    for uri, error in expected.items():
        got = answers[uri].get("error")
        if error is None:
            assert got is None, uri
            assert answers[uri]["imagePropertiesAnnotation"], uri
            assert answers[uri]["cropHintsAnnotation"], uri
        else:
            assert got is not None, uri
            assert got["code"] == error[0], uri
            assert got["message"].startswith(error[1]), uri


@pytest.mark.parametrize(
    "name", ["animated.gif", "sixteen.png", "cmyk.jpg", "alpha.png", "turned.jpg", "last good.jpg"]
)
def test_unusual_pictures_are_seen_as_the_plain_one_is(outcome, name):
    """A cat stays a cat in grey, on its side, in print colours, on a palette."""
    _, answers, _ = outcome
    labels = [label["description"] for label in answers[f"gs://bad/{name}"]["labelAnnotations"]]
    assert "Cat" in labels or "Carnivore" in labels


def test_a_turned_photo_has_the_coordinates_of_the_upright_picture(outcome, photos):
    _, answers, _ = outcome
    image = photo(photos)
    crop = answers["gs://bad/turned.jpg"]["cropHintsAnnotation"]["cropHints"][0]["boundingPoly"]
    assert max(vertex.get("x", 0) for vertex in crop["vertices"]) > image.height - 1
    plain = answers["gs://bad/good.jpg"]["cropHintsAnnotation"]["cropHints"][0]["boundingPoly"]
    for ours, theirs in zip(crop["vertices"], plain["vertices"], strict=True):
        assert abs(ours.get("x", 0) - theirs.get("x", 0)) <= 0.1 * image.width
        assert abs(ours.get("y", 0) - theirs.get("y", 0)) <= 0.1 * image.height


def test_the_log_has_one_line_per_failed_image(outcome, server):
    expected, _, operation = outcome
    log = server.log.read_text()
    name = operation.operation.name
    failed = [line for line in log.splitlines() if f"image failed: operation={name}" in line]
    bad = [uri for uri, error in expected.items() if error is not None]
    assert len(failed) == len(bad)
    for index, uri in enumerate(expected, 1):
        if expected[uri] is not None:
            assert sum(f" image={index} uri={uri!r} " in line for line in failed) == 1
    assert "Traceback" not in log


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(outcome, server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 2 * 1024 * 1024  # kB; the 196-megapixel picture alone is 0.6 GB
