"""What messages never say."""

from __future__ import annotations

import pytest

from tapetum.observe.redaction import discreet, said, secrets_of, shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:pass@e.org/a.jpg?sig=abc#part", "https://e.org/a.jpg"),
        ("https://ann:p@ss@e.org/a.jpg", "https://e.org/a.jpg"),
        ("postgresql://ann:pa#ss@db/galleries?password=word", "postgresql://db/galleries"),
        ("//ann@e.org", "//e.org"),
        ("https://e.org/a@b.jpg", "https://e.org/a@b.jpg"),
        ("https://e.org/a.jpg?\nsig", "https://e.org/a.jpg"),
    ],
)
def test_a_url_is_shown_without_user_password_query_and_fragment(url, shown):
    assert shown_url(url) == shown


def test_options_that_are_secrets():
    options = {
        "access_key_id": "AKIA1",
        "SECRET": "s3cr3t",
        "token": "",
        "sas": "abc",
        "region": "eu",
    }
    assert secrets_of(options) == ("AKIA1", "s3cr3t")


def test_what_a_library_says_is_its_first_line_without_secrets_and_queries():
    error = ValueError("no s3cr3t at https://e.org/a?sig=abc today\nat line 7")
    assert said(error, ["s3cr3t"]) == "no *** at https://e.org/a today"
    assert said(ValueError()) == "ValueError"


def test_a_text_without_secrets_stays_as_it_is():
    assert discreet("gs://b/what?.jpg is no image") == "gs://b/what?.jpg is no image"
    assert discreet("see https://e.org/a?sig=abc") == "see https://e.org/a?***"
