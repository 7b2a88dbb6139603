"""Google's unmodified Python client over gRPC, against a real server process."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import (
    ImageAnnotatorGrpcAsyncIOTransport,
)
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import duration_pb2

FEATURES = [{"type_": "LABEL_DETECTION"}, {"type_": "IMAGE_PROPERTIES"}]


@pytest.fixture(scope="module")
def bucket(server, photos):
    folder = server.bucket("photos")
    for name in ("cat.jpg", "dog.jpg", "coffee.jpg"):
        shutil.copy(photos / name, folder)
    server.bucket("results")
    return folder


@pytest.fixture
def client(server, bucket):
    made = server.client()
    yield made
    made.transport.close()


@pytest.fixture
def operations(server):
    with grpc.insecure_channel(server.address) as channel:
        yield operations_pb2_grpc.OperationsStub(channel)


def request(*names: str, features=FEATURES):
    return [
        {"image": {"source": {"image_uri": f"gs://photos/{name}"}}, "features": features}
        for name in names
    ]


def output(prefix: str, batch_size: int = 2):
    return {"gcs_destination": {"uri": f"gs://results/{prefix}"}, "batch_size": batch_size}


def test_the_documented_offline_batch(client, server):
    operation = client.async_batch_annotate_images(
        requests=request("cat.jpg", "dog.jpg", "coffee.jpg"), output_config=output("documented/")
    )
    response = operation.result(90)
    assert response.output_config.gcs_destination.uri == "gs://results/documented/"
    assert response.output_config.batch_size == 2
    assert operation.metadata.state == vision_v1.OperationMetadata.State.DONE
    assert operation.metadata.update_time >= operation.metadata.create_time

    folder = server.bucket("results") / "documented"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["output-1-to-2.json", "output-3-to-3.json"]
    first = vision_v1.BatchAnnotateImagesResponse.from_json((folder / names[0]).read_text())
    uris = [answer.context.uri for answer in first.responses]
    assert uris == ["gs://photos/cat.jpg", "gs://photos/dog.jpg"]
    assert "Cat" in [label.description for label in first.responses[0].label_annotations]
    assert "Dog" in [label.description for label in first.responses[1].label_annotations]
    assert len(first.responses[0].image_properties_annotation.dominant_colors.colors) == 10
    assert first.responses[0].crop_hints_annotation.crop_hints


def test_sync_answers_what_the_batch_writes(client, server):
    names = ["cat.jpg", "missing.jpg"]
    answer = client.batch_annotate_images(requests=request(*names))
    client.async_batch_annotate_images(
        requests=request(*names), output_config=output("same/", 20)
    ).result(90)
    written = (server.bucket("results") / "same" / "output-1-to-2.json").read_text()
    of_batch = vision_v1.BatchAnnotateImagesResponse.from_json(written)
    assert [bool(one.context.uri) for one in answer.responses] == [False, False]
    for one in of_batch.responses:
        one.context = None
    assert answer == of_batch
    assert answer.responses[1].error.code == 5


def test_inline_content_and_the_single_image_helper(client, photos):
    content = (photos / "cat.jpg").read_bytes()
    answer = client.annotate_image({"image": {"content": content}, "features": FEATURES})
    assert not answer.error.message
    assert "Cat" in [label.description for label in answer.label_annotations]


def test_every_image_failing_still_is_a_batch(client, server):
    operation = client.async_batch_annotate_images(
        requests=request("a.jpg", "b.jpg"), output_config=output("failing/")
    )
    operation.result(60)
    [path] = (server.bucket("results") / "failing").iterdir()
    answers = json.loads(path.read_text())["responses"]
    assert [answer["error"]["code"] for answer in answers] == [5, 5]


def test_an_unwritable_output_is_the_operations_error(client):
    operation = client.async_batch_annotate_images(
        requests=request("cat.jpg"),
        output_config={"gcs_destination": {"uri": "gs://no-such-bucket/x"}},
    )
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        operation.result(60)
    assert "Error writing final output to: gs://no-such-bucket/x" in str(caught.value)
    assert operation.operation.error.code == 7


def test_a_wrong_argument_names_its_field_in_the_details(client):
    with pytest.raises(exceptions.InvalidArgument) as caught:
        client.async_batch_annotate_images(
            requests=[*request("cat.jpg"), {"features": FEATURES}], output_config=output("x/")
        )
    assert caught.value.message.startswith("Request must specify image and features.")
    [bad] = caught.value.details
    assert bad.field_violations[0].field == "requests[1].image"


@pytest.mark.parametrize("images", [17])
def test_too_many_images_for_one_call(client, images):
    with pytest.raises(exceptions.InvalidArgument, match="Too many images per request"):
        client.batch_annotate_images(requests=request(*["cat.jpg"] * images))


def test_a_request_of_many_megabytes_goes_through(client):
    """Above gRPC's own 4 MiB limit; what is in it is no image, and says so."""
    content = b"x" * 10_000_000
    asked = [{"image": {"content": content}, "features": FEATURES}] * 3
    answer = client.batch_annotate_images(requests=asked)
    assert [one.error.message for one in answer.responses] == ["Bad image data."] * 3


def test_operations_are_listed_found_again_and_deleted(client, operations):
    started = [
        client.async_batch_annotate_images(
            requests=request("cat.jpg"), output_config=output("listed/"), retry=None
        )
        for _ in range(3)
    ]
    for operation in started:
        operation.result(60)
    names = [operation.operation.name for operation in started]

    first = operations.ListOperations(operations_pb2.ListOperationsRequest(page_size=2))
    assert [one.name for one in first.operations] == names[:0:-1]
    second = operations.ListOperations(
        operations_pb2.ListOperationsRequest(page_size=1, page_token=first.next_page_token)
    )
    assert [one.name for one in second.operations] == names[:1]
    running = operations.ListOperations(operations_pb2.ListOperationsRequest(filter="done=false"))
    assert not set(names) & {one.name for one in running.operations}

    again = operations.GetOperation(operations_pb2.GetOperationRequest(name=names[0]))
    assert again.done
    assert again.response.type_url.endswith("vision.v1.AsyncBatchAnnotateImagesResponse")
    operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=names[0]))
    with pytest.raises(grpc.RpcError) as caught:
        operations.GetOperation(operations_pb2.GetOperationRequest(name=names[0]))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "call",
    [
        lambda stub: stub.ListOperations(operations_pb2.ListOperationsRequest(filter="a=b")),
        lambda stub: stub.ListOperations(operations_pb2.ListOperationsRequest(page_token="!")),
        lambda stub: stub.ListOperations(operations_pb2.ListOperationsRequest(name="folders/1")),
    ],
)
def test_wrong_list_arguments(operations, call):
    with pytest.raises(grpc.RpcError) as caught:
        call(operations)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["Get", "Cancel", "Delete", "Wait"])
def test_an_unknown_operation_is_not_found(operations, method):
    kind = getattr(operations_pb2, f"{method}OperationRequest")
    with pytest.raises(grpc.RpcError) as caught:
        getattr(operations, f"{method}Operation")(kind(name="projects/local/operations/0"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_wait_returns_with_the_operation_or_with_its_timeout(client, operations):
    operation = client.async_batch_annotate_images(
        requests=request("cat.jpg"), output_config=output("waited/")
    )
    name = operation.operation.name
    done = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))
    assert done.done
    soon = duration_pb2.Duration(nanos=1)
    again = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name, timeout=soon))
    assert again.done


def test_cancel_ends_the_operation_and_its_output(client, server):
    operation = client.async_batch_annotate_images(
        requests=request(*["dog.jpg", "coffee.jpg"] * 500), output_config=output("cancelled/", 1)
    )
    assert operation.cancel()
    with pytest.raises(exceptions.Cancelled):
        operation.result(60)
    assert operation.cancelled()
    assert operation.metadata.state == vision_v1.OperationMetadata.State.CANCELLED
    assert operation.operation.error.code == 1
    assert operation.cancel() is False or operation.done()  # a second time changes nothing
    folder = server.bucket("results") / "cancelled"
    for path in folder.glob("*"):
        assert len(json.loads(path.read_text())["responses"]) == 1  # whole files only


def test_the_asyncio_client(server, bucket):
    async def run():
        channel = grpc.aio.insecure_channel(server.address)
        transport = ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
        client = vision_v1.ImageAnnotatorAsyncClient(transport=transport)
        operation = await client.async_batch_annotate_images(
            requests=request("cat.jpg"), output_config=output("aio/")
        )
        response = await operation.result(timeout=60)
        await channel.close()
        return response

    response = asyncio.run(run())
    assert response.output_config.gcs_destination.uri == "gs://results/aio/"


def test_calls_are_answered_while_a_batch_runs(client, server):
    operation = client.async_batch_annotate_images(
        requests=request(*["dog.jpg"] * 300), output_config=output("busy/", 20)
    )
    answers = []

    def ask():
        answers.append(client.batch_annotate_images(requests=request("cat.jpg")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    assert not operation.done()
    operation.cancel()


def test_the_operation_keeps_its_parent(client):
    operation = client.async_batch_annotate_images(
        {
            "requests": request("cat.jpg"),
            "output_config": output("parent/"),
            "parent": "projects/mine/locations/eu",
            "labels": {"team": "a"},
        }
    )
    assert operation.operation.name.startswith("projects/mine/locations/eu/operations/")
    operation.result(60)
