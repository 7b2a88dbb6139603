"""BatchAnnotateFiles and AsyncBatchAnnotateFiles through Google's client, gRPC and REST."""

from __future__ import annotations

import json

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorRestTransport
from PIL import Image

from tapetum import wiring
from tapetum.vision import messages
from tapetum.vision.formats import GIF, PDF, TIFF

TEXT, COLOURS, CROPS = ({"type_": kind} for kind in (5, 7, 9))


@pytest.fixture(scope="module")
def bucket(server, make, photos):
    folder = server.bucket("files")
    (folder / "seven.pdf").write_bytes(make.numbered(7))
    (folder / "five.pdf").write_bytes(make.numbered(5))
    (folder / "three.tif").write_bytes(make.frames("TIFF", ["red", "lime", "blue"]))
    (folder / "three.gif").write_bytes(make.frames("GIF", ["red", "lime", "blue"]))
    (folder / "scan.tif").write_bytes(make.scan("Scanned letter"))
    Image.open(photos / "dog.jpg").save(folder / "photo.pdf", resolution=150)
    (folder / "broken.pdf").write_bytes(make.numbered(3)[:900])
    (folder / "encrypted.pdf").write_bytes(make.encrypted())
    (folder / "ten thousand.pdf").write_bytes(make.numbered(10_000))
    middle = make.numbered(3).replace(b"6 0 obj\n<</Type /Page ", b"6 0 obj\n<</Type /Past ")
    (folder / "middle.pdf").write_bytes(middle)
    server.bucket("files-out")
    return folder


@pytest.fixture(params=["grpc", "rest"])
def client(request, server, bucket):
    if request.param == "grpc":
        made = server.client()
    else:
        transport = ImageAnnotatorRestTransport(
            host=server.address, url_scheme="http", credentials=AnonymousCredentials()
        )
        made = vision_v1.ImageAnnotatorClient(transport=transport)
    yield made
    made.transport.close()


def file(name: str, kind: str = PDF, features=(COLOURS,), **more):
    source = {"gcs_source": {"uri": f"gs://files/{name}"}, "mime_type": kind}
    return {"input_config": source, "features": list(features)} | more


def output(prefix: str, batch_size: int = 2):
    where = {"uri": f"gs://files-out/{prefix}"}
    return {"output_config": {"gcs_destination": where, "batch_size": batch_size}}


def annotate(client, asked):
    [response] = client.batch_annotate_files(requests=[asked]).responses
    return response


# --- at once ----------------------------------------------------------------------------------


def test_pages_asked_for_in_the_units_of_a_pdf(client):
    answer = annotate(client, file("seven.pdf", features=[TEXT, CROPS], pages=[2, -1]))
    assert answer.total_pages == 7
    assert answer.input_config.gcs_source.uri == "gs://files/seven.pdf"
    assert answer.input_config.mime_type == PDF
    assert [one.context.page_number for one in answer.responses] == [2, 7]
    assert {one.context.uri for one in answer.responses} == {"gs://files/seven.pdf"}
    for one in answer.responses:
        number = one.context.page_number
        assert one.full_text_annotation.text == f"Page number {number}\n"
        [page] = one.full_text_annotation.pages
        assert (page.width, page.height) == (595, 842)
        poly = one.text_annotations[0].bounding_poly
        assert not poly.vertices
        left, top = poly.normalized_vertices[0].x, poly.normalized_vertices[0].y
        assert left == pytest.approx(60 / 595, abs=0.04)
        assert top == pytest.approx(1 - 730 / 842, abs=0.04)
        assert one.crop_hints_annotation.crop_hints[0].bounding_poly.normalized_vertices


def test_the_first_five_pages_by_default(client):
    answer = annotate(client, file("seven.pdf"))
    assert [one.context.page_number for one in answer.responses] == [1, 2, 3, 4, 5]
    assert all(one.image_properties_annotation for one in answer.responses)


@pytest.mark.parametrize(("name", "kind"), [("three.tif", TIFF), ("three.gif", GIF)])
def test_tiff_pages_and_gif_frames_in_pixels(client, name, kind):
    answer = annotate(client, file(name, kind, pages=[-1, 1]))
    colours = [
        one.image_properties_annotation.dominant_colors.colors[0].color for one in answer.responses
    ]
    assert [(one.red, one.blue) for one in colours] == [(0, 255), (255, 0)]
    assert [one.context.page_number for one in answer.responses] == [3, 1]
    corner = answer.responses[0].crop_hints_annotation.crop_hints[0].bounding_poly.vertices[2]
    assert (corner.x, corner.y) == (199, 99)


def test_inline_content_is_not_sent_back(client, make):
    config = {"content": make.scan("Scanned letter"), "mime_type": TIFF}
    answer = annotate(client, {"input_config": config, "features": [TEXT]})
    [one] = answer.responses
    assert one.full_text_annotation.text == "Scanned letter\n"
    [page] = one.full_text_annotation.pages
    assert (page.width, page.height) == (900, 300)
    assert (one.context.uri, one.context.page_number) == ("", 1)
    assert answer.input_config == vision_v1.InputConfig(mime_type=TIFF)


def test_a_page_that_cannot_be_rendered_is_an_error_in_its_place(client):
    first, second, third = annotate(client, file("middle.pdf")).responses
    assert second.error.code == 3
    assert second.error.message.startswith("The page cannot be rendered")
    assert second.context.page_number == 2
    for good in (first, third):
        assert not good.error.code
        assert good.image_properties_annotation.dominant_colors.colors


def test_a_page_that_kills_its_renderer_costs_the_server_nothing(server, bucket, make):
    (bucket / "bomb.pdf").write_bytes(make.flate_bomb())
    with server.client() as client:
        [page] = annotate(client, file("bomb.pdf")).responses
        assert page.error.code in (3, 13)
        assert page.context.page_number == 1
        assert annotate(client, file("five.pdf", pages=[5])).responses[0].context.page_number == 5


EXTRACTING = "Error in extracting images from PDF file gs://files/"


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (file("none.pdf"), 5, "Error opening file: gs://files/none.pdf."),
        (file("broken.pdf"), 3, f"{EXTRACTING}broken.pdf: it is damaged"),
        (file("encrypted.pdf"), 3, f"{EXTRACTING}encrypted.pdf: it is encrypted"),
        (file("three.tif"), 3, f"{EXTRACTING}three.tif: it is no PDF, as its mime_type"),
        (file("seven.pdf", pages=[1, 9]), 3, "pages[1]: there is no page 9; the file has 7 pages."),
        (file("../x.pdf"), 3, "Invalid file URI specified: "),
    ],
    ids=["missing", "broken", "encrypted", "lie", "page 9", "uri"],
)
def test_what_is_wrong_with_the_file_is_its_error(client, asked, code, message):
    answer = annotate(client, asked)
    assert answer.error.code == code
    assert answer.error.message.startswith(message)
    assert not answer.responses
    assert answer.total_pages == 0


# --- as an operation --------------------------------------------------------------------------


def test_several_files_in_one_operation(client, server, request):
    prefix = f"several-{request.node.callspec.id}/"
    operation = client.async_batch_annotate_files(
        requests=[
            file("five.pdf", features=[CROPS]) | output(f"{prefix}a/"),
            file("three.tif", TIFF) | output(f"{prefix}b-", 100),
            file("three.gif", GIF) | output(f"{prefix}c/", 1),
        ]
    )
    response = operation.result(90)
    assert type(response) is vision_v1.AsyncBatchAnnotateFilesResponse
    assert [one.output_config.gcs_destination.uri for one in response.responses] == [
        f"gs://files-out/{prefix}{name}" for name in ("a/", "b-", "c/")
    ]
    assert [one.output_config.batch_size for one in response.responses] == [2, 100, 1]
    assert operation.metadata.state == vision_v1.OperationMetadata.State.DONE

    folder = server.bucket("files-out") / prefix
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "a/output-1-to-2.json", "a/output-3-to-4.json", "a/output-5-to-5.json",
        "b-output-1-to-3.json",
        "c/output-1-to-1.json", "c/output-2-to-2.json", "c/output-3-to-3.json",
    ]  # fmt: skip
    numbers = []
    for shard in ("1-to-2", "3-to-4", "5-to-5"):
        content = (folder / "a" / f"output-{shard}.json").read_text()
        answer = vision_v1.AnnotateFileResponse.from_json(content)  # no unknown fields
        assert list(json.loads(content)) == ["inputConfig", "responses", "totalPages"]
        assert answer.total_pages == 5
        assert answer.input_config.gcs_source.uri == "gs://files/five.pdf"
        for one in answer.responses:
            assert one.context.uri == "gs://files/five.pdf"
            numbers.append(one.context.page_number)
            [hint] = one.crop_hints_annotation.crop_hints
            assert hint.bounding_poly.normalized_vertices
    assert numbers == [1, 2, 3, 4, 5]
    gif = vision_v1.AnnotateFileResponse.from_json((folder / "c/output-2-to-2.json").read_text())
    colour = gif.responses[0].image_properties_annotation.dominant_colors.colors[0].color
    assert (colour.red, colour.green, colour.blue) == (0, 255, 0)


def test_every_feature_works_on_a_page(server, bucket):
    kinds = [{"type_": feature.type} for feature in wiring.features()]
    with server.client() as client:
        client.async_batch_annotate_files(
            requests=[file("photo.pdf", features=kinds) | output("all/", 100)]
        ).result(90)
    answer = json.loads((server.bucket("files-out") / "all/output-1-to-1.json").read_text())
    [one] = answer["responses"]
    assert "error" not in one
    assert "Dog" in [label["description"] for label in one["labelAnnotations"]]
    assert "Dog" in [known["name"] for known in one["localizedObjectAnnotations"]]
    assert {"safeSearchAnnotation", "imagePropertiesAnnotation"} <= one.keys()
    assert '"vertices"' not in json.dumps(one)


def test_inline_content_as_an_operation(client, server, make, request):
    prefix = f"inline-{request.node.callspec.id}/"
    config = {"content": make.numbered(3), "mime_type": PDF}
    client.async_batch_annotate_files(
        requests=[{"input_config": config, "features": [COLOURS]} | output(prefix)]
    ).result(90)
    folder = server.bucket("files-out") / prefix
    assert sorted(path.name for path in folder.iterdir()) == [
        "output-1-to-2.json", "output-3-to-3.json",
    ]  # fmt: skip
    answer = json.loads((folder / "output-3-to-3.json").read_text())
    assert answer["inputConfig"] == {"mimeType": PDF}
    assert answer["responses"][0]["context"] == {"pageNumber": 3}


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("gs://files/none.pdf", exceptions.NotFound),
        ("gs://no-such-bucket/a.pdf", exceptions.Forbidden),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_call(client, uri, error):
    asked = file("five.pdf"), file("five.pdf")
    asked[1]["input_config"]["gcs_source"]["uri"] = uri
    with pytest.raises(error, match=f"Error opening file: {uri}"):
        client.async_batch_annotate_files(requests=[one | output("x/") for one in asked])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken.pdf", "it is damaged or no PDF."),
        ("encrypted.pdf", "it is encrypted and needs a password."),
        ("ten thousand.pdf", "it has 10000 pages, the limit is 2000."),
        ("three.gif", "it is no PDF, as its mime_type application/pdf says."),
    ],
)
def test_a_broken_file_fails_the_operation(client, server, name, why):
    operation = client.async_batch_annotate_files(
        requests=[file("five.pdf") | output("never/"), file(name) | output("never/")]
    )
    with pytest.raises(exceptions.InvalidArgument) as caught:
        operation.result(30)
    assert caught.value.message == f"{EXTRACTING}{name}: {why}"
    assert not (server.bucket("files-out") / "never").exists()


def test_an_output_that_cannot_be_written_fails_the_operation(client):
    asked = file("five.pdf") | {
        "output_config": {"gcs_destination": {"uri": "gs://no-such-bucket/x"}}
    }
    operation = client.async_batch_annotate_files(requests=[asked])
    with pytest.raises(exceptions.PermissionDenied, match="Error writing final output to"):
        operation.result(30)


def test_failed_pages_are_in_the_log_by_number(server, bucket):
    with server.client() as client:
        operation = client.async_batch_annotate_files(
            requests=[file("middle.pdf") | output("middle/", 100)]
        )
        operation.result(30)
    answer = json.loads((server.bucket("files-out") / "middle/output-1-to-3.json").read_text())
    assert ["error" in one for one in answer["responses"]] == [False, True, False]
    line = (
        f"page failed: operation={operation.operation.name} page=2 uri='gs://files/middle.pdf' "
        "code=3 The page cannot be rendered: "
    )
    log = server.log.read_text()
    assert line in log
    assert "Traceback" not in log


def test_the_type_urls_are_of_the_method(server, bucket):
    with server.client() as client:
        operation = client.async_batch_annotate_files(
            requests=[file("three.tif", TIFF) | output("types/")]
        )
        operation.result(30)
    packed = operation.operation
    prefix = "type.googleapis.com/google.cloud.vision.v1."
    assert packed.response.type_url == f"{prefix}AsyncBatchAnnotateFilesResponse"
    assert packed.metadata.type_url == f"{prefix}OperationMetadata"
    assert messages.RESPONSES.keys() <= messages.V1.methods.keys()
