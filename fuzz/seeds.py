"""What is mutated: requests of every kind, and pictures of every format."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from google.cloud import vision_v1
from PIL import Image, ImageDraw

_PDF = Path(__file__).parent.parent / "examples" / "clients" / "pages.pdf"
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


def files() -> list[tuple[str, bytes]]:
    """Small files of pages and their MIME types: PDF, TIFF and GIF."""
    found = [("application/pdf", _PDF.read_bytes())]
    for kind, name in (("application/pdf", "PDF"), ("image/tiff", "TIFF"), ("image/gif", "GIF")):
        # Drawn anew: Pillow leaves in an image how it was written last.
        more = {"save_all": True, "append_images": [_drawing().rotate(180)]}
        found.append((kind, _packed(_drawing(), name, more)))
    return found


def _requests() -> list[dict[str, Any]]:
    """Bodies of the four annotate calls, with every field there is."""
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
    # Cheap to ask again and again: most are refused before a file is opened.
    inline = {"inputConfig": {"content": content, "mimeType": "image/tiff"}, "pages": [1, -1]}
    stored = {
        "inputConfig": {"gcsSource": {"uri": "gs://in/a.pdf"}, "mimeType": "application/pdf"},
        "outputConfig": output,
    }
    asked = {"features": features, "imageContext": context}
    return [
        {"requests": [image, named], "parent": "projects/p/locations/eu", "labels": {"a": "b"}},
        {"requests": [named], "outputConfig": output, "parent": "projects/p"},
        {"requests": [inline | asked], "parent": "projects/p/locations/eu"},
        {"requests": [stored | asked], "parent": "projects/p"},
    ]


def bodies() -> list[bytes]:
    """JSON, at the REST door."""
    return [json.dumps(body).encode() for body in _requests()]


def messages() -> list[bytes]:
    """The same as protobuf, at the gRPC door."""
    kinds = [
        vision_v1.BatchAnnotateImagesRequest,
        vision_v1.AsyncBatchAnnotateImagesRequest,
        vision_v1.BatchAnnotateFilesRequest,
        vision_v1.AsyncBatchAnnotateFilesRequest,
    ]
    return [
        kind.serialize(kind.from_json(json.dumps(request)))
        for kind, request in zip(kinds, _requests(), strict=True)
    ]


#: Targets at the REST door, as they stand in a request's first line.
ANNOTATE = [
    b"/v1/images:annotate", b"/v1/images:asyncBatchAnnotate",
    b"/v1/files:annotate", b"/v1/files:asyncBatchAnnotate",
]  # fmt: skip
TARGETS = [
    *ANNOTATE,
    b"/v1/projects/p/locations/eu/images:annotate?$alt=json%3Benum-encoding=int",
    b"/v1/operations?pageSize=3&filter=done%3Dtrue&pageToken=MQ==", b"/v1/projects/p/operations",
    b"/v1/projects/p/operations/0123456789abcdef", b"/v1/operations/x:cancel",
    b"/v1p4beta1/images:annotate", b"/storage/v1/b/in/o?prefix=a&delimiter=/", b"/?key=abc",
    b"/storage/v1/b/in/o/a.png?alt=media", b"/b/in/o/a.png", b"/storage/v1/b?prefix=i",
    b"/upload/storage/v1/b/out/o?uploadType=media&name=a", b"/v1/operations/x:progress",
    b"/upload/storage/v1/b/out/o?uploadType=multipart&name=a", b"/v1/openapi.json",
    b"/upload/storage/v1/b/out/o?uploadType=resumable&name=a&upload_id=x",
    b"/$discovery/rest?version=v1p4beta1",
]  # fmt: skip
#: Methods at the gRPC door.
FILES_METHOD = "/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateFiles"
METHODS = [
    "/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages",
    "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages",
    FILES_METHOD,
    "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateFiles",
    "/google.cloud.vision.v1p1beta1.ImageAnnotator/BatchAnnotateImages",
    "/google.cloud.vision.v1p4beta1.ImageAnnotator/AsyncBatchAnnotateImages",
    "/google.longrunning.Operations/GetOperation",
    "/google.longrunning.Operations/ListOperations",
    "/google.longrunning.Operations/CancelOperation",
]
