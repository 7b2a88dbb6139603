"""From a request to its tasks and shard names. Pure: no I/O, no clock.

A *shard* is one output object: ``batchSize`` consecutive images, or pages of one file. A *task* is
a run of whole shards, the unit that is leased to a worker. Positions are 1-based, as in the shard
names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Images a full task holds: enough that a lease costs nothing beside the work, few enough that
#: it is about a minute of it on one core.
TASK_IMAGES = 64
#: An operation is cut into about this many tasks before tasks grow to TASK_IMAGES, so that a
#: small batch keeps every worker busy too.
TASKS_WANTED = 16
SMALLEST_TASK_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """Images ``first`` to ``last`` of an operation, or pages of a file, both included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """The last part of the object's name, as Google writes it."""
        return f"output-{self.first}-to-{self.last}.json"

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs to do its part of an operation; small enough to send anywhere.

    ``requests`` is a serialized ``BatchAnnotateImagesRequest`` holding images ``first`` to
    ``last``; ``done`` of them (whole shards) are already written and recorded. ``principal`` is
    whose rights count where images are read and output is written.

    With a ``file`` the images are pages: ``first`` to ``last`` of the operation's file of that
    number, from 1, and ``requests`` is its ``AnnotateFileRequest``. ``api_version`` is the
    operation's; the ledger fills it in.
    """

    operation: str
    first: int
    last: int
    batch_size: int
    output_uri: str
    requests: bytes
    file: int = 0
    api_version: str = "v1"
    done: int = 0
    principal: str = ""

    @property
    def project(self) -> str:
        """Whose task it is: ``projects/PROJECT/...`` is the operation's name."""
        return self.operation.removeprefix("projects/").partition("/")[0]

    def shards_left(self) -> Iterator[Shard]:
        """The shards not yet recorded, in order."""
        return shards(self.first + self.done, self.last, self.batch_size)


def shards(first: int, last: int, batch_size: int) -> Iterator[Shard]:
    """Images ``first`` to ``last`` in shards of ``batch_size``, the last one possibly smaller."""
    for start in range(first, last + 1, batch_size):
        yield Shard(start, min(start + batch_size - 1, last))


def task_bounds(images: int, batch_size: int, first: int = 1) -> list[tuple[int, int]]:
    """Cut ``images`` images, numbered from ``first``, into tasks of whole shards."""
    wanted = min(TASK_IMAGES, max(SMALLEST_TASK_IMAGES, images // TASKS_WANTED))
    size = max(1, wanted // batch_size) * batch_size
    last = first + images - 1
    return [(start, min(start + size - 1, last)) for start in range(first, last + 1, size)]
