"""API keys as a file holds them."""

from __future__ import annotations

import pytest

from tapetum.errors import SettingsError, Unauthenticated
from tapetum.identity.api_keys import ApiKeys


@pytest.fixture
def keys(tmp_path) -> ApiKeys:
    return ApiKeys(tmp_path / "new" / "api-keys.json")


def test_a_key_is_known_until_it_is_revoked(keys):
    text, record = keys.make("alice")
    other, _ = keys.make("bob")
    server = ApiKeys(keys._path)  # another process
    assert (server.principal_of(text), server.principal_of(other)) == ("alice", "bob")
    keys.revoke(record.id)
    with pytest.raises(Unauthenticated):
        server.principal_of(text)
    assert server.principal_of(other) == "bob"
    with pytest.raises(SettingsError, match=record.id):
        keys.revoke(record.id)


def test_nothing_in_the_file_is_a_key(keys):
    text, record = keys.make("alice")
    kept = keys._path.read_text()
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert record.sha256 in kept
    assert keys._path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Unauthenticated):
        keys.principal_of(record.sha256)


@pytest.mark.parametrize("wrong", ["", "x", "tapetum_00000000_" + "A" * 43, "é" * 60, "a\0b"])
def test_what_is_no_key(keys, wrong):
    keys.make("alice")
    with pytest.raises(Unauthenticated) as caught:
        keys.principal_of(wrong)
    assert len(wrong) < 5 or wrong not in str(caught.value)


def test_a_key_with_one_letter_changed(keys):
    text, _ = keys.make("alice")
    for place in (-1, -20, -43):
        changed = "A" if text[place] != "A" else "B"
        wrong = text[:place] + changed + (text[place + 1 :] if place != -1 else "")
        with pytest.raises(Unauthenticated):
            keys.principal_of(wrong)


def test_a_broken_file_lets_nobody_in(keys):
    text, _ = keys.make("alice")
    assert keys.principal_of(text) == "alice"
    keys._path.write_text("{")
    with pytest.raises(Unauthenticated):
        keys.principal_of(text)
    with pytest.raises(SettingsError, match=r"api-keys\.json"):
        keys.all()
    with pytest.raises(SettingsError):  # nor is it written over
        keys.make("bob")
    assert list(keys._path.parent.iterdir()) == [keys._path]
