"""Adding images to a gallery: many, slowly, from sources that may be broken, perhaps killed.

Items come one at a time, a few are looked at side by side, and every `BATCH` of them is put in one
transaction. What was put before a process died stays; the same import run again skips it unread
by the networks. Memory is bounded by the batch, not by the import.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tapetum.errors import ImageError, InvalidGallery
from tapetum.gallery import Entry, Galleries, Gallery, Kind, Reference
from tapetum.gallery.background import Background
from tapetum.gallery.sources.items import Item, Problem

#: Images put in one transaction.
BATCH = 64
#: Problems that a report keeps; all are counted.
MOST_PROBLEMS = 1000

#: Image file, its digest, its source and the gallery's kind → what is kept of it.
MakeReference = Callable[[bytes, str, str, Kind], Reference]


@dataclass(slots=True)
class Report:
    """What came of an import. ``shared``: (source, another entry that has the same picture)."""

    added: int = 0
    known: int = 0
    blank: int = 0
    failed: int = 0
    problems: list[Problem] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Images that are done with, one way or another."""
        return self.added + self.known + self.failed

    def fail(self, problem: Problem) -> None:
        self.failed += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class _Looked:
    item: Item
    reference: Reference | None = None
    problem: str = ""
    owners: tuple[str, ...] = ()


class Ingest:
    """Adds to one gallery. ``workers`` images are looked at side by side."""

    def __init__(
        self,
        galleries: Galleries,
        gallery: Gallery,
        make: MakeReference,
        background: Background,
        workers: int,
    ) -> None:
        self._galleries = galleries
        self._gallery = gallery
        self._make = make
        self._background = background
        self._workers = workers

    def run(
        self, items: Iterable[Item | Problem], told: Callable[[Report], None] = lambda report: None
    ) -> Report:
        """Add all ``items``; ``told`` hears the report after each batch is on disk.

        A bad image is reported and left out. Raises `tapetum.errors.GalleryError` when the gallery
        itself or the source as a whole cannot be used; what was put before stays.
        """
        report = Report()
        batch: list[tuple[Entry, list[Reference]]] = []
        for looked in self._looked(items):
            if isinstance(looked, Problem):
                report.fail(looked)
            elif looked.problem:
                report.fail(Problem(looked.item.source, looked.problem))
            else:
                batch.append(self._accounted(looked, report))
            if len(batch) >= BATCH:
                self._put(batch, report)
                told(report)
        self._put(batch, report)
        self._galleries.tend(self._gallery)
        told(report)
        return report

    def _accounted(self, looked: _Looked, report: Report) -> tuple[Entry, list[Reference]]:
        reference = looked.reference
        if reference is None:
            report.known += looked.item.read is not None
            return looked.item.entry, []
        report.blank += not reference.embedding.any()
        for owner in looked.owners[:1]:
            report.shared.append((looked.item.source, owner))
        del report.shared[MOST_PROBLEMS:]
        calibration = self._background.calibrated(reference.embedding)
        return looked.item.entry, [replace(reference, calibration=calibration)]

    def _put(self, batch: list[tuple[Entry, list[Reference]]], report: Report) -> None:
        if not batch:
            return
        added = self._galleries.put(self._gallery, batch)
        report.added += added
        # The same picture twice in one batch.
        report.known += sum(len(references) for _, references in batch) - added
        batch.clear()

    def _looked(self, items: Iterable[Item | Problem]) -> Iterator[_Looked | Problem]:
        """What became of each item, in order, a few ahead."""
        coming: deque[Future[_Looked] | Problem] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="ingest") as pool:
            try:
                for item in items:
                    coming.append(
                        item if isinstance(item, Problem) else pool.submit(self._look, item)
                    )
                    if len(coming) > 2 * self._workers:
                        yield _result(coming.popleft())
                while coming:
                    yield _result(coming.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, item: Item) -> _Looked:
        if item.read is None:
            return _Looked(item)
        try:
            content = item.read()
            digest = hashlib.sha256(content).hexdigest()
            owners = tuple(self._galleries.known(self._gallery, [digest]).get(digest, ()))
            if item.entry.key in owners:
                return _Looked(item)
            reference = self._make(content, digest, item.source, self._gallery.kind)
        except (ImageError, InvalidGallery) as error:
            return _Looked(item, problem=error.message)
        except OSError as error:
            return _Looked(item, problem=error.strerror or str(error))
        except MemoryError:
            return _Looked(item, problem="There was not memory enough to look at it.")
        return _Looked(item, reference, owners=owners)


def _result(coming: Future[_Looked] | Problem) -> _Looked | Problem:
    return coming if isinstance(coming, Problem) else coming.result()
