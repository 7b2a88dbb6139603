"""What is mutated: requests of every kind, and pictures of every format."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from google.cloud import vision_v1
from PIL import Image, ImageDraw

KINDS = [int(kind) for kind in vision_v1.Feature.Type if 0 < kind < 12]


def _drawing() -> Image.Image:
    image = Image.new("RGB", (96, 64), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 10, 50, 50), fill="red", outline="black")
    draw.text((50, 20), "Abc 12", fill="black")
    return image


def pictures() -> list[bytes]:
    """Small files of every format and way of writing it that is read."""
    image = _drawing()
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    two: dict[str, Any] = {"save_all": True, "append_images": [image.rotate(180)]}
    ways: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (image, "JPEG", {"exif": exif}),
        (image, "JPEG", {"progressive": True}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "MPO", two),
        (image, "PNG", {"exif": exif}),
        (image, "PNG", two),
        (image.convert("P"), "PNG", {"transparency": b"\0\x7f"}),
        (deep, "PNG", {}),
        (image, "GIF", two),
        (image, "BMP", {}),
        (image, "WEBP", {"exif": exif}),
        (image, "WEBP", two),
        (image, "TIFF", {"compression": "tiff_lzw"}),
        (image.convert("F"), "TIFF", {}),
        (image.resize((32, 32)), "ICO", {}),
    ]
    return [_packed(*way) for way in ways]


def _packed(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _requests() -> list[dict[str, Any]]:
    """Bodies of both annotate calls, with every field there is."""
    content = base64.b64encode(_packed(_drawing().resize((8, 8)), "PNG", {})).decode()
    context = {
        "latLongRect": {"minLatLng": {"latitude": 1.5}, "maxLatLng": {"longitude": -2}},
        "languageHints": ["en-t-i0-handwrit"],
        "cropHintsParams": {"aspectRatios": [0.8, 1]},
        "webDetectionParams": {"includeGeoResults": True},
        "textDetectionParams": {"enableTextDetectionConfidenceScore": True},
    }
    features = [
        {"type": "IMAGE_PROPERTIES", "maxResults": 5, "model": "builtin/latest"},
        {"type": 9, "max_results": "3"},
    ]
    image = {"image": {"content": content}, "features": features, "imageContext": context}
    named = {
        "image": {"source": {"gcsImageUri": "gs://in/a.png", "imageUri": "gs://in/a.png"}},
        "features": [{"type": "CROP_HINTS"}],
    }
    output = {"gcsDestination": {"uri": "gs://out/x/"}, "batchSize": 2}
    return [
        {"requests": [image, named], "parent": "projects/p/locations/eu", "labels": {"a": "b"}},
        {"requests": [named], "outputConfig": output, "parent": "projects/p"},
    ]


def bodies() -> list[bytes]:
    """JSON, at the REST door."""
    return [json.dumps(body).encode() for body in _requests()]


def messages() -> list[bytes]:
    """The same as protobuf, at the gRPC door."""
    sync, batch = _requests()
    return [
        vision_v1.BatchAnnotateImagesRequest.serialize(
            vision_v1.BatchAnnotateImagesRequest.from_json(json.dumps(sync))
        ),
        vision_v1.AsyncBatchAnnotateImagesRequest.serialize(
            vision_v1.AsyncBatchAnnotateImagesRequest.from_json(json.dumps(batch))
        ),
    ]


#: Targets at the REST door, as they stand in a request's first line.
TARGETS = [
    b"/v1/images:annotate", b"/v1/images:asyncBatchAnnotate", b"/v1/files:annotate",
    b"/v1/projects/p/locations/eu/images:annotate?$alt=json%3Benum-encoding=int",
    b"/v1/operations?pageSize=3&filter=done%3Dtrue&pageToken=MQ==", b"/v1/projects/p/operations",
    b"/v1/projects/p/operations/0123456789abcdef", b"/v1/operations/x:cancel",
    b"/v1p4beta1/images:annotate", b"/storage/v1/b/in/o?prefix=a&delimiter=/", b"/?key=abc",
    b"/storage/v1/b/in/o/a.png?alt=media",
]  # fmt: skip
#: Methods at the gRPC door.
METHODS = [
    "/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages",
    "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages",
    "/google.longrunning.Operations/GetOperation",
    "/google.longrunning.Operations/ListOperations",
    "/google.longrunning.Operations/CancelOperation",
]
