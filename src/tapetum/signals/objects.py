"""Objects: things of a picture by name, each with the box it fills."""

from __future__ import annotations

from dataclasses import dataclass

from tapetum.signals.quads import Box


@dataclass(frozen=True, slots=True)
class LocatedObject:
    """One thing.

    ``name``: English, as Open Images names it, first letter upper case. ``mid``: its Knowledge
    Graph id, empty where it has none. ``probability``: 0..1, that name and place are right.
    ``box``: pixels of the full-size upright image, inside it.
    """

    name: str
    mid: str
    probability: float
    box: Box


@dataclass(frozen=True, slots=True)
class Objects:
    """By falling probability, ties by name, then by box; several may have one name. The unlikely
    ones are there too, as far down as the maker can tell: a reader has a threshold of its own."""

    objects: tuple[LocatedObject, ...]

    def likely(self, lowest: float) -> tuple[LocatedObject, ...]:
        """Those of probability ``lowest`` and more."""
        return tuple(thing for thing in self.objects if thing.probability >= lowest)
