"""Reading a page that may lie any way: its lines, what PP-OCR makes of each, and its turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text.lines import LineFinder, input_size
from tapetum.detectors.text.orientation import Orientation, page_orientation, sideways, upright
from tapetum.detectors.text.other_scripts import Found, ScriptReader
from tapetum.detectors.text.quads import Quad
from tapetum.detectors.text.recognition import LineReader, Reading

Pixels = NDArray[np.uint8]

#: Lines up to which a picture has its surroundings looked at in other positions: a sign or two, and
#: no page that could vote.
FEW = 3
#: Symbols and mean confidence from which a line is read clearly: on their heads, words come out
#: shorter or less sure.
CLEAR_SYMBOLS, CLEAR_CONFIDENCE = 4, 0.85
#: Pixels of the line finder's input, each way, that are looked at around a line.
SURROUNDINGS = 384


class PageReader:
    """Finds the lines of a page with `LineFinder` and reads each with `LineReader`, once it is
    known which way up the page lies. May be called from several threads at once."""

    def __init__(self, finder: LineFinder, reader: LineReader, scripts: ScriptReader) -> None:
        self._finder = finder
        self._reader = reader
        self._scripts = scripts

    def read(self, pixels: Pixels, languages: Sequence[str] = ()) -> tuple[list[Found], int]:
        """The lines of ``pixels`` (``uint8`` RGB ``H×W×3``) in the frame of the page turned
        upright, and how far the page is turned clockwise: 0, 90, 180 or 270 degrees.

        ``languages`` are hints as in `ScriptReader.read`. Raises `tapetum.errors.ModelError` when
        a network is unusable.
        """
        quads = self._finder.find(pixels)
        orientation = page_orientation(
            quads, lambda sample: [self._reader.read(pixels, quad) for quad in sample]
        )
        degrees = orientation.degrees or 0
        by_script = None
        if degrees == 90 and self._is_vertical(pixels, orientation):
            degrees = 0
        else:
            by_script = self._scripts.turn(
                pixels,
                quads,
                orientation.readings,
                languages,
                is_sideways=sideways(quads),
                in_doubt=orientation.degrees is None,
            )
            degrees = degrees if by_script is None else by_script
        if degrees:
            # Found once more, so that a page reads the same whichever way it lay.
            lines = self.read_upright(upright(pixels, degrees))
        else:
            known = orientation.upright
            lines = [
                (quad, known[at] if at in known else self._reader.read(pixels, quad))
                for at, quad in enumerate(quads)
            ]
        if (
            len(quads) <= FEW
            and by_script is None
            and not any(reading is not None and _clear(reading) for _, reading in lines)
        ):
            further = self._closer_look(upright(pixels, degrees), lines)
            if further:
                degrees = (degrees + further) % 360
                lines = self.read_upright(upright(pixels, degrees))
        return lines, degrees

    def read_upright(self, pixels: Pixels) -> list[Found]:
        """Every line found in ``pixels`` in reading order, and what it says, taking the page to be
        upright."""
        return [(quad, self._reader.read(pixels, quad)) for quad in self._finder.find(pixels)]

    def _is_vertical(self, pixels: Pixels, orientation: Orientation) -> bool:
        """Whether most of the lines that made a page seem turned are columns of characters."""
        read = [reading for reading in orientation.readings if reading is not None]
        columns = sum(self._reader.is_vertical(pixels, reading) for reading in read)
        return 2 * columns > len(read)

    def _closer_look(self, pixels: Pixels, lines: Sequence[Found]) -> int:
        """How far a picture of few lines, none of which is read clearly, is turned clockwise: the
        way in which most is read clearly, 0 where nothing is.

        The network hardly sees lettering in a photograph that lies on its side or its head. So
        the surroundings of each line are looked at once more, turned by a quarter, and what is
        level either way is read from both ends.
        """
        rows, columns = pixels.shape[:2]
        scale = input_size(columns, rows)[0] / columns
        reach = SURROUNDINGS / scale / 2
        clear = {90: 0, 180: 0, 270: 0}
        for quad, _ in lines:
            clear[180] += self._clear_symbols(pixels, np.roll(quad, 2, axis=0))
            x, y = quad.mean(axis=0)
            left, top = max(0, int(x - reach)), max(0, int(y - reach))
            near = upright(pixels[top : int(y + reach), left : int(x + reach)], 90)
            high, wide = (max(1, round(side * scale)) for side in near.shape[:2])
            back = np.array([near.shape[1] / wide, near.shape[0] / high], dtype=np.float32)
            for small in self._finder.find_at(near, wide, high):
                clear[90] += self._clear_symbols(near, small * back)
                clear[270] += self._clear_symbols(near, np.roll(small * back, 2, axis=0))
        best = max(clear, key=clear.__getitem__)
        return best if clear[best] else 0

    def _clear_symbols(self, pixels: Pixels, quad: Quad) -> int:
        """How many symbols are read clearly inside a level ``quad``, just as its corners say."""
        width, height = np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[3] - quad[0]))
        reading = self._reader.read(pixels, quad) if width >= height else None
        return 0 if reading is None else _clear(reading)


def _clear(reading: Reading) -> int:
    """The number of symbols of a line that is read clearly, else 0."""
    count = sum(map(len, reading.words))
    is_clear = count >= CLEAR_SYMBOLS and reading.confidence >= CLEAR_CONFIDENCE
    return count if is_clear else 0
