"""Google's Python client against Tapetum: the offline batch, and all that goes with it.

    python client.py --server 127.0.0.1:8080 --transport grpc batch sync

Transports: grpc, rest. Each command prints one line of JSON; without a command, all run. The
photographs and pages.pdf are expected in gs://photos and the results go to gs://results: folders of
these names under tapetum-data/buckets. Results are read with Google's storage client, which finds
the server through STORAGE_EMULATOR_HOST; without that variable it is set to the server.

Needs google-cloud-vision and google-cloud-storage.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import islice

import grpc
from google.api_core import exceptions, operation
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage, vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import (
    ImageAnnotatorGrpcTransport,
    ImageAnnotatorRestTransport,
)

FEATURES = [
    {"type_": vision_v1.Feature.Type.LABEL_DETECTION, "max_results": 5},
    {"type_": vision_v1.Feature.Type.IMAGE_PROPERTIES},
]

PAGES = {
    "input_config": {
        "gcs_source": {"uri": "gs://photos/pages.pdf"},
        "mime_type": "application/pdf",
    },
    "features": [{"type_": vision_v1.Feature.Type.DOCUMENT_TEXT_DETECTION}],
}

COMMANDS = [
    "batch", "sync", "files_batch", "files", "failing", "unwritable", "cancel", "list", "delete",
    "unknown", "too_many", "start",
]  # fmt: skip


def connect(server: str, transport: str) -> vision_v1.ImageAnnotatorClient:
    """A client without TLS and credentials. This is all that differs from Google's samples; with
    TLS, ``ImageAnnotatorClient(client_options={"api_endpoint": server})`` is enough."""
    if transport == "rest":
        made = ImageAnnotatorRestTransport(
            host=server, url_scheme="http", credentials=AnonymousCredentials()
        )
    else:
        made = ImageAnnotatorGrpcTransport(channel=grpc.insecure_channel(server))
    return vision_v1.ImageAnnotatorClient(transport=made)


def images(*names: str) -> list[dict]:
    """One request for each of the objects ``names`` in gs://photos."""
    return [
        {"image": {"source": {"image_uri": f"gs://photos/{name}"}}, "features": FEATURES}
        for name in names
    ]


def output(prefix: str, batch_size: int = 2) -> dict:
    """Where the results go, ``batch_size`` images to a file."""
    return {"gcs_destination": {"uri": f"gs://results/{prefix}"}, "batch_size": batch_size}


def results(prefix: str, kind: type = vision_v1.BatchAnnotateImagesResponse) -> dict:
    """The files under ``prefix`` of gs://results, each a ``kind``, read with Google's storage
    client."""
    client = storage.Client(project="local", credentials=AnonymousCredentials())
    return {
        blob.name.removeprefix(prefix): kind.from_json(blob.download_as_bytes())
        for blob in client.list_blobs("results", prefix=prefix)
    }


def texts(pages: list[vision_v1.AnnotateImageResponse]) -> dict[int, str]:
    """What is to be read on each of ``pages``, by its number."""
    return {page.context.page_number: page.full_text_annotation.text.strip() for page in pages}


class Commands:
    """The commands. Each answers what is worth printing."""

    def __init__(self, client: vision_v1.ImageAnnotatorClient, transport: str) -> None:
        self.client = client
        self.prefix = f"python-{transport}"

    def batch(self) -> dict:
        """The documented program: start, wait, read the results from the bucket."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg", "dog.jpg", "coffee.jpg"),
            output_config=output(f"{self.prefix}/batch/"),
        )
        response = started.result(timeout=90)
        prefix = response.output_config.gcs_destination.uri.removeprefix("gs://results/")
        files = results(prefix)
        answers = [answer for file in files.values() for answer in file.responses]
        return {
            "files": list(files),
            "labels": [answer.label_annotations[0].description for answer in answers],
            "state": started.metadata.state.name,
        }

    def sync(self) -> dict:
        """At most 16 images, answered at once."""
        answer = self.client.batch_annotate_images(requests=images("cat.jpg"))
        [response] = answer.responses
        colours = response.image_properties_annotation.dominant_colors.colors
        return {"label": response.label_annotations[0].description, "colours": len(colours)}

    def files_batch(self) -> dict:
        """All pages of a PDF, two to a file of the results."""
        where = f"{self.prefix}/files/"
        started = self.client.async_batch_annotate_files(
            requests=[{**PAGES, "output_config": output(where)}]
        )
        started.result(timeout=90)
        files = results(where, vision_v1.AnnotateFileResponse)
        pages = [page for file in files.values() for page in file.responses]
        return {"files": list(files), "texts": texts(pages)}

    def files(self) -> dict:
        """At most five pages of one PDF, answered at once: here the last one and the first."""
        answer = self.client.batch_annotate_files(requests=[{**PAGES, "pages": [-1, 1]}])
        [file] = answer.responses
        return {"pages": file.total_pages, "texts": texts(file.responses)}

    def failing(self) -> dict:
        """An image that is not there is an error in its place; the batch is done all the same."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg", "missing.jpg"),
            output_config=output(f"{self.prefix}/failing/"),
        )
        started.result(timeout=90)
        [file] = results(f"{self.prefix}/failing/").values()
        return {
            "codes": [answer.error.code for answer in file.responses],
            "message": file.responses[1].error.message,
        }

    def unwritable(self) -> dict:
        """An output that cannot be written is the operation's error."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg"),
            output_config={"gcs_destination": {"uri": "gs://no-such-bucket/x/"}},
        )
        try:
            started.result(timeout=90)
        except exceptions.GoogleAPICallError as error:
            return {"code": started.operation.error.code, "message": error.message}
        return {}

    def cancel(self) -> dict:
        """Cancelling ends the operation with error code 1."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg") * 2000, output_config=output(f"{self.prefix}/cancel/")
        )
        started.cancel()
        try:
            started.result(timeout=90)
        except exceptions.Cancelled as error:
            return {"code": started.operation.error.code, "message": error.message}
        return {}

    def list(self) -> dict:
        """The operations of a project, the newest first."""
        name = self.start()["name"]
        operations = self.client.transport.operations_client
        found = operations.list_operations(name="projects/local", filter_="")
        return {"listed": any(one.name == name for one in islice(found, 100))}

    def delete(self) -> dict:
        """A deleted operation is forgotten."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg"), output_config=output(f"{self.prefix}/delete/")
        )
        started.result(timeout=90)
        operations = self.client.transport.operations_client
        operations.delete_operation(started.operation.name)
        try:
            operations.get_operation(started.operation.name)
        except exceptions.NotFound:
            return {"found": False}
        return {"found": True}

    def unknown(self) -> dict:
        """An operation that never was."""
        operations = self.client.transport.operations_client
        try:
            operations.get_operation("projects/local/operations/0000000000000000")
        except exceptions.NotFound as error:
            return {"code": error.code, "message": error.message}
        return {}

    def too_many(self) -> dict:
        """More than 2000 images are refused, and the error says so."""
        try:
            self.client.async_batch_annotate_images(
                requests=images("cat.jpg") * 2001, output_config=output(f"{self.prefix}/many/")
            )
        except exceptions.BadRequest as error:
            return {"message": error.message}
        return {}

    def start(self) -> dict:
        """Start and go away: the name is all there is to keep."""
        started = self.client.async_batch_annotate_images(
            requests=images("cat.jpg", "dog.jpg"), output_config=output(f"{self.prefix}/start/")
        )
        return {"name": started.operation.name}

    def attach(self, name: str) -> dict:
        """Take up an operation by its name, in another process."""
        operations = self.client.transport.operations_client
        taken = operation.from_gapic(
            operations.get_operation(name),
            operations,
            vision_v1.AsyncBatchAnnotateImagesResponse,
            metadata_type=vision_v1.OperationMetadata,
        )
        response = taken.result(timeout=90)
        return {"uri": response.output_config.gcs_destination.uri}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", default="127.0.0.1:8080")
    parser.add_argument("--transport", choices=["grpc", "rest"], default="grpc")
    parser.add_argument("--attach", metavar="NAME", help="take up the operation NAME, nothing else")
    parser.add_argument("commands", nargs="*", help=f"any of {', '.join(COMMANDS)}")
    arguments = parser.parse_args()
    os.environ.setdefault("STORAGE_EMULATOR_HOST", f"http://{arguments.server}")
    with connect(arguments.server, arguments.transport) as client:
        commands = Commands(client, arguments.transport)
        if arguments.attach:
            print(json.dumps({"command": "attach", **commands.attach(arguments.attach)}))
            return
        for name in arguments.commands or COMMANDS:
            print(json.dumps({"command": name, **getattr(commands, name)()}), flush=True)


if __name__ == "__main__":
    main()
