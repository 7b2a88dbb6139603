"""The commands of client.py with Google's asyncio client (gRPC).

python asyncio_client.py --server 127.0.0.1:8080 batch sync
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os

import grpc
from client import COMMANDS, PAGES, images, output, results, texts
from google.api_core import exceptions, operation_async
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import (
    ImageAnnotatorGrpcAsyncIOTransport,
)

PREFIX = "python-asyncio"


class Commands:
    """The commands. Each answers what is worth printing."""

    def __init__(self, client: vision_v1.ImageAnnotatorAsyncClient) -> None:
        self.client = client
        self.operations = client.transport.operations_client

    async def begin(self, name: str, *images_: str) -> operation_async.AsyncOperation:
        """Start a batch whose results go to the prefix ``name``."""
        return await self.client.async_batch_annotate_images(
            requests=images(*images_), output_config=output(f"{PREFIX}/{name}/")
        )

    async def batch(self) -> dict:
        started = await self.begin("batch", "cat.jpg", "dog.jpg", "coffee.jpg")
        response = await started.result(timeout=90)
        prefix = response.output_config.gcs_destination.uri.removeprefix("gs://results/")
        files = await asyncio.to_thread(results, prefix)
        answers = [answer for file in files.values() for answer in file.responses]
        return {
            "files": list(files),
            "labels": [answer.label_annotations[0].description for answer in answers],
            "state": started.metadata.state.name,
        }

    async def sync(self) -> dict:
        answer = await self.client.batch_annotate_images(requests=images("cat.jpg"))
        [response] = answer.responses
        colours = response.image_properties_annotation.dominant_colors.colors
        return {"label": response.label_annotations[0].description, "colours": len(colours)}

    async def files_batch(self) -> dict:
        where = f"{PREFIX}/files/"
        started = await self.client.async_batch_annotate_files(
            requests=[{**PAGES, "output_config": output(where)}]
        )
        await started.result(timeout=90)
        files = await asyncio.to_thread(results, where, vision_v1.AnnotateFileResponse)
        pages = [page for file in files.values() for page in file.responses]
        return {"files": list(files), "texts": texts(pages)}

    async def files(self) -> dict:
        answer = await self.client.batch_annotate_files(requests=[{**PAGES, "pages": [-1, 1]}])
        [file] = answer.responses
        return {"pages": file.total_pages, "texts": texts(file.responses)}

    async def failing(self) -> dict:
        started = await self.begin("failing", "cat.jpg", "missing.jpg")
        await started.result(timeout=90)
        [file] = (await asyncio.to_thread(results, f"{PREFIX}/failing/")).values()
        return {
            "codes": [answer.error.code for answer in file.responses],
            "message": file.responses[1].error.message,
        }

    async def unwritable(self) -> dict:
        started = await self.client.async_batch_annotate_images(
            requests=images("cat.jpg"),
            output_config={"gcs_destination": {"uri": "gs://no-such-bucket/x/"}},
        )
        try:
            await started.result(timeout=90)
        except exceptions.GoogleAPICallError as error:
            return {"code": started.operation.error.code, "message": error.message}
        return {}

    async def cancel(self) -> dict:
        started = await self.begin("cancel", *["cat.jpg"] * 2000)
        await started.cancel()
        try:
            await started.result(timeout=90)
        except exceptions.GoogleAPICallError as error:  # not exceptions.Cancelled here
            return {"code": started.operation.error.code, "message": error.message}
        return {}

    async def list(self) -> dict:
        name = (await self.start())["name"]
        pages = await self.operations.list_operations(name="projects/local", filter_="")
        async for one in pages:
            if one.name == name:
                return {"listed": True}
        return {"listed": False}

    async def delete(self) -> dict:
        started = await self.begin("delete", "cat.jpg")
        await started.result(timeout=90)
        await self.operations.delete_operation(started.operation.name)
        try:
            await self.operations.get_operation(started.operation.name)
        except exceptions.NotFound:
            return {"found": False}
        return {"found": True}

    async def unknown(self) -> dict:
        try:
            await self.operations.get_operation("projects/local/operations/0000000000000000")
        except exceptions.NotFound as error:
            return {"code": error.code, "message": error.message}
        return {}

    async def too_many(self) -> dict:
        try:
            await self.begin("many", *["cat.jpg"] * 2001)
        except exceptions.BadRequest as error:
            return {"message": error.message}
        return {}

    async def start(self) -> dict:
        return {"name": (await self.begin("start", "cat.jpg", "dog.jpg")).operation.name}

    async def attach(self, name: str) -> dict:
        taken = operation_async.from_gapic(
            await self.operations.get_operation(name),
            self.operations,
            vision_v1.AsyncBatchAnnotateImagesResponse,
            metadata_type=vision_v1.OperationMetadata,
        )
        response = await taken.result(timeout=90)
        return {"uri": response.output_config.gcs_destination.uri}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", default="127.0.0.1:8080")
    parser.add_argument("--attach", metavar="NAME", help="take up the operation NAME, nothing else")
    parser.add_argument("commands", nargs="*", help=f"any of {', '.join(COMMANDS)}")
    arguments = parser.parse_args()
    os.environ.setdefault("STORAGE_EMULATOR_HOST", f"http://{arguments.server}")
    async with grpc.aio.insecure_channel(arguments.server) as channel:
        transport = ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
        commands = Commands(vision_v1.ImageAnnotatorAsyncClient(transport=transport))
        if arguments.attach:
            print(json.dumps({"command": "attach", **await commands.attach(arguments.attach)}))
            return
        for name in arguments.commands or COMMANDS:
            print(json.dumps({"command": name, **await getattr(commands, name)()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
