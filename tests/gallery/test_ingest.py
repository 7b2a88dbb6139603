"""Filling galleries: bad files, duplicates, blanks, and imports that are killed and repeated."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tapetum.errors import InvalidGallery
from tapetum.gallery import DIMENSIONS, Entry, Gallery, Kind, Reference, Size, unit
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.gallery.background import Background
from tapetum.gallery.ingest import BATCH, Ingest
from tapetum.gallery.sources.items import Item, Problem
from tapetum.recognisers.administration import GalleryAdministration, faults, items_of

TOWERS = Gallery("towers", Kind.LANDMARK)
NOTHING = Background(np.zeros((0, DIMENSIONS), dtype=np.float16), "m")


def picture(seed: int, size: tuple[int, int] = (160, 120)) -> bytes:
    """A PNG of random blotches."""
    blotches = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def looked(content: bytes, digest: str, source: str, kind: Kind) -> Reference:
    """A reference without the networks."""
    random = np.random.default_rng(int(digest[:8], 16))
    embedding = unit(np.abs(random.standard_normal(DIMENSIONS)).astype(np.float32))
    return Reference(digest, source, 9, 9, embedding, random.bytes(32), 90, b"f", model="m")


def item(key: str, content: bytes) -> Item:
    return Item(Entry(key, key), f"{key}.png", lambda: content)


@pytest.fixture
def galleries():
    found = MemoryGalleries()
    found.create(TOWERS)
    return found


@pytest.fixture(scope="module")
def administration():
    galleries = MemoryGalleries()
    galleries.create(TOWERS)
    return GalleryAdministration(galleries, 2)


def test_batches_are_told_and_the_same_again_adds_nothing(galleries):
    def items():
        return (item(f"e{n % 70}", b"%d" % n) for n in range(150))

    ingest = Ingest(galleries, TOWERS, looked, NOTHING, 3)
    heard = []
    report = ingest.run(items(), lambda so_far: heard.append(so_far.added))
    assert (report.added, report.known, report.failed) == (150, 0, 0)
    assert heard == [BATCH, 2 * BATCH, 150]
    assert galleries.size(TOWERS) == Size(70, 150)
    report = ingest.run(items())
    assert (report.added, report.known) == (0, 150)
    assert galleries.size(TOWERS) == Size(70, 150)


def test_the_same_picture_twice(galleries):
    ingest = Ingest(galleries, TOWERS, looked, NOTHING, 1)
    report = ingest.run([item("a", b"x"), item("a", b"x"), item("b", b"y")])
    assert (report.added, report.known) == (2, 1)
    report = ingest.run([item("c", b"x")])
    assert report.added == 1
    assert report.shared == [("c.png", "a")]
    assert galleries.size(TOWERS) == Size(3, 3)


def test_what_fails_is_told_and_the_rest_goes_on(galleries):
    def gone() -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    def refuse(content: bytes, digest: str, source: str, kind: Kind) -> Reference:
        if content == b"bad":
            raise InvalidGallery("Not today.")
        return looked(content, digest, source, kind)

    ingest = Ingest(galleries, TOWERS, refuse, NOTHING, 2)
    report = ingest.run(
        [
            item("a", b"bad"),
            Problem("line 3", "no name"),
            Item(Entry("b"), "b.png", gone),
            Item(Entry("place", "A place", lat=1.0, lng=2.0)),
            item("c", b"good"),
        ]
    )
    assert (report.added, report.known, report.failed) == (1, 0, 3)
    assert [(one.source, one.message) for one in report.problems] == [
        ("a.png", "Not today."),
        ("line 3", "no name"),
        ("b.png", "No such file or directory"),
    ]
    assert [entry.key for entry in galleries.entries(TOWERS)] == ["c", "place"]


def test_every_entry_is_calibrated_against_the_background(galleries):
    random = np.random.default_rng(0)
    rows = np.abs(random.standard_normal((50, DIMENSIONS))).astype(np.float32)
    background = np.stack([unit(row) for row in rows])
    digest = hashlib.sha256(b"x").hexdigest()
    own = looked(b"", digest, "", Kind.LOGO).embedding
    same = np.vstack((background, own[None]))  # the background may show it too
    Ingest(galleries, TOWERS, looked, Background(same, "m"), 1).run([item("a", b"x")])
    ((_, reference),) = galleries.references(TOWERS, "a")
    expected = background.astype(np.float32) @ own.astype(np.float32)
    its = reference.calibration
    assert its.highest == pytest.approx(expected.max())
    assert its.mean == pytest.approx(expected.mean(), abs=1e-5)
    assert its.score(its.highest) == 0
    assert its.score(1.0) == 1
    assert 0 < its.score(its.highest + 0.1) < 1


def test_the_background_that_ships():
    model = GalleryAdministration(MemoryGalleries(), 1).model
    background = Background.packaged(model)
    assert len(background) > 1000
    assert len(Background.packaged("another")) == 0


def test_real_pictures(administration, tmp_path, photos):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    (tmp_path / "cat" / "cut.jpg").write_bytes((photos / "cat.jpg").read_bytes()[:20_000])
    (tmp_path / "odd").mkdir()
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "odd" / "blank.png")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "odd" / "dot.png")
    (tmp_path / "odd" / "icon.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>1</script>'
        '<circle cx="4" cy="4" r="3"/><path d="M0 8h9" stroke="red"/></svg>'
    )
    report = administration.ingest(TOWERS).run(items_of([tmp_path], Kind.LANDMARK))
    assert report.added == 4
    assert report.blank == 2
    assert [Path(one.source).name for one in report.problems] == ["cut.jpg"]
    galleries = administration.galleries
    assert [entry.key for entry in galleries.entries(TOWERS)] == ["cat", "icon", "odd"]
    ((_, cat),) = galleries.references(TOWERS, "cat")
    assert 0.2 < cat.calibration.highest < 0.95
    assert cat.features
    # A blank one never answers, not even to itself.
    near = {one.entry for one in galleries.nearest(TOWERS, cat.embedding, 9)}
    assert near == {"cat", "icon"}
    told = list(faults(galleries, TOWERS, administration.model))
    assert [line.partition(":")[0] for line in told] == ["odd", "odd"]
    assert "will never be found" in told[0]


@pytest.mark.slow
def test_a_reference_of_sixty_megapixels(tmp_path, administration):
    large = Image.linear_gradient("L").resize((10_000, 6_000))
    large.paste(Image.open(io.BytesIO(picture(3))).resize((4000, 3000)).convert("L"), (800, 900))
    file = io.BytesIO()
    large.save(file, "JPEG", quality=70)
    made = administration.maker.make(file.getvalue(), "d", "large.jpg", Kind.WEB)
    assert (made.width, made.height) == (10_000, 6_000)
    assert made.embedding.any()


@pytest.mark.slow
def test_memory_does_not_grow_with_an_import(tmp_path):
    galleries = SqliteGalleries(tmp_path / "g.sqlite", "m")
    galleries.create(TOWERS)
    content = [os.urandom(200_000)]

    def items(count: int, start: int):
        for number in range(start, start + count):
            body = b"%d" % number + content[0]
            yield Item(Entry(f"e{number}"), "x", lambda body=body: body)

    ingest = Ingest(galleries, TOWERS, looked, NOTHING, 4)
    ingest.run(items(300, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ingest.run(items(1500, 300))  # 300 MB of files
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    galleries.close()
    assert grown < 60_000  # KiB


PROGRAM = """
import sys
from pathlib import Path
from tapetum.recognisers.administration import GalleryAdministration, items_of
from tapetum.gallery import Gallery, Kind
from tapetum.gallery import ingest
from tapetum.gallery.backends.sqlite import SqliteGalleries
ingest.BATCH = 3
administration = GalleryAdministration(None, 1)
administration.galleries = SqliteGalleries(Path(sys.argv[1]), administration.model)
gallery = Gallery("towers", Kind.LANDMARK)
if not administration.galleries.visible():
    administration.galleries.create(gallery)
items = items_of([Path(sys.argv[2])], Kind.LANDMARK)
administration.ingest(gallery).run(items, lambda so_far: print(so_far.seen, flush=True))
"""


@pytest.mark.slow
def test_an_import_that_is_killed_and_repeated_adds_each_once(tmp_path):
    folder = tmp_path / "towers"
    for number in range(12):
        (folder / f"t{number % 4}").mkdir(parents=True, exist_ok=True)
        (folder / f"t{number % 4}" / f"{number}.png").write_bytes(picture(number))
    command = [sys.executable, "-c", PROGRAM, tmp_path / "g.sqlite", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = int(process.stdout.readline())
        process.kill()
    administration = GalleryAdministration(MemoryGalleries(), 1)
    galleries = SqliteGalleries(tmp_path / "g.sqlite", administration.model)
    assert acknowledged <= galleries.size(TOWERS).references < 12
    administration.galleries = galleries
    report = administration.ingest(TOWERS).run(items_of([folder], Kind.LANDMARK))
    assert report.known >= acknowledged
    assert report.added + report.known == 12
    assert galleries.size(TOWERS) == Size(4, 12)
    galleries.close()


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("gone", Kind.LOGO, "no file or folder"),
        ("a.warc.gz", Kind.LOGO, "galleries of kind web"),
        ("site", Kind.WEB, "--base"),
        ("notes.txt", Kind.WEB, "no WARC file"),
    ],
)
def test_sources_that_will_not_do(tmp_path, path, kind, message):
    (tmp_path / "a.warc.gz").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "site").mkdir()
    with pytest.raises(InvalidGallery, match=message):
        items_of([tmp_path / path], kind)
