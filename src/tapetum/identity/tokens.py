"""Signed tokens: service accounts' own JWTs, and those of OpenID providers.

Google's clients sign a token themselves with a service account's key and send it as it is, so
checking one needs no network: only the public key, and the time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from tapetum.errors import RequestForbidden, SettingsError, Unauthenticated
from tapetum.identity.principal import Principal, Principals
from tapetum.identity.projects import Issuer
from tapetum.identity.token_keys import Key, KeySource

#: Signatures that are believed, and the kind of key that can have made each. "none" and the
#: HMACs are not among them: a public key must never pass for a shared secret.
ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "ES256": "EC"}
#: Seconds by which the issuer's clock and ours may differ.
SKEW = 60.0
#: Longest that a token may still be valid, in seconds. Google's own last an hour.
MAX_LIFETIME = 24 * 3600.0
_MAX_LENGTH = 16 * 1024


class Tokens:
    """Checks tokens against the keys of ``issuers``.

    ``fetch`` gets the bytes behind an https URL. ``clock`` answers seconds since 1970. Raises
    `SettingsError` when the keys of an issuer are missing or cannot be used.
    """

    def __init__(
        self,
        principals: Principals,
        issuers: Mapping[str, Issuer],
        fetch: Callable[[str], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name in sorted(principals.issuers() - issuers.keys()):
            raise SettingsError(f"[issuers.'{name}'] is missing: it says where the keys are.")
        self._principals = principals
        self._issuers = issuers
        self._sources = {name: KeySource(issuer.keys, fetch) for name, issuer in issuers.items()}
        self._clock = clock

    async def principal_of(self, token: str) -> Principal:
        """Whose ``token`` it is. Raises as `tapetum.identity.gate.Gate.caller` does."""
        header, unproven = _parts(token)
        issuer = self._issuers.get(_text(unproven, "iss"))
        if issuer is None:
            raise _not_believed()
        keys = await self._sources[issuer.name].keys(header.get("kid"))
        claims = _verified(token, header, keys)
        self._check_times(claims)
        _check_audience(claims, issuer)
        subject = _text(claims, "sub") or issuer.name
        principal = self._principals.of_claims(issuer.name, subject)
        if principal is None:
            raise RequestForbidden(
                f"The token's subject {subject[:100]!r} is not a principal of this server.",
                "IAM_PERMISSION_DENIED",
            )
        return principal

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        ends = _number(claims, "exp")
        if ends is None or ends > now + MAX_LIFETIME + SKEW:
            raise _not_believed("it must end within 24 hours")
        if ends <= now - SKEW:
            raise Unauthenticated(
                "Request had invalid authentication credentials: the token has expired.",
                "ACCESS_TOKEN_EXPIRED",
            )
        for name in ("nbf", "iat"):
            begins = _number(claims, name)
            if begins is not None and begins > now + SKEW:
                raise _not_believed("it is from the future; compare the clocks")


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims as the token says, before anything is proven."""
    if len(token) > _MAX_LENGTH:
        raise _not_believed()
    try:
        parts = jws.extract_compact(token.encode())
        header, claims = parts.headers(), json.loads(parts.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise _not_believed() from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _not_believed()
    return header, claims


def _verified(token: str, header: Mapping[str, Any], keys: list[Key]) -> Mapping[str, Any]:
    """The claims, signed by one of ``keys``."""
    algorithm = header.get("alg")
    kind = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    for key in keys:
        if key.kind != kind:
            continue
        try:
            return jwt.decode(token, key.public, algorithms=[str(algorithm)]).claims
        except (JoseError, ValueError, TypeError):
            continue  # not this key
    raise _not_believed()


def _check_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if audience is None:
        if set(_text(claims, "scope").split()) & set(issuer.scopes):
            return
    elif any(isinstance(value, str) and value in issuer.audiences for value in named):
        return
    raise RequestForbidden(
        "Request had insufficient authentication scopes: the token's audience or scope is not "
        "one that this server is known by.",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not_believed()
    return float(value)


def _not_believed(why: str = "") -> Unauthenticated:
    """One text for every forgery: what was wrong is no help to an honest client."""
    message = "Request had invalid authentication credentials: the token is not one that is trusted"
    reason = "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    return Unauthenticated(f"{message}: {why}." if why else f"{message}.", reason)
