"""Colours: the dominant ones of a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One dominant colour.

    ``red``, ``green``, ``blue``: 0..255, sRGB mean of its pixels. ``score``: 0..1, the share of
    attention that its pixels draw. ``pixel_fraction``: 0..1, the share of the counted pixels.
    """

    red: int
    green: int
    blue: int
    score: float
    pixel_fraction: float


@dataclass(frozen=True, slots=True)
class DominantColours:
    """1 to 10 colours by falling score. Scores and fractions each add to 1.

    ``pixels``: how many pixels were counted; fractions are multiples of one over it.
    """

    colours: tuple[Colour, ...]
    pixels: int
