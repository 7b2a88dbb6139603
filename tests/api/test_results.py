"""What a `Result` says, and that it says what Google's message does."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

import tapetum
from tapetum.results.annotations import Label, Landmark, Web, WebEntity, WebPage
from tapetum.results.reopening import Reopening
from tapetum.results.result import result_of
from tapetum.settings import resolve
from tapetum.vision import messages


@pytest.fixture(scope="module")
def said(photos):
    """Results of all features by file name, of photographs that have everything among them."""
    names = ["astronaut.jpg", "brandenburg-gate.jpg", "page.png"]
    with tapetum.Annotator() as annotator:
        paths = [photos / name for name in names]
        results = list(annotator.annotate(paths, tapetum.FEATURES))
    return dict(zip(names, results, strict=True))


def read(response, uri=None, size=(200, 100)):
    return result_of(response, 0, uri, size, Reopening())


def test_a_face(said):
    result = said["astronaut.jpg"]
    [face] = result.faces
    [as_google] = result.to_dict()["faceAnnotations"]
    x0, y0, x1, y1 = face.box
    corners = as_google["boundingPoly"]["vertices"]
    assert corners[0] == {"x": x0, "y": y0}
    assert corners[2] == {"x": x1, "y": y1}
    assert x0 < face.skin_box[0] < face.skin_box[2] < x1
    assert len(face.landmarks) == 34
    nose = next(mark for mark in as_google["landmarks"] if mark["type"] == "NOSE_TIP")
    assert face.landmarks["nose_tip"] == pytest.approx(tuple(nose["position"].values()))
    assert face.joy is tapetum.Likelihood[as_google["joyLikelihood"]]
    assert face.joy >= tapetum.Likelihood.LIKELY > face.sorrow
    assert face.pan == pytest.approx(as_google["panAngle"], rel=1e-5)


def test_objects_are_in_pixels(said):
    result = said["astronaut.jpg"]
    width, height = result.size
    for thing, as_google in zip(
        result.objects, result.to_dict()["localizedObjectAnnotations"], strict=True
    ):
        assert (thing.name, thing.mid) == (as_google["name"], as_google["mid"])
        corner = as_google["boundingPoly"]["normalizedVertices"][2]
        assert thing.box[2:] == (round(corner["x"] * width), round(corner["y"] * height))


def test_text_in_pieces_and_whole(said):
    result = said["page.png"]
    assert "".join(block.text for block in result.blocks) == result.text
    assert [word.text for word in result.words][:4] == ["Chapter", "Ⅲ", "WELL,", "I"]
    flat = result.to_dict()["textAnnotations"][1:]
    assert [word.text for word in result.words] == [entry["description"] for entry in flat]
    polygons = [entry["boundingPoly"]["vertices"] for entry in flat]
    assert [word.corners for word in result.words] == [
        tuple((corner.get("x", 0), corner.get("y", 0)) for corner in polygon)
        for polygon in polygons
    ]
    assert all(0 < word.confidence <= 1 for word in result.words)
    assert result.languages[0] == "en"
    for block in result.blocks:
        assert block.kind == "text"
        x0, y0, x1, y1 = block.box
        assert x0 < x1
        assert y0 < y1


def test_text_without_confidence(annotator, photos):
    [result] = annotator.annotate(photos / "summer-festival.jpg", "TEXT_DETECTION")
    assert result.words
    assert {word.confidence for word in result.words} == {None}
    assert {block.confidence for block in result.blocks} == {None}


def test_the_rest(said):
    result = said["brandenburg-gate.jpg"]
    as_google = result.to_dict()
    [gate] = result.landmarks
    assert gate.name == "Brandenburg Gate"
    [(latitude, longitude)] = gate.locations
    assert (latitude, longitude) == (pytest.approx(52.5, abs=0.1), pytest.approx(13.4, abs=0.1))
    assert [label.description for label in result.labels] == [
        label["description"] for label in as_google["labelAnnotations"]
    ]
    assert result.safe_search.adult is tapetum.Likelihood.VERY_UNLIKELY
    assert len(result.colors) == 10
    assert sum(color.fraction for color in result.colors) <= 1
    assert all(0 <= sample <= 255 for color in result.colors for sample in color.rgb)
    [hint] = result.crop_hints
    assert hint.box[2] < result.size[0]
    assert result.web.best_guesses == tuple(
        guess["label"] for guess in as_google["webDetection"]["bestGuessLabels"]
    )


def test_options_reach_the_features(annotator, photos):
    [result] = annotator.annotate(
        photos / "dog.jpg",
        ["LABEL_DETECTION", "CROP_HINTS"],
        max_results=2,
        crop_aspect_ratios=[1, 16 / 9],
        language_hints="en",
    )
    assert len(result.labels) == 2
    boxes = [hint.box for hint in result.crop_hints]
    shapes = [(x1 - x0 + 1) / (y1 - y0 + 1) for x0, y0, x1, y1 in boxes]
    assert shapes == [pytest.approx(1, rel=0.01), pytest.approx(16 / 9, rel=0.01)]


def test_the_web_as_plain_text():
    response = messages.AnnotateImageResponse()
    web = response.web_detection
    web.web_entities.add(entity_id="/m/1", score=1.5, description="A & B")
    web.full_matching_images.add(url="http://a/1.jpg")
    web.visually_similar_images.add(url="http://a/2.jpg")
    page = web.pages_with_matching_images.add(url="http://a/", page_title="A &amp; B &lt;3")
    page.partial_matching_images.add(url="http://a/3.jpg")
    assert read(response).web == Web(
        entities=(WebEntity("A & B", 1.5, "/m/1"),),
        full_matches=("http://a/1.jpg",),
        similar=("http://a/2.jpg",),
        pages=(WebPage("http://a/", "A & B <3", (), ("http://a/3.jpg",)),),
    )


def test_a_logo_or_landmark_may_have_no_box():
    response = messages.AnnotateImageResponse()
    response.landmark_annotations.add(description="Gate", score=0.5, mid="/m/2")
    response.logo_annotations.add(description="Brand", score=0.25)
    result = read(response)
    assert result.landmarks == (Landmark("Gate", 0.5, None, (), "/m/2"),)
    assert result.logos[0].box is None


def test_what_was_not_asked_is_empty():
    result = read(messages.AnnotateImageResponse())
    for name in ("labels", "blocks", "words", "languages", "faces", "objects", "landmarks"):
        assert getattr(result, name) == ()
    assert (result.logos, result.colors, result.crop_hints) == ((), (), ())
    assert (result.text, result.error, result.safe_search, result.web) == ("", None, None, Web())
    assert result.to_dict() == {}
    assert repr(result) == "<Result picture 0: nothing found>"


def test_part_of_an_answer_beside_an_error():
    response = messages.AnnotateImageResponse()
    response.label_annotations.add(description="Cat", score=0.5)
    response.error.code, response.error.message = 3, "No such language."
    result = read(response)
    assert result.labels == (Label("Cat", 0.5),)
    assert (result.error.code, str(result.error)) == (3, "No such language.")
    with pytest.raises(tapetum.TapetumError, match="No such language"):
        raise result.error
    assert repr(result) == "<Result picture 0: error 3 'No such language.', 'Cat' 0.50>"


@hypothesis.given(st.text(), st.text(), st.text())
def test_what_a_result_looks_like_is_one_printable_line(uri, text, label):
    """Text in pictures and names of files are strangers': they must not move a terminal's cursor,
    and a notebook shows this as text and never as HTML."""
    response = messages.AnnotateImageResponse()
    response.full_text_annotation.text = text.encode(errors="replace").decode()
    response.label_annotations.add(description=label.encode(errors="replace").decode())
    shown = repr(read(response, uri))
    assert shown.isprintable()
    assert not hasattr(tapetum.Result, "_repr_html_")


def test_a_result_is_a_value(said, tmp_path):
    result = said["page.png"]
    again = pickle.loads(pickle.dumps(result))
    assert again == result == copy.deepcopy(result)
    assert again.to_dict() == result.to_dict()
    assert len({result, again}) == 1
    assert said["astronaut.jpg"] != result
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.text = ""


def test_no_secret_of_the_settings_is_pickled_or_shown(made):
    secret = "a key that is kept quiet"
    buckets = {"s3://photos": {"url": "s3://photos", "secret_access_key": secret}}
    settings = resolve({}, {}, given={"buckets": buckets})
    assert secret in repr(settings.bucket_rules)
    [result] = tapetum.annotate(made.array(1), "IMAGE_PROPERTIES", settings=settings)
    assert secret.encode() not in pickle.dumps(result)
    assert secret not in repr(result) + repr(dataclasses.astuple(result))


def test_drawing(said, photos):
    for name, result in said.items():
        image = result.draw()
        assert image.mode == "RGB"
        assert image.size == result.size
        with Image.open(photos / name) as before:
            changed = np.asarray(image) != np.asarray(before.convert("RGB"))
        x0, y0, x1, _ = (*result.faces, *result.objects)[0].box
        assert (
            changed[max(y0, 0), max(x0, 0) + 1 : min(x1, image.width - 1)].any(axis=1).mean() > 0.9
        )


def test_drawing_words_on_a_picture_that_is_given(said, photos):
    result = pickle.loads(pickle.dumps(said["page.png"]))
    with Image.open(photos / "page.png") as page:
        pixels = np.asarray(page.convert("RGB"))
        drawings = [
            np.asarray(result.draw(given))
            for given in (page, pixels, (photos / "page.png").read_bytes(), photos / "page.png")
        ]
    for drawing in drawings:
        assert np.array_equal(drawing, drawings[0])
    (x0, y0), (x1, y1), *_ = result.words[-1].corners
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    near = drawings[0][y - 3 : y + 4, x]
    assert (near == (0, 114, 178)).all(axis=1).any()


def test_drawing_what_has_no_path(annotator, made):
    [result] = annotator.annotate(made.array(9), "IMAGE_PROPERTIES,CROP_HINTS")
    with pytest.raises(ValueError, match=r"give it again, as draw\(image\)"):
        result.draw()
    assert result.draw(made.array(9)).size == (32, 32)
    with pytest.raises(TypeError, match=r"A picture is a path.*not int"):
        result.draw(3)


def test_drawing_what_is_gone(annotator, made):
    path = Path("red.png")
    path.write_bytes(made.png(made.array(200)))
    [result] = annotator.annotate(path, "IMAGE_PROPERTIES")
    path.unlink()
    with pytest.raises(tapetum.TapetumError, match=r"Error opening file: red\.png"):
        result.draw()


def test_the_json_can_be_written(said):
    for result in said.values():
        assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
