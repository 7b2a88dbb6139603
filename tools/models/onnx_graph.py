"""An ONNX graph under construction, for a framework that keeps its images as NHWC.

TensorFlow has images as NHWC, ONNX as NCHW. A `Tensor` is therefore the name of an ONNX value and
the permutation that turns it into what TensorFlow means: operators that do not mind the order of
the axes leave it as it is, and only the few that do get a Transpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tfjs import Array

OPSET = 17
IR_VERSION = 8
#: Part of the bytes that the manifest pins.
PRODUCER = "tfjs2onnx"
INPUT = "image"
#: The permutation of an image: NHWC for TensorFlow, NCHW in the ONNX file.
NHWC = (0, 2, 3, 1)


class Tensor(NamedTuple):
    """A value of the ONNX graph; TensorFlow's is ``transpose(name, permutation)``."""

    name: str
    permutation: tuple[int, ...]

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.permutation)


Value = Tensor | Array


def ordered(name: str, rank: int) -> Tensor:
    """The value ``name`` of ``rank`` axes in TensorFlow's order."""
    return Tensor(name, tuple(range(rank)))


class Graph:
    """An ONNX graph under construction."""

    def __init__(self, shape: Sequence[int | str]) -> None:
        self.input = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, Array] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names = 0

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}_{self._names}"

    def constant(self, values: Any, prefix: str = "c") -> str:
        """The name of an initializer with ``values``, shared by all that have the same ones."""
        array = np.asarray(values)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._name(prefix)
            self.initializers[self._constants[key]] = array
        return self._constants[key]

    def integers(self, values: Iterable[int]) -> str:
        """The name of an initializer with int64 ``values``."""
        return self.constant(np.array(list(values), np.int64))

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append an operator and return the name of its output."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Append an operator and return the names of its ``count`` outputs."""
        outputs = [self._name(op.lower()) for _ in range(count)]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs

    def place(self, value: Value, permutation: tuple[int, ...] | None = None) -> str:
        """The name of ``value`` laid out for ``permutation``; by default in TensorFlow's order."""
        if isinstance(value, np.ndarray):
            if permutation is not None:
                value = value.transpose(np.argsort(permutation))
            return self.constant(value)
        wanted = permutation or tuple(range(value.rank))
        axes = [value.permutation[axis] for axis in np.argsort(wanted)]
        if axes == list(range(value.rank)):
            return value.name
        return self.add("Transpose", [value.name], perm=axes)

    def shape(self, name: str) -> list[int]:
        """The inferred shape of ``name``, -1 for an axis of any length."""
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        inferred = onnx.shape_inference.infer_shapes(self.model("shape", [output]), data_prop=True)
        dimensions = inferred.graph.output[0].type.tensor_type.shape.dim
        return [axis.dim_value if axis.HasField("dim_value") else -1 for axis in dimensions]

    def model(self, name: str, outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The graph so far as a model."""
        tensors = [
            numpy_helper.from_array(np.ascontiguousarray(array), key)
            for key, array in self.initializers.items()
        ]
        graph = helper.make_graph(self.nodes, name, [self.input], outputs, tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name=PRODUCER)
        model.ir_version = IR_VERSION
        return model


def prune(graph: onnx.GraphProto) -> None:
    """Drop what no output depends on, such as a Transpose that only a Shape asked for."""
    used = {output.name for output in graph.output}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.insert(0, node)
            used.update(node.input)
    kept = [
        (graph.node, nodes),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used]),
        (graph.value_info, [info for info in graph.value_info if info.name in used]),
    ]
    for field, entries in kept:
        del field[:]
        field.extend(entries)


def serialize(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """The bytes of ``model`` with ``metadata``, the same on every run."""
    helper.set_model_props(model, dict(metadata))
    return model.SerializeToString(deterministic=True)
