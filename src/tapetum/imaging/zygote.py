"""The process that decoders are forked from: it has loaded their libraries, and knows no secret.

``python -m tapetum.imaging.zygote FD`` answers on the socket ``FD``, which every process that needs
decoders shares. A request is one message, ``{"paged": false}``, with two sockets: the end of the
new decoder, and one on which its life is told: ``{"born": 4711}`` with a handle of the process
(pidfd), and at last ``{"status": 9}``, as waitpid says it. It looks at no picture itself, and ends
when nobody holds the other end.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import NoReturn

from tapetum.imaging import decoder, jail, messages

#: What a crash sends. The kernel gives its own to who has them blocked, so that a decoder still
#: dies of what it did; what somebody else sends it then says nothing of the picture it holds.
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT})


class _Zygote:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lives: dict[int, socket.socket] = {}
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Fork and reap until nobody is there to ask."""
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

    def _obey(self) -> bool:
        request, files, _, _ = socket.recv_fds(self._channel, messages.MESSAGE_BYTES, 2)
        if not request:
            return False
        if len(files) == 2:
            line, life = (socket.socket(fileno=file) for file in files)
            self._fork(line, life, paged=bool(json.loads(request).get("paged")))
        return True

    def _fork(self, line: socket.socket, life: socket.socket, *, paged: bool) -> None:
        try:
            pid = os.fork()
        except OSError:  # who asked sees both ends close
            line.close()
            life.close()
            return
        if not pid:
            self._become_decoder(line, life, paged=paged)
        line.close()
        self._lives[pid] = life
        handle = os.pidfd_open(pid)  # nobody has reaped it yet
        with suppress(messages.Silent):
            messages.send(life, {"born": pid}, handle)
        os.close(handle)

    def _become_decoder(self, line: socket.socket, life: socket.socket, *, paged: bool) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            jail.die_with_parent()
            for opened in (self._channel, life, *self._lives.values()):
                opened.close()
            for number in (self._woken, self._waker):
                os.close(number)
            decoder.serve(line, paged=paged)
        finally:
            os._exit(70)

    def _reap(self) -> None:
        for pid in list(self._lives):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._lives.pop(pid) as life, suppress(messages.Silent):
                    messages.send(life, {"status": status})


def main(number: int) -> None:
    """Be a zygote on the socket ``number``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _CRASHES)
    channel = socket.socket(fileno=number)
    channel.set_inheritable(False)
    jail.not_dumpable()
    decoder.warm()
    gc.collect()
    gc.freeze()
    _Zygote(channel).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
