"""Features: signals → Vision message, one file per feature type.

A feature declares the signals it needs and fills its fields of the response. It never looks at
pixels. `FEATURES` is the registry: a new feature is one file and one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tapetum.signals import Signals

#: Signal classes.
Needs: TypeAlias = tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What one image's request wants of one feature.

    ``max_results`` is at least 1 (the default is already applied); ``width`` and ``height`` are
    those of the upright image in pixels; ``image_context`` is the request's ``ImageContext``
    message.
    """

    max_results: int
    width: int
    height: int
    image_context: Any


class Feature(Protocol):
    """One Vision feature type."""

    @property
    def type(self) -> int:
        """The ``Feature.Type`` number."""
        ...

    @property
    def needs(self) -> Needs:
        """The signal classes `describe` reads."""
        ...

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Fill this feature's fields of ``response``, an ``AnnotateImageResponse``.

        Leaves the field unset when nothing was found. Raises `tapetum.errors.ImageError` when a
        parameter of the image's request cannot be used.
        """
        ...
