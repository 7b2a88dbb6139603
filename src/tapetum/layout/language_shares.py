"""Which languages a stretch of text is in, and to what share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tapetum.signals.text import Line

#: Languages of a smaller share are not worth a word.
FEWEST = 0.005


class Guess(Protocol):
    """One language a text may be in. ``code``: BCP-47; ``confidence``: 0..1."""

    @property
    def code(self) -> str: ...

    @property
    def confidence(self) -> float: ...


#: Says which languages a text may be in, the likeliest first; nothing where it cannot tell.
Identify: TypeAlias = Callable[[str], Sequence[Guess]]


@dataclass(frozen=True, slots=True)
class Share:
    """A language and how much of the text is in it for certain, 0..1. ``code``: BCP-47."""

    code: str
    confidence: float


def spoken(lines: Iterable[Line], identify: Identify) -> list[Share]:
    """The languages of ``lines``, the largest share first.

    A line that was read as one language is in that language; what is left is asked about as one
    text. Shares are of the symbols.
    """
    sure: dict[str, float] = {}
    unsure: list[str] = []
    symbols = unsure_symbols = 0
    for line in lines:
        count = sum(len(word.symbols) for word in line.words)
        symbols += count
        if line.language:
            sure[line.language] = sure.get(line.language, 0.0) + count
        else:
            unsure.append(line.text)
            unsure_symbols += count
    if unsure:
        for guess in identify("\n".join(unsure)):
            sure[guess.code] = sure.get(guess.code, 0.0) + unsure_symbols * guess.confidence
    shares = [Share(code, min(1.0, weight / symbols)) for code, weight in sure.items()]
    shares.sort(key=lambda share: (-share.confidence, share.code))
    return [share for share in shares if share.confidence >= FEWEST]
