"""Command-line flags from the table of settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tapetum.errors import SettingsError
from tapetum.settings import Settings, resolve, rows, switched


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """A flag for each setting in ``names``, and ``--settings``."""
    table = rows()
    group = parser.add_argument_group("settings")
    for name in names:
        cast, default, help = table[name]
        shown = help
        if cast is bool:
            shown = f"{help} (default: {'on' if default else 'off'})"
        elif default not in (None, 0):
            shown = f"{help} (default: {default})"
        shown = shown.replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        if cast is bool:
            group.add_argument(
                flag, dest=name, nargs="?", const=True, type=_switch, metavar="on|off", help=shown
            )
        elif name == "pack":
            group.add_argument(flag, dest=name, action=_Joined, metavar="[SIGNAL=]NAME", help=shown)
        else:
            metavar = cast.__name__.upper()
            group.add_argument(flag, dest=name, type=cast, metavar=metavar, help=shown)
    group.add_argument(
        "--settings", type=Path, metavar="FILE", help="settings file in TOML (docs/settings.md)"
    )


class _Joined(argparse.Action):
    """A flag that may be repeated; its values are joined by commas."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before},{values}")


def _switch(text: str) -> bool:
    try:
        return switched(text, "it")
    except SettingsError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that flags, environment and settings file add up to."""
    given = {name: getattr(options, name, None) for name in rows()}
    return resolve(given, os.environ, options.settings)
