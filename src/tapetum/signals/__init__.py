"""Signals: what is in one picture, as frozen dataclasses of numbers and text.

A detector or a recogniser makes them, features turn them into Vision messages. They speak of the
world, never of the network they come from, and know neither runtimes nor protobuf nor storage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

S = TypeVar("S")


class Signals:
    """The signals of one picture, by class."""

    def __init__(self, signals: Iterable[object] = ()) -> None:
        self._by_class: dict[type, object] = {type(signal): signal for signal in signals}

    def add(self, signal: object) -> None:
        self._by_class[type(signal)] = signal

    def of(self, kind: type[S]) -> S:
        """The signal of class ``kind``. ``KeyError`` if no detector made it."""
        return cast(S, self._by_class[kind])

    def find(self, kind: type[S]) -> S | None:
        """The signal of class ``kind``, if some detector made it."""
        return cast(S | None, self._by_class.get(kind))
