"""The gate: what it makes of what a call brings along."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tapetum.errors import RequestForbidden
from tapetum.identity.gate import Credentials, Gate
from tapetum.identity.principal import ANYBODY, Principals

NOBODY_ASKED = Principals({}, asked=False)


@pytest.mark.parametrize(
    ("headers", "query", "key", "token"),
    [
        ({}, None, "", ""),
        ({"x-goog-api-key": "k"}, "q", "k", ""),
        ({}, "q", "q", ""),
        ({"authorization": "Bearer t"}, None, "", "t"),
        ({"authorization": "bearer  t "}, None, "", "t"),
        ({"authorization": "Basic dTpw"}, None, "", ""),
        ({"authorization": "Bearer"}, None, "", ""),
    ],
)
def test_where_credentials_are(headers, query, key, token):
    found = Credentials.of(headers.get, query)
    assert (found.api_key, found.token) == (key, token)
    assert "k" not in repr(found).replace("api_key", "").replace("token", "")


def call(loopback: bool = True, **headers: str):
    gate = Gate(NOBODY_ASKED, loopback=loopback)
    return asyncio.run(gate.caller(Credentials.of(headers.get)))


@pytest.mark.parametrize(
    "host",
    ["", "localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1:8080", "[::1]:8080", "10.0.0.1",
     "vision.googleapis.com", "vision.localhost:1"],
)  # fmt: skip
def test_programs_on_this_machine_come_in(host):
    assert call(host=host) is ANYBODY
    assert call(host=host, origin="http://localhost:3000") is ANYBODY


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "xgoogleapis.com",
             "127.0.0.1.evil.example", "[", "a b", "@localhost:x@evil.example"],
)  # fmt: skip
def test_pages_from_elsewhere_do_not(host):
    with pytest.raises(RequestForbidden):
        call(host=host)
    with pytest.raises(RequestForbidden):
        call(host="localhost:8080", origin=f"https://{host}")
    assert call(loopback=False, host=host) is ANYBODY  # something in front is in charge


def test_a_page_at_a_bare_address_does_not():
    with pytest.raises(RequestForbidden):
        call(host="127.0.0.1:8080", origin="http://203.0.113.5")
    assert call(host="127.0.0.1:8080", origin="http://127.0.0.1:3000") is ANYBODY


def test_a_page_without_an_origin_of_its_own_does_not():
    with pytest.raises(RequestForbidden):
        call(host="localhost", origin="null")


def test_a_page_is_refused_at_the_door(server):
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        answer = httpx.post(f"{server.url}/v1/images:annotate", headers=headers, json={})
        assert answer.status_code == 403
    assert httpx.get(f"{server.url}/v1/operations").status_code == 200
