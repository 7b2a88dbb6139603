"""Who calls, and what they may reach.

A *project* owns operations and buckets; what it owns no other project sees. A *principal* is one
caller: a key holder or the subject of a token. It belongs to one project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tapetum.errors import SettingsError

#: ``gs://photos`` is one bucket, ``gs://team-*`` all whose names begin so, ``gs://*`` all of them.
BUCKET_PATTERN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._-]*\*?")


@dataclass(frozen=True, slots=True)
class Quota:
    """How much is let in; 0 is no limit. Only annotate calls count, polls do not."""

    requests_per_minute: int = 0
    images_in_progress: int = 0


@dataclass(frozen=True, slots=True)
class Project:
    """Owns operations and ``buckets`` (patterns); nobody else's principals see either."""

    name: str
    buckets: tuple[str, ...] = ()
    quota: Quota = Quota()


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller.

    ``input_buckets`` and ``output_buckets`` (patterns) narrow what the project owns; ``None``
    leaves it whole. ``issuer`` and ``subject`` are the claims of the tokens that are this
    principal's. A principal with ``project = None`` is anybody at a server that does not ask:
    every project and every bucket.
    """

    name: str
    project: Project | None
    input_buckets: tuple[str, ...] | None = None
    output_buckets: tuple[str, ...] | None = None
    issuer: str = ""
    subject: str = ""
    quota: Quota = Quota()

    def may_read(self, bucket: str) -> bool:
        """Whether images may come from ``bucket``, written like ``gs://photos``."""
        return self._may(bucket, self.input_buckets)

    def may_write(self, bucket: str) -> bool:
        """Whether output may go to ``bucket``, written like ``gs://results``."""
        return self._may(bucket, self.output_buckets)

    def may_see(self, project: str) -> bool:
        """Whether the operations of ``project`` exist for this caller."""
        return self.project is None or self.project.name == project

    def _may(self, bucket: str, narrowed: tuple[str, ...] | None) -> bool:
        if self.project is None:
            return True
        lists = [self.project.buckets] + ([] if narrowed is None else [narrowed])
        return all(any(_matches(bucket, pattern) for pattern in patterns) for patterns in lists)


#: The caller at a server with ``auth = "none"``, and whoever runs the command line.
ANYBODY = Principal(name="", project=None)


class Principals:
    """The principals of a server, by name. Without ``asked`` everybody is `ANYBODY`."""

    def __init__(self, known: Mapping[str, Principal], *, asked: bool) -> None:
        self._known = known
        self._asked = asked

    def named(self, name: str) -> Principal:
        """The principal ``name``; one that is not (any more) there may reach nothing."""
        if not self._asked:
            return ANYBODY
        return self._known.get(name) or Principal(name, Project(""))

    def issuers(self) -> set[str]:
        """Whose tokens they bring."""
        return {principal.issuer for principal in self._known.values() if principal.issuer}

    def find(self, name: str) -> Principal | None:
        """The principal ``name``, or ``None``."""
        return self._known.get(name)

    def of_claims(self, issuer: str, subject: str) -> Principal | None:
        """The principal whose tokens have these claims, or ``None``."""
        for principal in self._known.values():
            if principal.issuer == issuer and (principal.subject or issuer) == subject:
                return principal
        return None


def _matches(bucket: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return bucket.startswith(pattern[:-1])
    return bucket == pattern


def check_buckets(patterns: tuple[str, ...], where: str) -> tuple[str, ...]:
    """``patterns`` if all of them are patterns of buckets, else `SettingsError`."""
    for pattern in patterns:
        if not BUCKET_PATTERN.fullmatch(pattern):
            raise SettingsError(
                f"{where}: {pattern!r} is no bucket; write gs://photos for one, gs://team-* for "
                "all whose names begin so."
            )
    return patterns
