"""``tapetum gallery`` and the features, with galleries elsewhere than in a file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.cloud import vision_v1
from PIL import Image, ImageDraw

from tapetum.cli import ExitCode


def drawn(path: Path, seed: int) -> None:
    """A picture like no other: bars and discs of many colours."""
    image = Image.new("RGB", (480, 360), (seed * 61 % 256, 90, 200 - seed * 40))
    draw = ImageDraw.Draw(image)
    for n in range(24):
        x, y = (n * 97 + seed * 151) % 440, (n * 53 + seed * 71) % 320
        box = (x, y, x + 20 + n * (seed + 3) % 60, y + 15 + n * (seed + 5) % 50)
        colour = (n * 37 % 256, (n * 91 + seed * 50) % 256, n * 11 % 256)
        (draw.ellipse if n % 3 == seed % 3 else draw.rectangle)(box, fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A saved site of three drawn pictures."""
    folder = tmp_path / "site"
    for number in range(3):
        drawn(folder / f"{number}.jpg", number)
    images = "".join(f"<img src={number}.jpg alt='Drawing {number}'>" for number in range(3))
    (folder / "index.html").write_text(f"<html lang=en><title>Bars and discs</title>{images}")
    return folder


@pytest.fixture(params=["postgresql", "lancedb", "lancedb on object storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """The flags that name a place of galleries."""
    if request.param == "postgresql":
        return "--gallery-store", request.getfixturevalue("postgresql_url")
    if request.param == "lancedb":
        request.getfixturevalue("lancedb_package")
        return "--gallery-store", f"file://{tmp_path / 'galleries'}"
    url, options = request.getfixturevalue("lancedb_bucket")
    lines = [f'{name} = "{value}"' for name, value in {"url": url, **options}.items()]
    (tmp_path / "settings.toml").write_text("\n".join(["[gallery_store]", *lines]))
    return "--settings", str(tmp_path / "settings.toml")


def fill(run, site: Path, *place: str) -> None:
    made = run("gallery", "create", "pages", "--kind", "web", *place)
    assert made.code == ExitCode.OK, made.err
    imported = run("gallery", "import", "pages", site, "--base", "https://e.org/", *place)
    assert imported.code == ExitCode.OK, imported.err
    assert "pages holds 3 images of 3 entries." in imported.out


def test_an_imported_image_is_found(run, site, place):
    fill(run, site, *place)
    again = run("gallery", "import", "pages", site, "--base", "https://e.org/", *place)
    assert "0 added, 3 there already." in again.out
    assert "Drawing 1" in run("gallery", "show", "pages", "https://e.org/1.jpg", *place).out
    verified = run("gallery", "verify", *place)
    assert (verified.code, verified.out) == (
        ExitCode.OK, "pages: 3 images of 3 entries.\n",
    )  # fmt: skip

    with Image.open(site / "1.jpg") as image:
        image.resize((240, 180)).save("small.jpg", quality=85)
    tested = run("gallery", "test", "small.jpg", *place).out.splitlines()
    assert "https://e.org/1.jpg" in next(line for line in tested if "pages" in line)
    ran = run("annotate", "small.jpg", "--features", "WEB_DETECTION", "--output", "out", *place)
    assert ran.code == ExitCode.OK, ran.err
    (shard,) = Path("out").glob("*.json")
    web = json.loads(shard.read_text())["responses"][0]["webDetection"]
    assert web["fullMatchingImages"] == [{"url": "https://e.org/1.jpg"}]
    assert web["pagesWithMatchingImages"][0]["pageTitle"] == "Bars and discs"
    assert not Path("tapetum-data", "galleries.sqlite").exists()

    assert run("gallery", "remove", "pages", "https://e.org/1.jpg", *place).code == ExitCode.OK
    assert run("gallery", "remove", "pages", "--all", *place).code == ExitCode.OK
    assert "pages" not in run("gallery", "list", *place).out


def test_a_running_server_sees_what_is_added(run, site, postgresql_url, start_server):
    place = ("--gallery-store", postgresql_url)
    server = start_server(*place)
    fill(run, site, *place)
    client = server.client()
    request = {
        "image": {"content": (site / "2.jpg").read_bytes()},
        "features": [{"type_": vision_v1.Feature.Type.WEB_DETECTION}],
    }
    (response,) = client.batch_annotate_images(requests=[request]).responses
    assert [one.url for one in response.web_detection.full_matching_images] == [
        "https://e.org/2.jpg"
    ]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("ftp://e.org/", "gallery_store is a path or a URL of postgresql, file, s3, gs, az"),
        ("nowhere/g.sqlite", "nowhere/g.sqlite cannot be used"),
    ],
)
def test_a_place_that_will_not_do(run, place, message):
    ran = run("gallery", "list", "--gallery-store", place)
    assert ran.code != ExitCode.OK
    assert message in ran.err
    assert "Traceback" not in ran.err


@contextmanager
def administrator(postgresql_url: str) -> Iterator[Any]:
    """A connection to the server of a database, but not to the database."""
    import psycopg

    elsewhere = postgresql_url.replace("/tests?", "/postgres?")
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        yield connection


def asked(server: Any, picture: Path) -> Any:
    """What the server says of a picture to somebody who wants matches and colours."""
    types = [vision_v1.Feature.Type.WEB_DETECTION, vision_v1.Feature.Type.IMAGE_PROPERTIES]
    request = {
        "image": {"content": picture.read_bytes()},
        "features": [{"type_": one} for one in types],
    }
    (response,) = server.client().batch_annotate_images(requests=[request]).responses
    return response


def assert_only_matches_failed(response: Any) -> None:
    assert response.error.message.startswith("WEB_DETECTION failed on this image")
    assert "postgresql" not in response.error.message  # that is nobody's business
    assert response.image_properties_annotation.dominant_colors.colors


def wait_for_line(log: Path, line: str) -> None:
    """What workers log comes through a pipe, so it may come after their answer."""
    until = time.monotonic() + 300
    while line not in log.read_text():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


def kill_workers(server: Any) -> None:
    for nursery in psutil.Process(server.process.pid).children():
        for child in nursery.children():
            child.kill()


def test_a_server_without_its_galleries_answers_the_rest(run, site, postgresql_url, start_server):
    place = ("--gallery-store", postgresql_url)
    fill(run, site, *place)
    server = start_server(*place)
    with administrator(postgresql_url) as connection:
        connection.execute("DROP DATABASE tests WITH (FORCE)")
    assert_only_matches_failed(asked(server, site / "2.jpg"))
    wait_for_line(server.log, "The galleries in postgresql:///tests cannot be used")


def test_workers_begin_while_galleries_are_away_and_use_them_when_they_are_back(
    run, site, postgresql_url, start_server
):
    place = ("--gallery-store", postgresql_url)
    fill(run, site, *place)
    server = start_server(*place, "--workers", "1")
    with administrator(postgresql_url) as connection:
        connection.execute("ALTER DATABASE tests WITH ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tests'"
        )
        kill_workers(server)
        for _ in range(2):
            assert_only_matches_failed(asked(server, site / "2.jpg"))
        connection.execute("ALTER DATABASE tests WITH ALLOW_CONNECTIONS true")
    response = asked(server, site / "2.jpg")
    assert response.error.message == ""
    (match,) = response.web_detection.full_matching_images
    assert match.url == "https://e.org/2.jpg"


def test_a_server_does_not_start_without_its_galleries(postgresql_url):
    nowhere = postgresql_url.replace("/tests?", "/nowhere?")
    ran = subprocess.run(
        [sys.executable, "-m", "tapetum", "serve", "--port", "0", "--gallery-store", nowhere],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode
    assert "tapetum: The galleries in postgresql:///nowhere cannot be used" in ran.stderr
    assert "Traceback" not in ran.stderr
