"""What a call in Python asks for, checked at once: features and their options."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeAlias, cast

from tapetum.layout.scripts import hinted

#: A feature by its name, or by Google's number.
Feature: TypeAlias = str | int

#: The features there are, by the names that Google gives them, and Google's numbers.
NUMBERS = {
    "FACE_DETECTION": 1,
    "LANDMARK_DETECTION": 2,
    "LOGO_DETECTION": 3,
    "LABEL_DETECTION": 4,
    "TEXT_DETECTION": 5,
    "SAFE_SEARCH_DETECTION": 6,
    "IMAGE_PROPERTIES": 7,
    "CROP_HINTS": 9,
    "WEB_DETECTION": 10,
    "DOCUMENT_TEXT_DETECTION": 11,
    "OBJECT_LOCALIZATION": 19,
}
#: Most results of a feature that can be asked for: the message's field has 32 bits.
_MOST_RESULTS = 2**31 - 1
#: Largest aspect ratio that the message's field holds, a float32.
_MOST_RATIO = 3.4028234663852886e38
#: How alike a name and a misspelling of it are, 0..1.
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of every picture of a call. ``max_results`` is 0 where Google's default
    counts. ``aspect_ratios``: width by height, of crops."""

    features: tuple[int, ...]
    max_results: int
    language_hints: tuple[str, ...]
    aspect_ratios: tuple[float, ...]


def asking(
    features: Feature | Iterable[Feature],
    max_results: int | None,
    language_hints: str | Iterable[str] | None,
    crop_aspect_ratios: float | Iterable[float] | None,
) -> Asking:
    """The arguments of a call; ``None`` is not given. Raises `TypeError` and `ValueError` for what
    is wrong with them."""
    return Asking(
        _features(features),
        _max_results(max_results),
        _language_hints(language_hints),
        _aspect_ratios(crop_aspect_ratios),
    )


def _features(given: Feature | Iterable[Feature]) -> tuple[int, ...]:
    if isinstance(given, str):
        given = [name for name in given.split(",") if name.strip()]
    elif isinstance(given, bytes | bytearray):
        raise TypeError(f"features are text, not {given!r}: write it without the b.")
    elif _whole(given) is not None:
        given = [cast(int, given)]
    elif not isinstance(given, Iterable):
        raise TypeError(f"features are names like 'LABEL_DETECTION', not {given!r}.")
    numbers = tuple(dict.fromkeys(_feature(feature) for feature in given))
    if not numbers:
        raise ValueError(f"No features: say which of {', '.join(NUMBERS)}.")
    return numbers


def _feature(given: object) -> int:
    """A feature's number, of its name in upper or lower case, or of its number."""
    if isinstance(given, str):
        number = NUMBERS.get(given.strip().upper())
        if number is None:
            raise ValueError(f"There is no feature {given!r}; {_advice(given.strip().upper())}")
        return number
    number = _whole(given)
    if number is not None:
        if number not in NUMBERS.values():
            raise ValueError(f"There is no feature of number {_shown(number)}; there are {_all()}.")
        return number
    raise TypeError(f"A feature is a name like 'LABEL_DETECTION', not {given!r}.")


def _advice(name: str) -> str:
    like = [known for known in NUMBERS if name and name.rstrip("S") in known]
    like = like or difflib.get_close_matches(name, NUMBERS, n=1, cutoff=_ALIKE)
    return f"did you mean {' or '.join(like)}?" if like else f"there are {_all()}."


def _all() -> str:
    return ", ".join(NUMBERS)


def _max_results(given: int | None) -> int:
    if given is None:
        return 0
    number = _whole(given)
    if number is None:
        raise TypeError(f"max_results is a whole number, not {given!r}.")
    if not 1 <= number <= _MOST_RESULTS:
        raise ValueError(f"max_results is 1 to {_MOST_RESULTS}, not {_shown(number)}.")
    return number


def _language_hints(given: str | Iterable[str] | None) -> tuple[str, ...]:
    hints = (given,) if isinstance(given, str) else tuple(given or ())
    for hint in hints:
        if not isinstance(hint, str):
            raise TypeError(f"A language hint is a code like 'en', not {hint!r}.")
        if hinted(hint) is None:
            raise ValueError(
                f"The language {hint!r} is not read here; leave the hint out, or use one of the "
                "codes listed in docs/features.md."
            )
    return hints


def _aspect_ratios(given: float | Iterable[float] | None) -> tuple[float, ...]:
    if given is None:
        return ()
    ratios = given if isinstance(given, Iterable) else (given,)
    return tuple(_aspect_ratio(ratio) for ratio in ratios)


def _aspect_ratio(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise TypeError(f"An aspect ratio is a number, not {given!r}.")
    try:
        ratio = float(given)
    except OverflowError:
        ratio = math.inf
    if not 0 < ratio <= _MOST_RATIO:
        raise ValueError(
            f"An aspect ratio is width divided by height, a positive number, not {_shown(given)}."
        )
    return ratio


def _whole(given: object) -> int | None:
    """The whole number that ``given`` is, also NumPy's; no truth value, and no array of one."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        return None
    return int(given)


def _shown(number: object) -> str:
    """Python does not write out numbers of thousands of digits."""
    try:
        return str(number)
    except ValueError:
        return "one that large"
