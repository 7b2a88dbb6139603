"""A response about a rendered page, rewritten for the page."""

from __future__ import annotations

import pytest

from tapetum.pipeline import page_units
from tapetum.vision import messages


def add_box(poly, *corners: tuple[int, int]) -> None:
    for x, y in corners:
        poly.vertices.add(x=x, y=y)


@pytest.fixture
def response():
    made = messages.AnnotateImageResponse()
    box = ((0, 0), (999, 0), (500, 1000), (-20, 2100))
    for entry in (
        made.text_annotations.add(), made.logo_annotations.add(), made.face_annotations.add(),
        made.crop_hints_annotation.crop_hints.add(),
    ):  # fmt: skip
        add_box(entry.bounding_poly, *box)
    add_box(made.face_annotations[0].fd_bounding_poly, *box)
    position = made.face_annotations[0].landmarks.add().position
    position.x, position.y, position.z = 100, 200, -10
    page = made.full_text_annotation.pages.add(width=1000, height=2000)
    block = page.blocks.add()
    paragraph = block.paragraphs.add()
    word = paragraph.words.add()
    symbol = word.symbols.add(text="a")
    for part in (block, paragraph, word, symbol):
        add_box(part.bounding_box, *box)
    known = made.localized_object_annotations.add()
    known.bounding_poly.normalized_vertices.add(x=0.25, y=0.5)
    made.context.page_number = 3
    page_units.rewrite(made, 1000, 2000, (500.4, 1000.6))
    return made


def polys(message):
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
            if field.message_type.name == "BoundingPoly":
                yield item
            else:
                yield from polys(item)


def test_every_polygon_is_normalised(response):
    found = list(polys(response))
    assert len(found) == 10
    assert not any(poly.vertices for poly in found)
    boxes = [[(v.x, v.y) for v in poly.normalized_vertices] for poly in found]
    assert boxes.count([(0, 0), (pytest.approx(0.999), 0), (0.5, 0.5), (0, 1)]) == 9


def test_what_was_normalised_already_stays(response):
    [vertex] = response.localized_object_annotations[0].bounding_poly.normalized_vertices
    assert (vertex.x, vertex.y) == (0.25, 0.5)


def test_sizes_and_positions_are_in_points(response):
    [page] = response.full_text_annotation.pages
    assert (page.width, page.height) == (500, 1001)
    position = response.face_annotations[0].landmarks[0].position
    assert position.x == pytest.approx(50.04)
    assert position.y == pytest.approx(100.06)
    assert position.z == pytest.approx(-5.004)


def test_a_page_too_large_for_its_field(response):
    page_units.rewrite(response, 1000, 2000, (1e12, 5))
    assert response.full_text_annotation.pages[0].width == 2**31 - 1
