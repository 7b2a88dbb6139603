"""What the process says of itself: the log."""

from __future__ import annotations

import logging
import sys

from tapetum.observe.redaction import discreet


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


class _Discreet(logging.Formatter):
    """Leaves out of every line, tracebacks too, what may be a secret."""

    def format(self, record: logging.LogRecord) -> str:
        return discreet(super().format(record))
