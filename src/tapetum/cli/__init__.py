"""The command line: ``tapetum serve``, ``annotate``, ``gallery``, ``models``, ``doctor``, ``certs``
and ``keys``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib import import_module

from tapetum import __version__
from tapetum.errors import TapetumError

#: Each is a module of this folder.
COMMANDS = ("serve", "annotate", "gallery", "models", "doctor", "certs", "keys")


class ExitCode(IntEnum):
    """What the process says by its exit code."""

    OK = 0
    FAILED = 1  # the command could not do its work; the message says why
    USAGE = 2  # the command line cannot be understood
    SOME_IMAGES_FAILED = 3  # the batch is complete, but some of its images have an error
    INTERRUPTED = 130  # Ctrl-C; what was finished is written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code."""
    try:
        return _run(arguments)
    except TapetumError as error:
        return _failed(error.message)
    except BrokenPipeError:
        # Whoever read the output has had enough: `tapetum models | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except OSError as error:
        return _failed(": ".join(str(part) for part in (error.filename, error.strerror) if part))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    # The workers already fill the cores. NumPy's own threads would only wait beside them, busily:
    # under load they doubled the CPU time of a landmark. NumPy reads it once, as it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Only the command that is wanted: a server has no use for the models' libraries, nor for the
    # decoders, and they take a second, in which Ctrl-C should work too.
    named = [name for name in given[:1] if name in COMMANDS] or COMMANDS

    parser = argparse.ArgumentParser(
        prog="tapetum",
        description="Self-hosted, offline batch image annotation that speaks Google Cloud Vision.",
    )
    parser.add_argument("--version", action="version", version=f"tapetum {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in named:
        import_module(f"tapetum.cli.{name}").add_to(commands)
    options = parser.parse_args(given)
    return int(options.run(options))


def _failed(message: str) -> int:
    print(f"tapetum: {message}", file=sys.stderr)  # noqa: T201
    return ExitCode.FAILED
