"""Reading beside RapidOCR's own pipeline on the same weights: its cost, and whether it reads alike.

All engines read the same pages in one process and one thread, page by page, taking turns in who
goes first; CPU seconds of the process count. RapidOCR gets the session options Tapetum has (one
thread, memory kept between runs), which are faster than the ones it sets itself.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

from bench import machine, memory
from bench.quality.text_score import Piece, Score, score, total
from bench.rows import Row
from tapetum.detectors.text.detector import TextDetector
from tapetum.errors import SettingsError
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Session, Sessions

_PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
#: The scripts both engines read.
_COVERED = ("Latin", "Han", "Japanese")

FULL, REDUCED = "full precision", "reduced precision"
RAPIDOCR, TUNED = "RapidOCR", "RapidOCR with Tapetum's session options"

_PROSE = """The mill stood where the river leaves the wood, a mile below the bridge. In spring the
water came up to the second step, and in the year of the great rain it stood in the kitchen for
nine days. Nobody could say how old the house was. Over the door somebody had cut the figures 1734
into the beam, but the miller held that the beam was taken from another house. He paid a rent of
£12 and six sacks of flour, due on 29 September, and had not been late in thirty-one years."""

_RECEIPT = """HARBOUR STORES LTD
14 Quay Street, Port Ellen
VAT No. GB 123 4567 89
12/03/2024 17:42 Till 3 No. 004471
Wholemeal loaf 800 g 1.85
Butter, salted 250 g 2.40
Apples, loose 1.204 kg 3.01
Oat biscuits 2 x 1.10 2.20
Tea bags 80 3.75
SUBTOTAL 13.21
Discount 10% -1.32
TOTAL GBP 11.89
CARD ************4410 11.89
Thank you for shopping with us"""

_SCREEN = """File Edit View Search Terminal Help
2024-03-12 08:15:02 INFO worker 3 started, queue "images", limit 200
2024-03-12 08:15:04 WARN retry 1 of 5: connection refused (10.0.0.12:5432)
2024-03-12 08:15:09 INFO connected after 4.8 s
2024-03-12 08:15:10 INFO 1,204 objects listed in 0.31 s
def area(width: float, height: float) -> float:
return max(0.0, width) * max(0.0, height)
Press Ctrl+C to stop; logs are kept for 14 days"""


@dataclass(frozen=True, slots=True)
class _Page:
    """A picture file and, where it is known, what it says."""

    name: str
    content: bytes
    truth: dict[str, Any] | None


@dataclass(slots=True)
class _Result:
    """CPU seconds, by page and inside the networks, and scores, of one engine."""

    spent: list[float] = field(default_factory=list)
    networks: float = 0.0
    scores: list[Score] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Engine:
    """``open`` decodes a picture file, which is not timed, ``read`` reads what it gives."""

    open: Callable[[bytes], Any]
    read: Callable[[Any], list[Piece]]


def measure(rounds: int, data: Path | None = None) -> list[Row]:
    """Over pages made here, ``rounds`` times, or, with ``data``, over the development set in that
    folder (as `bench.quality.text` knows it), once."""
    cv2.setNumThreads(1)
    pages = list(_drawn()) if data is None else list(_of_set(data))
    engines = {FULL: _tapetum("full"), RAPIDOCR: _rapidocr(), TUNED: _rapidocr(keeps_memory=True)}
    with suppress(SettingsError):  # OpenVINO is an optional extra
        engines[REDUCED] = _tapetum("reduced")
    results = _compare(engines, pages, rounds if data is None else 1)
    what = f"{len(pages)} {'drawn pages and photographs' if data is None else 'pages of the set'}"
    rows = list(_rows(results, what))
    if data is None:
        rows.append(_side_by_side(pages))
        rows += _memory(pages, [name for name in (FULL, REDUCED) if name in engines])
    return rows


def _rows(results: dict[str, _Result], what: str) -> Iterator[Row]:
    rapid = results[RAPIDOCR]
    for name, least in ((FULL, 1.5), (REDUCED, 2.2)):
        if name not in results:
            continue
        own = results[name]
        cost = sum(own.spent)
        ratio = sum(rapid.spent) / cost
        each = float(np.median([a / b for a, b in zip(rapid.spent, own.spent, strict=True)]))
        worse = total(own.scores).error_rate - total(rapid.scores).error_rate
        yield Row(f"text, {name}: times as fast as RapidOCR", ratio, "", at_least=least,
                  note=f"CPU seconds over {what}; median page {each:.2f}")  # fmt: skip
        yield Row(f"text, {name}: times as fast as {TUNED}", sum(results[TUNED].spent) / cost, "")
        yield Row(f"text, {name}: error rate above RapidOCR's", worse, "points", at_most=0.2,
                  note=f"{total(own.scores).error_rate:.2f} % beside "
                  f"{total(rapid.scores).error_rate:.2f} % of characters")  # fmt: skip
        yield Row(f"text, {name}: inside the two networks", own.networks / cost, "", at_least=0.95,
                  note=f"of {cost / len(own.spent):.2f} CPU seconds a page")  # fmt: skip
    if REDUCED in results:
        moved = total(results[REDUCED].scores).error_rate - total(results[FULL].scores).error_rate
        yield Row("text, reduced precision: error rate above full", moved, "points", at_most=0.2)


def _compare(
    engines: dict[str, _Engine], pages: Sequence[_Page], rounds: int
) -> dict[str, _Result]:
    results = {name: _Result() for name in engines}
    for engine in engines.values():
        engine.read(engine.open(pages[0].content))  # loads what has to be loaded
    names = list(engines)
    for _ in range(rounds):
        for page in pages:
            names.append(names.pop(0))
            for name in names:
                result = results[name]
                picture = engines[name].open(page.content)
                with _clocked() as networks:
                    began = time.process_time()
                    found = engines[name].read(picture)
                    result.spent.append(time.process_time() - began)
                result.networks += networks[0]
                if page.truth is not None:
                    result.scores.append(score(page.truth, found))
    return results


def _tapetum(precision: str) -> _Engine:
    detector = TextDetector(Sessions(Manifest.packaged(), precision=precision))

    def read(picture: Picture) -> list[Piece]:
        (signal,) = detector.detect([picture])
        return [Piece(line.text, line.quad) for line in signal.lines]

    return _Engine(lambda content: decode(content, detector.max_side), read)


def _rapidocr(*, keeps_memory: bool = False) -> _Engine:
    one = "EngineConfig.onnxruntime"
    options = {
        "Global.log_level": "error",
        f"{one}.intra_op_num_threads": 1,
        f"{one}.inter_op_num_threads": 1,
    }
    pipeline = RapidOCR(
        params=options | ({f"{one}.enable_cpu_mem_arena": True} if keeps_memory else {})
    )

    def open_(content: bytes) -> Any:
        return cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)

    def read(pixels: Any) -> list[Piece]:
        found = pipeline(pixels)
        if not found.txts:
            return []
        return [
            Piece(text, tuple(map(tuple, box.tolist())))  # type: ignore[arg-type]
            for text, box in zip(found.txts, found.boxes, strict=True)
        ]

    return _Engine(open_, read)


@contextmanager
def _clocked() -> Iterator[list[float]]:
    """The CPU seconds that Tapetum's networks take inside the block."""
    run, spent = Session.run, [0.0]

    def timed(self: Session, *inputs: Any) -> Any:
        began = time.process_time()
        try:
            return run(self, *inputs)
        finally:
            spent[0] += time.process_time() - began

    Session.run = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Session.run = run  # type: ignore[method-assign]


def _side_by_side(pages: Sequence[_Page]) -> Row:
    """Pages per second with a worker per core beside one worker."""
    engine = _tapetum("full")
    pictures = [engine.open(page.content) for page in pages]
    cores = machine.cores()
    with machine.timed() as alone:
        for picture in pictures:
            engine.read(picture)
    with ThreadPoolExecutor(cores) as pool, machine.timed() as together:
        list(pool.map(engine.read, pictures * cores))
    return Row(
        f"text: pages per second, {cores} workers beside 1", cores * alone.wall / together.wall, "",
        at_least=1.8 if cores == 2 else None,
        note=f"wall time; others kept {alone.cores_of_others:.1f} and "
        f"{together.cores_of_others:.1f} cores busy meanwhile",
    )  # fmt: skip


def _memory(pages: Sequence[_Page], precisions: Sequence[str]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        files = [Path(folder) / str(number) for number in range(len(pages))]
        for file, page in zip(files, pages, strict=True):
            file.write_bytes(page.content)
        for name in precisions:
            flags = ("--precision", name.split()[0])
            used = memory.peak(files * 2, "TEXT_DETECTION", *flags) / memory.MEBIBYTE
            yield Row(
                f"text, {name}: peak memory", used, "MiB", note="of the command line, one task"
            )


def _of_set(folder: Path) -> Iterator[_Page]:
    for truth in json.loads((folder / "truth.json").read_text(encoding="utf-8")):
        if truth["script"] in _COVERED:
            yield _Page(truth["file"], (folder / truth["file"]).read_bytes(), truth)


def _drawn() -> Iterator[_Page]:
    """A mixed bag: pages of several kinds, each with a little noise, a sign in a photograph, and
    photographs without a word."""
    columns = _columns(_PROSE, 28, 700, (110, 880), range(190, 2100, 41))
    letter = _columns(_PROSE, 44, 2080, (200,), range(260, 2000, 64))
    receipt = _listing(_RECEIPT, 26, 60, 50, 60)
    yield _page("two columns, A4, 200 dpi", _sheet((1654, 2339), columns))
    yield _page("letter, A4, 300 dpi", _sheet((2480, 3508), letter))
    yield _page("table, A4, 150 dpi", _sheet((1240, 1754), _table()))
    yield _page("receipt", _sheet((640, 1200), receipt))
    yield _page("receipt, slanted", _sheet((640, 1200), receipt), 4.0)
    yield _page("receipt, large", _sheet((1280, 2400), _listing(_RECEIPT, 52, 120, 100, 120)))
    yield _page("screen", _sheet((1280, 800), _listing(_SCREEN, 17, 30, 30, 34)))
    yield _page("label", _sheet((420, 120), _listing("Best before\n12 / 2026", 36, 30, 14, 48)))
    with Image.open(_PHOTOS / "colosseum.jpg") as photo:
        yield _page("sign in a photograph", _sheet(photo, [(90, 80, 40, "TICKETS 50 m")]))
    for name in ("page.png", "coffee.jpg", "eiffel-tower.jpg"):
        yield _Page(name, (_PHOTOS / name).read_bytes(), None)


_Placed = list[tuple[int, int, int, str]]


def _columns(prose: str, size: int, wide: int, lefts: Sequence[int], rows: range) -> _Placed:
    """``prose`` over and over, wrapped to ``wide`` pixels: x, y, size, text of each line."""
    font = ImageFont.load_default(size=size)
    words = iter(prose.split() * 40)
    placed, line = [], ""
    for left in lefts:
        for y in rows:
            for word in words:
                longer = f"{line} {word}".strip()
                if font.getlength(longer) > wide:
                    placed.append((left, y, size, line))
                    line = word
                    break
                line = longer
    return placed


def _listing(text: str, size: int, left: int, top: int, pitch: int) -> _Placed:
    return [(left, top + pitch * at, size, line) for at, line in enumerate(text.split("\n"))]


def _table() -> _Placed:
    """Twenty rows of four short cells."""
    chance = random.Random(7)
    goods = ("Flour", "Oats", "Salt", "Lamp oil", "Rope, 10 m", "Nails, 50 mm")
    placed = [(left, 120, 24, name) for left, name in _cells("No.", "Item", "Pieces", "Price")]
    for row in range(20):
        pieces, price = chance.randint(1, 90), chance.uniform(0.5, 60)
        cells = _cells(f"{row + 101}", chance.choice(goods), f"{pieces}", f"{price:.2f}")
        placed += [(left, 180 + 60 * row, 22, text) for left, text in cells]
    return placed


def _cells(*texts: str) -> Iterator[tuple[int, str]]:
    return zip((100, 300, 720, 960), texts, strict=True)


def _sheet(ground: tuple[int, int] | Image.Image, placed: _Placed) -> tuple[Image.Image, str]:
    """``placed`` on paper of a size in pixels, or on a picture."""
    is_picture = isinstance(ground, Image.Image)
    image = ground.convert("RGB") if is_picture else Image.new("RGB", ground, "#f4f2ee")
    draw = ImageDraw.Draw(image)
    for x, y, height, text in placed:
        draw.text((x, y), text, font=ImageFont.load_default(size=height), fill="#202024")
    return image, "\n".join(text for *_, text in placed)


def _page(name: str, drawn: tuple[Image.Image, str], angle: float = 0.0) -> _Page:
    image, text = drawn
    if angle:
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="#f4f2ee")
    noise = np.random.default_rng(len(text)).normal(0, 6, (image.height, image.width, 1))
    pixels = np.clip(np.asarray(image, dtype=np.float64) + noise, 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    truth = {
        "text": text, "words": [{"text": text, "poly": None}], "ignore": [], "ordered": False,
        "script": "Latin", "casefold": False, "category": "document", "level": "line",
    }  # fmt: skip
    return _Page(name, file.getvalue(), truth)
