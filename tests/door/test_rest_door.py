"""The REST door: Google's client over REST, and plain HTTP where the client cannot go."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import shutil
import socket
from urllib.parse import quote

import httpx
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorRestTransport

FEATURES = [{"type": "LABEL_DETECTION"}]
PARENTS = ["", "projects/p/", "projects/p/locations/eu/"]


@pytest.fixture(scope="module")
def bucket(server, photos):
    folder = server.bucket("rest")
    shutil.copy(photos / "cat.jpg", folder)
    server.bucket("rest-out")
    return folder


@pytest.fixture
def web(server, bucket):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def body(prefix: str = "x/", uri: str = "gs://rest/cat.jpg", images: int = 1):
    return {
        "requests": [{"image": {"source": {"imageUri": uri}}, "features": FEATURES}] * images,
        "outputConfig": {"gcsDestination": {"uri": f"gs://rest-out/{prefix}"}, "batchSize": 2},
    }


def done(web: httpx.Client, name: str):
    """The operation once it is done."""
    while not (operation := web.get(f"/v1/{name}").json()).get("done"):
        pass
    return operation


def test_googles_client_over_rest(server, bucket):
    transport = ImageAnnotatorRestTransport(
        host=server.address, url_scheme="http", credentials=AnonymousCredentials()
    )
    with vision_v1.ImageAnnotatorClient(transport=transport) as client:
        operation = client.async_batch_annotate_images(
            requests=[
                {"image": {"source": {"image_uri": uri}}, "features": [{"type_": 4}]}
                for uri in ("gs://rest/cat.jpg", "gs://rest/none.jpg", "gs://rest/cat.jpg")
            ],
            output_config={"gcs_destination": {"uri": "gs://rest-out/client/"}, "batch_size": 2},
        )
        response = operation.result(90)
        assert response.output_config.gcs_destination.uri == "gs://rest-out/client/"
        names = sorted(path.name for path in (server.bucket("rest-out") / "client").iterdir())
        assert names == ["output-1-to-2.json", "output-3-to-3.json"]
        answer = client.batch_annotate_images(
            requests=[
                {
                    "image": {"source": {"image_uri": "gs://rest/cat.jpg"}},
                    "features": [{"type_": 4}],
                }
            ]
        )
        assert answer.responses[0].label_annotations
        with pytest.raises(exceptions.BadRequest, match="Request must specify image"):
            client.batch_annotate_images(requests=[])


@pytest.mark.parametrize("parent", PARENTS)
def test_every_path_form_of_the_annotate_calls(web, parent):
    answer = web.post(f"/v1/{parent}images:annotate", json={"requests": body()["requests"]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.json()["responses"][0]["labelAnnotations"]
    operation = web.post(f"/v1/{parent}images:asyncBatchAnnotate", json=body()).json()
    assert operation["name"].startswith(parent or "projects/local/")
    assert "done" not in operation
    assert operation["metadata"]["state"] == "CREATED"
    for files in ("files:annotate", "files:asyncBatchAnnotate"):  # there, and asking for more
        assert web.post(f"/v1/{parent}{files}", json={}).status_code == 400


def test_the_parent_of_the_path_wins(web):
    named = body() | {"parent": "projects/body"}
    operation = web.post("/v1/projects/path/images:asyncBatchAnnotate", json=named).json()
    assert operation["name"].startswith("projects/path/operations/")


def test_an_operation_from_start_to_deletion(web):
    name = web.post("/v1/projects/rest/images:asyncBatchAnnotate", json=body("life/")).json()[
        "name"
    ]
    finished = done(web, name)
    assert finished["response"] == {
        "@type": "type.googleapis.com/google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse",
        "outputConfig": {"gcsDestination": {"uri": "gs://rest-out/life/"}, "batchSize": 2},
    }
    assert finished["metadata"]["@type"].endswith("vision.v1.OperationMetadata")
    assert finished["metadata"]["state"] == "DONE"
    assert finished["metadata"]["createTime"].endswith("Z")
    assert web.get(f"/v1/{name}?").json() == finished  # Node sends a bare question mark

    listed = web.get("/v1/projects/rest/operations").json()["operations"]
    assert [one["name"] for one in listed] == [name]
    cancelled = web.post(f"/v1/{name}:cancel", headers={"Content-Type": "application/json"})
    assert (cancelled.status_code, cancelled.json()) == (200, {})
    assert web.get(f"/v1/{name}").json() == finished
    assert web.delete(f"/v1/{name}").json() == {}
    gone = web.get(f"/v1/{name}")
    assert gone.status_code == 404
    assert gone.json()["error"]["status"] == "NOT_FOUND"


def test_cancel_over_rest(web):
    asked = body("rest-cancel/", images=1000)
    name = web.post("/v1/images:asyncBatchAnnotate", json=asked).json()["name"]
    assert web.post(f"/v1/{name}:cancel", json={}).json() == {}
    ended = done(web, name)
    assert ended["error"] == {"code": 1, "message": "The operation was cancelled."}
    assert ended["metadata"]["state"] == "CANCELLED"


def test_the_list_has_pages(web):
    for _ in range(3):
        web.post("/v1/projects/pages/images:asyncBatchAnnotate", json=body("pages/"))
    first = web.get("/v1/projects/pages/operations", params={"pageSize": 2}).json()
    rest = web.get(
        "/v1/projects/pages/operations", params={"pageToken": first["nextPageToken"]}
    ).json()
    assert (len(first["operations"]), len(rest["operations"])) == (2, 1)
    assert "nextPageToken" not in rest
    assert web.get("/v1/operations").json()["operations"]
    assert web.get("/v1/operations/operations").json()["operations"]  # what Python makes of it
    assert web.get("/v1/operations", params={"pageSize": "x"}).status_code == 400


@pytest.mark.parametrize(
    "query", ["$alt=json;enum-encoding=int", "%24alt=json%3Benum-encoding%3Dint"]
)
def test_enums_are_numbers_on_request(web, query):
    operation = web.post(f"/v1/images:asyncBatchAnnotate?{query}", json=body()).json()
    assert operation["metadata"]["state"] == 1
    again = web.get(f"/v1/{operation['name']}?{query}").json()
    assert again["metadata"]["state"] in (1, 2, 3)


def test_standard_and_gzip_bodies_and_answers(web, photos):
    content = base64.urlsafe_b64encode((photos / "cat.jpg").read_bytes()).decode()
    asked = {"requests": [{"image": {"content": content}, "features": [{"type": 4}]}]}
    plain = web.post("/v1/images:annotate", json=asked)
    packed = web.post(
        "/v1/images:annotate",
        content=gzip.compress(json.dumps(asked).encode()),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert plain.json() == packed.json()
    assert plain.json()["responses"][0]["labelAnnotations"]
    listed = web.get("/v1/operations", headers={"Accept-Encoding": "gzip"})
    assert listed.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v2/operations"),
        ("GET", "/v1/images:annotate"),
        ("PUT", "/v1/images:annotate"),
        ("POST", "/v1/images:nothing"),
        ("POST", "/v1/operations/x:nothing"),
        ("GET", "/v1/operations/x:cancel"),
        ("GET", f"/v1/operations/{quote('../x', safe='')}"),
        ("POST", "/v1/"),
    ],
)
def test_paths_that_are_not_there(web, method, path):
    answer = web.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["status"] == "NOT_FOUND"


def test_several_calls_over_one_connection(server, bucket):
    connection = http.client.HTTPConnection(server.address, timeout=30)
    for _ in range(3):
        connection.request("GET", "/v1/operations")
        assert connection.getresponse().read()
    connection.close()


def test_a_connection_that_says_nothing_or_nonsense_harms_nobody(server, web):
    host, port = server.address.split(":")
    silent = socket.create_connection((host, int(port)))
    gone = socket.create_connection((host, int(port)))
    gone.sendall(b"PRI * HT")
    gone.close()
    rude = socket.create_connection((host, int(port)))
    rude.sendall(b"\x00\xff\r\n\r\n")
    rude.settimeout(30)
    rude.recv(1000)
    rude.close()
    assert web.get("/v1/operations").status_code == 200
    silent.close()
