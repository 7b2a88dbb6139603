"""The process that workers are forked from: it has loaded once what all of them share.

``python -m tapetum.executors.nursery FD`` reads its `Config` (pickled) from standard input and then
answers on the socket ``FD``, one JSON object a message::

    ◀ {"ready": true}                     or the fault that keeps it from working
    ▶ {"fork": 3, "patient": true}  + a socket   a worker that talks on that socket
    ◀ {"forked": 3, "pid": 4711}
    ▶ {"kill": 4711}
    ◀ {"ended": 4711, "status": 9}        as waitpid says it

It has one thread and opens no connection, so that a fork of it is a whole process: what must not
be shared (stores, galleries that can be changed, threads) a worker makes for itself. It ends with
its socket, and its children end with it. Only it kills them: it is their parent, so a process
number cannot have passed to somebody else.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import logging
import os
import pickle
import signal
import socket
import sys
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from tapetum.errors import TapetumError
from tapetum.executors import faults, worker
from tapetum.imaging import jail
from tapetum.observe.log import configure_logging

if TYPE_CHECKING:
    from tapetum.pipeline.annotator import Annotator

log = logging.getLogger(__name__)

#: Largest message either way, in bytes.
MESSAGE_BYTES = 65_536


class Workshop(Protocol):
    """What workers share, and the annotator that each makes of it."""

    def annotator(self, *, patient: bool) -> Annotator:
        """Called in the worker, once. ``patient``: what is elsewhere (a database) and cannot be
        reached now is to be tried again when it is needed; otherwise that is an error."""
        ...


@dataclass(frozen=True, slots=True)
class Config:
    """``factory`` is written ``module:name`` and called with ``arguments``: it makes the
    `Workshop`. ``image_memory``: bytes that a worker may take beyond what it has when it is ready,
    0 for no limit. ``niceness``: of the threads that run tasks, 0 to 19."""

    factory: str
    arguments: tuple[Any, ...] = ()
    image_memory: int = 0
    niceness: int = 0
    log_level: str = "info"


class Nursery:
    """Forks, reaps and kills as the server asks."""

    def __init__(self, channel: socket.socket, workshop: Workshop, config: Config) -> None:
        self._channel = channel
        self._workshop = workshop
        self._config = config
        self._children: set[int] = set()
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Until the server closes its end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes the selector
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        with DefaultSelector() as selector:
            selector.register(self._channel, EVENT_READ)
            selector.register(self._woken, EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._reap()
                if self._channel in ready and not self._obey():
                    return

    def end(self) -> None:
        """Kill what is left."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _obey(self) -> bool:
        """Do what the next message asks; ``False`` when there is none any more."""
        message, sockets, _, _ = socket.recv_fds(self._channel, MESSAGE_BYTES, 1)
        if not message:
            return False
        order = json.loads(message)
        if "fork" in order:
            self._fork(order["fork"], sockets[0], patient=order["patient"])
        elif order.get("kill") in self._children:
            os.kill(order["kill"], signal.SIGKILL)
        return True

    def _fork(self, number: int, line: int, *, patient: bool) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            log.warning("no worker can be forked: %s", error)
            say(self._channel, {"forked": number, "pid": 0})
        else:
            if not pid:
                self._become_worker(line, patient=patient)
            self._children.add(pid)
            say(self._channel, {"forked": number, "pid": pid})
        finally:
            os.close(line)

    def _become_worker(self, line: int, *, patient: bool) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (self._channel.fileno(), self._woken, self._waker):
                os.close(number)
            make = functools.partial(self._workshop.annotator, patient=patient)
            worker.run(line, make, self._config)
        except BaseException:
            log.exception("a worker could not begin")
        finally:
            os._exit(worker.BROKEN)

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                say(self._channel, {"ended": pid, "status": status})


def say(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send one message; whoever is gone need not hear it."""
    try:
        channel.send(json.dumps(message).encode())
    except OSError as error:
        log.debug("nobody listens: %s", error)


def main(number: int) -> None:
    """Be a nursery on the socket ``number``."""
    channel = socket.socket(fileno=number)
    channel.set_inheritable(False)
    jail.not_dumpable()  # and so its workers, which hold the keys of stores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    config = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by the server, from its settings)
    configure_logging(config.log_level)
    module, _, name = config.factory.partition(":")
    try:
        workshop = getattr(importlib.import_module(module), name)(*config.arguments)
    except TapetumError as error:
        say(channel, faults.to_json(error))
        return
    gc.collect()
    gc.freeze()  # what is here now stays: the collector must not touch, and so copy, its pages
    say(channel, {"ready": True})
    nursery = Nursery(channel, workshop, config)
    try:
        nursery.run()
    finally:
        nursery.end()


if __name__ == "__main__":
    main(int(sys.argv[1]))
