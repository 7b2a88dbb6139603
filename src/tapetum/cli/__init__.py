"""The command line: ``tapetum serve``, ``tapetum annotate``, ``tapetum models``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from enum import IntEnum

from tapetum import __version__
from tapetum.errors import TapetumError


class ExitCode(IntEnum):
    """What the process says by its exit code."""

    OK = 0
    FAILED = 1  # the command could not do its work; the message says why
    USAGE = 2  # the command line cannot be understood
    SOME_IMAGES_FAILED = 3  # the batch is complete, but some of its images have an error
    INTERRUPTED = 130  # Ctrl-C; what was finished is written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code."""
    # Imported here: `tapetum --version` should not wait for the models' libraries.
    from tapetum.cli import annotate, models, serve  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="tapetum",
        description="Self-hosted, offline batch image annotation that speaks Google Cloud Vision.",
    )
    parser.add_argument("--version", action="version", version=f"tapetum {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (serve, annotate, models):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except TapetumError as error:
        print(f"tapetum: {error.message}", file=sys.stderr)  # noqa: T201
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
