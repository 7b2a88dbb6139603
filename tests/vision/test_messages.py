"""The JSON form of messages: Google's on the way out, forgiving but strict on the way in."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.errors import InvalidRequest
from tapetum.vision import messages


def response():
    message = messages.AnnotateImageResponse()
    label = message.label_annotations.add(mid="/m/01yrx", description="Cat 🐈", score=1.0)
    label.topicality = 0.79999995
    message.context.uri = "gs://b/ü.jpg"
    box = message.localized_object_annotations.add(name="Cat").bounding_poly
    box.normalized_vertices.add()
    box.normalized_vertices.add(x=0.5, y=1.0)
    colour = message.image_properties_annotation.dominant_colors.colors.add(score=0.1)
    colour.color.red = 229.0
    message.safe_search_annotation.adult = 1
    return message


def test_json_is_compact_by_field_number_with_defaults_omitted_and_whole_numbers_whole():
    assert messages.to_json(response()).decode() == (
        '{"labelAnnotations":[{"mid":"/m/01yrx","description":"Cat 🐈","score":1,'
        '"topicality":0.79999995}],"safeSearchAnnotation":{"adult":"VERY_UNLIKELY"},'
        '"imagePropertiesAnnotation":{"dominantColors":{"colors":[{"color":{"red":229},'
        '"score":0.1}]}},"context":{"uri":"gs://b/ü.jpg"},"localizedObjectAnnotations":'
        '[{"name":"Cat","boundingPoly":{"normalizedVertices":[{},{"x":0.5,"y":1}]}}]}'
    )


def test_enums_are_numbers_when_asked():
    tree = json.loads(messages.to_json(response(), enum_numbers=True))
    assert tree["safeSearchAnnotation"] == {"adult": 1}


def test_googles_own_parser_reads_it_back():
    read = vision_v1.AnnotateImageResponse.from_json(messages.to_json(response()).decode())
    assert vision_v1.AnnotateImageResponse.pb(read) == response()


def test_latitudes_keep_their_double_precision():
    message = messages.AnnotateImageResponse()
    place = message.landmark_annotations.add().locations.add()
    place.lat_lng.latitude = 55.752912
    place.lat_lng.longitude = 37.0
    assert b'{"latitude":55.752912,"longitude":37}' in messages.to_json(message)


@given(st.floats(-(2**126), 2**126, width=32))  # protobuf cannot read back its own largest
def test_floats_are_the_shortest_text_of_the_same_float32(value):
    message = messages.AnnotateImageResponse()
    message.label_annotations.add(score=value)
    text = messages.to_json(message)
    read = messages.from_json(text, messages.AnnotateImageResponse())
    assert read == message
    assert len(text) < 60


def parsed(body: bytes):
    return messages.from_json(body, messages.AsyncBatchAnnotateImagesRequest())


def test_names_may_be_camel_or_snake_enums_names_or_numbers_and_null_is_unset():
    body = """{"requests": [
        {"image": {"source": {"imageUri": "gs://b/a"}}, "features":
            [{"type": "TEXT_DETECTION", "maxResults": "5"}, {"type": 4, "max_results": 6}],
         "imageContext": null},
        {"image": {"source": {"image_uri": "gs://b/b"}}}],
        "output_config": {"gcsDestination": {"uri": "gs://o/"}, "batchSize": 2}}"""
    request = parsed(body.encode())
    first, second = request.requests
    assert [(one.type_, one.max_results) for one in first.features] == [(5, 5), (4, 6)]
    assert second.image.source.image_uri == "gs://b/b"
    assert request.output_config.batch_size == 2


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
@given(content=st.binary(min_size=1, max_size=100))
def test_bytes_are_base64_of_either_alphabet(encode, padded, content):
    text = encode(content).decode()
    text = text if padded else text.rstrip("=")
    request = parsed(json.dumps({"requests": [{"image": {"content": text}}]}).encode())
    assert request.requests[0].image.content == content


BAD_BODIES = {
    "no json": (b"{", "", "Invalid JSON payload received. "),
    "not utf-8": (b'{"parent":"\xff"}', "", "Invalid JSON payload received. "),
    "not an object": (b"[]", "", "Invalid JSON payload received. "),
    "NaN": (b'{"labels":{"a":NaN}}', "", "Invalid JSON payload received. "),
    "too deep": (b'{"requests":' + b"[" * 100_000, "", "Invalid JSON payload received. "),
    "unknown field at the root": (
        b'{"images":1}',
        "",
        'Invalid JSON payload received. Unknown name "images": Cannot find field.',
    ),
    "unknown field below": (
        b'{"requests":[{},{"images":1}]}',
        "requests[1]",
        "Invalid JSON payload received. Unknown name \"images\" at 'requests[1]': "
        "Cannot find field.",
    ),
    "unknown enum name": (
        b'{"requests":[{"features":[{"type":"CATS"}]}]}',
        "requests[0].features[0].type",
        "Invalid value at 'requests[0].features[0].type' "
        '(type.googleapis.com/google.cloud.vision.v1.Feature.Type), "CATS"',
    ),
    "wrong type": (
        b'{"requests":[{"features":[{"maxResults":1.5}]}]}',
        "requests[0].features[0].maxResults",
        "Invalid value at 'requests[0].features[0].maxResults': Couldn't parse integer: 1.5",
    ),
    "not a list": (b'{"requests":5}', "", "Invalid value: repeated field requests must be in []"),
    "bad base64": (
        b'{"requests":[{"image":{"content":"%%%"}}]}',
        "requests[0].image.content",
        "Invalid value at 'requests[0].image.content' (TYPE_BYTES), "
        'Base64 decoding failed for "%%%"',
    ),
    "base64 of impossible length": (
        b'{"requests":[{"image":{"content":"AAAAA"}}]}',
        "requests[0].image.content",
        "Invalid value at 'requests[0].image.content' (TYPE_BYTES), "
        'Base64 decoding failed for "AAAAA"',
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_says_what_and_where(name):
    body, field, message = BAD_BODIES[name]
    with pytest.raises(InvalidRequest) as caught:
        parsed(body)
    assert caught.value.message.startswith(message)
    assert [one.field for one in caught.value.violations if one.field] == ([field] if field else [])


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_body_raises_anything_else(body):
    with suppress(InvalidRequest):
        parsed(body)


def test_a_packed_message_has_the_type_url_of_its_version():
    packed = messages.pack(messages.OperationMetadata())
    assert packed.type_url == "type.googleapis.com/google.cloud.vision.v1.OperationMetadata"


OLDER = [version for version in messages.VERSIONS.values() if version is not messages.V1]


def reachable(version: messages.Version) -> dict[str, Any]:
    """Every message a client of ``version`` sends or gets, by its name without the version."""
    names = [
        f"{method}{part}" for method in messages.V1.methods for part in ("Request", "Response")
    ]
    ways = [version.message(name) for name in [*names, "OperationMetadata"]]
    waiting = [way.DESCRIPTOR for way in ways if way is not None]
    found: dict[str, Any] = {}
    while waiting:
        descriptor = waiting.pop()
        name = plain(version, descriptor)
        if name not in found:
            found[name] = descriptor
            waiting += [field.message_type for field in descriptor.fields if field.message_type]
    return found


def plain(version: messages.Version, descriptor: Any) -> str:
    return descriptor.full_name.replace(f".{version.name}.", ".") if descriptor else ""


def shape(version: messages.Version, field: Any) -> tuple[Any, ...]:
    kinds = plain(version, field.message_type), plain(version, field.enum_type)
    return field.name, field.type, field.is_repeated, *kinds


@pytest.mark.parametrize("version", OLDER, ids=lambda version: version.name)
def test_the_versions_agree_in_every_field_they_share(version):
    """What `Version` rests on: a message goes from one version to another as its bytes."""
    own, ours = reachable(version), reachable(messages.V1)
    assert len(own) > 40
    for name in own.keys() & ours.keys():
        for number, field in own[name].fields_by_number.items():
            if number in ours[name].fields_by_number:
                other = ours[name].fields_by_number[number]
                assert shape(version, field) == shape(messages.V1, other), name
            else:
                assert field.name in ("face_recognition_params", "recognition_result")
        for enum, values in own[name].enum_types_by_name.items():
            known = ours[name].enum_types_by_name[enum].values_by_name
            assert {value.name: value.number for value in values.values}.items() <= {
                value: known[value].number for value in known
            }.items()


@pytest.mark.parametrize("version", OLDER, ids=lambda version: version.name)
def test_a_message_crosses_to_another_version_and_leaves_behind_what_is_not_there(version):
    answer = messages.BatchAnnotateImagesResponse(responses=[response()])
    crossed = version.of_v1(answer)
    assert crossed.DESCRIPTOR.full_name == (
        f"google.cloud.vision.{version.name}.BatchAnnotateImagesResponse"
    )
    assert crossed.responses[0].label_annotations[0].description == "Cat 🐈"
    has_objects = version.name in ("v1p4beta1", "v1p3beta1")
    assert (b"localizedObject" in messages.to_json(crossed)) is has_objects
    assert (len(crossed.SerializeToString()) == len(answer.SerializeToString())) is has_objects
    asked = version.methods["BatchAnnotateImages"]()
    asked.requests.add().image.source.image_uri = "gs://b/a"
    understood = version.to_v1(asked)
    assert isinstance(understood, messages.BatchAnnotateImagesRequest)
    assert understood.requests[0].image.source.image_uri == "gs://b/a"


def test_what_a_version_does_not_know_does_not_come_in_with_it():
    """Field 5 is v1's ``labels``; its bytes here are no text, which v1 would not read."""
    old = messages.VERSIONS["v1p1beta1"]
    unknown = b"\x2a\x06\x0a\x01a\x12\x01\xff"
    asked = old.methods["BatchAnnotateImages"].FromString(unknown)
    assert not old.to_v1(asked).labels
