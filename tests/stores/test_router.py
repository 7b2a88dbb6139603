"""Which store a URI leads to, and which URIs lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapetum.errors import (
    InvalidObjectName,
    ObjectExists,
    ObjectForbidden,
    ObjectNotFound,
    SettingsError,
)
from tapetum.identity.principal import Principal, Project
from tapetum.settings import BucketRule
from tapetum.stores.router import Stores, scheme_of

LIMIT = 1000


@pytest.fixture
def buckets(tmp_path: Path) -> Path:
    """A folder of buckets with one bucket, ``photos``."""
    (tmp_path / "buckets" / "photos").mkdir(parents=True)
    (tmp_path / "buckets" / "photos" / "cat.jpg").write_bytes(b"cat")
    return tmp_path / "buckets"


def test_a_bucket_is_a_folder(buckets: Path) -> None:
    stores = Stores(buckets)
    assert stores.read("gs://photos/cat.jpg", LIMIT) == b"cat"
    stores.write("gs://photos/out/1.json", b"{}", "application/json")
    assert (buckets / "photos" / "out" / "1.json").read_bytes() == b"{}"
    assert stores.read("GS://photos/out/1.json", LIMIT) == b"{}"


def test_a_bucket_has_to_exist(buckets: Path) -> None:
    stores = Stores(buckets)
    with pytest.raises(ObjectForbidden):
        stores.read("gs://other/cat.jpg", LIMIT)
    with pytest.raises(ObjectForbidden):
        stores.write("gs://other/cat.jpg", b"", "image/jpeg")
    assert not (buckets / "other").exists()


def test_names_after_the_bucket_are_taken_as_they_are(buckets: Path) -> None:
    stores = Stores(buckets)
    for name in ("a b#1?x=%20&y.png", "%2e%2e", "ünï/日本.png"):
        stores.write(f"gs://photos/{name}", name.encode(), "image/png")
        assert (buckets / "photos" / name).read_bytes() == name.encode()
        assert stores.read(f"gs://photos/{name}", LIMIT) == name.encode()


@pytest.mark.parametrize("files", [False, True])
@pytest.mark.parametrize(
    "bucket",
    ["", ".", "..", ".scratch", "%2e%2e", "%2E%2E%2Fphotos", "..%2f", "\\", "a\\b", "a b", "a\0b",
     "-a", "_a", "ä", "a" * 223, "photos\n", "user@photos", "photos:80", "photos?", "photos#"],
)  # fmt: skip
def test_names_that_are_no_bucket(buckets: Path, bucket: str, files: bool) -> None:
    (buckets / ".scratch").mkdir()
    (buckets / ".scratch" / "cat.jpg").write_bytes(b"someone else's")
    (buckets / "cat.jpg").write_bytes(b"not in a bucket")
    (buckets.parent / "cat.jpg").write_bytes(b"outside")
    stores = Stores(buckets, [BucketRule("s3://", str(buckets / "{bucket}"))], files=files)
    for scheme in ("gs", "s3"):
        with pytest.raises(InvalidObjectName):
            stores.read(f"{scheme}://{bucket}/cat.jpg", LIMIT)
        with pytest.raises(InvalidObjectName):
            stores.write(f"{scheme}://{bucket}/cat.jpg", b"", "image/jpeg")
        with pytest.raises(InvalidObjectName):
            list(stores.list(f"{scheme}://{bucket}/"))


@pytest.mark.parametrize(
    "uri",
    ["gs://photos/../photos/cat.jpg", "gs://photos/..", "gs://photos/", "gs://photos",
     "gs://photos//cat.jpg", "gs:///photos/cat.jpg", "gs://"],
)  # fmt: skip
def test_uris_that_name_no_object(buckets: Path, uri: str) -> None:
    with pytest.raises(InvalidObjectName):
        Stores(buckets).read(uri, LIMIT)


def test_escapes_stay_in_the_bucket(buckets: Path) -> None:
    with pytest.raises(ObjectNotFound):
        Stores(buckets).read("gs://photos/%2e%2e/photos/cat.jpg", LIMIT)


@pytest.mark.parametrize(
    "uri",
    ["s3://photos/cat.jpg", "az://photos/cat.jpg", "ftp://photos/cat.jpg", "data://cat",
     "file:///etc/hostname", "/etc/hostname", "etc/hostname", "", "photos/cat.jpg",
     "gs:/photos/cat.jpg", "file:/etc/hostname", "://photos/cat.jpg", "g s://photos/cat.jpg"],
)  # fmt: skip
def test_schemes_nobody_set_up(buckets: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(buckets)
    stores = Stores(buckets)
    with pytest.raises(InvalidObjectName):
        stores.read(uri, LIMIT)
    with pytest.raises(InvalidObjectName):
        stores.write(uri, b"", "image/jpeg")
    with pytest.raises(InvalidObjectName):
        list(stores.list(uri))


def test_the_web_is_off_without_a_store_for_it(buckets: Path) -> None:
    for uri in ("http://127.0.0.1/cat.jpg", "HTTPS://127.0.0.1/cat.jpg"):
        with pytest.raises(ObjectForbidden, match="web_fetch"):
            Stores(buckets).read(uri, LIMIT)
        with pytest.raises(InvalidObjectName):
            Stores(buckets, files=True).write(uri, b"", "image/jpeg")


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "file://localhost{path}"])
def test_a_rule_for_one_bucket(buckets: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "dog.jpg").write_bytes(b"dog")
    rule = BucketRule("gs://pets", form.format(path=tmp_path / "elsewhere"))
    stores = Stores(buckets, [rule])
    assert stores.read("gs://pets/dog.jpg", LIMIT) == b"dog"
    assert stores.read("gs://photos/cat.jpg", LIMIT) == b"cat"


def test_a_rule_for_a_scheme(buckets: Path, tmp_path: Path) -> None:
    (tmp_path / "a b" / "team-pets").mkdir(parents=True)
    (tmp_path / "a b" / "team-pets" / "dog.jpg").write_bytes(b"dog")
    folder = f"file://{str(tmp_path).replace(' ', '%20')}/a%20b"
    stores = Stores(buckets, [BucketRule("s3://", folder + "/team-{bucket}")])
    assert stores.read("s3://pets/dog.jpg", LIMIT) == b"dog"
    assert list(stores.list("s3://pets/")) == ["s3://pets/dog.jpg"]


def test_the_rule_of_a_bucket_goes_before_that_of_its_scheme(buckets: Path, tmp_path: Path) -> None:
    for name in ("one", "all"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "here").write_text(name)
    rules = [BucketRule("gs://", str(tmp_path / "all")), BucketRule("gs://one", f"{tmp_path}/one")]
    stores = Stores(buckets, rules)
    assert stores.read("gs://one/here", LIMIT) == b"one"
    assert stores.read("gs://two/here", LIMIT) == b"all"


def test_a_rule_no_store_can_be_made_from(buckets: Path) -> None:
    stores = Stores(buckets, [BucketRule("gs://pets", "nosuch://pets")])
    with pytest.raises(SettingsError):
        stores.read("gs://pets/dog.jpg", LIMIT)


def test_many_buckets_are_not_kept_open(buckets: Path) -> None:
    stores = Stores(buckets)
    for number in range(1500):
        with pytest.raises(ObjectForbidden):
            stores.read(f"gs://bucket{number}/cat.jpg", LIMIT)
    assert len(stores._open) <= 1000


def test_files_of_this_machine(
    buckets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stores = Stores(buckets, files=True)
    for name in ("cat.jpg", "100%.jpg", "a b#1?.jpg", "%20.jpg"):
        (tmp_path / name).write_text(name)
        assert stores.read(name, LIMIT) == name.encode()
        assert stores.read(f"./{name}", LIMIT) == name.encode()
        assert stores.read(f"buckets/../{name}", LIMIT) == name.encode()
        assert stores.read(f"{tmp_path}//{name}", LIMIT) == name.encode()
    uri = tmp_path.as_uri()
    assert stores.read(f"{uri}/a%20b%231%3F.jpg", LIMIT) == b"a b#1?.jpg"
    assert stores.read(f"{uri}/a b#1?.jpg", LIMIT) == b"a b#1?.jpg"
    assert stores.read(f"{uri}/%2520.jpg", LIMIT) == b"%20.jpg"
    assert stores.read(f"file://localhost{tmp_path}/cat.jpg", LIMIT) == b"cat.jpg"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "cat.jpg")
    assert stores.read("link.jpg", LIMIT) == b"cat.jpg"
    stores.write("out/deep/1.json", b"{}", "application/json")
    assert (tmp_path / "out" / "deep" / "1.json").read_bytes() == b"{}"
    assert stores.read("gs://photos/cat.jpg", LIMIT) == b"cat"
    with pytest.raises(ObjectNotFound):
        stores.read("buckets", LIMIT)


@pytest.mark.parametrize(
    "uri",
    [
        "file://cat.jpg",
        "file://host/cat.jpg",
        "file://",
        "file:///a%00b",
        "file:///a%0Ab",
        "a\0b",
        "/",
    ],
)
def test_files_that_cannot_be(buckets: Path, uri: str) -> None:
    with pytest.raises(InvalidObjectName):
        Stores(buckets, files=True).read(uri, LIMIT)


@pytest.mark.parametrize("end", ["/", ""])
def test_what_is_listed_can_be_read(
    buckets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["100%.jpg", "a b#1?.jpg", "cat.jpg", "deep/er/ünï%20.jpg"]
    for name in names:
        path = buckets / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    stores = Stores(buckets, files=True)
    for folder in ("gs://photos", str(buckets / "photos"), "buckets/photos", "./buckets/photos",
                   "buckets/../buckets/photos", (buckets / "photos").as_uri()):  # fmt: skip
        if not end and not folder.startswith("gs:"):
            continue  # of files, a folder is what ends in a slash
        uris = list(stores.list(f"{folder}{end}"))
        assert all(uri.startswith(f"{folder}/") for uri in uris)
        assert [stores.read(uri, 1000).decode() for uri in uris] == names
    if end:
        assert list(stores.list("gs://photos/deep/")) == ["gs://photos/deep/er/ünï%20.jpg"]


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("gs://a/b", "gs"),
        ("S3://a", "s3"),
        ("https://a", "https"),
        ("a+b.c-1://x", "a+b.c-1"),
        ("/a/b", ""),
        ("a/gs://b", ""),
        (" gs://b", ""),
        ("1s://b", ""),
        ("gs:/b", ""),
        ("", ""),
    ],
)
def test_scheme_of(uri: str, scheme: str) -> None:
    assert scheme_of(uri) == scheme


def test_local_buckets_are_listed_made_and_removed(buckets: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    rules = [
        BucketRule("gs://far", "s3://far"),
        BucketRule("gs://near", str(tmp_path / "elsewhere")),
    ]
    stores = Stores(buckets, rules)
    (buckets / "far").mkdir()
    (buckets / ".hidden").mkdir()
    assert stores.local_buckets() == ["near", "photos"]
    stores.make_bucket("new")
    assert stores.local_buckets() == ["near", "new", "photos"]
    with pytest.raises(ObjectExists):
        stores.make_bucket("new")
    with pytest.raises(ObjectExists):
        stores.drop_bucket("photos")
    (buckets / "new" / "empty" / "folder").mkdir(parents=True)
    stores.drop_bucket("new")
    assert not (buckets / "new").exists()
    with pytest.raises(ObjectNotFound):
        stores.drop_bucket("new")
    for elsewhere in ("far", "near"):
        with pytest.raises(ObjectForbidden):
            stores.make_bucket(elsewhere)
        with pytest.raises(ObjectForbidden):
            stores.drop_bucket(elsewhere)
    for name in ("", "..", "a/b", ".scratch"):
        with pytest.raises(InvalidObjectName):
            stores.make_bucket(name)
        with pytest.raises(ObjectNotFound):
            stores.local(name)


READER = Principal("reader", Project("p", ("gs://a-*",)), ("gs://a-in",), ("gs://a-out",))


def test_local_buckets_are_those_of_the_principal(buckets: Path) -> None:
    for name in ("a-in", "a-out", "a-other", "b"):
        (buckets / name).mkdir()
    stores = Stores(buckets).seen_by(READER)
    assert stores.local_buckets() == ["a-in", "a-out"]
    assert stores.local("a-in").exists()
    assert stores.local("a-out", writable=True).exists()
    for name in ("a-other", "b", "photos", "not-there"):
        with pytest.raises(ObjectForbidden):
            stores.local(name)
    for name in ("a-in", "a-other", "b", "not-there"):
        with pytest.raises(ObjectForbidden):
            stores.local(name, writable=True)
        with pytest.raises(ObjectForbidden):
            stores.make_bucket(name)
        with pytest.raises(ObjectForbidden):
            stores.drop_bucket(name)
    stores.drop_bucket("a-out")
    stores.make_bucket("a-out")
    assert Stores(buckets).local_buckets() == ["a-in", "a-other", "a-out", "b", "photos"]
