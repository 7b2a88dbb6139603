"""Who is calling: one gate for every door.

A door takes the credentials out of its protocol (`Credentials.of`), asks the gate, and hands the
`Principal` it gets to the service. What the principal may do is the service's and the stores'
business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tapetum.door.api_keys import ApiKeys
from tapetum.door.tokens import Tokens
from tapetum.errors import RequestForbidden, Unauthenticated
from tapetum.principal import ANYBODY, Principal, Principals

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brings along to say who makes it. Never shown: neither is in the repr."""

    api_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, header: Callable[[str], str | None], query_key: str | None = None) -> Credentials:
        """Out of headers (or gRPC metadata) by lower-case name, and the query's ``key``."""
        authorization = header("authorization") or ""
        is_bearer = authorization.lower().startswith(_BEARER)
        return cls(
            api_key=header("x-goog-api-key") or query_key or "",
            token=authorization[len(_BEARER) :].strip() if is_bearer else "",
        )


class Gate:
    """Turns credentials into a principal. Without ``keys`` and ``tokens``, nobody is asked."""

    def __init__(
        self, principals: Principals, keys: ApiKeys | None = None, tokens: Tokens | None = None
    ) -> None:
        self._principals = principals
        self._keys = keys
        self._tokens = tokens

    async def caller(self, credentials: Credentials) -> Principal:
        """Who brings ``credentials``.

        Raises `Unauthenticated`, `RequestForbidden` (known, but not let in here), or
        `CallerUnknown` when the keys that tokens are checked against cannot be had.
        """
        if self._keys is None and self._tokens is None:
            return ANYBODY
        if self._tokens is not None and credentials.token:
            return await self._tokens.principal_of(credentials.token)
        if self._keys is not None and credentials.api_key:
            name = self._keys.principal_of(credentials.api_key)
            principal = self._principals.find(name)
            if principal is None:
                raise RequestForbidden(
                    f"The API key is that of {name!r}, who is not a principal of this server "
                    "(any more).",
                    "IAM_PERMISSION_DENIED",
                )
            return principal
        raise Unauthenticated(
            "Request is missing required authentication credential. Expected "
            + " or ".join(self._expected())
            + ".",
            "CREDENTIALS_MISSING",
        )

    def _expected(self) -> list[str]:
        wanted = []
        if self._keys is not None:
            wanted.append("an API key (x-goog-api-key, or ?key= over REST)")
        if self._tokens is not None:
            wanted.append("a signed token (Authorization: Bearer)")
        return wanted
