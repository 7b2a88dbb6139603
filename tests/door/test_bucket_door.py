"""The bucket door: Google's storage client for Python, unchanged, and plain HTTP beside it."""

from __future__ import annotations

import json
import os
import shutil

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import storage
from google.resumable_media import InvalidResponse


@pytest.fixture
def gcs(server, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    with storage.Client.create_anonymous_client() as client:
        client.project = "local"
        yield client


@pytest.fixture
def web(server):
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def bucket(server):
    """A bucket with a few objects, whose folder is ``server.bucket("door")``."""
    folder = server.bucket("door")
    shutil.rmtree(folder)
    for name in ("a.txt", "a/1.json", "a/2.json", "a/deep/3.json", "b/4.json", "ü %#?.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "empty").mkdir()
    return folder


def left_over(bucket):
    """What unfinished uploads left behind."""
    return [path.name for path in (bucket.parent / ".scratch").iterdir()]


ALL = ["a.txt", "a/1.json", "a/2.json", "a/deep/3.json", "b/4.json", "ü %#?.txt"]


def test_objects_are_listed_in_order_of_their_names(gcs, bucket):
    assert [blob.name for blob in gcs.list_blobs("door")] == ALL
    assert [blob.name for blob in gcs.list_blobs("door", prefix="a/")] == ALL[1:4]
    assert [blob.name for blob in gcs.list_blobs("door", prefix="a/2")] == ["a/2.json"]
    assert [blob.name for blob in gcs.list_blobs("door", prefix="nothing/")] == []


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (ALL, set())),
        ({"delimiter": "/"}, (["a.txt", "ü %#?.txt"], {"a/", "b/"})),
        ({"prefix": "a", "delimiter": "/"}, (["a.txt"], {"a/"})),
        ({"prefix": "a/", "delimiter": "/"}, (["a/1.json", "a/2.json"], {"a/deep/"})),
    ],
)
def test_a_list_in_pages_is_the_list(gcs, bucket, size, asked, expected):
    found = gcs.list_blobs("door", page_size=size, **asked)
    assert ([blob.name for blob in found], found.prefixes) == expected


@pytest.mark.parametrize("name", ALL)
def test_an_object_is_read_and_its_checksums_are_right(gcs, bucket, name):
    blob = gcs.bucket("door").get_blob(name)
    assert blob.size == len(name.encode())
    assert blob.content_type == ("application/json" if name.endswith("json") else "text/plain")
    assert blob.download_as_bytes(checksum="md5") == name.encode()
    assert blob.download_as_bytes(checksum="crc32c") == name.encode()
    assert blob.updated is not None
    assert (blob.md5_hash, blob.crc32c) != (None, None)


def test_parts_of_an_object(gcs, bucket, web):
    (bucket / "long").write_bytes(bytes(range(256)) * 5000)
    blob = gcs.bucket("door").blob("long")
    whole = blob.download_as_bytes()
    assert whole == bytes(range(256)) * 5000
    assert blob.download_as_bytes(start=10, end=19) == whole[10:20]
    assert blob.download_as_bytes(start=len(whole) - 3) == whole[-3:]
    with blob.open("rb", chunk_size=256 * 1024) as reader:
        assert reader.read() == whole
    path = "/download/storage/v1/b/door/o/long?alt=media"
    last = web.get(path, headers={"Range": "bytes=-5"})
    assert (last.status_code, last.content) == (206, whole[-5:])
    assert last.headers["content-range"] == "bytes 1279995-1279999/1280000"
    for beyond in (f"bytes={len(whole)}-", "bytes=5-1", "bytes=-", "lines=1-2", "bytes=0-1,3-4"):
        answer = web.get(path, headers={"Range": beyond})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == "bytes */1280000"
    assert "content-encoding" not in web.get(path, headers={"Accept-Encoding": "gzip"}).headers


def test_files_whose_names_are_no_text_are_passed_over(gcs, bucket):
    (bucket / "a" / os.fsdecode(b"\xff")).touch()
    assert [blob.name for blob in gcs.list_blobs("door", page_size=2)] == ALL


def test_an_empty_object(gcs, bucket):
    blob = gcs.bucket("door").blob("nothing")
    blob.upload_from_string(b"")
    assert (bucket / "nothing").read_bytes() == b""
    assert blob.download_as_bytes() == b""


@pytest.mark.parametrize("size", [1, 100_000, 9_000_000], ids=["tiny", "small", "resumable"])
def test_upload_and_delete(gcs, bucket, size):
    content = os.urandom(size)
    blob = gcs.bucket("door").blob("up/load.bin")
    blob.upload_from_string(content)
    assert (bucket / "up" / "load.bin").read_bytes() == content
    assert blob.size == size
    assert blob.exists()
    blob.delete()
    assert not blob.exists()
    with pytest.raises(exceptions.NotFound, match="No such object: door/up/"):
        blob.delete()
    with pytest.raises(exceptions.NotFound):
        blob.download_as_bytes()


def test_a_resumable_upload_in_several_pieces(gcs, bucket):
    content = os.urandom(1_000_000)
    blob = gcs.bucket("door").blob("pieces", chunk_size=256 * 1024)
    with blob.open("wb", ignore_flush=True) as writer:
        for start in range(0, len(content), 100_000):
            writer.write(content[start : start + 100_000])
    assert (bucket / "pieces").read_bytes() == content
    assert left_over(bucket) == []


def test_a_resumable_upload_goes_on_after_a_break(web, bucket):
    begun = web.post("/upload/storage/v1/b/door/o?uploadType=resumable", json={"name": "broken"})
    place = begun.headers["location"]
    assert place.startswith(str(web.base_url))
    first = web.put(place, content=b"12345", headers={"Content-Range": "bytes 0-4/*"})
    assert (first.status_code, first.headers["range"]) == (308, "bytes=0-4")
    asked = web.put(place, headers={"Content-Range": "bytes */8"})
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-4")
    twice = web.put(place, content=b"12345", headers={"Content-Range": "bytes 0-4/8"})
    assert twice.headers["range"] == "bytes=0-4"  # not taken again
    assert not (bucket / "broken").exists()
    last = web.put(place, content=b"678", headers={"Content-Range": "bytes 5-7/8"})
    assert last.json()["size"] == "8"
    assert (bucket / "broken").read_bytes() == b"12345678"
    assert web.put(place, content=b"").status_code == 404
    assert web.put(place, headers={"Content-Range": "lines 1"}).status_code == 404

    place = web.post("/upload/storage/v1/b/door/o?uploadType=resumable&name=given-up").headers[
        "location"
    ]
    assert web.delete(place).status_code == 499
    assert web.put(place, content=b"x").status_code == 404
    assert left_over(bucket) == []


def test_conditions_on_the_generation(gcs, bucket):
    blob = gcs.bucket("door").blob("conditions")
    blob.upload_from_string("one", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string("two", if_generation_match=0)
    first = blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=first + 1)
    blob.upload_from_string("two", if_generation_match=first)
    assert blob.download_as_bytes() == b"two"
    with pytest.raises(exceptions.NotFound):
        gcs.bucket("door").blob("conditions", generation=5).download_as_bytes()
    assert (bucket / "conditions").read_text() == "two"


def test_bytes_that_changed_on_the_way_are_refused(web, bucket):
    metadata = {"name": "changed", "crc32c": "AAAAAA=="}
    related = (
        f"--x\r\nContent-Type: application/json\r\n\r\n{json.dumps(metadata)}\r\n"
        "--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/related; boundary=x"}
    path = "/upload/storage/v1/b/door/o?uploadType=multipart"
    assert "crc32c" in web.post(path, content=related, headers=headers).text
    assert not (bucket / "changed").exists()
    short = web.post(path, content=related[:-20].replace("AAAAAA==", ""), headers=headers)
    assert short.status_code == 400
    assert not (bucket / "changed").exists()
    assert left_over(bucket) == []


def test_buckets_are_made_found_and_removed(gcs, server):
    bucket = gcs.create_bucket("made-here")
    assert (server.data / "buckets" / "made-here").is_dir()
    assert "made-here" in [one.name for one in gcs.list_buckets()]
    with pytest.raises(exceptions.Conflict):
        gcs.create_bucket("made-here")
    bucket.blob("folder/x").upload_from_string("x")
    with pytest.raises(exceptions.Conflict):
        bucket.delete()
    bucket.delete(force=True)
    assert not (server.data / "buckets" / "made-here").exists()
    assert gcs.lookup_bucket("made-here") is None
    with pytest.raises(exceptions.NotFound):
        gcs.get_bucket("made-here")
    with pytest.raises(exceptions.NotFound):
        list(gcs.list_blobs("made-here"))
    with pytest.raises((exceptions.NotFound, InvalidResponse)):
        bucket.blob("x").upload_from_string("x")


HOSTILE = ["..%2Fsecret", "a/../../secret", "%2Fetc%2Fpasswd", "a//b", "a/./b", "x%00", "link", "a"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("base", ["/b", "/storage/v1/b", "/download/storage/v1/b"])
def test_no_name_leads_out_of_its_bucket(web, bucket, base, name):
    (bucket.parent.parent / "secret").write_text("what nobody may read")
    (bucket / "link").unlink(missing_ok=True)
    (bucket / "link").symlink_to(bucket.parent.parent / "secret")
    raw = httpx.URL(f"{web.base_url}{base}/door/o/").copy_with(
        raw_path=f"{base}/door/o/{name}?alt=media".encode()
    )
    answer = web.get(raw)
    assert answer.status_code in (400, 403, 404)
    assert "what nobody may read" not in answer.text
    assert web.delete(raw).status_code in (400, 403, 404, 405)
    if "link" not in name:
        put = web.post(
            f"/upload/storage/v1/b/door/o?uploadType=media&name={name}", content=b"overwritten"
        )
        assert put.status_code in (400, 403, 404)
    assert (bucket.parent.parent / "secret").read_text() == "what nobody may read"


@pytest.mark.parametrize("name", ["..", ".scratch", "%2e%2e%2fdata", "a%2Fb", "", "x" * 300])
def test_no_bucket_is_outside_the_folder(web, server, name):
    raw = httpx.URL(server.url).copy_with(raw_path=f"/storage/v1/b/{name}/o".encode())
    assert web.get(raw).status_code == 404
    assert web.post("/storage/v1/b", json={"name": name}).status_code == 400


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("GET /storage/v1/b/door/o?maxResults=x", b"", 400),
        ("GET /storage/v1/b/door/o?delimiter=-", b"", 400),
        ("GET /storage/v1/b/door/o?prefix=../", b"", 400),
        ("POST /storage/v1/b", b"[", 400),
        ("POST /storage/v1/b", b"[]", 400),
        ("POST /storage/v1/b", b" " * 100_000, 400),
        ("POST /storage/v1/b", b"{}", 400),
        ("POST /upload/storage/v1/b/door/o", b"", 400),
        ("POST /upload/storage/v1/b/door/o?uploadType=media", b"x", 400),
        ("POST /upload/storage/v1/b/door/o?uploadType=multipart&name=x", b"x", 400),
        ("POST /upload/storage/v1/b/none/o?uploadType=media&name=x", b"x", 404),
        ("DELETE /upload/storage/v1/b/door/o?upload_id=x", b"", 404),
        ("PATCH /storage/v1/b/door", b"", 404),
    ],
)
def test_wrong_calls_are_refused_in_cloud_storages_words(web, bucket, call, body, status):
    answer = web.request(*call.split(" "), content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


def test_the_door_can_be_closed(start_server):
    server = start_server("--bucket-door", "off")
    server.bucket("closed")
    assert httpx.get(f"{server.url}/storage/v1/b").status_code == 404
    assert httpx.get(f"{server.url}/b/closed/o").status_code == 404
    assert httpx.get(f"{server.url}/v1/operations").status_code == 200
