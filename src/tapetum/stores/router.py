"""From a URI to the store and key behind it."""

from __future__ import annotations

import copy
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from tapetum.errors import InvalidObjectName, ObjectExists, ObjectForbidden, ObjectNotFound
from tapetum.identity.principal import ANYBODY, Principal
from tapetum.settings import BucketRule
from tapetum.stores import Store
from tapetum.stores.cloud import CloudStore
from tapetum.stores.local import LocalStore
from tapetum.stores.web import WebStore

#: No bucket name can leave the buckets folder or name one of its dot folders.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,221}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WEB = ("http", "https")
_SCRATCH = ".scratch"


class Stores:
    """Every store this process reaches, by URI.

    ``gs://NAME/key`` is the file ``buckets_dir/NAME/key`` unless a rule says where the bucket
    really is; other schemes need a rule. ``web`` reads http(s) URLs, ``None`` refuses them. With
    ``files``, ``file://`` URIs and plain paths reach this machine's files: for the command line,
    never for requests that come in at a door. The first use of a bucket whose rule makes no store
    raises `SettingsError`.
    """

    def __init__(
        self,
        buckets_dir: Path,
        rules: Sequence[BucketRule] = (),
        web: WebStore | None = None,
        *,
        files: bool = False,
    ) -> None:
        self._buckets_dir = buckets_dir
        self._rules = {rule.pattern: rule for rule in rules}
        self._web = web
        self._files = files
        self._principal = ANYBODY
        self._open: dict[str, Store] = {}
        self._lock = threading.Lock()

    def seen_by(self, principal: Principal) -> Stores:
        """The same stores, of which only those are there that ``principal`` may reach."""
        if principal == self._principal:
            return self
        view = copy.copy(self)
        view._principal = principal
        return view

    def read(self, uri: str, limit: int) -> bytes:
        """The object at ``uri``. Raises `StoreError`."""
        if scheme_of(uri) in _WEB:
            if self._web is None:
                raise ObjectForbidden("This server does not fetch http(s) URLs (web_fetch = off).")
            return self._web.get(uri, limit)
        store, key = self._find(uri, self._principal.may_read)
        return store.get(key, limit)

    def write(self, uri: str, content: bytes, content_type: str) -> None:
        """Put ``content`` at ``uri``. Raises `StoreError`."""
        store, key = self._find(uri, self._principal.may_write)
        store.put(key, content, content_type)

    def list(self, uri: str) -> Iterator[str]:
        """The URIs in the folder ``uri`` (ending in ``/``) and below it. Raises `StoreError`."""
        store, prefix = self._find(uri, self._principal.may_read)
        folder = uri if uri.endswith("/") else f"{uri}/"
        is_quoted = scheme_of(uri) == "file"
        for key in store.list(prefix):
            name = key[len(prefix) :]
            yield folder + (quote(name) if is_quoted else name)

    # --- local buckets as things of their own -------------------------------------------------

    def local(self, bucket: str, *, writable: bool = False) -> LocalStore:
        """The local bucket of ``gs://bucket``; `ObjectNotFound` if there is none of that name.

        Whoever may not use the bucket is told so, `ObjectForbidden`, whether it is there or not.
        To read from it is also for those who only write there: results are theirs to look at.
        """
        if not _BUCKET.fullmatch(bucket):
            raise _no_local(bucket)
        if not (self._may_write(bucket) if writable else self._may_see(bucket)):
            raise _not_theirs(bucket)
        store = self._bucket("gs", bucket)
        if not isinstance(store, LocalStore) or not store.exists():
            raise _no_local(bucket)
        return store

    def local_buckets(self) -> Sequence[str]:
        """The names of the local buckets that the principal may use, in order."""
        names = {path.name for path in self._buckets_dir.iterdir()}
        names |= {rule.pattern.removeprefix("gs://") for rule in self._rules.values()}
        return sorted(name for name in names if self._is_local(name))

    def make_bucket(self, bucket: str) -> None:
        """Make the folder of a new local bucket. Raises `ObjectExists`, `InvalidObjectName`, and
        `ObjectForbidden` where a rule says that the bucket is elsewhere, or to a principal who
        may not write there."""
        if not _BUCKET.fullmatch(bucket):
            raise InvalidObjectName(f"{bucket!r} is not a bucket name.")
        if not self._may_write(bucket):
            raise _not_theirs(bucket)
        if self._rule_of("gs", bucket) is not None:
            raise ObjectForbidden(f"The bucket {bucket} is not a folder of this server.")
        try:
            (self._buckets_dir / bucket).mkdir()
        except FileExistsError:
            raise ObjectExists(f"There is a bucket {bucket} already.") from None

    def drop_bucket(self, bucket: str) -> None:
        """Remove an empty local bucket. Raises `ObjectExists` when it is not empty, and
        `ObjectForbidden` as `make_bucket` does."""
        if not self._may_write(bucket):
            raise _not_theirs(bucket)
        if self._rule_of("gs", bucket) is not None:
            raise ObjectForbidden(f"The bucket {bucket} is not a folder of this server.")
        if next(self.local(bucket).page(""), None) is not None:
            raise ObjectExists(f"The bucket {bucket} is not empty.")
        _remove_folders(self._buckets_dir / bucket)

    def _is_local(self, bucket: str) -> bool:
        try:
            self.local(bucket)
        except (ObjectNotFound, ObjectForbidden):
            return False
        return True

    def _may_see(self, bucket: str) -> bool:
        return self._principal.may_read(f"gs://{bucket}") or self._may_write(bucket)

    def _may_write(self, bucket: str) -> bool:
        return self._principal.may_write(f"gs://{bucket}")

    # ------------------------------------------------------------------------------------------

    def _find(self, uri: str, allowed: Callable[[str], bool]) -> tuple[Store, str]:
        scheme = scheme_of(uri)
        if scheme in ("", "file"):
            if not self._files:
                raise InvalidObjectName(f"{uri}: give a gs://BUCKET/OBJECT URI.")
            path = path_of(uri)
            if "\0" in path:
                raise InvalidObjectName(f"{uri!r} is not a path.")
            # Links are the owner's own here, so they are followed: into the one root.
            key = os.path.realpath(path)[1:]
            if _CONTROL.search(key):
                raise InvalidObjectName(
                    f"{uri!r}: the file name has a control character: rename the file."
                )
            return LocalStore(Path("/")), f"{key}/" if path.endswith("/") and key else key
        bucket, _, key = uri[len(scheme) + 3 :].partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise InvalidObjectName(f"{uri}: {bucket!r} is not a bucket name.")
        if not allowed(f"{scheme}://{bucket}"):
            raise ObjectForbidden(f"{uri}: the caller may not use this bucket.")
        return self._bucket(scheme, bucket), key

    def _bucket(self, scheme: str, bucket: str) -> Store:
        name = f"{scheme}://{bucket}"
        with self._lock:
            store = self._open.get(name)
            if store is None:
                store = self._make(scheme, bucket)
                if len(self._open) >= 1000:  # names come from requests: do not keep them all
                    self._open.clear()
                self._open[name] = store
            return store

    def _make(self, scheme: str, bucket: str) -> Store:
        rule = self._rule_of(scheme, bucket)
        if rule is not None:
            return _store_of(rule, bucket)
        if scheme == "gs":
            return LocalStore(self._buckets_dir / bucket, self._buckets_dir / _SCRATCH)
        raise InvalidObjectName(
            f"{scheme}://{bucket}: this server is not set up for {scheme}:// URIs. Add a line for "
            f'"{scheme}://" to [buckets] in the settings file.'
        )

    def _rule_of(self, scheme: str, bucket: str) -> BucketRule | None:
        return self._rules.get(f"{scheme}://{bucket}") or self._rules.get(f"{scheme}://")


def _no_local(bucket: str) -> ObjectNotFound:
    return ObjectNotFound(f"There is no local bucket {bucket}.")


def _not_theirs(bucket: str) -> ObjectForbidden:
    return ObjectForbidden(f"gs://{bucket}: the caller may not use this bucket.")


def _remove_folders(top: Path) -> None:
    """Remove empty folders, links not followed: a file that is there after all stays."""
    if top.is_symlink():
        top.unlink()
        return
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _store_of(rule: BucketRule, bucket: str) -> Store:
    url = rule.url.replace("{bucket}", bucket)
    if scheme_of(url) in ("", "file"):
        return LocalStore(Path(path_of(url)))
    return CloudStore(url, rule.options)


def path_of(uri: str) -> str:
    """The path of a ``file://`` URI, which is percent-encoded, or a plain path as it is. Raises
    `InvalidObjectName` for a URI of another host."""
    if scheme_of(uri) != "file":
        return uri
    host, slash, path = uri[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise InvalidObjectName(f"{uri}: a file URI has three slashes, like file:///tmp/a.jpg.")
    return f"/{unquote(path)}"


def scheme_of(uri: str) -> str:
    """``gs`` of ``gs://bucket/key``, lower case; empty for a plain path."""
    scheme = _SCHEME.match(uri)
    return scheme[1].lower() if scheme else ""
