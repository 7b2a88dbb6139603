"""What a picture may be given as, and what becomes of what is none."""

from __future__ import annotations

import functools
import http.server
import io
import os
import re
import shutil
import threading
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import tapetum

PROPERTIES = "IMAGE_PROPERTIES"


@pytest.fixture
def web(tmp_path):
    """The URL of the current folder, on loopback."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_kind_mixed(made, tmp_path, web):
    content = made.png(made.array(200))
    bucket = tmp_path / "tapetum-data" / "buckets" / "photos"
    bucket.mkdir(parents=True)
    for path in (Path("red dot.png"), bucket / "red.png"):
        path.write_bytes(content)
    images = [
        "red dot.png",
        Path("red dot.png"),
        str(tmp_path / "red dot.png"),
        f"file://{tmp_path}/red%20dot.png",
        "gs://photos/red.png",
        f"{web}/red%20dot.png",
        content,
        bytearray(content),
        memoryview(content),
        Image.open("red dot.png"),
        made.array(200),
        np.dstack([made.array(200), np.full((32, 32), 255, np.uint8)]),
    ]
    results = list(tapetum.annotate(images, PROPERTIES, settings={"web_fetch": "any"}))
    assert [made.red_of(result) for result in results] == [200] * len(images)
    assert {result.size for result in results} == {(32, 32)}
    assert [result.index for result in results] == list(range(len(images)))
    named = [str(image) for image in images[:6]]
    assert [result.uri for result in results] == named + [None] * 6
    assert [result.to_dict().get("context", {}).get("uri") for result in results] == named + [
        None
    ] * 6


@pytest.mark.parametrize(
    "read",
    [str, Path, Path.read_bytes, Image.open, lambda path: np.asarray(Image.open(path))],
    ids=["str", "path", "bytes", "image", "array"],
)
def test_a_single_picture_is_no_iterable_of_its_parts(annotator, made, read):
    path = Path("red.png")
    path.write_bytes(made.png(made.array(200)))
    [result] = annotator.annotate(read(path), PROPERTIES)
    assert made.red_of(result) == 200


def test_arrays_of_pictures_and_of_paths(annotator, made):
    for red in (10, 20):
        Path(f"{red}.png").write_bytes(made.png(made.array(red)))
    stack = np.stack([made.array(10), made.array(20)])
    paths = np.array(["10.png", "20.png"])
    for images in (stack, paths, paths.astype(object)):
        results = list(annotator.annotate(images, PROPERTIES))
        assert [made.red_of(result) for result in results] == [10, 20]


@pytest.mark.parametrize("empty", [[], (), iter([]), {}.keys()])
def test_no_pictures_no_results(annotator, empty):
    assert list(annotator.annotate(empty, PROPERTIES)) == []


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        ("nothing.jpg", 5, "Error opening file: nothing.jpg"),
        ("", 3, "The path is empty"),
        ("  ", 3, "The path is empty"),
        ("a\0b.jpg", 3, "is not a path"),
        ("a\nb.jpg", 3, "'a\\nb.jpg': the file name has a control character: rename the file."),
        (os.fsdecode(b"\xff.jpg"), 3, "not UTF-8; rename the file"),
        (b"\xff.jpg", 3, "Bad image data"),
        (b"", 3, "There are no bytes"),
        (b"%PDF-1.7 and so on", 13, "A PDF is no image"),
        (bytes(20 * 2**20 + 1), 3, "Image file too large: 20971521 bytes"),
        ("ftp://host/a.jpg", 3, "not set up for ftp"),
        ("http://127.0.0.1:9/a.jpg", 7, "may not be fetched"),
        (3, 3, "of type int is not a path, a URI, bytes, a PIL image or a NumPy array"),
        (None, 3, "of type NoneType"),
        (["a.jpg"], 3, "of type list"),
    ],
)
def test_what_is_no_picture_is_an_error_in_its_place(annotator, made, bad, code, said):
    good = made.array(77)
    results = list(annotator.annotate([good, bad, good], PROPERTIES))
    assert [made.red_of(results[at]) for at in (0, 2)] == [77, 77]
    error = results[1].error
    assert isinstance(error, tapetum.TapetumError)
    assert error.code == code
    assert said in error.message
    assert results[1].size is None
    assert results[1].to_dict()["error"] == {"code": code, "message": error.message}
    assert (results[1].labels, results[1].text, results[1].safe_search) == ((), "", None)


def test_a_folder_says_what_to_give_instead(annotator, photos):
    [result] = annotator.annotate(photos, PROPERTIES)
    assert "is a folder" in result.error.message
    assert f"sorted(Path({str(photos)!r}).glob('*.jpg'))" in result.error.message


def test_an_open_file_says_to_read_it(annotator, photos):
    with (photos / "cat.jpg").open("rb") as file:
        [result] = annotator.annotate([file], PROPERTIES)
    assert "Read it: file.read()" in result.error.message


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((4, 5, 3)), r"is float64 of 4×5×3. Scale.*\(array \* 255\).astype\('uint8'\)"),
        (np.zeros((4, 5, 3), np.uint16), r"uint16 of 4×5×3. Scale"),
        (np.zeros((4, 5), bool), "bool of 4×5"),
        (np.zeros((3, 4, 5), np.uint8), "uint8 of 3×4×5"),
        (np.zeros((4, 5, 2), np.uint8), "uint8 of 4×5×2"),
        (np.zeros((2, 4, 5, 3), np.uint8), "2×4×5×3. Give the pictures of a stack one by one"),
        (np.zeros((0, 5, 3), np.uint8), "0×5×3: it is empty"),
        (np.uint8([1, 2, 3]), "uint8 of 3"),
        (np.array(7, np.uint8), "one number"),
        (np.array(["a.jpg"]), "of 1"),
        (np.empty((1, 75_000_001), np.uint8), "limit to 75 megapixels"),
    ],
)
def test_arrays_that_are_no_picture(annotator, pixels, said):
    [result] = annotator.annotate([pixels], PROPERTIES)
    assert result.error.code == 3
    assert re.search(said, result.error.message)


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    pixels=arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4])),
    )
)
def test_an_array_is_the_picture_of_a_file_with_its_pixels(annotator, made, pixels):
    file = made.png(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    first, second = annotator.annotate([pixels, file], "IMAGE_PROPERTIES,CROP_HINTS")
    assert first.to_dict() == second.to_dict()
    assert first.size == second.size == (pixels.shape[1], pixels.shape[0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16"])
def test_a_pil_image_is_the_picture_of_its_file(annotator, photos, mode):
    image = Image.open(photos / "cat.jpg").resize((80, 60)).convert("L" if "I" in mode else mode)
    image = image.convert(mode) if "I" in mode else image
    image.save("picture.tif")
    first, second = annotator.annotate([image, "picture.tif"], "IMAGE_PROPERTIES,CROP_HINTS")
    first, second = first.to_dict(), second.to_dict()
    assert second.pop("context") == {"uri": "picture.tif"}
    assert first == second
    assert "error" not in first


def test_a_pil_image_is_turned_upright_and_stays_as_it_was(annotator, made):
    image = Image.fromarray(made.array(10)).resize((40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save("turned.jpg", exif=exif)
    opened = Image.open("turned.jpg")
    [result] = annotator.annotate([opened], PROPERTIES)
    assert result.size == (20, 40)
    assert opened.size == (40, 20)
    assert opened.getexif()[0x0112] == 6


@pytest.mark.parametrize(("mode", "straight"), [("La", "LA"), ("RGBa", "RGBA")])
def test_a_pil_image_with_multiplied_alpha(annotator, photos, mode, straight):
    image = Image.open(photos / "cat.jpg").resize((80, 60)).convert(straight)
    image.putalpha(128)
    multiplied = image.convert(mode)
    pair = [multiplied, multiplied.convert(straight)]
    first, second = annotator.annotate(pair, "IMAGE_PROPERTIES,LABEL_DETECTION")
    assert first.error is None
    assert first.to_dict() == second.to_dict()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("before", [None, 1, 6])
@pytest.mark.parametrize("after", [None, 1, 6])
def test_a_pil_image_is_turned_as_the_program_says(annotator, made, kind, before, after):
    file = io.BytesIO()
    exif = Image.Exif()
    if before:
        exif[0x0112] = before
    Image.fromarray(made.array(10)).resize((40, 20)).save(file, kind, exif=exif)
    image = Image.open(file)
    image.load()  # which turns a TIFF
    wide, high = image.size
    image.getexif().pop(0x0112, None)
    if after:
        image.getexif()[0x0112] = after
    [result] = annotator.annotate(image, PROPERTIES)
    assert result.size == ((high, wide) if after == 6 else (wide, high))


def test_a_pil_image_that_breaks_is_an_error(annotator, photos):
    content = (photos / "cat.jpg").read_bytes()
    Path("cut.jpg").write_bytes(content[: len(content) // 2])
    with Image.open("cut.jpg") as image:
        [result] = annotator.annotate([image], PROPERTIES)
    assert result.error.code == 3
    assert "Bad image data" in result.error.message


@pytest.mark.parametrize("channels", [(), (3,)])
def test_an_array_may_be_changed_once_it_is_taken(annotator, made, channels):
    frame = np.empty((400, 400, *channels), np.uint8)

    def frames():
        for red in range(0, 200, 10):
            frame[:] = red
            yield frame

    reds = [made.red_of(result) for result in annotator.annotate(frames(), PROPERTIES)]
    assert reds == list(range(0, 200, 10))


def test_a_pil_image_may_be_changed_once_it_is_taken(annotator, made):
    canvas = Image.new("RGB", (400, 400))

    def frames():
        for red in range(0, 200, 10):
            canvas.paste((red, 0, 0), (0, 0, 400, 400))
            yield canvas

    reds = [made.red_of(result) for result in annotator.annotate(frames(), PROPERTIES)]
    assert reds == list(range(0, 200, 10))


def test_nothing_is_left_in_the_folder(photos, tmp_path):
    shutil.copy(photos / "cat.jpg", "cat.jpg")
    [result] = tapetum.annotate("cat.jpg", "LANDMARK_DETECTION,LOGO_DETECTION,WEB_DETECTION")
    assert result.error is None
    assert [path.name for path in tmp_path.iterdir()] == ["cat.jpg"]
