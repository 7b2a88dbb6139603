"""Who is calling: one gate for every door.

A door takes the credentials out of its protocol (`Credentials.of`), asks the gate, and hands the
`Principal` it gets to the service. What the principal may do is the service's and the stores'
business.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from tapetum.errors import RequestForbidden, Unauthenticated
from tapetum.identity.api_keys import ApiKeys
from tapetum.identity.principal import ANYBODY, Principal, Principals
from tapetum.identity.tokens import Tokens

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brings along to say who makes it. The secrets are not in the repr.

    ``origin`` and ``host`` are a browser's word for the page that calls and the name it called.
    """

    api_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    origin: str = ""
    host: str = ""

    @classmethod
    def of(cls, header: Callable[[str], str | None], query_key: str | None = None) -> Credentials:
        """Out of headers (or gRPC metadata) by lower-case name, and the query's ``key``."""
        authorization = header("authorization") or ""
        is_bearer = authorization.lower().startswith(_BEARER)
        return cls(
            api_key=header("x-goog-api-key") or query_key or "",
            token=authorization[len(_BEARER) :].strip() if is_bearer else "",
            origin=header("origin") or "",
            host=header("host") or "",
        )


class Gate:
    """Turns credentials into a principal. Without ``keys`` and ``tokens``, nobody is asked.

    ``loopback`` says that only this machine can call. A browser on it can, too, on behalf of any
    page it shows: where nobody is asked, such calls are refused.
    """

    def __init__(
        self,
        principals: Principals,
        keys: ApiKeys | None = None,
        tokens: Tokens | None = None,
        *,
        loopback: bool = False,
    ) -> None:
        self._loopback = loopback
        self._principals = principals
        self._keys = keys
        self._tokens = tokens

    async def caller(self, credentials: Credentials) -> Principal:
        """Who brings ``credentials``.

        Raises `Unauthenticated`, `RequestForbidden` (known, but not let in here), or
        `CallerUnknown` when the keys that tokens are checked against cannot be had.
        """
        if self._keys is None and self._tokens is None:
            if self._loopback:
                _refuse_pages(credentials)
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


def _refuse_pages(credentials: Credentials) -> None:
    """Raise `RequestForbidden` for the call of a web page from elsewhere.

    Its origin betrays it, or, when its name was made to resolve to this machine, the name.
    """
    origin = credentials.origin.partition("://")[2] or credentials.origin
    if origin and not _is_here(_host(origin)):
        raise _page(origin)
    if credentials.host and not _is_ours(credentials.host):
        raise _page(credentials.host)


def _page(place: str) -> RequestForbidden:
    return RequestForbidden(
        f"Calls from or under the name {place[:100]!r} are refused, because this server does not "
        "ask who is calling. Call it localhost, or let it ask (docs/security.md).",
        "IAM_PERMISSION_DENIED",
    )


def _host(place: str) -> str:
    """``HOST[:PORT]`` without the port, lower case; empty when it is nothing of the kind."""
    try:
        return (urlsplit(f"//{place}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_here(host: str) -> bool:
    """Whether a page of that host is of this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=64)
def _is_ours(place: str) -> bool:
    """Whether the server can rightly be called ``HOST[:PORT]``: no page from elsewhere has it."""
    host = _host(place)
    try:
        ip_address(host)
    except ValueError:
        names = ("localhost", socket.gethostname().lower())
        return host in names or host.endswith((".localhost", ".googleapis.com"))
    return True
