"""Every published version of the API, each in its own messages."""

from __future__ import annotations

import importlib
import json
import shutil

import grpc
import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.longrunning import operations_pb2, operations_pb2_grpc
from PIL import Image

from tapetum.vision import messages

NAMES = list(messages.VERSIONS)
WITH_ASYNC_IMAGES = ["v1", "v1p4beta1"]
FEATURES = [{"type_": "LABEL_DETECTION"}, {"type_": "FACE_DETECTION"}]


@pytest.fixture(scope="module")
def bucket(server, photos):
    folder = server.bucket("versions")
    shutil.copy(photos / "astronaut.jpg", folder)
    server.bucket("versions-out")
    return folder


def package(version: str):
    return importlib.import_module(f"google.cloud.vision_{version}")


def client_of(version: str, transport: str, address: str):
    transports = importlib.import_module(
        f"google.cloud.vision_{version}.services.image_annotator.transports"
    )
    if transport == "grpc":
        channel = grpc.insecure_channel(address)
        made = transports.ImageAnnotatorGrpcTransport(channel=channel)
    else:
        made = transports.ImageAnnotatorRestTransport(
            host=address, url_scheme="http", credentials=AnonymousCredentials()
        )
    return package(version).ImageAnnotatorClient(transport=made)


def requests(features=FEATURES):
    source = {"image_uri": "gs://versions/astronaut.jpg"}
    return [{"image": {"source": source}, "features": features}]


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("version", NAMES)
def test_sync_annotate(server, bucket, cell, version, transport):
    cell("versions", "BatchAnnotateImages", version)
    with client_of(version, transport, server.address) as client:
        answer = client.batch_annotate_images(requests=requests())
    [response] = answer.responses
    assert isinstance(answer, package(version).BatchAnnotateImagesResponse)
    assert response.label_annotations
    assert response.face_annotations[0].landmarks


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("version", WITH_ASYNC_IMAGES)
def test_an_operation_answers_in_the_words_of_its_version(server, bucket, cell, version, transport):
    cell("versions", "AsyncBatchAnnotateImages", version)
    prefix = f"gs://versions-out/{version}-{transport}/"
    with client_of(version, transport, server.address) as client:
        operation = client.async_batch_annotate_images(
            requests=requests(), output_config={"gcs_destination": {"uri": prefix}}
        )
        response = operation.result(60)
    assert isinstance(response, package(version).AsyncBatchAnnotateImagesResponse)
    assert isinstance(operation.metadata, package(version).OperationMetadata)
    assert response.output_config.gcs_destination.uri == prefix

    # Whichever version asks, and over whichever transport, the answer stays what it is.
    name = operation.operation.name
    types = f"type.googleapis.com/google.cloud.vision.{version}."
    with grpc.insecure_channel(server.address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        again = stub.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert again.metadata.type_url == f"{types}OperationMetadata"
    for asked in NAMES:
        tree = httpx.get(f"{server.url}/{asked}/{name}").json()
        assert tree["response"]["@type"] == f"{types}AsyncBatchAnnotateImagesResponse"

    shard = server.bucket("versions-out") / f"{version}-{transport}" / "output-1-to-1.json"
    parsed = package(version).BatchAnnotateImagesResponse.from_json(
        shard.read_text(), ignore_unknown_fields=False
    )
    assert len(parsed.responses[0].face_annotations[0].landmarks) == 34


def document(bucket):
    """A TIFF of two pages."""
    pages = [Image.new("RGB", (64, 48), colour) for colour in ("white", "red")]
    pages[0].save(bucket / "two.tif", save_all=True, append_images=pages[1:])
    source = {"gcs_source": {"uri": "gs://versions/two.tif"}, "mime_type": "image/tiff"}
    return {"input_config": source, "features": [{"type_": "IMAGE_PROPERTIES"}]}


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("version", ["v1", "v1p4beta1"])
def test_files_at_once(server, bucket, cell, version, transport):
    cell("versions", "BatchAnnotateFiles", version)
    with client_of(version, transport, server.address) as client:
        answer = client.batch_annotate_files(requests=[document(bucket)])
    assert isinstance(answer, package(version).BatchAnnotateFilesResponse)
    [file] = answer.responses
    assert file.total_pages == len(file.responses) == 2


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("version", ["v1", "v1p4beta1", "v1p3beta1", "v1p2beta1"])
def test_files_in_a_batch(server, bucket, cell, version, transport):
    cell("versions", "AsyncBatchAnnotateFiles", version)
    prefix = f"gs://versions-out/files-{version}-{transport}/"
    asked = document(bucket) | {"output_config": {"gcs_destination": {"uri": prefix}}}
    with client_of(version, transport, server.address) as client:
        operation = client.async_batch_annotate_files(requests=[asked])
        response = operation.result(60)
    assert isinstance(response, package(version).AsyncBatchAnnotateFilesResponse)
    assert isinstance(operation.metadata, package(version).OperationMetadata)
    folder = server.bucket("versions-out") / f"files-{version}-{transport}"
    [shard] = folder.iterdir()
    parsed = package(version).AnnotateFileResponse.from_json(
        shard.read_text(), ignore_unknown_fields=False
    )
    assert [page.context.page_number for page in parsed.responses] == [1, 2]


@pytest.mark.parametrize("version", NAMES)
def test_grpc_has_the_methods_of_each_version_and_no_others(server, version):
    with grpc.insecure_channel(server.address) as channel:
        for method in messages.V1.methods:
            call = channel.unary_unary(f"/google.cloud.vision.{version}.ImageAnnotator/{method}")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"")
            is_known = hasattr(package(version), f"{method}Request")
            assert (caught.value.details() == "Method not found!") is not is_known


@pytest.mark.parametrize("version", NAMES)
def test_rest_has_all_methods_and_operations_under_every_prefix(server, bucket, version):
    """As Google's discovery documents of the beta versions do."""
    body = {
        "requests": [
            {
                "image": {"source": {"imageUri": "gs://versions/none.jpg"}},
                "features": [{"type": "LABEL_DETECTION"}],
            }
        ],
        "outputConfig": {"gcsDestination": {"uri": f"gs://versions-out/all-{version}/"}},
    }
    with httpx.Client(base_url=f"{server.url}/{version}", timeout=30) as web:
        started = web.post("/projects/versions/images:asyncBatchAnnotate", json=body).json()
        speaks = version if version in WITH_ASYNC_IMAGES else "v1"
        assert f"vision.{speaks}.OperationMetadata" in json.dumps(started)
        name = started["name"]
        assert name.startswith("projects/versions/operations/")  # from the path alone
        assert web.get(f"/{name}").status_code == 200
        assert web.get("/operations").json()["operations"]
        assert web.get("/projects/versions/operations").json()["operations"]
        assert web.post(f"/{name}:cancel").json() == {}
        assert web.delete(f"/{name}").json() == {}
        for path in ("images:annotate", "files:annotate", "files:asyncBatchAnnotate"):
            assert web.post(f"/{path}", json={}).status_code == 400
        unknown = web.post("/images:annotate", json={"requests": [{"images": 1}]})
        assert 'Unknown name "images"' in unknown.json()["error"]["message"]
        enum = web.post("/images:annotate", json={"requests": [{"features": [{"type": "CATS"}]}]})
        assert f"google.cloud.vision.{version}.Feature.Type" in enum.json()["error"]["message"]


def test_a_version_does_not_know_the_words_of_later_ones(server):
    late = {"requests": [{"features": [{"type": "OBJECT_LOCALIZATION"}]}]}
    for version, status in (("v1p1beta1", 400), ("v1p2beta1", 400), ("v1p3beta1", 400)):
        answer = httpx.post(f"{server.url}/{version}/images:annotate", json=late)
        assert answer.status_code == status
        is_unknown = "OBJECT_LOCALIZATION" in answer.json()["error"]["message"]
        assert is_unknown is (version != "v1p3beta1")  # which has it, and misses the image
    parent = {"requests": [], "parent": "projects/p"}
    assert "parent" in httpx.post(f"{server.url}/v1p4beta1/images:annotate", json=parent).text
