"""What the process says of itself: the log."""

from __future__ import annotations

import logging
import re
import sys


def configure_logging(level: str) -> None:
    """Log lines of ``level`` and above to standard error, one line each but for tracebacks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    root = logging.getLogger("tapetum")
    root.handlers = [handler]
    root.setLevel(level.upper())
    root.propagate = False


#: What may be a secret, wherever a line has it from → what is shown instead.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s@'\"]*@"), "***@"),  # a URL's user and password
    (re.compile(r"(?<!\w)[^\s/@:'\"]+:[^\s/@:'\"]+@(?=\S)"), "***@"),  # the same without scheme
    # A URL's query, where signatures and tokens are. In gs:// names a question mark is a letter.
    (re.compile(r"\b(?!gs:)([a-z][a-z0-9+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.I), r"\1?***"),
    (re.compile(r"\btapetum_[0-9a-f]{8}_[\w-]+"), "***"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?"), "***"),  # a JWT
    (re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*", re.S), r"\1***"),
)


class _Discreet(logging.Formatter):
    """Leaves out of every line, tracebacks too, what may be a secret."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for pattern, instead in _SECRETS:
            line = pattern.sub(instead, line)
        return line
