"""Who is known: the tables of the settings file, and what they let a caller reach."""

from __future__ import annotations

import re

import pytest

from tapetum.errors import SettingsError
from tapetum.identity.principal import ANYBODY, Principal, Principals, Project, Quota
from tapetum.identity.projects import AUDIENCES, SCOPES, Issuer
from tapetum.settings import resolve

GOOD = """
[projects.alpha]
buckets = ["gs://alpha-*", "gs://shared"]
requests_per_minute = 600
images_in_progress = 32

[principals.alice]
project = "alpha"
input_buckets = ["gs://alpha-in"]
output_buckets = []
issuer = "https://id.example"
subject = "alice-1"
requests_per_minute = 60

[issuers."https://id.example"]
keys = "https://id.example/keys"
audiences = ["tapetum"]
scopes = []

[issuers."robot@alpha.example"]
keys = "robot.pem"
"""


def read(tmp_path, text: str):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return resolve({}, {}, path).projects


def test_every_key_of_every_table(tmp_path):
    projects = read(tmp_path, GOOD)
    project = Project("alpha", ("gs://alpha-*", "gs://shared"), Quota(600, 32))
    assert projects.principals == {
        "alice": Principal(
            "alice", project, ("gs://alpha-in",), (), "https://id.example", "alice-1", Quota(60)
        )
    }
    assert projects.issuers["https://id.example"] == Issuer(
        "https://id.example", "https://id.example/keys", ("tapetum",), ()
    )
    robot = projects.issuers["robot@alpha.example"]
    assert (robot.audiences, robot.scopes) == (AUDIENCES, SCOPES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("projects = 5", "[projects.NAME] is a table"),
        ("[principals]\nalice = 5", "[principals.NAME] is a table"),
        ('[projects."a/b"]', "'a/b'] is no name"),
        ("[projects.a]\nbucket = []", "[projects.a] has no key 'bucket'"),
        ('[projects.a]\nbuckets = "gs://a"', "[projects.a] buckets must be a list"),
        ('[projects.a]\nbuckets = ["a"]', "[projects.a] buckets: 'a' is no bucket"),
        ('[projects.a]\nbuckets = ["gs://a/b"]', "'gs://a/b' is no bucket"),
        ('[projects.a]\nbuckets = ["gs://*-a"]', "'gs://*-a' is no bucket"),
        ("[projects.a]\nrequests_per_minute = -1", "requests_per_minute must be a whole number"),
        ("[projects.a]\nimages_in_progress = true", "images_in_progress must be a whole number"),
        ("[principals.b]", "[principals.b] project must be given"),
        ('[principals.b]\nproject = "a"', "project 'a' has no table [projects.a]"),
        ("[projects.a]\n[principals.b]\nproject = 'a'\nrole = 'x'", "has no key 'role'"),
        ('[issuers."x"]', "[issuers.x] keys must be given"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    with pytest.raises(SettingsError, match=re.escape(said)):
        read(tmp_path, text)


ALPHA = Project("alpha", ("gs://alpha-*", "gs://shared", "s3://alpha"))


@pytest.mark.parametrize(
    ("bucket", "whole", "narrow"),
    [
        ("gs://alpha-in", True, True),
        ("gs://alpha-", True, False),
        ("gs://alpha", False, False),
        ("gs://shared", True, False),
        ("gs://shared2", False, False),
        ("s3://alpha", True, False),
        ("s3://alpha-in", False, False),
        ("gs://other", False, False),  # in the list, but not the project's
        ("gs://ALPHA-IN", False, False),
    ],
)
def test_a_list_narrows_what_the_project_has(bucket, whole, narrow):
    assert Principal("a", ALPHA).may_read(bucket) is whole
    narrowed = Principal("a", ALPHA, ("gs://alpha-in", "gs://other"), ())
    assert narrowed.may_read(bucket) is narrow
    assert narrowed.may_write(bucket) is False


def test_who_is_not_known_reaches_nothing_unless_nobody_is_asked():
    asked, open_ = Principals({}, asked=True), Principals({}, asked=False)
    assert open_.named("anybody") is ANYBODY
    assert ANYBODY.may_write("gs://x")
    assert ANYBODY.may_see("p")
    for name in ("", "gone"):
        stranger = asked.named(name)
        assert not stranger.may_read("gs://x")
        assert not stranger.may_write("gs://x")
        assert not stranger.may_see("local")
