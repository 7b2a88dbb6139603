"""What a line of the log never shows."""

from __future__ import annotations

import io
import logging
import secrets
import sys

import pytest

from tapetum.observe.log import configure_logging


@pytest.fixture
def written(monkeypatch):
    """What the process writes to standard error, with the log going there."""
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    root = logging.getLogger("tapetum")
    before = root.handlers, root.level, root.propagate
    configure_logging("info")
    yield file
    root.handlers, root.level, root.propagate = before


log = logging.getLogger("tapetum.test")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://me:pw@host/a.png?sig=x&b=c failed", "https://***@host/a.png?*** failed"),
        ("'https://host/a?token=x'", "'https://host/a?***'"),
        ("gs://bucket/what?.jpg", "gs://bucket/what?.jpg"),
        ("az://c/b?sv=1&sig=x", "az://c/b?***"),
        ("key tapetum_0123abcd_" + "A" * 43, "key ***"),
        ("Bearer eyJhbGciOiJ9.eyJpc3MiOi.c2ln ends", "Bearer *** ends"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n", "-----BEGIN PRIVATE KEY-----***"),
        ("'me:pw@host' is no bucket", "'***@host' is no bucket"),
        ("mail me@example.com: why?", "mail me@example.com: why?"),
    ],
)
def test_secrets_are_left_out(written, said, shown):
    log.warning("%s", said)
    assert written.getvalue().endswith(f"test: {shown}\n")


def test_tracebacks_too(written):
    secret = secrets.token_hex(8)  # not in the source, which a traceback shows
    try:
        raise ValueError(f"https://host/a?token={secret}")
    except ValueError:
        log.exception("oh")
    assert "ValueError: https://host/a?***" in written.getvalue()
    assert secret not in written.getvalue()
