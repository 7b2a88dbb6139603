"""Every network session is built here: providers, threads, precision, sharing, counting."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# ONNX Runtime of 1.29 and later reports to its makers through the network, and writes below the
# home folder for it, unless this is set before it is imported; nothing it offers later helps.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from tapetum.errors import SettingsError
from tapetum.models.manifest import Manifest, Weight

log = logging.getLogger(__name__)

#: What ONNX Runtime calls them.
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}


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
    ``workers`` of them at a time.

    ``providers``: where networks run, the first choice first (`tapetum.settings.PROVIDERS`); what
    none of them can compute runs on the processor. ``arena``: ONNX Runtime keeps the memory that a
    run took for the next one on the processor, which costs memory and saves time.

    Raises `SettingsError` for a provider that is unknown or not installed, and when ``reduced`` is
    asked for and OpenVINO is not installed.
    """

    def __init__(
        self,
        manifest: Manifest,
        providers: Sequence[str] = ("cpu",),
        threads: int = 1,
        precision: str = "full",
        workers: int = 1,
        *,
        arena: bool = True,
    ) -> None:
        self.manifest = manifest
        self._providers = _installed(providers)
        self._threads = threads
        self._arena = arena
        self._workers = workers
        self._reduces = precision == "reduced" and _can_reduce()
        self._loaded: dict[str, Session] = {}
        self._lock = threading.Lock()

    def load(self, name: str) -> Session:
        """The session of the weights ``name`` in the manifest.

        Raises `tapetum.errors.ModelError` when the file is missing or not the manifest's, and
        `SettingsError` when the first provider is installed but does not start.
        """
        with self._lock:
            session = self._loaded.get(name)
            if session is None:
                session = Session(self._network(self.manifest[name]))
                self._loaded[name] = session
            return session

    def preload(self, names: Iterable[str]) -> None:
        """Load the weights ``names``. Raises as `load` does."""
        for name in names:
            self.load(name)

    def runs(self) -> dict[str, int]:
        """How often each loaded network ran."""
        with self._lock:
            return {name: session.runs for name, session in self._loaded.items()}

    def _network(self, weight: Weight) -> Network:
        if self._reduces and weight.reducible:
            from tapetum.models.openvino import Bfloat16Network  # noqa: PLC0415 (optional)

            return Bfloat16Network(weight.content(), self._threads, self._workers)
        return _OnnxNetwork(weight, self._providers, self._threads, arena=self._arena)


class _OnnxNetwork:
    """A network on ONNX Runtime. It is read from its file, checked before: from bytes, a process
    would hold them twice while it loads."""

    def __init__(
        self, weight: Weight, providers: Sequence[str], threads: int, *, arena: bool
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = arena
        self._session = onnxruntime.InferenceSession(
            weight.checked_path(), options, providers=list(providers)
        )
        # A provider whose libraries do not load is left out without a word.
        if self._session.get_providers()[0] != providers[0]:
            raise SettingsError(
                f"{providers[0]} is installed but did not start: see what its libraries need, or "
                "set providers = cpu."
            )
        nodes = self._session.get_inputs()
        self.inputs: tuple[str, ...] = tuple(node.name for node in nodes)
        self.outputs: tuple[str, ...] = tuple(node.name for node in self._session.get_outputs())
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._options: Any = None
        if arena and any(not isinstance(side, int) for node in nodes for side in node.shape[1:]):
            self._options = onnxruntime.RunOptions()
            self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        feed = dict(zip(self.inputs, inputs, strict=True))
        return [np.asarray(output) for output in self._session.run(None, feed, self._options)]


def _installed(names: Sequence[str]) -> list[str]:
    """What ONNX Runtime calls the providers ``names``. Raises `SettingsError` for one it lacks."""
    available = onnxruntime.get_available_providers()
    for name in names:
        if _PROVIDERS.get(name) not in available:
            known = ", ".join(short for short, long in _PROVIDERS.items() if long in available)
            raise SettingsError(
                f"providers: the ONNX Runtime that is installed has no {name!r}; it has {known}."
            )
    return [_PROVIDERS[name] for name in names]


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
