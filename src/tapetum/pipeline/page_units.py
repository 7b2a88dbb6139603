"""From the pixels of a rendered PDF page to what Vision says of one: normalised vertices, points.

Features speak of the picture they were given, in pixels. A PDF page has no pixels, so the finished
response is rewritten once, here.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

_POLY = "BoundingPoly"
_LARGEST = 2**31 - 1


def rewrite(response: Any, width: int, height: int, points: tuple[float, float]) -> None:
    """Rewrite ``response``, an ``AnnotateImageResponse`` about a picture of ``width×height``
    pixels, for the page of ``points`` (width, height) it was rendered from.

    ``vertices`` become ``normalizedVertices``, 0..1; pages of text get their size in points, and
    so do positions of face landmarks.
    """
    _normalise(response, width, height)
    for page in response.full_text_annotation.pages:
        page.width, page.height = (min(round(side), _LARGEST) for side in points)
    across, down = points[0] / width, points[1] / height
    for face in response.face_annotations:
        for landmark in face.landmarks:
            landmark.position.x *= across
            landmark.position.y *= down
            landmark.position.z *= across


def _normalise(message: Any, width: int, height: int) -> None:
    """Every polygon below ``message``."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        items: Any = (value,) if isinstance(value, Message) else value
        for item in items:
            if field.message_type.name != _POLY:
                _normalise(item, width, height)
                continue
            for vertex in item.vertices:
                item.normalized_vertices.add(
                    x=min(max(vertex.x / width, 0.0), 1.0), y=min(max(vertex.y / height, 0.0), 1.0)
                )
            del item.vertices[:]
