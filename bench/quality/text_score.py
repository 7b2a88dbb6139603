"""Character error rate and word F1 of text that was read, against truth of many kinds.

Truth with boxes is matched by geometry, character by character: what was read counts for the true
line it stands on, whatever the order and however lines were cut. Truth without boxes is compared
as a whole where its order is known, else line by line with the best partner. Characters that stand
where the truth has none are counted apart: sets do not mark every scrap of lettering.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

Point = tuple[float, float]
Box = tuple[float, float, float, float]

#: Scripts without spaces between words: spaces are not compared, every character is a word.
UNSPACED = ("Han", "Japanese", "Thai")
RIGHT_TO_LEFT = ("Arabic", "Hebrew")

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("’‘", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("–—‐‑−¬", "-"),
        **dict.fromkeys("，،", ","), "：": ":", "！": "!", "（": "(", "）": ")", "；": ";",
        "？": "?",
    }
)  # fmt: skip
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u0640]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A line that was read; ``quad`` top-left, top-right, bottom-right, bottom-left in pixels."""

    text: str
    quad: tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Score:
    """``errors`` edits in ``characters`` true ones, ``extra`` characters where the truth has none;
    ``matched`` words of ``words`` true ones and ``read`` words read."""

    errors: int = 0
    characters: int = 0
    extra: int = 0
    matched: int = 0
    words: int = 0
    read: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.errors + other.errors,
            self.characters + other.characters,
            self.extra + other.extra,
            self.matched + other.matched,
            self.words + other.words,
            self.read + other.read,
        )

    @property
    def error_rate(self) -> float:
        """Percent of the true characters."""
        return 100 * self.errors / max(1, self.characters)

    @property
    def f1(self) -> float:
        """Percent, of words as a bag."""
        return 200 * self.matched / max(1, self.words + self.read)


def total(scores: Iterable[Score]) -> Score:
    """Every character weighs the same."""
    return sum(scores, Score())


def score(truth: dict[str, Any], pieces: Sequence[Piece]) -> Score:
    """``truth``: one entry of the set's ``truth.json``; ``pieces`` in reading order."""
    ignored = [_box(poly) for poly in truth["ignore"]]
    pieces = [piece for piece in pieces if not any(_holds(box, piece) for box in ignored)]
    if all(word["poly"] for word in truth["words"]):
        errors, characters, extra = _by_place(truth, pieces)
    elif truth["ordered"]:
        errors, characters = _as_a_whole(truth, pieces)
        extra = 0
    else:
        errors, characters, extra = _by_likeness(truth, pieces)
        whole, _ = _as_a_whole(truth, pieces)
        if whole < errors + extra:
            errors, extra = whole, 0
    wanted = Counter(_words(truth["text"], truth))
    read = Counter(word for piece in pieces for word in _words(piece.text, truth))
    return Score(errors, characters, extra, (wanted & read).total(), wanted.total(), read.total())


def _plain(text: str, truth: dict[str, Any]) -> str:
    """What typography, width and case of no meaning here leave of ``text``."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_ALIKE)
    text = re.sub(r"\s+", " ", re.sub(r"\.{3,}", "...", text)).strip()
    return text.casefold() if truth["casefold"] or truth["category"] == "scene" else text


def _characters(text: str, truth: dict[str, Any]) -> str:
    plain = _plain(text, truth)
    return plain.replace(" ", "") if truth["script"] in UNSPACED else plain


def _words(text: str, truth: dict[str, Any]) -> list[str]:
    plain = _plain(text, truth)
    return list(plain.replace(" ", "")) if truth["script"] in UNSPACED else plain.split()


def _as_a_whole(truth: dict[str, Any], pieces: Sequence[Piece]) -> tuple[int, int]:
    wanted = _characters(truth["text"].replace("\n", " "), truth)
    read = _characters(" ".join(piece.text for piece in pieces), truth)
    return Levenshtein.distance(wanted, read), len(wanted)


def _by_likeness(truth: dict[str, Any], pieces: Sequence[Piece]) -> tuple[int, int, int]:
    wanted = [_characters(line, truth) for line in truth["text"].split("\n")]
    read = [_characters(piece.text, truth) for piece in pieces]
    pairs = sorted(
        (Levenshtein.normalized_distance(a, b), i, j)
        for i, a in enumerate(wanted)
        for j, b in enumerate(read)
    )
    partner: dict[int, int] = {}
    for distance, i, j in pairs:
        if distance <= 0.8 and i not in partner and j not in partner.values():
            partner[i] = j
    errors = sum(Levenshtein.distance(wanted[i], read[j]) for i, j in partner.items())
    errors += sum(len(line) for i, line in enumerate(wanted) if i not in partner)
    taken = set(partner.values())
    extra = sum(len(line) for j, line in enumerate(read) if j not in taken)
    return errors, sum(map(len, wanted)), extra


def _by_place(truth: dict[str, Any], pieces: Sequence[Piece]) -> tuple[int, int, int]:
    lines = _true_lines(truth)
    backwards = truth["script"] in RIGHT_TO_LEFT
    parts: list[list[tuple[float, str]]] = [[] for _ in lines]
    extra = 0
    for piece in pieces:
        on: defaultdict[int | None, list[tuple[float, str]]] = defaultdict(list)
        for x, y, character in _spread(piece, backwards):
            on[_line_at(lines, x, y)].append((x, character))
        extra += sum(not character.isspace() for _, character in on.pop(None, []))
        for index, found in on.items():
            edge = max if backwards else min
            parts[index].append((edge(x for x, _ in found), "".join(c for _, c in found)))
    errors = characters = 0
    for (text, _), found in zip(lines, parts, strict=True):
        found.sort(key=lambda part: part[0], reverse=backwards)
        wanted = _characters(text, truth)
        errors += Levenshtein.distance(
            wanted, _characters(" ".join(part.strip() for _, part in found), truth)
        )
        characters += len(wanted)
    return errors, characters, extra


def _spread(piece: Piece, backwards: bool) -> Iterable[tuple[float, float, str]]:
    """The characters, evenly along the middle of the line."""
    top_left, top_right, bottom_right, bottom_left = piece.quad
    left = ((top_left[0] + bottom_left[0]) / 2, (top_left[1] + bottom_left[1]) / 2)
    right = ((top_right[0] + bottom_right[0]) / 2, (top_right[1] + bottom_right[1]) / 2)
    if backwards:
        left, right = right, left
    for index, character in enumerate(piece.text):
        way = (index + 0.5) / len(piece.text)
        x, y = (a + (b - a) * way for a, b in zip(left, right, strict=True))
        yield x, y, character


def _line_at(lines: Sequence[tuple[str, Box]], x: float, y: float) -> int | None:
    best, nearest = None, float("inf")
    for index, (_, (x0, y0, x1, y1)) in enumerate(lines):
        height = max(y1 - y0, 1.0)
        aside, above = height * 0.6, height * 0.25
        if x0 - aside <= x <= x1 + aside and y0 - above <= y <= y1 + above:
            away = abs(y - (y0 + y1) / 2) / height + (0 if x0 <= x <= x1 else 0.5)
            if away < nearest:
                best, nearest = index, away
    return best


def _true_lines(truth: dict[str, Any]) -> list[tuple[str, Box]]:
    """Lines with their boxes; words that follow each other closely are joined, but for a scene's,
    where each stands alone."""
    lines: list[tuple[str, Box]] = []
    for word in truth["words"]:
        text, box = word["text"], _box(word["poly"])
        if lines and truth["level"] == "word" and truth["category"] != "scene":
            before, (x0, y0, x1, y1) = lines[-1]
            if abs(y0 - box[1]) < 4 and -2 <= box[0] - x1 < 40:
                lines[-1] = (f"{before} {text}", (x0, min(y0, box[1]), box[2], max(y1, box[3])))
                continue
        lines.append((text, box))
    return lines


def _box(poly: Iterable[Sequence[float]]) -> Box:
    xs, ys = zip(*poly, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _holds(box: Box, piece: Piece) -> bool:
    x0, y0, x1, y1 = _box(piece.quad)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
