"""What is wrong with a call is said at once, before any picture is looked at."""

from __future__ import annotations

import enum
import io

import numpy as np
import pytest
from google.cloud import vision_v1

import tapetum
from tapetum.errors import SettingsError
from tapetum.results import asking
from tapetum.vision import messages


def never():
    pytest.fail("a picture was taken")
    yield


@pytest.mark.parametrize(
    ("features", "kind", "said"),
    [
        ("LABELS", ValueError, r"no feature 'LABELS'; did you mean LABEL_DETECTION\?"),
        ("LABEL_DETECTON", ValueError, r"did you mean LABEL_DETECTION\?"),
        ("text", ValueError, r"did you mean TEXT_DETECTION or DOCUMENT_TEXT_DETECTION\?"),
        ("ocr", ValueError, "there are FACE_DETECTION, .*OBJECT_LOCALIZATION"),
        ("LABEL_DETECTION;CROP_HINTS", ValueError, "no feature"),
        ("PRODUCT_SEARCH", ValueError, "no feature"),
        ("", ValueError, "No features: say which of FACE_DETECTION"),
        (" , ", ValueError, "No features"),
        ([], ValueError, "No features"),
        ([""], ValueError, "no feature ''"),
        ([0], ValueError, "no feature of number 0"),
        (99, ValueError, "no feature of number 99"),
        ([True], TypeError, "not True"),
        ([None], TypeError, "not None"),
        (None, TypeError, "features are names like 'LABEL_DETECTION', not None"),
        ([["LABEL_DETECTION"]], TypeError, "A feature is a name"),
        (b"LABEL_DETECTION", TypeError, "write it without the b"),
    ],
)
def test_features_that_are_not_there(annotator, features, kind, said):
    for annotate in (tapetum.annotate, annotator.annotate):
        with pytest.raises(kind, match=said):
            annotate(never(), features)


class Number(enum.IntEnum):
    LABELS = 4


@pytest.mark.parametrize(
    "features",
    [
        ["LABEL_DETECTION", "TEXT_DETECTION"],
        ("label_detection", " Text_Detection "),
        "LABEL_DETECTION,TEXT_DETECTION",
        "label_detection, text_detection,",
        [vision_v1.Feature.Type.LABEL_DETECTION, vision_v1.Feature.Type.TEXT_DETECTION],
        [4, 5],
        np.array([4, 5]),
        iter(["LABEL_DETECTION", Number.LABELS, "TEXT_DETECTION"]),
    ],
)
def test_ways_to_say_features(features):
    assert asking.asking(features, None, (), ()).features == (4, 5)


def test_the_numbers_are_googles():
    assert len(tapetum.FEATURES) == 11
    for name in tapetum.FEATURES:
        assert messages.Feature.Type.Value(name) == asking.NUMBERS[name]


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"max_results": 0}, ValueError, "max_results is 1 to 2147483647, not 0"),
        ({"max_results": -3}, ValueError, "not -3"),
        ({"max_results": 2**31}, ValueError, "1 to 2147483647, not 2147483648"),
        ({"max_results": 2.5}, TypeError, "whole number, not 2.5"),
        ({"max_results": True}, TypeError, "whole number, not True"),
        ({"max_results": "10"}, TypeError, "whole number, not '10'"),
        ({"language_hints": "klingon"}, ValueError, "language 'klingon' is not read here"),
        ({"language_hints": ["en", "xx"]}, ValueError, "language 'xx'"),
        ({"language_hints": [3]}, TypeError, "a code like 'en', not 3"),
        ({"crop_aspect_ratios": 0}, ValueError, "width divided by height, a positive number"),
        ({"crop_aspect_ratios": [1.0, float("nan")]}, ValueError, "not nan"),
        ({"crop_aspect_ratios": ["16:9"]}, TypeError, "a number, not '16:9'"),
        ({"crop_aspect_ratios": True}, TypeError, "a number, not True"),
        ({"crop_aspect_ratios": 10**400}, ValueError, "a positive number, not 10000"),
        ({"crop_aspect_ratios": 1e300}, ValueError, "not 1e[+]300"),
    ],
)
def test_options_that_will_not_do(annotator, options, kind, said):
    for annotate in (tapetum.annotate, annotator.annotate):
        with pytest.raises(kind, match=said):
            annotate(never(), "CROP_HINTS", **options)


def test_numbers_that_python_does_not_write_out():
    for arguments in ((10**5000, None, (), ()), (9, 10**5000, (), ()), (9, None, (), 10**5000)):
        with pytest.raises(ValueError, match="one that large"):
            asking.asking(*arguments)


def test_numbers_may_be_numpys_and_options_none():
    asked = asking.asking(np.int64(4), np.int32(3), None, [np.float32(1.5), np.int64(2)])
    assert asked == asking.Asking((4,), 3, (), (1.5, 2.0))
    assert [type(number) for number in (*asked.features, asked.max_results)] == [int, int]
    assert asking.asking("text_detection", None, None, None).aspect_ratios == ()


async def pictures():
    yield b""


@pytest.mark.parametrize(
    "images", [None, 3, {"a.jpg": 1}, object(), pictures()], ids=lambda given: type(given).__name__
)
def test_what_is_no_pictures(annotator, images):
    for annotate in (tapetum.annotate, annotator.annotate):
        with pytest.raises(TypeError, match=f"images are a path.*not {type(images).__name__}"):
            annotate(images, "CROP_HINTS")


@pytest.mark.parametrize("file", [io.BytesIO(b"x\ny"), io.StringIO("x")])
def test_an_open_file_is_no_pictures(annotator, file):
    for annotate in (tapetum.annotate, annotator.annotate):
        with pytest.raises(TypeError, match=r"Read it: file\.read\(\)\."):
            annotate(file, "CROP_HINTS")


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"workers": 0}, ValueError, "workers is 1 or more"),
        ({"workers": 1.0}, TypeError, "whole number"),
        ({"workers": True}, TypeError, "whole number"),
        ({"settings": "nowhere.toml"}, SettingsError, "nowhere.toml cannot be read"),
        ({"settings": {"web_fetsch": "off"}}, SettingsError, "no setting is named 'web_fetsch'"),
        ({"settings": {"web_fetch": "never"}}, SettingsError, "web_fetch must be one of"),
        ({"settings": {"workers": "many"}}, SettingsError, "workers: 'many' is not a valid int"),
        ({"settings": {"buckets": {"photos": "x"}}}, SettingsError, "written like gs://photos"),
        ({"settings": {"pack": "strong"}}, SettingsError, "No pack is named 'strong'"),
        ({"settings": {"providers": "coreml"}}, SettingsError, "has no 'coreml'"),
        ({"settings": {"gallery_store": "ftp://x"}}, SettingsError, "not ftp://"),
        ({"settings": 3}, TypeError, "a settings file, or a mapping"),
    ],
)
def test_settings_that_will_not_do(options, kind, said):
    with pytest.raises(kind, match=said):
        tapetum.annotate(never(), "CROP_HINTS", **options)
    with pytest.raises(kind, match=said):
        tapetum.Annotator(**options)


def test_errors_of_settings_are_of_the_tree():
    with pytest.raises(tapetum.TapetumError):
        tapetum.annotate(never(), "CROP_HINTS", settings={"nothing": 1})
