"""``tapetum doctor``: whether this machine has what Tapetum works with, and what to do about it."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tapetum import __version__
from tapetum.cli import ExitCode
from tapetum.cli.flags import add_settings, settings_of
from tapetum.errors import TapetumError
from tapetum.imaging.decoders import Decoders
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.settings import Settings

_SETTINGS = ("data_dir", "pack", "providers", "precision", "workers")
_LAYER_ADVICE = "not on this kernel: pictures are decoded without it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``is_needed``: without it nothing works."""

    subject: str
    is_well: bool = True
    advice: str = ""
    is_needed: bool = True

    def __str__(self) -> str:
        state = "ok" if self.is_well else "wrong" if self.is_needed else "lacking"
        return f"{state:8} {self.subject}" + (f": {self.advice}" if self.advice else "")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="look whether everything is there",
        description="Look at this machine with the eyes of a server: the weights, where networks "
        "run, the packs, the data folder, and what decoders are locked in with.",
        epilog="exit codes: 0 all that is needed is there; 1 something is not",
    )
    add_settings(parser, _SETTINGS)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for each thing looked at; exit code 1 when something needed is wrong."""
    console = Console()
    code = ExitCode.OK
    for finding in findings(settings_of(options)):
        console.print(str(finding), markup=False, highlight=False, soft_wrap=True)
        if finding.is_needed and not finding.is_well:
            code = ExitCode.FAILED
    return code


def findings(settings: Settings) -> Iterator[Finding]:
    """All that can be said."""
    yield Finding(
        f"Tapetum {__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()} on {platform.machine()}, {settings.worker_count} workers"
    )
    yield _weights()
    yield _networks(settings)
    yield _packs(settings)
    yield _data(settings.data_dir)
    yield from _jail()


def _weights() -> Finding:
    weights = list(Manifest.packaged())
    try:
        for weight in weights:
            weight.content()
    except TapetumError as error:
        return Finding("weights", is_well=False, advice=error.message)
    return Finding(f"weights: {len(weights)} files, each as the manifest has it")


def _networks(settings: Settings) -> Finding:
    subject = f"networks run on {', '.join(settings.provider_list)}"
    try:
        manifest = Manifest.packaged()
        sessions = Sessions(manifest, settings.provider_list, precision=settings.precision)
        sessions.load(next(w.name for w in manifest if w.file.endswith(".onnx")))
    except TapetumError as error:
        return Finding(subject, is_well=False, advice=error.message)
    return Finding(subject)


def _packs(settings: Settings) -> Finding:
    """What the rows name is imported and made; no network is loaded for it."""
    subject = f"packs: {settings.pack}"
    try:
        packs.makers(Sessions(Manifest.packaged()), settings.pack)
    except TapetumError as error:
        return Finding(subject, is_well=False, advice=error.message)
    return Finding(subject)


def _data(folder: Path) -> Finding:
    """Nothing is made to find out."""
    subject = f"the data folder {folder}"
    first = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if first.is_dir() and os.access(first, os.W_OK | os.X_OK):
        return Finding(subject)
    return Finding(
        subject, is_well=False,
        advice=f"nothing can be written to {first}: change its owner, or name another folder "
        "with --data-dir",
    )  # fmt: skip


def _jail() -> Iterator[Finding]:
    try:
        with closing(Decoders()) as decoders:
            layers = decoders.layers()
    except TapetumError as error:
        yield Finding("decoders", is_well=False, advice=error.message)
        return
    for name, is_held in layers.items():
        yield Finding(
            f"decoders are locked in: {name}", is_held, "" if is_held else _LAYER_ADVICE,
            is_needed=False,
        )  # fmt: skip
