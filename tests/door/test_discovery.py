"""The REST door described for machines: nothing that is not there, and all that is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tapetum.vision import messages

NAMES = list(messages.VERSIONS)


@pytest.fixture(scope="module")
def web(server):
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if "$ref" in tree:
            yield tree["$ref"]
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from references(branch)


def methods(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from tree.get("methods", {}).values()
    for resource in tree.get("resources", {}).values():
        yield from methods(resource)


@pytest.mark.parametrize("version", NAMES)
def test_every_path_of_openapi_is_there(web, version):
    document = web.get(f"/{version}/openapi.json").json()
    assert document["servers"] == [{"url": f"{str(web.base_url).rstrip('/')}/"}]
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    calls = [(path, way) for path, item in document["paths"].items() for way in item]
    assert len(calls) == 12 + 12 + 2
    for path, way in calls:
        filled = re.sub(r"\{\w+\}", "none", path)
        answer = web.request(way, filled, json={} if way == "post" else None)
        message = answer.json().get("error", {}).get("message", "")
        assert not message.startswith(f"There is no {way.upper()}"), (way, path)


@pytest.mark.parametrize("version", NAMES)
def test_the_discovery_document_names_the_same(web, version):
    document = web.get("/$discovery/rest", params={"version": version}).json()
    assert document["id"] == f"vision:{version}"
    assert document["rootUrl"] == f"{str(web.base_url).rstrip('/')}/"
    assert set(references(document)) <= document["schemas"].keys()
    listed = {(one["httpMethod"].lower(), f"/{one['path']}") for one in methods(document)}
    paths = web.get(f"/{version}/openapi.json").json()["paths"]
    assert listed == {(way, path) for path, item in paths.items() for way in item}
    for one in methods(document):
        assert re.findall(r"\{(\w+)\}", one["path"]) == one["parameterOrder"]


def test_schemas_say_what_json_looks_like(web):
    schemas = web.get("/$discovery/rest").json()["schemas"]
    feature = schemas["Feature"]["properties"]
    assert "LABEL_DETECTION" in feature["type"]["enum"]
    assert feature["maxResults"] == {"type": "integer", "format": "int32"}
    assert schemas["Image"]["properties"]["content"] == {"type": "string", "format": "byte"}
    images = schemas["BatchAnnotateImagesRequest"]["properties"]
    assert images["requests"]["items"] == {"$ref": "AnnotateImageRequest"}
    assert images["labels"]["additionalProperties"] == {"type": "string"}
    old = web.get("/$discovery/rest", params={"version": "v1p4beta1"}).json()["schemas"]
    assert "labels" not in old["BatchAnnotateImagesRequest"]["properties"]


def test_a_version_there_is_not(web):
    assert web.get("/$discovery/rest", params={"version": "v9"}).status_code == 404
    assert web.get("/v9/openapi.json").status_code == 404
