"""From a TensorFlow.js graph model to ONNX, without TensorFlow.

Covers the operators of the models rebuilt here, no more. The values are numbered in the order of
conversion: the same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_graph import INPUT, NHWC, Graph, Tensor, Value, ordered, prune
from recipe import RecipeError
from tfjs import Array, GraphModel, Node

#: The converted inputs of an operator, each a `Tensor` or, where it is known, an array.
Inputs = list[Any]
Result = Value | list[Value]
TO_THE_END = 2**31 - 1


def convolution(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Conv2D and DepthwiseConv2dNative, with the bias and the activation fused into them."""
    image, kernel, *fused = inputs
    if "Depthwise" in node.op:
        height, width, channels, multiplier = kernel.shape
        weights = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    else:
        channels, weights = 1, kernel.transpose(3, 2, 0, 1)
    size = list(weights.shape[2:])
    strides = node.attributes["strides"][1:3]
    dilations = node.attributes.get("dilations", [1, 1, 1, 1])[1:3]
    same = node.attributes["padding"] == "SAME" and (size != [1, 1] or strides[0] > 1)
    operands = [graph.place(image, NHWC), graph.constant(np.ascontiguousarray(weights), "w")]
    steps = list(node.attributes.get("fused_ops", []))
    if "BiasAdd" in steps:
        steps.remove("BiasAdd")
        operands.append(graph.constant(fused.pop(0).reshape(-1), "b"))
    name = graph.add(
        "Conv",
        operands,
        strides=strides,
        dilations=dilations,
        group=channels,
        kernel_shape=size,
        **({"auto_pad": "SAME_UPPER"} if same else {}),
    )
    for step in steps:
        name = activate(graph, step, name, *fused)
    return Tensor(name, NHWC)


def activate(graph: Graph, op: str, name: str, slopes: Array | None = None) -> str:
    """Relu6 and Prelu of an image in ONNX's order of axes."""
    if op == "Relu6":
        limits = [graph.constant(np.float32(limit)) for limit in (0, 6)]
        return graph.add("Clip", [name, *limits])
    if op == "Prelu" and slopes is not None:
        slopes = slopes.reshape((1,) * (3 - slopes.ndim) + slopes.shape[-3:])
        return graph.add("PRelu", [name, graph.constant(slopes.transpose(2, 0, 1))])
    raise RecipeError(f"The activation {op} is not covered.")


def activation(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Relu6 and Prelu of an image."""
    image, *slopes = inputs
    return Tensor(activate(graph, node.op, graph.place(image, NHWC), *slopes), NHWC)


def unary(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Operators on each value by itself, of the same name in ONNX."""
    (value,) = inputs
    return value._replace(name=graph.add(node.op, [value.name]))


def elementwise(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Add, Sub and Mul of two or more values, broadcast, in the order of axes of the largest."""
    op = {"AddN": "Add", "AddV2": "Add", "BiasAdd": "Add"}.get(node.op, node.op)
    total, *others = inputs
    for other in others:
        tensors = [value for value in (total, other) if isinstance(value, Tensor)]
        permutation = max(tensors, key=lambda tensor: tensor.rank).permutation
        operands = [broadcast(graph, value, permutation) for value in (total, other)]
        total = Tensor(graph.add(op, operands), permutation)
    return total


def broadcast(graph: Graph, value: Value, permutation: tuple[int, ...]) -> str:
    """``value``, laid out for ``permutation`` once its leading axes are filled up."""
    if isinstance(value, Tensor):
        if value.rank != len(permutation):
            raise RecipeError(f"{value.name} would have to be broadcast; not covered.")
        return graph.place(value, permutation)
    if value.size == 1:
        return graph.constant(value.reshape(()))
    missing = len(permutation) - value.ndim
    return graph.place(value.reshape((1,) * missing + value.shape), permutation)


def batch_normalization(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """FusedBatchNorm."""
    image = graph.place(inputs[0], NHWC)
    operands = [image, *(graph.constant(values) for values in inputs[1:5])]
    epsilon = node.attributes["epsilon"]
    return Tensor(graph.add("BatchNormalization", operands, epsilon=epsilon), NHWC)


def max_pool(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """MaxPool."""
    size, strides = node.attributes["ksize"][1:3], node.attributes["strides"][1:3]
    same = {"auto_pad": "SAME_UPPER"} if node.attributes["padding"] == "SAME" else {}
    image = graph.place(inputs[0], NHWC)
    return Tensor(graph.add("MaxPool", [image], kernel_shape=size, strides=strides, **same), NHWC)


def pad(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Pad, with zeros."""
    value, widths = inputs
    # Row n of TensorFlow's widths, before and after, is that of axis permutation[n].
    placed = widths[np.argsort(value.permutation)]
    operands = [value.name, graph.integers(placed.T.reshape(-1))]
    return value._replace(name=graph.add("Pad", operands, mode="constant"))


def concat(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """ConcatV2."""
    *values, axis = inputs
    permutation = next(value for value in values if isinstance(value, Tensor)).permutation
    operands = [graph.place(value, permutation) for value in values]
    return Tensor(graph.add("Concat", operands, axis=permutation[int(axis)]), permutation)


def transpose(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Transpose: a matter of bookkeeping."""
    value, axes = inputs
    return value._replace(permutation=tuple(value.permutation[axis] for axis in axes))


def reshape(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Reshape."""
    value, shape = inputs
    name = graph.add("Reshape", [graph.place(value), graph.integers(shape)])
    return ordered(name, len(shape))


def shape(graph: Graph, node: Node, inputs: Inputs) -> Array:
    """Shape, known at conversion."""
    return np.array(graph.shape(graph.place(inputs[0])), np.int32)


def take(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Slice."""
    value, begin, size = inputs
    end = [TO_THE_END if n == -1 else b + n for b, n in zip(begin, size, strict=True)]
    operands = [graph.place(value), graph.integers(begin), graph.integers(end)]
    return ordered(graph.add("Slice", operands), value.rank)


def pack(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Pack: stack values along a new axis."""
    rank = inputs[0].rank + 1
    axis = node.attributes.get("axis", 0) % rank
    rows = [
        graph.add("Unsqueeze", [graph.place(value), graph.integers([axis])]) for value in inputs
    ]
    return ordered(graph.add("Concat", rows, axis=axis), rank)


def unpack(graph: Graph, node: Node, inputs: Inputs) -> list[Value]:
    """Unpack: the slices along an axis, without it."""
    (value,) = inputs
    axis = node.attributes.get("axis", 0) % value.rank
    rows = graph.add_many("Split", [graph.place(value)], node.attributes["num"], axis=axis)
    return [
        ordered(graph.add("Squeeze", [row, graph.integers([axis])]), value.rank - 1) for row in rows
    ]


def expand(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """ExpandDims."""
    value, axis = inputs
    rank = value.rank + 1
    operands = [graph.place(value), graph.integers([int(axis) % rank])]
    return ordered(graph.add("Unsqueeze", operands), rank)


def squeeze(graph: Graph, node: Node, inputs: Inputs) -> Tensor:
    """Squeeze of the axes named."""
    (value,) = inputs
    axes = [axis % value.rank for axis in node.attributes["squeeze_dims"]]
    name = graph.add("Squeeze", [graph.place(value), graph.integers(axes)])
    return ordered(name, value.rank - len(axes))


def identity(graph: Graph, node: Node, inputs: Inputs) -> Value:
    """Identity."""
    return inputs[0]


#: What each operator becomes when an input is a value of the graph.
CONVERT: dict[str, Callable[[Graph, Node, Inputs], Result]] = {
    **dict.fromkeys(["Conv2D", "_FusedConv2D", "DepthwiseConv2dNative"], convolution),
    **dict.fromkeys(["Add", "AddN", "AddV2", "BiasAdd", "Mul", "Sub"], elementwise),
    **dict.fromkeys(["Exp", "Sigmoid"], unary),
    **dict.fromkeys(["Prelu", "Relu6"], activation),
    "ConcatV2": concat,
    "ExpandDims": expand,
    "FusedBatchNorm": batch_normalization,
    "Identity": identity,
    "MaxPool": max_pool,
    "Pack": pack,
    "Pad": pad,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": take,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unpack": unpack,
}
#: The result of each operator when all its inputs are known.
COMPUTE: dict[str, Callable[[Node, list[Array]], Array | list[Array]]] = {
    "Add": lambda node, inputs: inputs[0] + inputs[1],
    "Mul": lambda node, inputs: inputs[0] * inputs[1],
    "Pack": lambda node, inputs: np.stack(inputs, node.attributes.get("axis", 0)),
    "Reshape": lambda node, inputs: inputs[0].reshape(inputs[1]),
    # Of vectors, one value: the only use of it is to read a dimension.
    "StridedSlice": lambda node, inputs: inputs[0][int(inputs[1][0])],
    "Sub": lambda node, inputs: inputs[0] - inputs[1],
    "Tile": lambda node, inputs: np.tile(inputs[0], inputs[1]),
    "Transpose": lambda node, inputs: inputs[0].transpose(inputs[1]),
    "Unpack": lambda node, inputs: list(np.moveaxis(inputs[0], node.attributes.get("axis", 0), 0)),
}


class Converter:
    """Walks from the outputs of a graph model back to its input, converting on the way."""

    def __init__(self, model: GraphModel, node: str, shape: Sequence[int | str]) -> None:
        self.graph = Graph(shape)
        self._nodes = model.nodes
        self._results: dict[str, Result] = {**model.weights, node: ordered(INPUT, len(shape))}

    def value(self, reference: str) -> Value:
        """The converted output that ``reference`` names."""
        name, _, index = reference.partition(":")
        pending = [name]
        while pending:
            node = self._nodes[pending[-1]]
            sources = [source.partition(":")[0] for source in node.inputs]
            missing = [source for source in sources if source not in self._results]
            if node.name in self._results:
                pending.pop()
            elif missing:
                pending.extend(missing)
            else:
                self._results[node.name] = self._convert(node)
        result = self._results[name]
        return result[int(index or 0)] if isinstance(result, list) else result

    def _convert(self, node: Node) -> Result:
        inputs = [self.value(source) for source in node.inputs]
        try:
            if all(isinstance(value, np.ndarray) for value in inputs):
                result = COMPUTE[node.op](node, inputs)
                return result if isinstance(result, list) else np.asarray(result)
            return CONVERT[node.op](self.graph, node, inputs)
        except KeyError as error:
            raise RecipeError(f"{node.op} ({node.name}) is not covered: {error}.") from error


def convert(
    model: GraphModel,
    name: str,
    node: str,
    shape: Sequence[int | str],
    outputs: Mapping[str, str],
) -> onnx.ModelProto:
    """The ONNX model ``name`` of ``model``.

    Its input ``image`` of the given ``shape`` stands for the output of ``node``; ``outputs`` are
    nodes and the names their outputs get.
    """
    converter = Converter(model, node, shape)
    graph = converter.graph
    for source, output in outputs.items():
        placed = graph.place(converter.value(source))
        graph.nodes.append(helper.make_node("Identity", [placed], [output]))
    infos = [
        helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        for output in outputs.values()
    ]
    converted = onnx.shape_inference.infer_shapes(graph.model(name, infos))
    prune(converted.graph)
    onnx.checker.check_model(converted, full_check=True)
    return converted
