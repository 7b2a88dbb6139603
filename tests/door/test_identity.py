"""Who may do what, through Google's client over TLS, and plain calls where it cannot go."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import storage, vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
from google.longrunning import operations_pb2, operations_pb2_grpc
from PIL import Image

from tapetum.identity.api_keys import ApiKeys
from tapetum.identity.certificates import write_certificates
from tapetum.identity.service_accounts import write_service_account

ROBOT = "robot@alpha.example"
SETTINGS = """
auth = "api-key,jwt"
log_level = "debug"

[projects.alpha]
buckets = ["gs://alpha-*", "gs://shared"]

[projects.beta]
buckets = ["gs://beta-*"]

[principals.alice]
project = "alpha"

[principals.reader]
project = "alpha"
input_buckets = ["gs://alpha-in"]
output_buckets = ["gs://alpha-out"]

[principals.slow]
project = "alpha"
requests_per_minute = 2

[principals.bob]
project = "beta"

[principals.robot]
project = "alpha"
issuer = "robot@alpha.example"

[issuers.'robot@alpha.example']
keys = "{keys}"
"""
PROPERTIES = [{"type_": vision_v1.Feature.Type.IMAGE_PROPERTIES}]


@dataclass
class Guarded:
    """A server that asks, over TLS, and what is needed to answer it."""

    running: Any
    keys: dict[str, str]
    account: Path
    authority: Path

    @property
    def address(self) -> str:
        return self.running.address.replace("127.0.0.1", "localhost")

    def channel(self) -> grpc.Channel:
        trusted = grpc.ssl_channel_credentials(self.authority.read_bytes())
        return grpc.secure_channel(self.address, trusted)

    def web(self, **headers: str) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.authority))
        return httpx.Client(base_url=f"https://{self.address}", verify=context, headers=headers)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, new_server) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    certificates = write_certificates(folder / "tls", ["localhost"])
    account = write_service_account(folder / "accounts", ROBOT, "alpha")
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS.replace("{keys}", str(account.public)))
    keys = ApiKeys(folder / "data" / "api-keys.json")
    made = {name: keys.make(name)[0] for name in ("alice", "bob", "reader", "slow", "gone")}
    running = new_server(
        folder / "data",
        "--settings", str(settings),
        "--tls-cert", str(certificates.server), "--tls-key", str(certificates.server_key),
    )  # fmt: skip
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "PNG")
    for bucket in ("alpha-in", "alpha-out", "beta-in", "beta-out", "shared"):
        (running.bucket(bucket) / "a.png").write_bytes(picture.getvalue())
    yield Guarded(running, made, account.secret, certificates.authority)
    running.kill()


class Caller:
    """Google's client over gRPC, with one API key."""

    def __init__(self, guarded: Guarded, key: str) -> None:
        self._metadata = (("x-goog-api-key", key),)
        self._channel = guarded.channel()
        transport = ImageAnnotatorGrpcTransport(channel=self._channel)
        self._client = vision_v1.ImageAnnotatorClient(transport=transport)
        self.operations = operations_pb2_grpc.OperationsStub(self._channel)

    def start(self, source: str, target: str, parent: str = "", uri: str = ""):
        image = {"source": {"image_uri": uri or f"gs://{source}/a.png"}}
        request = {
            "requests": [{"image": image, "features": PROPERTIES}],
            "output_config": {"gcs_destination": {"uri": f"gs://{target}/out/"}},
            "parent": parent,
        }
        operation = self._client.async_batch_annotate_images(request, metadata=self._metadata)
        return self.wait(operation.operation.name)

    def wait(self, name: str):
        request = operations_pb2.WaitOperationRequest(name=name)
        return self.operations.WaitOperation(request, metadata=self._metadata)

    def names(self, project: str = "") -> set[str]:
        request = operations_pb2.ListOperationsRequest(name=project)
        found = self.operations.ListOperations(request, metadata=self._metadata)
        return {operation.name for operation in found.operations}

    def code(self, method: str, name: str) -> grpc.StatusCode:
        request = getattr(operations_pb2, f"{method}OperationRequest")(name=name)
        with pytest.raises(grpc.RpcError) as caught:
            getattr(self.operations, f"{method}Operation")(request, metadata=self._metadata)
        return caught.value.code()

    def annotate(self, *uris: str):
        requests = [
            {"image": {"source": {"image_uri": uri}}, "features": PROPERTIES} for uri in uris
        ]
        return self._client.batch_annotate_images(
            requests=requests, metadata=self._metadata, retry=None
        ).responses

    def _file(self, source: str):
        uri = f"gs://{source}/pages.tif"
        config = {"gcs_source": {"uri": uri}, "mime_type": "image/tiff"}
        return {"input_config": config, "features": PROPERTIES}

    def files(self, source: str):
        return self._client.batch_annotate_files(
            requests=[self._file(source)], metadata=self._metadata
        )

    def start_files(self, source: str, target: str):
        output = {"gcs_destination": {"uri": f"gs://{target}/pages/"}}
        operation = self._client.async_batch_annotate_files(
            requests=[{**self._file(source), "output_config": output}], metadata=self._metadata
        )
        return self.wait(operation.operation.name)


@pytest.fixture
def alice(guarded: Guarded) -> Caller:
    return Caller(guarded, guarded.keys["alice"])


@pytest.fixture
def bob(guarded: Guarded) -> Caller:
    return Caller(guarded, guarded.keys["bob"])


def test_googles_client_with_a_key_and_with_a_service_account(guarded):
    program = Path(__file__).parent.parent / "programs" / "asks_as_everybody.py"
    trusted = str(guarded.authority)
    ran = subprocess.run(
        [
            sys.executable, str(program), guarded.address, guarded.keys["alice"],
            "gs://alpha-in", "gs://alpha-out",
        ],
        env={
            **os.environ,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": trusted,
            "REQUESTS_CA_BUNDLE": trusted,
            "GOOGLE_APPLICATION_CREDENTIALS": str(guarded.account),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    for way in ("key grpc", "key rest", "account grpc", "account rest"):
        assert found[way].startswith("projects/alpha/operations/")
    assert found["wrong key grpc"] == "Unauthenticated API_KEY_INVALID"
    assert found["wrong key rest"] == "Unauthorized API_KEY_INVALID"  # its parent class


def test_a_project_sees_its_own_operations_only(alice, bob):
    hers = alice.start("alpha-in", "alpha-out").name
    his = bob.start("beta-in", "beta-out").name
    assert (hers.split("/")[1], his.split("/")[1]) == ("alpha", "beta")
    assert hers in alice.names()
    assert his not in alice.names()
    assert hers not in bob.names("projects/beta")
    for method in ("Get", "Cancel", "Delete", "Wait"):
        assert bob.code(method, hers) is grpc.StatusCode.NOT_FOUND
    assert alice.wait(hers).done  # still there
    with pytest.raises(grpc.RpcError) as caught:
        bob.names("projects/alpha")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_nobody_acts_for_another_project(alice):
    assert alice.start("alpha-in", "alpha-out", "projects/alpha").done
    with pytest.raises(exceptions.PermissionDenied) as caught:
        alice.start("alpha-in", "alpha-out", "projects/beta")
    assert caught.value.reason == "USER_PROJECT_DENIED"


def test_another_projects_output_is_the_operations_error(guarded, alice):
    bucket = guarded.running.bucket("beta-out")
    before = {path: path.stat().st_mtime_ns for path in bucket.rglob("*")}
    ended = alice.start("alpha-in", "beta-out")
    assert ended.error.code == 7
    assert ended.error.message == "Error writing final output to: gs://beta-out/out/"
    assert {path: path.stat().st_mtime_ns for path in bucket.rglob("*")} == before


def test_another_projects_input_is_the_images_error(guarded, alice):
    answers = alice.annotate("gs://alpha-in/a.png", "gs://beta-in/a.png", "gs://no-such/a.png")
    assert [answer.error.code for answer in answers] == [0, 7, 7]
    ended = alice.start("beta-in", "alpha-out")
    assert not ended.error.code
    [shard] = (guarded.running.bucket("alpha-out") / "out").iterdir()
    [answer] = json.loads(shard.read_text())["responses"]
    assert answer["error"] == {"code": 7, "message": "Error opening file: gs://beta-in/a.png."}


def test_another_projects_file_of_pages(guarded, alice):
    for bucket in ("alpha-in", "beta-in"):
        frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
        path = guarded.running.bucket(bucket) / "pages.tif"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    assert alice.files("alpha-in").responses[0].total_pages == 2
    assert alice.files("beta-in").responses[0].error.code == 7
    assert alice.start_files("alpha-in", "alpha-out").done
    with pytest.raises(exceptions.PermissionDenied):
        alice.start_files("beta-in", "alpha-out")
    assert alice.start_files("alpha-in", "beta-out").error.code == 7


def test_a_principal_may_be_narrower_than_its_project(guarded):
    reader = Caller(guarded, guarded.keys["reader"])
    assert not reader.start("alpha-in", "alpha-out").error.code
    assert reader.start("alpha-in", "alpha-in").error.code == 7
    answers = reader.annotate("gs://alpha-in/a.png", "gs://alpha-out/a.png", "gs://shared/a.png")
    assert [answer.error.code for answer in answers] == [0, 7, 7]


def test_rights_are_those_of_the_starter_when_the_output_is_written(guarded, photos, start_server):
    """An operation started while all was open finds the door shut once the server asks."""
    server = start_server("--workers", "1", "--lease", "600")
    shutil.copy(photos / "dog.jpg", server.bucket("alpha-in"))
    server.bucket("alpha-out")
    requests = [{"image": {"source": {"image_uri": "gs://alpha-in/dog.jpg"}},
                 "features": [{"type_": 4}]}] * 200  # fmt: skip
    with server.client() as client:
        output = {"gcs_destination": {"uri": "gs://alpha-out/"}, "batch_size": 1}
        name = client.async_batch_annotate_images(
            requests=requests, output_config=output
        ).operation.name
    assert server.stop() == 0
    settings = server.data.parent / "settings.toml"
    settings.write_text(
        SETTINGS.replace("{keys}", str(guarded.account).replace(".json", ".jwks.json"))
    )
    key, _ = ApiKeys(server.data / "api-keys.json").make("alice")
    again = start_server("--settings", str(settings))
    with httpx.Client(base_url=again.url, headers={"x-goog-api-key": key}) as web:
        assert web.get(f"/v1/{name}").status_code == 404  # it is not alpha's
    wanted = re.compile(f"operation failed: operation={name}.*Error writing final output")
    while not wanted.search(again.log.read_text()):
        assert again.process.poll() is None


def files_of(bucket: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file()}


#: Ways to reach a bucket through the bucket door: what is called, and whether it writes.
STORAGE_CALLS = [
    ("GET /storage/v1/b/{}", False),
    ("GET /b/{}/o", False),
    ("GET /storage/v1/b/{}/o?prefix=a", False),
    ("GET /storage/v1/b/{}/o/a.png", False),
    ("GET /b/{}/o/a.png?alt=media", False),
    ("GET /download/storage/v1/b/{}/o/a.png?alt=media", False),
    ("POST /upload/storage/v1/b/{}/o?uploadType=media&name=a.png", True),
    ("POST /upload/storage/v1/b/{}/o?uploadType=resumable&name=a.png", True),
    ("DELETE /storage/v1/b/{}/o/a.png", True),
    ("DELETE /b/{}", True),
]


@pytest.mark.parametrize(("call", "writes"), STORAGE_CALLS)
def test_another_projects_bucket_is_shut_at_the_bucket_door(guarded, call, writes):
    bucket = guarded.running.bucket("beta-in")
    before = files_of(bucket)
    with guarded.web(**{"x-goog-api-key": guarded.keys["alice"]}) as alice:
        refused = alice.request(*call.format("beta-in").split())
        assert refused.status_code == 403
        assert refused.json()["error"]["errors"][0]["reason"] == "forbidden"
        missing = alice.request(*call.format("beta-no-such").split())
        assert missing.status_code == 403  # and so nobody learns which buckets there are
        if not writes:
            assert alice.request(*call.format("alpha-in").split()).status_code == 200
    with guarded.web() as nobody:
        assert nobody.request(*call.format("beta-in").split()).status_code == 401
    assert files_of(bucket) == before


def test_the_bucket_door_lists_the_callers_buckets_only(guarded):
    def names(who: str) -> list[str]:
        with guarded.web(**{"x-goog-api-key": guarded.keys[who]}) as web:
            return [bucket["name"] for bucket in web.get("/storage/v1/b").json()["items"]]

    assert names("alice") == ["alpha-in", "alpha-out", "shared"]
    assert names("reader") == ["alpha-in", "alpha-out"]
    assert names("bob") == ["beta-in", "beta-out"]


def test_results_are_read_and_images_uploaded_at_the_bucket_door_as_the_lists_say(guarded):
    upload = "/upload/storage/v1/b/{}/o?uploadType=media&name=new/b.png"
    with guarded.web(**{"x-goog-api-key": guarded.keys["reader"]}) as reader:
        assert reader.get("/storage/v1/b/alpha-out/o").status_code == 200
        assert reader.post(upload.format("alpha-out"), content=b"x").status_code == 200
        assert reader.get("/b/alpha-out/o/new%2Fb.png?alt=media").content == b"x"
        assert reader.delete("/b/alpha-out/o/new%2Fb.png").status_code == 204
        assert reader.get("/b/alpha-in/o/a.png").status_code == 200
        assert reader.post(upload.format("alpha-in"), content=b"x").status_code == 403
        assert reader.delete("/b/alpha-in/o/a.png").status_code == 403
        assert reader.get("/b/shared/o").status_code == 403
    assert not (guarded.running.bucket("alpha-in") / "new").exists()


def test_buckets_are_made_and_dropped_by_those_who_may_write_them(guarded):
    with guarded.web(**{"x-goog-api-key": guarded.keys["alice"]}) as alice:
        assert alice.post("/storage/v1/b", json={"name": "beta-made"}).status_code == 403
        assert alice.post("/storage/v1/b", json={"name": "alpha-made"}).status_code == 200
        with guarded.web(**{"x-goog-api-key": guarded.keys["bob"]}) as bob:
            assert bob.delete("/storage/v1/b/alpha-made").status_code == 403
        assert alice.delete("/storage/v1/b/alpha-made").status_code == 204
    made = guarded.running.data / "buckets"
    assert not list(made.glob("*-made"))


def test_googles_storage_client_with_a_key(guarded, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"https://{guarded.address}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(guarded.authority))
    headers = {"x-goog-api-key": guarded.keys["alice"]}
    with storage.Client(project="alpha", extra_headers=headers) as client:
        blob = client.bucket("alpha-in").blob("new.txt")
        blob.upload_from_string("new")
        assert blob.download_as_bytes() == b"new"
        assert "new.txt" in [one.name for one in client.list_blobs("alpha-in")]
        blob.delete()
        with pytest.raises(exceptions.Forbidden):
            list(client.list_blobs("beta-in"))


def test_an_upload_goes_on_only_for_who_began_it(guarded):
    begin = "/upload/storage/v1/b/alpha-in/o?uploadType=resumable&name=mine"
    with guarded.web(**{"x-goog-api-key": guarded.keys["alice"]}) as alice:
        place = alice.post(begin, json={}).headers["location"]
        assert place.startswith(f"https://{guarded.address}/")
        with guarded.web(**{"x-goog-api-key": guarded.keys["bob"]}) as bob:
            assert bob.put(place, content=b"his").status_code == 404
            assert bob.delete(place).status_code == 404
        assert alice.put(place, content=b"hers").status_code == 200
        assert alice.get("/b/alpha-in/o/mine?alt=media").content == b"hers"
        assert alice.delete("/b/alpha-in/o/mine").status_code == 204


def test_progress_and_every_version_are_for_the_project_only(guarded, alice, bob):
    name = alice.start("alpha-in", "alpha-out").name
    for version in ("v1", "v1p4beta1", "v1p1beta1"):
        for path in (f"/{version}/{name}", f"/{version}/{name}:progress"):
            with guarded.web(**{"x-goog-api-key": guarded.keys["alice"]}) as web:
                assert web.get(path).status_code == 200
            with guarded.web(**{"x-goog-api-key": guarded.keys["bob"]}) as web:
                assert web.get(path).status_code == 404
            with guarded.web() as web:
                assert web.get(path).status_code == 401
    with guarded.web() as web:
        for path in ("/$discovery/rest", "/v1/openapi.json"):
            assert web.get(path).status_code == 401


@pytest.mark.parametrize("key", ["", "gone", "wrong"])
@pytest.mark.parametrize("door", ["grpc", "rest"])
def test_who_is_not_known_is_told_so_in_googles_way(guarded, door, key):
    secret = {"": "", "gone": guarded.keys["gone"], "wrong": "tapetum_wrong"}[key]
    reason = {"": "CREDENTIALS_MISSING", "gone": "IAM_PERMISSION_DENIED"}.get(
        key, "API_KEY_INVALID"
    )
    if door == "rest":
        with guarded.web() as web:
            for path in ("/v1/operations", "/v1/images:annotate", "/", "/elsewhere"):
                answer = web.request("POST" if ":" in path else "GET", path, params={"key": secret})
                error = answer.json()["error"]
                wanted = (403, "PERMISSION_DENIED") if key == "gone" else (401, "UNAUTHENTICATED")
                assert (answer.status_code, error["status"]) == wanted
                [info] = error["details"]
                assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
                assert (info["reason"], info["domain"]) == (reason, "googleapis.com")
                assert ("www-authenticate" in answer.headers) == (key != "gone")
                assert not secret or secret not in answer.text
        return
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        Caller(guarded, secret).annotate("gs://alpha-in/a.png")
    wanted = exceptions.PermissionDenied if key == "gone" else exceptions.Unauthenticated
    assert type(caught.value) is wanted
    assert caught.value.reason == reason


@pytest.mark.parametrize("where", ["header", "query"])
def test_a_key_over_rest(guarded, where):
    key = guarded.keys["bob"]
    headers = {"x-goog-api-key": key} if where == "header" else {}
    with guarded.web(**headers) as web:
        answer = web.get("/v1/operations", params={"key": key} if where == "query" else {})
        assert answer.status_code == 200


def test_a_revoked_key_is_refused_from_then_on(guarded):
    file = ApiKeys(guarded.running.data / "api-keys.json")
    key, record = file.make("bob")
    assert Caller(guarded, key).names() is not None
    file.revoke(record.id)
    with pytest.raises(grpc.RpcError) as caught:
        Caller(guarded, key).names()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_more_calls_than_the_quota_are_told_when_to_come_again(guarded):
    slow = Caller(guarded, guarded.keys["slow"])
    for _ in range(2):
        slow.annotate("gs://alpha-in/a.png")
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        slow.annotate("gs://alpha-in/a.png")
    [retry] = [one for one in caught.value.details if hasattr(one, "retry_delay")]
    assert 0 < retry.retry_delay.ToMilliseconds() <= 30_000
    assert slow.names() is not None  # polls are not counted
    key = guarded.keys["slow"]
    with guarded.web() as web:
        answer = web.post("/v1/images:annotate", params={"key": key}, json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    kinds = [detail["@type"].rpartition(".")[2] for detail in error["details"]]
    assert kinds == ["ErrorInfo", "RetryInfo"]


def test_nothing_secret_is_in_the_log(guarded, alice):
    """Last in this file: after all the above, at log level debug."""
    for uri in (
        "https://user:hidden-password@127.0.0.1/a.png?X-Goog-Signature=hidden-signature",
        "http://127.0.0.1/a.png?X-Goog-Signature=hidden-signature",
        "ftp://user:hidden-password@127.0.0.1/a.png",
    ):
        alice.start("alpha-in", "alpha-out", uri=uri)
    private = json.loads(guarded.account.read_text())["private_key"].splitlines()[1]
    said = guarded.running.log.read_text()
    assert said.count("image failed") >= 3
    assert "Traceback" not in said
    secrets = [*guarded.keys.values(), "tapetum_wrong", private, "eyJ", "hidden-password",
               "hidden-signature", "Bearer "]  # fmt: skip
    assert [secret for secret in secrets if secret in said] == []
