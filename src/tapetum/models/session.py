"""Every network session is built here: providers, threads, precision, sharing, counting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tapetum.errors import SettingsError
from tapetum.models.manifest import Manifest, Weight

log = logging.getLogger(__name__)


class Network(Protocol):
    """A loaded weight file on some runtime, whatever its precision."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs for ``inputs``, both in the order the file declares. Safe from many threads."""
        ...


class Session:
    """One loaded network. ``run`` may be called from several threads at once."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.metadata = network.metadata
        self._lock = threading.Lock()
        self.runs = 0

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The network's outputs for its ``inputs``, both in the order the file declares.

        Raises ``ValueError`` when their number is not the file's.
        """
        if len(inputs) != len(self.inputs):
            raise ValueError(f"The network takes {len(self.inputs)} arguments, not {len(inputs)}.")
        with self._lock:
            self.runs += 1
        return self._network.run(inputs)


class Sessions:
    """The sessions of one process, loaded on first use and shared by all workers.

    One intra-op thread per run: workers, not threads inside a run, fill the cores (measured: two
    one-thread runs side by side do 1.8-2.1 times the work of one, one two-thread run 1.2-1.4).

    ``precision`` is ``full`` (float32 throughout) or ``reduced``: the networks the manifest marks
    as ``reducible`` run in bfloat16 where the processor computes in it, the rest as before, and
    ``workers`` of them at a time. Raises `SettingsError` when ``reduced`` is asked for and OpenVINO
    is not installed.
    """

    def __init__(
        self,
        manifest: Manifest,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 1,
        precision: str = "full",
        workers: int = 1,
    ) -> None:
        self._manifest = manifest
        self._providers = list(providers)
        self._threads = threads
        self._workers = workers
        self._reduces = precision == "reduced" and _can_reduce()
        self._loaded: dict[str, Session] = {}
        self._lock = threading.Lock()

    def load(self, name: str) -> Session:
        """The session of the weights ``name`` in the manifest.

        Raises `tapetum.errors.ModelError` when the file is missing or not the manifest's.
        """
        with self._lock:
            session = self._loaded.get(name)
            if session is None:
                session = Session(self._network(self._manifest[name]))
                self._loaded[name] = session
            return session

    def preload(self) -> None:
        """Load every network there is."""
        for weight in self._manifest:
            if weight.file.endswith(".onnx"):
                self.load(weight.name)

    def runs(self) -> dict[str, int]:
        """How often each loaded network ran."""
        with self._lock:
            return {name: session.runs for name, session in self._loaded.items()}

    def _network(self, weight: Weight) -> Network:
        if self._reduces and weight.reducible:
            from tapetum.models.openvino import Bfloat16Network  # noqa: PLC0415 (optional)

            return Bfloat16Network(weight.content(), self._threads, self._workers)
        return _OnnxNetwork(weight.content(), self._providers, self._threads)


class _OnnxNetwork:
    """A network on ONNX Runtime."""

    def __init__(self, content: bytes, providers: Sequence[str], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=list(providers))
        self.inputs: tuple[str, ...] = tuple(node.name for node in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(node.name for node in self._session.get_outputs())
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        feed = dict(zip(self.inputs, inputs, strict=True))
        return [np.asarray(output) for output in self._session.run(None, feed)]


def _can_reduce() -> bool:
    """Whether this processor computes in bfloat16; says so in the log where it does not."""
    try:
        from tapetum.models.openvino import has_bfloat16  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        raise SettingsError(
            "precision = reduced needs OpenVINO, which is not installed: "
            "pip install 'tapetum[openvino]', or leave precision at full."
        ) from error
    able = has_bfloat16()
    if not able:
        log.warning("This processor has no bfloat16 instructions: networks run in full precision.")
    return able
