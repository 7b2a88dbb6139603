"""Quantised TensorFlow.js weights, and a builder of ONNX graphs layer by layer."""

from __future__ import annotations

import math
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from recipe import RecipeError

OPSET = 17
IR_VERSION = 8


def members(package: Path, *names: str) -> list[bytes]:
    """The files ``names`` of the npm tarball ``package``."""
    contents = []
    with tarfile.open(package) as tarball:
        for name in names:
            stream = tarball.extractfile(f"package/{name}")
            if stream is None:
                raise RecipeError(f"{name} is not a file of the package.")
            contents.append(stream.read())
    return contents


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of a weights manifest: as stored, and how the stored values are scaled."""

    stored: NDArray[Any]
    scale: float = 1.0
    minimum: float = 0.0
    quantised: bool = False

    @property
    def values(self) -> NDArray[np.float32]:
        """The float32 values."""
        values = self.stored.astype(np.float32)
        return values * self.scale + self.minimum if self.quantised else values

    def transposed(self, axes: Sequence[int]) -> Weight:
        """The weight with its axes in the order ``axes``."""
        return replace(self, stored=self.stored.transpose(axes))


def read_weights(specs: Iterable[Mapping[str, Any]], content: bytes) -> dict[str, Weight]:
    """The tensors that ``specs``, the rows of a weights manifest, describe; they lie end to end."""
    weights = {}
    offset = 0
    for spec in specs:
        quantisation = spec.get("quantization")
        dtype = np.dtype((quantisation or spec)["dtype"])
        count = math.prod(spec["shape"])
        stored = np.frombuffer(content, dtype, count, offset).reshape(spec["shape"])
        offset += stored.nbytes
        weights[spec["name"]] = (
            Weight(stored, quantisation["scale"], quantisation["min"], quantised=True)
            if quantisation
            else Weight(stored)
        )
    if offset != len(content):
        raise RecipeError(f"The weights take {offset} bytes of {len(content)}.")
    return weights


class Builder:
    """An ONNX graph as it grows: its nodes and its constants, numbered in one series."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._packed: list[onnx.TensorProto] = []
        self._unpacking: list[onnx.NodeProto] = []
        self._count = 0

    def constant(self, values: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """The name of a constant with ``values``; a single value becomes a vector of one."""
        name = self._name("c")
        array = np.ascontiguousarray(values, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def packed(self, weight: Weight) -> str:
        """The name of a constant kept as ``weight`` stores it, scaled when the file is loaded."""
        name = self._name("c")
        stored = np.ascontiguousarray(weight.stored)
        for suffix, array in (
            ("q", stored),
            ("s", np.array(weight.scale, np.float32)),
            ("m", np.array(weight.minimum, np.float32)),
        ):
            self._packed.append(numpy_helper.from_array(array, f"{name}_{suffix}"))
        self._unpacking += [
            helper.make_node("Cast", [f"{name}_q"], [f"{name}_f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_f", f"{name}_s"], [f"{name}_x"]),
            helper.make_node("Add", [f"{name}_x", f"{name}_m"], [name]),
        ]
        return name

    def op(
        self, kind: str, inputs: Sequence[str], *, output: str | None = None, **attributes: Any
    ) -> str:
        """Append a node of ``kind``; the name of its one output."""
        output = output or self._name("t")
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def model(
        self, name: str, inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, Sequence[Any]]
    ) -> onnx.ModelProto:
        """The graph ``name`` as a model, with the shapes of its float32 inputs and outputs."""
        graph = helper.make_graph(
            [*self._unpacking, *self.nodes],
            name,
            [_float(*item) for item in inputs.items()],
            [_float(*item) for item in outputs.items()],
            [*self.constants, *self._packed],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return model

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"


def _float(name: str, shape: Sequence[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def checked(model: onnx.ModelProto) -> bytes:
    """The bytes of ``model``, checked, its producer left as it is; the same on every run."""
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
