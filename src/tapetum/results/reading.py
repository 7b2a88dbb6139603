"""From an ``AnnotateImageResponse`` to plain values. Reads the message; imports nothing of it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from tapetum.results.annotations import (
    Block,
    Box,
    Color,
    Corners,
    CropHint,
    DetectedObject,
    Face,
    Label,
    Landmark,
    Likelihood,
    Logo,
    Paragraph,
    SafeSearch,
    Web,
    WebEntity,
    WebPage,
    Word,
    box_around,
)
from tapetum.signals.page_layout import Break

Size = tuple[int, int]

#: ``Block.BlockType`` of a table; all others here are text.
_TABLE = 2
#: Field of a face's likelihood → its name here.
_FEELINGS = ("joy", "sorrow", "anger", "surprise", "under_exposed", "blurred", "headwear")
_SAFE_SEARCH = ("adult", "spoof", "medical", "violence", "racy")


def labels(response: Any) -> tuple[Label, ...]:
    """Its labels, by falling score."""
    return tuple(
        Label(label.description, label.score, label.mid) for label in response.label_annotations
    )


def objects(response: Any, size: Size) -> tuple[DetectedObject, ...]:
    """Its objects, by falling score, in a picture of ``size``, width and height in pixels."""
    return tuple(
        DetectedObject(item.name, item.score, _scaled(item.bounding_poly, size), item.mid)
        for item in response.localized_object_annotations
    )


def landmarks(response: Any) -> tuple[Landmark, ...]:
    """Its landmarks, by falling score."""
    return tuple(
        Landmark(
            landmark.description,
            landmark.score,
            _box_or_none(landmark.bounding_poly),
            tuple((at.lat_lng.latitude, at.lat_lng.longitude) for at in landmark.locations),
            landmark.mid,
        )
        for landmark in response.landmark_annotations
    )


def logos(response: Any) -> tuple[Logo, ...]:
    """Its logos, by falling score."""
    return tuple(
        Logo(logo.description, logo.score, _box_or_none(logo.bounding_poly), logo.mid)
        for logo in response.logo_annotations
    )


def faces(response: Any) -> tuple[Face, ...]:
    """Its faces, the surest first."""
    return tuple(_face(face) for face in response.face_annotations)


def blocks(response: Any) -> tuple[Block, ...]:
    """The blocks of its text, in reading order."""
    return tuple(
        _block(block) for page in response.full_text_annotation.pages for block in page.blocks
    )


def languages(response: Any) -> tuple[str, ...]:
    """The languages of its text, the most spoken first."""
    return tuple(
        code for page in response.full_text_annotation.pages for code in _languages(page.property)
    )


def safe_search(response: Any) -> SafeSearch | None:
    """How likely it is not for everybody, if that was asked."""
    if not response.HasField("safe_search_annotation"):
        return None
    annotation = response.safe_search_annotation
    return SafeSearch(*(Likelihood(getattr(annotation, name)) for name in _SAFE_SEARCH))


def colors(response: Any) -> tuple[Color, ...]:
    """Its dominant colours, by falling score."""
    return tuple(
        Color(
            (round(item.color.red), round(item.color.green), round(item.color.blue)),
            item.score,
            item.pixel_fraction,
        )
        for item in response.image_properties_annotation.dominant_colors.colors
    )


def crop_hints(response: Any) -> tuple[CropHint, ...]:
    """Where to cut it, in the order of the aspect ratios that were asked for."""
    return tuple(
        CropHint(
            box_around(_corners(hint.bounding_poly)), hint.confidence, hint.importance_fraction
        )
        for hint in response.crop_hints_annotation.crop_hints
    )


def web(response: Any) -> Web:
    """Where it is shown."""
    detection = response.web_detection
    return Web(
        entities=tuple(
            WebEntity(entity.description, entity.score, entity.entity_id)
            for entity in detection.web_entities
        ),
        full_matches=_urls(detection.full_matching_images),
        partial_matches=_urls(detection.partial_matching_images),
        similar=_urls(detection.visually_similar_images),
        pages=tuple(
            WebPage(
                page.url,
                html.unescape(page.page_title),
                _urls(page.full_matching_images),
                _urls(page.partial_matching_images),
            )
            for page in detection.pages_with_matching_images
        ),
        best_guesses=tuple(guess.label for guess in detection.best_guess_labels),
    )


def _face(face: Any) -> Face:
    feelings = {name: Likelihood(getattr(face, f"{name}_likelihood")) for name in _FEELINGS}
    return Face(
        box=_box(face.bounding_poly),
        skin_box=_box(face.fd_bounding_poly),
        confidence=face.detection_confidence,
        landmark_confidence=face.landmarking_confidence,
        roll=face.roll_angle,
        pan=face.pan_angle,
        tilt=face.tilt_angle,
        **feelings,
        landmarks={_name(landmark): _place(landmark.position) for landmark in face.landmarks},
    )


def _name(landmark: Any) -> str:
    kinds = landmark.DESCRIPTOR.fields_by_name["type_"].enum_type.values_by_number
    return str(kinds[landmark.type_].name).lower()


def _place(position: Any) -> tuple[float, float, float]:
    return position.x, position.y, position.z


def _block(block: Any) -> Block:
    return Block(
        tuple(_paragraph(paragraph) for paragraph in block.paragraphs),
        _corners(block.bounding_box),
        block.confidence or None,
        "table" if block.block_type == _TABLE else "text",
        _languages(block.property),
    )


def _paragraph(paragraph: Any) -> Paragraph:
    words = tuple(_word(word) for word in paragraph.words)
    return Paragraph(words, _corners(paragraph.bounding_box), paragraph.confidence or None)


def _word(word: Any) -> Word:
    text = "".join(symbol.text for symbol in word.symbols)
    end = Break(word.symbols[-1].property.detected_break.type_) if word.symbols else Break.NONE
    return Word(text, _corners(word.bounding_box), word.confidence or None, end.text)


def _languages(text_property: Any) -> tuple[str, ...]:
    return tuple(language.language_code for language in text_property.detected_languages)


def _urls(images: Iterable[Any]) -> tuple[str, ...]:
    return tuple(image.url for image in images)


def _corners(poly: Any) -> Corners:
    return tuple((vertex.x, vertex.y) for vertex in poly.vertices)


def _box(poly: Any) -> Box:
    return box_around(_corners(poly))


def _box_or_none(poly: Any) -> Box | None:
    return _box(poly) if poly.vertices else None


def _scaled(poly: Any, size: Size) -> Box:
    """The box of a polygon in shares of the picture."""
    width, height = size
    return box_around(
        tuple(
            (round(vertex.x * width), round(vertex.y * height))
            for vertex in poly.normalized_vertices
        )
    )
