"""Public keys that tokens are checked against: from a file, or from a URL that is asked again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from tapetum.errors import CallerUnknown, SettingsError, StoreError

log = logging.getLogger(__name__)

#: Seconds for which fetched keys are good, and between two fetches for a key nobody has heard of.
MAX_AGE = 3600.0
MIN_AGE = 60.0
_MIN_RSA_BITS = 2048
_MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class Key:
    """One public key. ``kind`` is ``RSA`` or ``EC`` (P-256); ``id`` may be empty."""

    id: str
    kind: str
    public: Any


class KeySource:
    """The keys at ``where``, a path or an https URL. ``fetch`` gets the bytes behind a URL.

    Raises `SettingsError` when a file cannot be used; a URL is first asked when it is needed.
    """

    def __init__(
        self,
        where: str,
        fetch: Callable[[str], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._fetch = fetch
        self._clock = clock
        self._is_url = where.startswith(("https://", "http://"))
        if where.startswith("http://"):
            raise SettingsError(f"keys {where}: whoever is on the way could put in his own; https.")
        self._fetched = float("-inf")
        self._lock = asyncio.Lock()
        self._keys = [] if self._is_url else _of_file(Path(where))

    async def keys(self, identity: Any) -> list[Key]:
        """The keys that may have signed a token with the ``kid`` ``identity``."""
        keys = self._named(identity)
        if self._is_url:
            async with self._lock:
                age = self._clock() - self._fetched
                if age > MAX_AGE or (not keys and age > MIN_AGE):
                    await self._ask()
            keys = self._named(identity)
        return keys

    def _named(self, identity: Any) -> list[Key]:
        return [key for key in self._keys if not key.id or identity in (None, key.id)]

    async def _ask(self) -> None:
        try:
            content = await asyncio.to_thread(self._fetch, self._where)
            self._keys = _parse(content)
        except (StoreError, ValueError) as error:
            log.error("keys of tokens cannot be had from %s: %s", self._where, error)  # noqa: TRY400
            if not self._keys:
                raise CallerUnknown(
                    "The keys that tokens are checked against cannot be had now. Try again later."
                ) from error
        self._fetched = self._clock()


def _of_file(path: Path) -> list[Key]:
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"keys {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise SettingsError(f"keys {path}: {error}") from error


def _parse(content: bytes) -> list[Key]:
    """A JWKS, a PEM public key or certificate, or an object of such PEMs by ``kid`` (which
    Google publishes for service accounts). Raises `ValueError`."""
    if content.lstrip().startswith(b"-----BEGIN"):
        keys = [_of_pem(content, "")]
    else:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise ValueError("This is neither a JWKS nor PEM.")
        if isinstance(document.get("keys"), list):
            entries = [_of_jwk(entry) for entry in document["keys"][:_MAX_KEYS]]
            keys = [key for key in entries if key is not None]
        elif "private_key" in document:
            raise ValueError("This is a service account's secret; give its public key.")
        else:
            pems = list(document.items())[:_MAX_KEYS]
            keys = [_of_pem(str(pem).encode(), identity) for identity, pem in pems]
    if not keys:
        raise ValueError("There is no key in it that is RSA of 2048 bits or more, or EC P-256.")
    return keys


def _of_pem(pem: bytes, identity: str) -> Key:
    if b"PRIVATE KEY" in pem:
        raise ValueError("This is a private key; give the public one.")
    try:
        if b"BEGIN CERTIFICATE" in pem:
            raw: Any = x509.load_pem_x509_certificate(pem).public_key()
        else:
            raw = load_pem_public_key(pem)
    except (UnsupportedAlgorithm, ValueError) as error:
        raise ValueError("This PEM is neither a public key nor a certificate.") from error
    key = _fit(raw, identity)
    if key is None:
        raise ValueError("The key must be RSA of 2048 bits or more, or EC P-256.")
    return key


def _of_jwk(entry: Any) -> Key | None:
    """The key of a JWKS entry; ``None`` for those that sign nothing we believe."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        if entry.get("kty") == "RSA":
            raw: Any = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
        elif entry.get("kty") == "EC":
            raw = ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
        else:
            return None
        return _fit(raw.public_key, str(entry.get("kid", "")))
    except (JoseError, ValueError, TypeError, LookupError) as error:
        raise ValueError("A key in this JWKS cannot be read.") from error


def _fit(raw: Any, identity: str) -> Key | None:
    if isinstance(raw, rsa.RSAPublicKey) and raw.key_size >= _MIN_RSA_BITS:
        return Key(identity, "RSA", RSAKey.import_key(raw))
    if isinstance(raw, ec.EllipticCurvePublicKey) and raw.curve.name == "secp256r1":
        return Key(identity, "EC", ECKey.import_key(raw))
    return None
