"""``tapetum models``: the packs that make signals, and the weights: where they come from, and
whether they are intact."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from tapetum.cli import ExitCode
from tapetum.errors import ModelError
from tapetum.models.manifest import Manifest

_WIDE = 1000


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models",
        help="list the packs and weights that ship",
        description="List the packs and what each makes, and every weight file: what it is for, "
        "its version, source, licence and hash, and whether the file at hand is the one in the "
        "manifest.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the manifest; exit code 1 when a file is missing or not the manifest's."""
    manifest = Manifest.packaged()
    table = Table(show_lines=True)
    for heading in ("name", "what for", "file", "source", "licence", "sha256", "state"):
        table.add_column(heading, overflow="fold")
    problems = []
    for weight in manifest:
        try:
            state = f"ok, {len(weight.content()) / 1e6:.1f} MB"
        except ModelError as error:
            problems.append(error.message)
            state = "[red]wrong[/red]"
        table.add_row(
            weight.name, weight.purpose, f"{weight.package}: {weight.file}", weight.upstream,
            weight.licence, weight.sha256, state,
        )  # fmt: skip
    console = Console()
    if not console.is_terminal:  # a line per row, for grep
        console = Console(width=_WIDE)
    console.print(_packs(manifest))
    console.print(table)
    for problem in problems:
        console.print(problem, style="red", markup=False, soft_wrap=True)
    return ExitCode.FAILED if problems else ExitCode.OK


def _packs(manifest: Manifest) -> Table:
    table = Table("pack", "signal", "made by", "with")
    for row in manifest.packs:
        table.add_row(row.name, row.signal, row.detector, ", ".join(row.weights) or "no network")
    return table
