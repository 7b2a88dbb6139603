"""Buckets of Google Cloud Storage, S3 and Azure, through obstore."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    SettingsError,
    StoreUnavailable,
)
from tapetum.observe.redaction import said, secrets_of, shown_url
from tapetum.stores import check_key, check_prefix

#: obstore's own patience (10 retries, 3 minutes) is too long for one image of a batch.
_RETRIES: Any = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_TIMEOUTS: Any = {"timeout": "60s", "connect_timeout": "10s"}

_USER = re.compile(r"(?<=://)[^/\s@]*@")
_STATUS_NOT_FOUND = re.compile(r"status code: 404\b")
_STATUS_FORBIDDEN = re.compile(r"status code: 40[13]\b")


class CloudStore:
    """One bucket behind ``url`` (``gs://name``, ``s3://name``, ``az://container``).

    ``options`` are obstore's configuration keys (endpoint, region, keys); without any, the
    provider's usual environment applies (application default credentials and the like). Raises
    `SettingsError` when obstore does not take them.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        plain = any(value.startswith("http://") for value in options.values())
        client: Any = {**_TIMEOUTS, "allow_http": plain}
        config: Any = dict(options)
        self._secrets = secrets_of(options)
        shown = shown_url(url)
        if any(_USER.search(text) for text in (url, *options.values())):
            raise SettingsError(
                f"The store {shown} has a user name or password in a URL; give them as options of "
                "their own, or in the environment."
            )
        try:
            self._store: Any = from_url(
                url, config=config, client_options=client, retry_config=_RETRIES
            )
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise SettingsError(f"The store {shown} cannot be used: {self._text(error)}") from None

    def get(self, key: str, limit: int) -> bytes:
        with self._errors(key):
            result = obstore.get(self._store, check_key(key))
            if result.meta["size"] > limit:
                size = result.meta["size"]
                raise ObjectTooLarge(f"{key} has {size} bytes; the limit is {limit}.")
            return bytes(result.bytes())

    def put(self, key: str, content: bytes, content_type: str) -> None:
        with self._errors(key):
            attributes: Any = {"Content-Type": content_type}
            # In one request: parts of a broken upload would stay in the bucket, unseen and paid.
            obstore.put(
                self._store, check_key(key), content, attributes=attributes, use_multipart=False
            )

    def list(self, prefix: str) -> Iterator[str]:
        with self._errors(prefix):
            for page in obstore.list(self._store, prefix=check_prefix(prefix) or None):
                for row in page:
                    # Consoles mark a folder with an object "folder/", which comes as "folder".
                    if row["path"].startswith(prefix):
                        yield row["path"]

    def delete(self, key: str) -> None:
        with self._errors(key):
            # S3 answers yes to deleting what is not there; ask first so that every store agrees.
            obstore.head(self._store, check_key(key))
            obstore.delete(self._store, key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key}: there is no such object or bucket.") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise ObjectForbidden(f"{key}: {self._text(error)}") from error
        except ValueError as error:
            raise InvalidObjectName(f"{key}: {self._text(error)}") from error
        except exceptions.BaseError as error:
            # A listing fails without a class of its own.
            if _STATUS_NOT_FOUND.search(str(error)):
                raise ObjectNotFound(f"{key}: there is no such bucket.") from error
            if _STATUS_FORBIDDEN.search(str(error)):
                raise ObjectForbidden(f"{key}: {self._text(error)}") from error
            raise StoreUnavailable(f"{key}: {self._text(error)}") from error

    def _text(self, error: Exception) -> str:
        """The first line of obstore's text, without anything secret."""
        return said(error, self._secrets)[:300]
