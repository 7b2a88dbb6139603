"""Web detection: copies found, and nothing else taken for one.

The set's crawl is imported as a user would import it. Its own queries come first; as they hold half
the kinds of change, every kind is made here too, of every image of the crawl, with fixed seeds.
Pictures of the other development sets are the strangers: some fill the gallery beside the crawl,
the others are asked about and must match nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors import Embedder
from tapetum.gallery import Entry, Gallery, Kind
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.gallery.matching.pdq import LONGEST_SIDE, Pdq, distances
from tapetum.gallery.sources.items import Item, file_reader
from tapetum.imaging.decoding import decode
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers.administration import GalleryAdministration, items_of
from tapetum.recognisers.references import ReferenceMaker
from tapetum.recognisers.web import FAINT, WebMatcher, hash_of
from tapetum.settings import Settings
from tapetum.signals import Signals
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints
from tapetum.signals.web import WebMatches
from tapetum.wiring import gallery_makers

Pixels = NDArray[np.uint8]

FULL = ("jpeg40", "resize50", "resize25_jpeg60", "gray", "bright_contrast", "blur",
        "squeeze_aspect")  # fmt: skip
PARTS = ("border", "crop90", "crop70", "crop50", "crop25", "overlay", "rot8")
HARD = ("collage", "flip")
FULL_TARGET, PARTS_TARGET, HARD_TARGET = 0.99, 0.95, 0.75
#: Pictures of other sets in the gallery, and as many that are asked about.
STRANGERS = 60
HAZES = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07)  # of the contrast


class Searcher:
    """Image files → `WebMatches`, as in the server."""

    def __init__(self, galleries: SqliteGalleries) -> None:
        sessions = Sessions(Manifest.packaged())
        self._embedder: Embedder = packs.maker_of(Embedding, sessions)
        self._matcher = WebMatcher(galleries, self._embedder, packs.maker_of(Keypoints, sessions))

    def matches(self, content: bytes) -> WebMatches:
        sides = (self._embedder.max_side, self._matcher.max_side)
        picture = decode(content, lambda w, h: max(side(w, h) for side in sides))
        signals = Signals(self._embedder.embed([picture]))
        return self._matcher.recognise(picture, signals)


def measure(data: Path) -> list[dict[str, Any]]:
    """Rows of ``metric``, ``value``, ``target``, ``met``, ``note``. ``data``: the folder with
    ``web`` and the sets whose pictures are strangers."""
    strangers = _strange(data)
    maker = ReferenceMaker(*gallery_makers(Settings()))
    with tempfile.TemporaryDirectory() as folder:
        galleries = SqliteGalleries(Path(folder) / "galleries.sqlite", maker.model)
        gallery = Gallery("crawl", Kind.WEB)
        galleries.create(gallery)
        ingest = GalleryAdministration(galleries, maker, 1).ingest(gallery)
        ingest.run(items_of([data / "web" / "crawl.warc.gz"], Kind.WEB))
        ingest.run(_items(strangers[::2]))
        searcher = Searcher(galleries)
        rows = [
            *_rows("the set's queries", _of_set(data / "web"), searcher),
            *_rows("made copies", _made(data / "web"), searcher),
            _strangers(strangers[1::2], searcher),
            *_hazy([*sorted((data / "web" / "index").iterdir()), *strangers[:STRANGERS]]),
        ]
        galleries.close()
    return rows


def _strange(data: Path) -> list[Path]:
    """Pictures of other sets, no two of one name: the sets share samples of ImageNet, some of them
    resized, and a resized copy is no stranger."""
    paths = sorted((data / "labels" / "images").iterdir())[:STRANGERS]
    paths += sorted((data / "landmarks" / "distractors").iterdir())[:STRANGERS]
    return list({path.stem: path for path in paths}.values())


def _items(paths: Iterable[Path]) -> Iterator[Item]:
    for path in paths:
        url = f"https://example.org/strangers/{path.name}"
        yield Item(Entry(url, url=url), path.name, file_reader(path))


Query = tuple[str, str, str, bytes]  # kind of change, URL of the image, of a second one, file


def _of_set(web: Path) -> Iterator[Query]:
    rows = json.loads((web / "manifest.json").read_text(encoding="utf-8"))
    urls = {row["file"]: row["image_url"] for row in rows if row["role"] == "index"}
    for row in rows:
        if row["role"] == "query":
            yield row["transform"], urls[row["of"]], "", (web / row["file"]).read_bytes()


def _made(web: Path, limit: int = 40) -> Iterator[Query]:
    rows = json.loads((web / "manifest.json").read_text(encoding="utf-8"))
    index = [row for row in rows if row["role"] == "index"]
    random = np.random.default_rng(11)
    for number, row in enumerate(index[:limit]):
        image = cv2.imread(str(web / row["file"]))
        other = index[-1 - number]
        for kind, change in CHANGES.items():
            changed = change(image, random)
            yield kind, row["image_url"], "", _jpeg(changed, 80)
        ground = cv2.resize(cv2.imread(str(web / other["file"])), (640, 480))
        yield (
            "collage",
            row["image_url"],
            other["image_url"],
            _jpeg(_pasted(image, ground, random), 80),
        )


def _rows(name: str, queries: Iterable[Query], searcher: Searcher) -> list[dict[str, Any]]:
    found: dict[str, list[bool]] = defaultdict(list)
    as_labelled: dict[str, list[bool]] = defaultdict(list)
    wrong: Counter[str] = Counter()
    count = 0
    for kind, url, second, content in queries:
        matches = searcher.matches(content)
        full, partial = ({one.url for one in way} for way in (matches.full, matches.partial))
        found[kind].append(url in (full if kind in FULL else full | partial))
        as_labelled[kind].append(url in (full if kind in FULL else partial))
        wrong[kind] += bool((full | partial) - {url, second})
        count += 1
    rows = []
    for title, kinds, target in (
        ("full copies found", FULL, FULL_TARGET),
        ("crops, borders, overlays, rotations found", PARTS, PARTS_TARGET),
        ("collages and mirrored found", HARD, HARD_TARGET),
    ):
        answers = [answer for kind in kinds for answer in found[kind]]
        if answers:
            value = float(np.mean(answers))
            labelled = np.mean([answer for kind in kinds for answer in as_labelled[kind]])
            each = ", ".join(f"{kind} {np.mean(found[kind]):.2f}" for kind in kinds if found[kind])
            note = f"{len(answers)} pictures; {labelled:.3f} in the list the set expects; {each}"
            rows.append(_row(f"{name}: {title}", value, f">= {target}", value >= target, note))
    total = sum(wrong.values())
    each = ", ".join(f"{kind} {number}" for kind, number in wrong.items() if number)
    rows.append(
        _row(f"{name}: wrong full or partial", total, "0", total == 0, f"of {count}; {each}")
    )
    return rows


def _strangers(paths: Iterable[Path], searcher: Searcher) -> dict[str, Any]:
    names = [path.name for path in paths]
    wrong = []
    for path in paths:
        matches = searcher.matches(path.read_bytes())
        if matches.full or matches.partial:
            wrong.append(path.name)
    note = f"of {len(names)} pictures that are not in the gallery; {', '.join(wrong)}"
    return _row("strangers: wrong full or partial", len(wrong), "0", not wrong, note)


def _hazy(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Of pictures made hazy until their hash has little quality: which hashes of copies, and which
    of captioned and framed ones, are near enough to make an agreement of keypoints a full match."""
    random = np.random.default_rng(0)
    copies, parts = [], []
    for path in paths:
        image = cv2.imread(str(path))
        image = _scaled(image, *(2 * [512 / max(image.shape[:2])]))
        for contrast in HAZES:
            hazy = np.clip(image * contrast + 200 * (1 - contrast), 0, 255).astype(np.uint8)
            own = _hash(_jpeg(hazy, 92))
            if not own.says_something:
                break
        for kinds, near in ((FULL, copies), (("border", "overlay"), parts)):
            for kind in kinds:
                other = _hash(_jpeg(CHANGES[kind](hazy, random), 80))
                near.append(int(distances(own.hashes[:1], other.hashes[:1])[0, 0]))
    share = float(np.mean(np.array(copies) <= FAINT))
    note = f"{len(copies)} copies; up to {max(copies)} bits; {FAINT} suffice"
    yield _row("hazy: copies by their hash", share, f">= {FULL_TARGET}", share >= FULL_TARGET, note)
    wrong = sum(distance <= FAINT for distance in parts)
    note = f"of {len(parts)}; from {min(parts)} bits"
    yield _row("hazy: captions and frames taken for copies", wrong, "0", wrong == 0, note)


def _hash(content: bytes) -> Pdq:
    return hash_of(decode(content, lambda w, h: LONGEST_SIDE))


def _row(metric: str, value: Any, target: str, met: bool, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "target": target, "met": met, "note": note}


# --- Changes (BGR pixels) -----------------------------------------------------------------------


def _jpeg(image: Pixels, quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def _pressed(image: Pixels, quality: int) -> Pixels:
    content = np.frombuffer(_jpeg(image, quality), dtype=np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), dtype=np.uint8)


def _scaled(image: Pixels, across: float, down: float) -> Pixels:
    return np.asarray(
        cv2.resize(image, None, fx=across, fy=down, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _crop(image: Pixels, share: float, random: np.random.Generator) -> Pixels:
    rows, columns = (int(length * share**0.5) for length in image.shape[:2])
    y = random.integers(0, image.shape[0] - rows + 1)
    x = random.integers(0, image.shape[1] - columns + 1)
    return image[y : y + rows, x : x + columns]


def _captioned(image: Pixels) -> Pixels:
    image = image.copy()
    rows, columns = image.shape[:2]
    white, black = (255, 255, 255), (0, 0, 0)
    cv2.rectangle(image, (0, int(rows * 0.82)), (columns, rows), white, -1)
    at = (int(columns * 0.05), int(rows * 0.94))
    cv2.putText(image, "SAMPLE CAPTION TEXT", at, 0, columns / 420, black, 2)
    at = (int(columns * 0.3), int(rows * 0.5))
    cv2.putText(image, "(c) watermark", at, 0, columns / 500, white, 2)
    return image


def _turned(image: Pixels, degrees: float) -> Pixels:
    rows, columns = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(image, matrix, (columns, rows)), dtype=np.uint8)


def _pasted(image: Pixels, ground: Pixels, random: np.random.Generator) -> Pixels:
    small = _scaled(image, *(2 * [300 / max(image.shape[:2])]))
    y = random.integers(0, ground.shape[0] - small.shape[0] + 1)
    x = random.integers(0, ground.shape[1] - small.shape[1] + 1)
    made = ground.copy()
    made[y : y + small.shape[0], x : x + small.shape[1]] = small
    return made


CHANGES: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "jpeg40": lambda image, _: _pressed(image, 40),
    "resize50": lambda image, _: _scaled(image, 0.5, 0.5),
    "resize25_jpeg60": lambda image, _: _pressed(_scaled(image, 0.25, 0.25), 60),
    "gray": lambda image, _: cv2.cvtColor(
        cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR
    ),
    "bright_contrast": lambda image, _: np.clip(image * 1.25 + 15, 0, 255).astype(np.uint8),
    "blur": lambda image, _: cv2.GaussianBlur(image, (0, 0), 2),
    "squeeze_aspect": lambda image, _: cv2.resize(image, None, fx=1.0, fy=0.75),
    "border": lambda image, _: cv2.copyMakeBorder(image, 30, 30, 30, 30, cv2.BORDER_CONSTANT),
    "crop90": lambda image, random: _crop(image, 0.9, random),
    "crop70": lambda image, random: _crop(image, 0.7, random),
    "crop50": lambda image, random: _crop(image, 0.5, random),
    "crop25": lambda image, random: _crop(image, 0.25, random),
    "overlay": lambda image, _: _captioned(image),
    "rot8": lambda image, _: _turned(image, 8),
    "flip": lambda image, _: image[:, ::-1],
}
