"""Rebuild ``nsfwjs-mobilenet_v2.u8w.onnx`` from the pinned npm package.

``python tools/models/nsfwjs.py --output DIR [--package FILE]``

The package holds the network as JavaScript modules: the layers of Keras as an object literal, the
weights as 8-bit values in base64. The larger weights stay 8-bit in the file, each with a Cast, a
Mul and an Add that ONNX Runtime folds away when it loads it.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from network import Builder, Weight, checked, members, read_weights
from recipe import RecipeError, compare, write
from tfjs import NpmPackage, rebuild

PACKAGE = NpmPackage(
    "nsfwjs",
    "4.3.0",
    "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
)
FOLDER = "dist/models/mobilenet_v2"
SIDE = 224
CLASSES = 5
#: The producer that the file names.
PRODUCER = "tfjs2onnx.py"
#: Weights of this many values or more stay 8-bit.
SMALLEST = 2000
#: Against the same network with float32 weights, on probabilities.
TOLERANCE = 1e-6
PADDING = {"valid": "VALID", "same": "SAME_UPPER"}

LITERAL = re.compile(
    r"""(?P<string>"[^"\\]*")
    | (?P<key>[A-Za-z_]\w*)(?=:)
    | (?P<boolean>![01])
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)""",
    re.VERBOSE,
)
EXPORT = re.compile(r'\bexports=(?=[{"])(?!\{\})')


def exported(module: bytes) -> Any:
    """What a minified JavaScript module exports: a literal, read by writing it as JSON."""
    script = module.decode()
    # The loader around the module assigns exports too, but no literal.
    matches = list(EXPORT.finditer(script))
    if len(matches) != 1:
        raise RecipeError(f"A module has {len(matches)} exported literals, expected one.")
    literal = LITERAL.sub(_as_json, script[matches[0].end() :])
    return json.JSONDecoder().raw_decode(literal)[0]


def _as_json(token: re.Match[str]) -> str:
    text = token.group()
    match token.lastgroup:
        case "key":
            return f'"{text}"'
        case "boolean":
            return "true" if text == "!0" else "false"
        case "number":
            return re.sub(r"^(-?)\.", r"\g<1>0.", text)
    return text


def load(package: Path) -> tuple[list[dict[str, Any]], dict[str, Weight]]:
    """The layers and the weights of the network in ``package``."""
    (module,) = members(package, f"{FOLDER}/model.min.js")
    model = exported(module)
    (group,) = model["weightsManifest"]
    shards = members(package, *(f"{FOLDER}/{path}.min.js" for path in group["paths"]))
    content = b"".join(base64.b64decode(exported(shard), validate=True) for shard in shards)
    layers = model["modelTopology"]["model_config"]["config"]["layers"]
    return layers, read_weights(group["weights"], content)


class Network:
    """The layers of Keras in ONNX, channels first."""

    def __init__(self, layers: list[dict[str, Any]], weights: Mapping[str, Weight]) -> None:
        self._layers = layers
        self._weights = weights
        self._makers: Mapping[str, Callable[[dict[str, Any], list[str]], str]] = {
            "InputLayer": self._same,
            "ZeroPadding2D": self._zeros,
            "Conv2D": self._convolution,
            "DepthwiseConv2D": self._depthwise,
            "BatchNormalization": self._normalisation,
            "ReLU": self._clip,
            "Add": self._sum,
            "AveragePooling2D": self._pooling,
            "Flatten": self._flatten,
            "Dropout": self._same,
            "Dense": self._dense,
        }
        self._builder = Builder()
        self._packed = False

    def model(self, *, packed: bool) -> onnx.ModelProto:
        """Pixels N×224×224×3 in, probabilities N×5 out; large weights 8-bit if ``packed``."""
        self._builder = Builder()
        self._packed = packed
        x = self._builder.op("Transpose", ["input"], perm=[0, 3, 1, 2])
        outputs: dict[str, str] = {}
        for layer in self._layers:
            nodes = layer["inbound_nodes"]
            inputs = [outputs[source[0]] for source in nodes[0]] if nodes else [x]
            maker = self._makers[layer["class_name"]]
            outputs[layer["name"]] = maker(layer["config"], inputs)
        self._builder.op("Identity", [outputs[self._layers[-1]["name"]]], output="probs")
        model = self._builder.model(
            "nsfwjs", {"input": ["batch", SIDE, SIDE, 3]}, {"probs": ["batch", CLASSES]}
        )
        model.producer_name = PRODUCER
        return model

    def _constant(self, layer: dict[str, Any], name: str, axes: tuple[int, ...] = ()) -> str:
        """The constant of a layer's weight, its axes reordered where ``axes`` are given."""
        weight = self._weights[f"{layer['name']}/{name}"]
        if axes:
            weight = weight.transposed(axes)
        if self._packed and weight.quantised and weight.stored.size >= SMALLEST:
            return self._builder.packed(weight)
        return self._builder.constant(weight.values)

    def _activated(self, layer: dict[str, Any], x: str) -> str:
        match layer["activation"]:
            case "linear":
                return x
            case "relu":
                return self._builder.op("Relu", [x])
            case "softmax":
                return self._builder.op("Softmax", [x], axis=-1)
        raise RecipeError(f"No such activation: {layer['activation']}.")

    def _same(self, layer: dict[str, Any], inputs: list[str]) -> str:
        return inputs[0]

    def _zeros(self, layer: dict[str, Any], inputs: list[str]) -> str:
        (top, bottom), (left, right) = layer["padding"]
        pads = [0, 0, top, left, 0, 0, bottom, right]
        return self._builder.op("Pad", [*inputs, self._builder.constant(pads, np.int64)])

    def _convolution(self, layer: dict[str, Any], inputs: list[str]) -> str:
        return self._filtered(layer, inputs, "kernel", (3, 2, 0, 1), 1)

    def _depthwise(self, layer: dict[str, Any], inputs: list[str]) -> str:
        channels = self._weights[f"{layer['name']}/depthwise_kernel"].stored.shape[2]
        return self._filtered(layer, inputs, "depthwise_kernel", (2, 3, 0, 1), channels)

    def _filtered(
        self,
        layer: dict[str, Any],
        inputs: list[str],
        kernel: str,
        axes: tuple[int, ...],
        groups: int,
    ) -> str:
        operands = [*inputs, self._constant(layer, kernel, axes)]
        if layer["use_bias"]:
            operands.append(self._constant(layer, "bias"))
        x = self._builder.op(
            "Conv",
            operands,
            strides=layer["strides"],
            group=groups,
            kernel_shape=layer["kernel_size"],
            auto_pad=PADDING[layer["padding"]],
        )
        return self._activated(layer, x)

    def _normalisation(self, layer: dict[str, Any], inputs: list[str]) -> str:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        operands = [*inputs, *(self._constant(layer, name) for name in names)]
        return self._builder.op("BatchNormalization", operands, epsilon=layer["epsilon"])

    def _clip(self, layer: dict[str, Any], inputs: list[str]) -> str:
        bounds = [self._builder.constant(0.0), self._builder.constant(layer["max_value"])]
        return self._builder.op("Clip", [*inputs, *bounds])

    def _sum(self, layer: dict[str, Any], inputs: list[str]) -> str:
        return self._builder.op("Add", inputs)

    def _pooling(self, layer: dict[str, Any], inputs: list[str]) -> str:
        return self._builder.op(
            "AveragePool",
            inputs,
            kernel_shape=layer["pool_size"],
            strides=layer["strides"],
            auto_pad=PADDING[layer["padding"]],
        )

    def _flatten(self, layer: dict[str, Any], inputs: list[str]) -> str:
        x = self._builder.op("Transpose", inputs, perm=[0, 2, 3, 1])
        return self._builder.op("Flatten", [x], axis=1)

    def _dense(self, layer: dict[str, Any], inputs: list[str]) -> str:
        operands = [*inputs, self._constant(layer, "kernel"), self._constant(layer, "bias")]
        return self._activated(layer, self._builder.op("Gemm", operands))


def build(package: Path, directory: Path) -> Path:
    """Build the network of ``package``, compare with float32 weights, write."""
    network = Network(*load(package))
    packed = checked(network.model(packed=True))
    plain = checked(network.model(packed=False))
    pixels = np.random.default_rng(0).random((3, SIDE, SIDE, 3), dtype=np.float32)
    session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    difference = compare(packed, [pixels], session.run(None, {"input": pixels}), TOLERANCE)
    print(f"8-bit weights against float32: largest difference {difference:.1e}")
    return write("nsfwjs-mobilenet-v2", packed, directory)


if __name__ == "__main__":
    sys.exit(rebuild(__doc__, PACKAGE, build))
