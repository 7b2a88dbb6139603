"""How far an operation is, for those who look, and what Java's client gets."""

from __future__ import annotations

import json
import shutil
import time

import grpc
import httpx
import pytest
from google.cloud import vision_v1
from google.longrunning import operations_pb2, operations_pb2_grpc

from tapetum.operations.service import FIRST_ANSWER

JAVA = "gl-java/17.0.15 gapic/3.91.0 gax/2.81.0 grpc/1.81.0"
PYTHON = "gl-python/3.11.7 grpc/1.85.1 gax/2.44.0"


@pytest.fixture(scope="module")
def bucket(server, photos):
    folder = server.bucket("progress")
    shutil.copy(photos / "cat.jpg", folder)
    server.bucket("progress-out")


@pytest.fixture
def web(server, bucket):
    with httpx.Client(base_url=f"{server.url}/v1", timeout=60) as client:
        yield client


def body(*uris: str) -> dict:
    return {
        "requests": [
            {"image": {"source": {"imageUri": uri}}, "features": [{"type": "IMAGE_PROPERTIES"}]}
            for uri in uris
        ],
        "outputConfig": {"gcsDestination": {"uri": "gs://progress-out/"}, "batchSize": 1},
    }


def start(web: httpx.Client, *uris: str) -> str:
    return web.post("/images:asyncBatchAnnotate", json=body(*uris)).json()["name"]


def test_progress_from_the_first_image_to_the_last(web):
    name = start(web, *["gs://progress/cat.jpg"] * 60, "gs://progress/none.jpg")
    seen = []
    while not seen or seen[-1]["state"] != "DONE":
        seen.append(web.get(f"/{name}:progress").json())
    assert {one["images"] for one in seen} == {61}
    done = [one["imagesDone"] for one in seen]
    assert done == sorted(done)
    running = [one for one in seen if one["state"] == "RUNNING" and one["imagesDone"]]
    assert running  # there was something to see
    for one in running:
        assert one["imagesPerSecond"] > 0
        left = (61 - one["imagesDone"]) / one["imagesPerSecond"]
        assert one["secondsLeft"] == pytest.approx(left, rel=0.1, abs=0.2)
    last = seen[-1]
    assert (last["imagesDone"], last["imagesFailed"]) == (61, 1)
    assert "secondsLeft" not in last
    assert last["name"] == name
    assert set(last) >= {"createTime", "updateTime"}


def test_the_metadata_counts_for_those_who_are_no_google_client(web):
    name = start(web, "gs://progress/none.jpg")
    while not (operation := web.get(f"/{name}").json()).get("done"):
        pass
    metadata = operation["metadata"]
    assert (metadata["images"], metadata["imagesDone"], metadata["imagesFailed"]) == (1, 1, 1)
    # Google's Python client over REST refuses fields it does not know.
    strict = web.get(f"/{name}", headers={"x-goog-api-client": PYTHON}).json()
    assert set(strict["metadata"]) == {"@type", "state", "createTime", "updateTime"}


def test_the_progress_of_an_unknown_operation(web):
    assert web.get("/operations/none:progress").status_code == 404
    assert web.post("/operations/none:progress").status_code == 404


def start_over_grpc(server, client: str, uris: list[str]) -> bool:
    request = vision_v1.AsyncBatchAnnotateImagesRequest.pb(
        vision_v1.AsyncBatchAnnotateImagesRequest.from_json(json.dumps(body(*uris)))
    )
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages",
            request_serializer=type(request).SerializeToString,
            response_deserializer=operations_pb2.Operation.FromString,
        )
        operation = call(request, metadata=[("x-goog-api-client", client)])
        cancel = operations_pb2.CancelOperationRequest(name=operation.name)
        operations_pb2_grpc.OperationsStub(channel).CancelOperation(cancel)
    return operation.done


def start_over_rest(server, client: str, uris: list[str]) -> bool:
    headers = {"x-goog-api-client": client}
    with httpx.Client(base_url=f"{server.url}/v1", timeout=60) as web:
        operation = web.post("/images:asyncBatchAnnotate", json=body(*uris), headers=headers).json()
        web.post(f"/{operation['name']}:cancel")
    return operation.get("done", False)


BOTH = pytest.mark.parametrize("begin", [start_over_grpc, start_over_rest])


@BOTH
def test_java_is_answered_when_a_short_job_is_done(server, web, begin):
    """Its client asks for the first time after up to 20 seconds."""
    assert begin(server, JAVA, ["gs://progress/none.jpg"])


@BOTH
def test_java_is_told_that_a_long_job_is_not_done_and_others_are_at_once(server, web, begin):
    many = ["gs://progress/cat.jpg"] * 2000
    assert not begin(server, PYTHON, many)
    started = time.time()
    assert not begin(server, JAVA, many)
    assert time.time() - started >= FIRST_ANSWER
