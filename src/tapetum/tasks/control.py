"""The worker's line back to whoever gave it the work."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias

from tapetum.tasks.plan import Shard

#: Serialized ``AnnotateImageResponse``s that were made before, by position.
Known: TypeAlias = Mapping[int, bytes]
NOTHING_KNOWN: Known = MappingProxyType({})


class Control(Protocol):
    """What a worker says of the task or call in its hands, and hears.

    Four small messages that cross a thread, a pipe or a network alike. ``position`` is the number
    of an image in its operation, of a page in its file, or, 1-based, of an answer in its call.
    """

    def check(self) -> None:
        """Raise `tapetum.errors.LeaseLost` when the work is no longer the worker's, and
        `tapetum.errors.TaskStopped` when it is to be given back. Called between images and before
        a shard is written."""
        ...

    def started(self, position: int) -> None:
        """The bytes of an image are here; decoding it begins. Its time runs until `finished`."""
        ...

    def finished(self, position: int) -> None:
        """An image has its answer."""
        ...

    def written(self, shard: Shard, failed: int) -> None:
        """``shard`` is in the bucket; ``failed`` of its images have an error."""
        ...


class Uncontrolled:
    """A `Control` that nobody listens to: for work done in the caller's own thread."""

    def check(self) -> None:
        """Go on."""

    def started(self, position: int) -> None:
        """Say nothing."""

    def finished(self, position: int) -> None:
        """Say nothing."""

    def written(self, shard: Shard, failed: int) -> None:
        """Say nothing."""


UNCONTROLLED = Uncontrolled()
