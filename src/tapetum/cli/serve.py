"""``tapetum serve``: the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import threading
from typing import Any

from tapetum.cli import ExitCode
from tapetum.cli.flags import add_settings, settings_of
from tapetum.observe.log import configure_logging
from tapetum.server import Server
from tapetum.settings import rows

log = logging.getLogger(__name__)


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="serve the Vision API",
        description="Serve the Vision API over gRPC and REST on one port. Prints one line with "
        "the address when it is ready. SIGTERM or Ctrl-C gives back unfinished work and ends it; "
        "a second one ends it at once.",
    )
    add_settings(parser, rows())
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal says otherwise."""
    settings = settings_of(options)
    configure_logging(settings.log_level)
    asyncio.run(serve(Server(settings), settings.shutdown_seconds))
    return ExitCode.OK


async def serve(server: Server, shutdown_seconds: float) -> None:
    """Until a signal asks for the end, which comes ``shutdown_seconds`` later at the latest."""
    stop = asyncio.Event()

    def end(number: int) -> None:
        if stop.is_set():  # asked twice: at once, and the workers with it
            os._exit(128 + number)
        log.info("stopping")
        stop.set()
        last = threading.Timer(shutdown_seconds, _give_up)
        last.daemon = True
        last.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    await server.serve(stop, _print_ready)


def _give_up() -> None:
    """The time is over. What was not given back is taken up again by whoever runs next."""
    log.error("the server does not come to rest: it is cut")
    os._exit(ExitCode.FAILED)


def _print_ready(address: str) -> None:
    print(f"tapetum is ready on {address}", flush=True)  # noqa: T201
