"""Everything behind the doors: ledger, dispatcher, executor, service.

Follow one request from here: `tapetum.server` opens the doors (`tapetum.door`), which hand a
message to the `Service`, which writes an operation and its tasks (`tapetum.tasks.plan`) into the
ledger and wakes the `Dispatcher`, which gives each task to the executor, whose `Annotator`
(`tapetum.wiring`) fetches, decodes and looks at the images and writes the shards through the
`Stores`. This process holds the keys, so it looks at no picture: workers do.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator

from tapetum.errors import SettingsError
from tapetum.executors import Executor
from tapetum.executors.nursery import Config
from tapetum.executors.process import ProcessExecutor
from tapetum.identity.quotas import Quotas
from tapetum.imaging import jail
from tapetum.imaging.decoders import Decoders
from tapetum.ledger import Ledger
from tapetum.ledger.memory import MemoryLedger
from tapetum.ledger.sql import SqlLedger
from tapetum.operations.dispatch import Dispatcher
from tapetum.operations.instance import Instance
from tapetum.operations.service import Service
from tapetum.settings import Settings
from tapetum.stores.wiring import stores_of

#: Of threads that run tasks behind doors. Measured with both cores busy: GetOperation is answered
#: about twice as often as at 0, at no cost to the batch while nothing else wants the cores.
TASK_NICENESS = 10
#: What a nursery prepares: `tapetum.executors.nursery.Config.factory`.
WORKSHOP = "tapetum.wiring:workshop"
#: Bytes of the requests of all calls that wait for their answer, together.
CALL_BYTES = 256 * 2**20

_MIB = 2**20


class Engine:
    """Stores, ledger, workers and service, of a server or of one command."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        local_files: bool = False,
        niceness: int = 0,
        log_level: str | None = None,
        instance: Instance | None = None,
        factory: str = WORKSHOP,
        types: Collection[int] = (),
    ) -> None:
        self.stores = stores_of(settings, local_files=local_files)
        self.ledger = ledger
        self.executor = executor_of(
            settings,
            local_files=local_files,
            niceness=niceness,
            log_level=log_level,
            factory=factory,
            types=types,
        )
        self.decoders = Decoders()
        self.dispatcher = Dispatcher(ledger, self.executor, settings.lease, settings.retention_days)
        self.service = Service(
            ledger,
            self.executor,
            self.dispatcher,
            settings.project,
            self.stores,
            decoders=self.decoders,
            quotas=Quotas(CALL_BYTES),
        )
        self._instance = instance
        self._shutdown_seconds = settings.shutdown_seconds

    @classmethod
    def of_server(cls, settings: Settings, factory: str = WORKSHOP) -> Engine:
        """Behind doors: a ledger on disk, and only buckets and the web to read from. No other
        process of this user may look into this one from now on."""
        jail.not_dumpable()
        try:
            settings.buckets_dir.mkdir(parents=True, exist_ok=True)
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The data folder cannot be made: {error}.") from error
        ledger = SqlLedger(settings.data_dir / "ledger.sqlite")
        instance = Instance(settings.data_dir)
        return cls(settings, ledger, niceness=TASK_NICENESS, instance=instance, factory=factory)

    @classmethod
    def of_command_line(
        cls, settings: Settings, log_level: str | None = None, types: Collection[int] = ()
    ) -> Engine:
        """For one command of one person: a ledger in memory, and this machine's files too. Workers
        begin with the networks of the feature ``types``, of all if none are named."""
        return cls(settings, MemoryLedger(), local_files=True, log_level=log_level, types=types)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Work on tasks inside the block; at its end what is unfinished was given back."""
        if self._instance is not None:
            if self._instance.is_alone:
                self.ledger.reclaim()
            self._instance.share()
        self.dispatcher.start()
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """Claim nothing more, and give back what is unfinished: in less than half the time that
        shutting down may take, for calls in progress want some too."""
        self.dispatcher.stop(0.4 * self._shutdown_seconds)

    def drain(self, seconds: float) -> None:
        """Take no more calls that are answered at once, and give those there are so long."""
        self.executor.drain(seconds)

    def close(self) -> None:
        """Let go of processes, threads and files."""
        self.executor.close()
        self.service.close()
        self.decoders.close()
        self.ledger.close()
        if self._instance is not None:
            self._instance.close()


def executor_of(
    settings: Settings,
    *,
    local_files: bool,
    niceness: int,
    log_level: str | None,
    factory: str = WORKSHOP,
    types: Collection[int] = (),
) -> Executor:
    """The executor that the settings name. Raises what keeps its workers from beginning."""
    if settings.executor == "local" or sys.platform != "linux":
        # Imported here: a process with workers has no need of the networks' libraries.
        from tapetum.executors.local import LocalExecutor  # noqa: PLC0415
        from tapetum.wiring import Workshop  # noqa: PLC0415

        annotator = Workshop(settings, local_files=local_files).annotator()
        return LocalExecutor(annotator, settings.worker_count, niceness)
    config = Config(
        factory=factory,
        arguments=(settings, local_files, tuple(types)),
        image_memory=settings.image_memory * _MIB,
        niceness=niceness,
        log_level=log_level or settings.log_level,
    )
    return ProcessExecutor(config, settings.worker_count, settings.image_seconds)
