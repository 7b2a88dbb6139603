"""What the pages on security say is so."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from tapetum import server
from tapetum.door.front import tls_context
from tapetum.errors import SettingsError
from tapetum.identity.certificates import write_certificates
from tapetum.settings import Settings, resolve

ROOT = Path(__file__).parent.parent
HOWTO = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
MODEL = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", HOWTO, re.DOTALL))
def test_every_example_can_be_used(tmp_path, example):
    path = tmp_path / "settings.toml"
    path.write_text(example)
    settings = resolve({}, {}, path)
    assert settings.auth_modes
    assert settings.projects.principals


def test_every_test_and_part_that_is_named_is_there():
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", MODEL))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []
    parts = set(re.findall(r"`((?!tests/)[\w/]+\.py)`", MODEL))
    assert [part for part in parts if not (ROOT / "src" / "tapetum" / part).exists()] == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_listening_beyond_loopback_wants_tls_and_a_question(host):
    with pytest.raises(SettingsError, match=r"tapetum certs.*--insecure-listen"):
        server.check_listening(Settings(host=host))
    tls = {"tls_cert": Path("c"), "tls_key": Path("k")}
    with pytest.raises(SettingsError, match=r"--auth.*--insecure-listen"):
        server.check_listening(Settings(host=host, **tls))
    with pytest.raises(SettingsError, match="tapetum certs"):
        server.check_listening(Settings(host=host, auth="api-key"))
    server.check_listening(Settings(host=host, auth="jwt", **tls))
    server.check_listening(Settings(host=host, insecure_listen=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_wants_neither(host):
    server.check_listening(Settings(host=host))


def test_tls_is_1_2_and_up(tmp_path):
    files = write_certificates(tmp_path, ["localhost"])
    context = tls_context(files.server, files.server_key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
