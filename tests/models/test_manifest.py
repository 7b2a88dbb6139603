from __future__ import annotations

import dataclasses
import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

from tapetum.errors import ModelError
from tapetum.models.manifest import Manifest, Weight

PERMISSIVE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT"}
ROWS = list(Manifest.packaged())
CONTENT = b"the weights of a small network"

each_row = pytest.mark.parametrize("weight", ROWS, ids=lambda weight: weight.name)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weight:
    """A row whose file lies in an installed package made for the test."""
    package = tmp_path / "network_of_the_test"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "weights/small.onnx").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    return dataclasses.replace(
        ROWS[0],
        name="small",
        package=package.name,
        file="weights/small.onnx",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@each_row
def test_the_file_is_there_and_is_the_one_of_the_manifest(weight: Weight) -> None:
    content = weight.content()
    assert hashlib.sha256(content).hexdigest() == weight.sha256
    assert len(content) == weight.size()


@each_row
def test_no_field_is_empty(weight: Weight) -> None:
    fields = dataclasses.asdict(weight)
    assert [name for name, value in fields.items() if not str(value).strip()] == []


@each_row
def test_the_licence_is_permissive(weight: Weight) -> None:
    assert weight.licence in PERMISSIVE


def test_names_and_files_are_unique() -> None:
    assert len({weight.name for weight in ROWS}) == len(ROWS)
    assert len({(weight.package, weight.file) for weight in ROWS}) == len(ROWS)


def test_every_file_the_project_carries_has_a_row() -> None:
    package = Path(str(files("tapetum.models")))
    carried = {
        path.relative_to(package).as_posix()
        for path in package.joinpath("weights").rglob("*")
        if path.is_file()
    }
    assert carried == {weight.file for weight in ROWS if weight.package == "tapetum.models"}


def test_a_row_is_found_by_name() -> None:
    assert Manifest.packaged()[ROWS[0].name] == ROWS[0]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'no-such'") as caught:
        Manifest.packaged()["no-such"]
    for weight in ROWS:
        assert weight.name in str(caught.value)


def test_content_is_the_file_of_the_package(packaged: Weight) -> None:
    assert packaged.content() == CONTENT


def test_a_library_that_opens_the_file_itself_gets_its_path(packaged: Weight) -> None:
    path = packaged.checked_path()
    assert path.read_bytes() == CONTENT
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="Reinstall with `make install`"):
        packaged.checked_path()


def test_a_tampered_file_is_refused(packaged: Weight) -> None:
    path = Path(str(files(packaged.package).joinpath(packaged.file)))
    tampered = CONTENT[:-1] + b"!"
    path.write_bytes(tampered)
    with pytest.raises(ModelError, match="Reinstall with `make install`") as caught:
        packaged.content()
    message = str(caught.value)
    assert "weights/small.onnx of network_of_the_test" in message
    assert hashlib.sha256(tampered).hexdigest() in message
    assert packaged.sha256 in message


@pytest.mark.parametrize(
    "missing", [{"file": "weights/other.onnx"}, {"package": "no_such_package_of_the_test"}]
)
def test_a_missing_file_is_an_error(packaged: Weight, missing: dict[str, str]) -> None:
    weight = dataclasses.replace(packaged, **missing)
    with pytest.raises(ModelError, match="Reinstall with `make install`") as caught:
        weight.content()
    assert f"{weight.file} of {weight.package}" in str(caught.value)
