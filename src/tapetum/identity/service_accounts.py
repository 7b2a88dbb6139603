"""Service accounts of this server's own: key files as Google's, which its clients read."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from tapetum.errors import SettingsError
from tapetum.identity.secret_files import PRIVATE, PUBLIC, create

_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,100}@[A-Za-z0-9.-]{1,100}")


@dataclass(frozen=True, slots=True)
class ServiceAccountFiles:
    """``secret`` goes to the client, ``public`` (a JWKS) stays with the server."""

    secret: Path
    public: Path


def write_service_account(folder: Path, address: str, project: str) -> ServiceAccountFiles:
    """A new key of the service account ``address``, as a client's key file and as a JWKS.

    Raises `SettingsError`, also when there is one already: a key in use is not overwritten.
    """
    if not _ADDRESS.fullmatch(address):
        raise SettingsError(f"{address!r} is not an address like scanner@archive.example.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    identity = secrets.token_hex(20)
    secret = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": identity,
        "private_key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "client_email": address,
        "client_id": address,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",  # read by clients, never asked
        "universe_domain": "googleapis.com",
    }
    public = RSAKey.import_key(key.public_key()).as_dict(private=False)
    jwks = {"keys": [{**public, "kid": identity, "use": "sig", "alg": "RS256"}]}
    files = ServiceAccountFiles(folder / f"{address}.json", folder / f"{address}.jwks.json")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        create(files.public, _json(jwks), PUBLIC)
        create(files.secret, _json(secret), PRIVATE)
    except OSError as error:
        raise SettingsError(f"The service account cannot be written: {error}.") from error
    return files


def _json(tree: dict[str, Any]) -> bytes:
    return (json.dumps(tree, indent=1) + "\n").encode()
