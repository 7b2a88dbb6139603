"""``tapetum gallery``: from a folder of pictures to matches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tapetum.cli import ExitCode


@pytest.fixture
def sights(tmp_path: Path, photos: Path) -> Path:
    folder = tmp_path / "sights"
    for name in ("colosseum", "rocket"):
        (folder / name).mkdir(parents=True)
        content = (photos / f"{name}.jpg").read_bytes()
        (folder / name / f"{name}.jpg").write_bytes(content)
    (folder / "rocket" / "cut.jpg").write_bytes(content[:9000])
    return folder


def test_from_a_folder_to_candidates_and_back(run, sights, tmp_path):
    assert run("gallery", "create", "sights", "--kind", "landmark").code == ExitCode.OK
    added = run("gallery", "add", "sights", sights, "--problems", "left-out.txt")
    assert added.code == ExitCode.SOME_IMAGES_FAILED
    assert "2 added, 1 left out." in added.out
    assert "sights holds 2 images of 2 entries." in added.out
    assert "cut.jpg: Bad image data." in added.err
    assert "cut.jpg: Bad image data." in Path("left-out.txt").read_text()

    again = run("gallery", "add", "sights", sights)
    assert "0 added, 2 there already, 1 left out." in again.out
    listed = run("gallery", "list")
    [row] = [line for line in listed.out.splitlines() if "sights" in line]
    assert "landmark" in row
    assert "(everyone)" in row
    assert "rocket" in run("gallery", "show", "sights").out
    shown = run("gallery", "show", "sights", "colosseum").out
    assert "key: colosseum" in shown
    assert "KiB" in shown

    with Image.open(sights / "colosseum" / "colosseum.jpg") as image:
        image.crop((0, 0, image.width * 3 // 4, image.height)).save("query.jpg")
    tested = run("gallery", "test", "query.jpg", "--draw", "drawn.png")
    first = next(line for line in tested.out.splitlines() if "sights" in line)
    assert "colosseum" in first
    with Image.open("drawn.png") as drawn:
        assert drawn.width > 700  # side by side: the file is where it was

    verified = run("gallery", "verify")
    assert verified.code == ExitCode.OK
    assert run("gallery", "remove", "sights", "rocket").code == ExitCode.OK
    assert "rocket" not in run("gallery", "show", "sights").out
    assert run("gallery", "remove", "sights", "--all").code == ExitCode.OK
    assert "sights" not in run("gallery", "list").out


def test_an_imported_image_is_found_by_annotate(run, tmp_path, photos):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    page = "<html lang=en><title>Tabby &lt;i>on&lt;/i> a sofa</title><img src=cat.jpg>"
    (tmp_path / "site" / "index.html").write_text(page)
    run("gallery", "create", "pages", "--kind", "web", "--of", "local")
    imported = run(
        "gallery", "import", "pages", "site", "--base", "https://e.org/", "--of", "local"
    )
    assert imported.code == ExitCode.OK, imported.err
    with Image.open(photos / "cat.jpg") as image:
        image.resize((image.width // 2, image.height // 2)).save("small.jpg", quality=85)
    ran = run("annotate", "small.jpg", "--features", "WEB_DETECTION", "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    (shard,) = Path("out").glob("*.json")
    web = json.loads(shard.read_text())["responses"][0]["webDetection"]
    assert web["fullMatchingImages"] == [{"url": "https://e.org/cat.jpg"}]
    (page,) = web["pagesWithMatchingImages"]
    assert page["url"] == "https://e.org/index.html"
    assert page["pageTitle"] == "Tabby &lt;i&gt;on&lt;/i&gt; a sofa"
    assert "partialMatchingImages" not in web


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "nowhere", "x"), "no gallery named 'nowhere'"),
        (("show", "nowhere"), "no gallery named 'nowhere'"),
        (("create", "a/b", "--kind", "logo"), "no name for a gallery"),
        (("remove", "nowhere"), "Name the entries to remove"),
        (("test", "nowhere.jpg"), "nowhere.jpg"),
    ],
)
def test_what_cannot_be_done_is_said(run, arguments, message):
    ran = run("gallery", *arguments)
    assert ran.code == ExitCode.FAILED
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_a_gallery_is_made_once(run):
    assert run("gallery", "create", "logos", "--kind", "logo").code == ExitCode.OK
    ran = run("gallery", "create", "logos", "--kind", "logo")
    assert "There is a gallery named 'logos' already." in ran.err
    assert run("gallery", "create", "x", "--kind", "paintings").code == ExitCode.USAGE
