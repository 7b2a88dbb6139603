"""Every Tesseract engine is built here: its LSTM line recognisers, their files, their sharing."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tesserocr
from numpy.typing import NDArray

from tapetum.errors import ModelError
from tapetum.models.manifest import Manifest

#: The manifest's name of a model: this and Tesseract's own name for it.
PREFIX = "tesseract-"

#: Said of every line; Tesseract would else guess it and say so. Nothing read depends on it here.
DOTS_PER_INCH = 300

#: Models that cut words where no space is written: Tesseract's ``preserve_interword_spaces``, which
#: these files set for its own text output. Their words are joined unless there are blanks between.
SPACELESS = frozenset({"kor", "tha"})


@dataclass(frozen=True, slots=True)
class Glyph:
    """One symbol of a line, with its combining marks.

    ``left`` < ``right`` are columns of the line's pixels. ``confidence`` is that of the symbol,
    ``word_confidence`` that of the word it belongs to, both 0..1. A model that knows nothing of a
    script is still sure of most symbols (0.97 and more), seldom of a word. ``spaced``: a space is
    read before it.
    """

    text: str
    left: int
    right: int
    confidence: float
    word_confidence: float
    spaced: bool


class Tesseract:
    """Reads single lines. May be called from several threads at once.

    An engine is used by one thread at a time and reused; there are as many of a model as threads
    that read with it at once. Each runs on one thread (the library is built without OpenMP) and
    lets Python's other threads run.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._idle: dict[str, list[tesserocr.PyTessBaseAPI]] = defaultdict(list)
        self._lock = threading.Lock()
        self.runs = 0

    def read(self, line: NDArray[np.uint8], model: str, *, raw: bool = False) -> tuple[Glyph, ...]:
        """The symbols of ``line`` (``uint8`` grey ``H×W``, dark on light) in the order they
        are read: right to left in Arabic and Hebrew.

        ``model`` is Tesseract's name for it ("kor"). Tesseract looks for the row of text inside
        ``line``, which wants a margin; ``raw`` takes it as it is, cut close to its ink.
        Raises `tapetum.errors.ModelError` when the model's file is missing or not the manifest's.
        """
        rows, columns = line.shape
        with self._engine(model) as engine:
            engine.SetPageSegMode(tesserocr.PSM.RAW_LINE if raw else tesserocr.PSM.SINGLE_LINE)
            engine.SetImageBytes(np.ascontiguousarray(line).tobytes(), columns, rows, 1, columns)
            engine.SetSourceResolution(DOTS_PER_INCH)
            recognised = engine.Recognize()
            glyphs = tuple(_glyphs(engine, model)) if recognised else ()
            engine.Clear()
        return glyphs

    @contextmanager
    def _engine(self, model: str) -> Iterator[tesserocr.PyTessBaseAPI]:
        with self._lock:
            self.runs += 1
            idle = self._idle[model]
            engine = idle.pop() if idle else self._build(model)
        try:
            yield engine
        finally:
            with self._lock:
                self._idle[model].append(engine)

    def _build(self, model: str) -> tesserocr.PyTessBaseAPI:
        path = self._manifest[PREFIX + model].checked_path()
        try:
            return tesserocr.PyTessBaseAPI(
                path=f"{path.parent}/",
                lang=path.stem,
                oem=tesserocr.OEM.LSTM_ONLY,
                psm=tesserocr.PSM.SINGLE_LINE,
                # Its remarks on single lines ("Image too small to scale") go to stderr otherwise.
                variables={"debug_file": "/dev/null"},
            )
        except RuntimeError as error:
            raise ModelError(f"The Tesseract model {model} cannot be loaded: {error}.") from error


def _glyphs(engine: tesserocr.PyTessBaseAPI, model: str) -> Iterator[Glyph]:
    """What the engine just read."""
    symbols = engine.GetIterator()
    if symbols is None or symbols.Empty(tesserocr.RIL.SYMBOL):
        return
    level = tesserocr.RIL.SYMBOL
    for symbol in tesserocr.iterate_level(symbols, level):
        text = symbol.GetUTF8Text(level).strip()
        box = symbol.BoundingBox(level)
        if not text or box is None:
            continue
        spaced = symbol.IsAtBeginningOf(tesserocr.RIL.WORD) and (
            model not in SPACELESS or symbol.BlanksBeforeWord()
        )
        left, _, right, _ = box
        sure, of_word = (
            min(1.0, max(0.0, symbol.Confidence(of) / 100)) for of in (level, tesserocr.RIL.WORD)
        )
        yield Glyph(text, left, max(right, left + 1), sure, of_word, bool(spaced))
