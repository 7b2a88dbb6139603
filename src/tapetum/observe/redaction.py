"""What must not be said: passwords, keys and signatures, left out of messages and of the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Names of options whose values are secrets.
_SECRET_OPTION = re.compile("key|secret|token|password|sas|credential", re.IGNORECASE)
#: Characters from which on a secret is looked for in texts; shorter ones are found everywhere.
_SHORTEST_SECRET = 4
#: A URL's user and password, and its query and fragment, where signatures and tokens are.
_USER = re.compile(r"(?<=//)[^/]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_QUERY_IN_TEXT = re.compile(r"\?[^\s\"]*")
#: What may be a secret, wherever a text has it → what is shown instead.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s@'\"]*@"), "***@"),  # a URL's user and password
    (re.compile(r"(?<!\w)[^\s/@:'\"]+:[^\s/@:'\"]+@(?=\S)"), "***@"),  # the same without scheme
    # A URL's query. In gs:// names a question mark is a letter.
    (re.compile(r"\b(?!gs:)([a-z][a-z0-9+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.I), r"\1?***"),
    (re.compile(r"\btapetum_[0-9a-f]{8}_[\w-]+"), "***"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?"), "***"),  # a JWT
    (re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*", re.S), r"\1***"),
)


def shown_url(url: str) -> str:
    """``url`` as messages may call it: without user, password, query and fragment."""
    return _QUERY.sub("", _USER.sub("", url))


def secrets_of(options: Mapping[str, str]) -> tuple[str, ...]:
    """The values among a store's ``options`` that may be secrets."""
    return tuple(
        value
        for name, value in options.items()
        if len(value) >= _SHORTEST_SECRET and _SECRET_OPTION.search(name)
    )


def said(error: Exception, secrets: Iterable[str] = ()) -> str:
    """The first line of what a library says, the one for people; of ``secrets`` and of queries it
    keeps nothing."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    for secret in secrets:
        line = line.replace(secret, "***")
    return _QUERY_IN_TEXT.sub("", line)


def discreet(text: str) -> str:
    """``text`` without whatever looks like a secret."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
