"""Google's client as its documentation shows it: only the address is given, the rest is in the
environment. Prints what each way of saying who calls got back, as JSON.

Arguments: the address, an API key, the bucket to read and the bucket to write.
"""

from __future__ import annotations

import json
import sys

from google.api_core import exceptions
from google.cloud import vision_v1


def batch(client: vision_v1.ImageAnnotatorClient, source: str, target: str) -> str:
    """The documented offline batch, from start to result."""
    features = [{"type_": vision_v1.Feature.Type.IMAGE_PROPERTIES}]
    requests = [{"image": {"source": {"image_uri": f"{source}/a.png"}}, "features": features}]
    output = {"gcs_destination": {"uri": f"{target}/run/"}, "batch_size": 2}
    operation = client.async_batch_annotate_images(requests=requests, output_config=output)
    operation.result(timeout=90)
    return operation.operation.name


def main(address: str, key: str, source: str, target: str) -> None:
    ways = {"key": {"api_key": key}, "account": {}, "wrong key": {"api_key": "tapetum_wrong"}}
    found = {}
    for name, options in ways.items():
        for transport in ("grpc", "rest"):
            with vision_v1.ImageAnnotatorClient(
                client_options={"api_endpoint": address, **options}, transport=transport
            ) as client:
                try:
                    found[f"{name} {transport}"] = batch(client, source, target)
                except exceptions.GoogleAPICallError as error:
                    found[f"{name} {transport}"] = f"{type(error).__name__} {error.reason}"
    print(json.dumps(found))


main(*sys.argv[1:])
