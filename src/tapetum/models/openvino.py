"""Networks in bfloat16, by OpenVINO: an optional extra, ``pip install tapetum[openvino]``.

bfloat16 has the range of float32 and 8 bits of its precision. Processors with instructions for it
(Intel since Cooper Lake and Sapphire Rapids, AMD since Zen 4) multiply twice as many of them at a
time; the others gain nothing, and ONNX Runtime has no use for the instructions on x86.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Importing OpenVINO would report each start to its makers, through this package and the network.
# Without it OpenVINO keeps quiet; Tapetum uses the network for nothing it was not asked to.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

DEVICE = "CPU"


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this processor."""
    return "BF16" in openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")


class Bfloat16Network:
    """One network on OpenVINO. Inputs and outputs stay ``float32``, sums too.

    ``threads`` per run, ``workers`` runs at a time: each of them keeps memory of its own. The
    kernels of each shape of input are kept too (a new shape costs about half as much again as a
    run): feed it few different ones.
    """

    def __init__(self, content: bytes, threads: int, workers: int) -> None:
        core = openvino.Core()
        model = core.read_model(content)
        self.inputs: tuple[str, ...] = tuple(node.get_any_name() for node in model.inputs)
        self.outputs: tuple[str, ...] = tuple(node.get_any_name() for node in model.outputs)
        self.metadata: Mapping[str, str] = _metadata(model)
        self._compiled = core.compile_model(
            model,
            DEVICE,
            {
                "INFERENCE_PRECISION_HINT": "bf16",
                "NUM_STREAMS": workers,
                "INFERENCE_NUM_THREADS": workers * threads,
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._of_thread = threading.local()

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs, copied. May be called from several threads at once."""
        request = getattr(self._of_thread, "request", None)
        if request is None:
            request = self._of_thread.request = self._compiled.create_infer_request()
        request.infer(list(inputs), share_inputs=True)
        return [np.array(request.get_output_tensor(i).data) for i in range(len(self.outputs))]


def _metadata(model: openvino.Model) -> dict[str, str]:
    """What the ONNX file says about itself; OpenVINO files it under ``framework``."""
    if not model.has_rt_info("framework"):
        return {}
    framework = model.get_rt_info("framework")
    return {key: value.astype(str) for key, value in framework.astype(dict).items()}
