"""``tapetum keys``."""

from __future__ import annotations

import json

import pytest

from tapetum.cli import ExitCode
from tapetum.identity.api_keys import ApiKeys

SETTINGS = """
[projects.alpha]
[principals.alice]
project = "alpha"
issuer = "alice@alpha.example"
[principals.bob]
project = "alpha"
"""


@pytest.fixture
def keys(run, tmp_path):
    """Runs ``tapetum keys`` with a settings file."""
    (tmp_path / "settings.toml").write_text(SETTINGS)

    def call(action: str, *arguments: str):
        return run("keys", action, *arguments, "--settings", "settings.toml", "--data-dir", "data")

    return call


def test_make_list_revoke(keys, tmp_path):
    made = keys("make", "alice")
    assert made.code == ExitCode.OK
    text = made.out.splitlines()[0]
    file = tmp_path / "data" / "api-keys.json"
    assert ApiKeys(file).principal_of(text) == "alice"
    listed = keys("list").out
    assert "alice" in listed
    assert text not in listed
    identity = listed.split()[0]
    assert keys("revoke", identity).code == ExitCode.OK
    assert keys("list").out == ""
    again = keys("revoke", identity)
    assert (again.code, identity in again.err) == (ExitCode.FAILED, True)


def test_a_principal_there_is_not(keys):
    ran = keys("make", "carol")
    assert ran.code == ExitCode.FAILED
    assert "'carol'" in ran.err
    assert "alice, bob" in ran.err


def test_a_service_account(keys, tmp_path):
    ran = keys("service-account", "alice", "accounts")
    assert ran.code == ExitCode.OK, ran.err
    secret = tmp_path / "accounts" / "alice@alpha.example.json"
    assert f"export GOOGLE_APPLICATION_CREDENTIALS={secret}" in ran.out
    assert "[issuers.'alice@alpha.example']" in ran.out
    assert json.loads(secret.read_text())["project_id"] == "alpha"
    assert "PRIVATE" not in ran.out
    assert keys("service-account", "alice", "accounts").code == ExitCode.FAILED  # not written over
    assert "no issuer" in keys("service-account", "bob", "accounts").err
