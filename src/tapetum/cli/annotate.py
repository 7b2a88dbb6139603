"""``tapetum annotate``: the same job with no server."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from tapetum.cli import ExitCode
from tapetum.cli.flags import add_settings, settings_of
from tapetum.cli.inputs import check_inputs, input_uris, mime_type_of
from tapetum.engine import Engine
from tapetum.errors import BrokenFile, FileNotReadable, SettingsError, TapetumError
from tapetum.ledger import OperationRecord
from tapetum.observe.log import configure_logging
from tapetum.results.asking import NUMBERS
from tapetum.stores.router import path_of, scheme_of
from tapetum.stores.wiring import stores_of
from tapetum.vision import limits, messages

log = logging.getLogger(__name__)

#: Operations under way at once: the next is ready when one ends, and memory stays flat however
#: long the listing is.
OPERATIONS_AHEAD = 2
_POLL_SECONDS = 0.05
_SETTINGS = (
    "workers", "pack", "providers", "arena", "precision", "data_dir", "buckets", "web_fetch",
    "web_hosts", "gallery_store", "shipped", "log_level",
)  # fmt: skip


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "annotate",
        help="annotate images without a server",
        description="Annotate images and write output-1-to-20.json, output-21-to-40.json, ... "
        "as the server would; the pages of a PDF into files of its own, in a folder with its name.",
        epilog="exit codes: 0 every image succeeded; 3 some images failed, the batch is "
        "complete; 1 the job failed; 2 the command line is wrong; 130 interrupted",
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT",
        help="file, folder, glob, or URI of an image or of a prefix (gs://bucket/folder/)",
    )  # fmt: skip
    parser.add_argument(
        "--manifest", metavar="FILE", help="read URIs from FILE, one a line; - is standard input"
    )
    parser.add_argument(
        "--features", required=True, type=_features, metavar="TYPE[,TYPE...]",
        help="feature types, for example LABEL_DETECTION,TEXT_DETECTION",
    )  # fmt: skip
    parser.add_argument(
        "--output", required=True, type=_output, metavar="URI",
        help="folder for the results, or a prefix like gs://bucket/results/",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=_number(limits.MIN_BATCH_SIZE, limits.MAX_BATCH_SIZE),
        default=limits.DEFAULT_BATCH_SIZE, metavar="N", help="images per file (default: 20)",
    )  # fmt: skip
    parser.add_argument(
        "--max-results", type=_number(1, 2**31 - 1), default=0, metavar="N",
        help="results per feature and image (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--all-pages", action="store_true",
        help="take TIFF and GIF page by page too, not the first page as an image",
    )  # fmt: skip
    add_settings(parser, _SETTINGS)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Annotate everything; the exit code says how it went."""
    check_inputs(options.inputs, options.manifest)
    settings = settings_of(options)
    uris = input_uris(options.inputs, options.manifest, stores_of(settings, local_files=True))
    first = next(uris, None)
    if first is None:
        raise SettingsError("No images found in what was given.")
    _check_output(options.output)
    console = Console(stderr=True)
    log_level = settings.log_level if options.log_level else "warning"
    engine = Engine.of_command_line(settings, log_level, options.features)
    job = _Job(engine, options)
    with closing(engine), engine.running(), _progress(console) as progress:
        # Only now: while the bar is drawn, lines for standard error go above it.
        configure_logging(log_level)
        job.work(chain([first], uris), progress)
    console.print(job.summary(), markup=False, highlight=False, soft_wrap=True)
    return ExitCode.SOME_IMAGES_FAILED if job.failed else ExitCode.OK


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("annotating"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=False),
        TextColumn("{task.fields[rate]:.1f} images/s"),
        TextColumn("{task.fields[failed]} errors"),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=5,
    )


@dataclass(slots=True)
class _Job:
    """The run of one command: its operations, one after the other, numbered through."""

    engine: Engine
    options: argparse.Namespace
    documents: deque[str] = field(default_factory=deque)  # their turn comes after the images'
    numbered: int = 0  # images whose operation was started
    started: int = 0  # these and pages
    done: int = 0  # images and pages of operations that ended
    failed: int = 0
    shards: int = 0
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def work(self, uris: Iterator[str], progress: Progress) -> None:
        """Run until the last operation has ended. Raises `TapetumError` when one fails."""
        bar = progress.add_task("", total=None, rate=0.0, failed=0)
        names: list[str] = []
        more = True
        while more or names:
            while more and len(names) < OPERATIONS_AHEAD:
                more = self._start_next(uris, names)
            under_way, errors = self._look(names)
            elapsed = time.monotonic() - self.began
            progress.update(
                bar,
                completed=self.done + under_way,
                total=None if more else self.started,
                rate=(self.done + under_way) / max(elapsed, 1e-9),
                failed=self.failed + errors,
            )
            if names:
                time.sleep(_POLL_SECONDS)
        self.seconds = time.monotonic() - self.began

    def summary(self) -> str:
        """One line about what was done."""
        rate = self.done / max(self.seconds, 1e-9)
        return (
            f"{self.done} images, {self.failed} with errors, in {self.seconds:.1f} s "
            f"({rate:.1f} images/s): {self.shards} files at {_prefix(self.options.output)}"
        )

    def _start_next(self, uris: Iterator[str], names: list[str]) -> bool:
        """Start one operation, of the next images or of a file; ``False`` when nothing is left."""
        size: int = self.options.batch_size
        wanted: int = limits.MAX_ASYNC_IMAGES // size * size  # whole shards
        chunk = list(islice(self._images(uris), wanted))
        if chunk:
            request = self._request(chunk)
            self._started(self.engine.service.start(request, first=self.numbered + 1), names)
            self.numbered += len(chunk)
        elif self.documents:
            self._start_document(self.documents.popleft(), names)
        return len(chunk) == wanted or bool(self.documents)

    def _images(self, uris: Iterator[str]) -> Iterator[str]:
        """Those of ``uris`` that are no documents, which are put aside."""
        for uri in uris:
            if mime_type_of(uri, self.options.all_pages):
                self.documents.append(uri)
            else:
                yield uri

    def _start_document(self, uri: str, names: list[str]) -> None:
        try:
            self._started(self.engine.service.start_files(self._file_request(uri)), names)
        except FileNotReadable as error:
            self._refuse(error.message)

    def _started(self, record: OperationRecord, names: list[str]) -> None:
        self.started += record.images
        names.append(record.name)

    def _refuse(self, message: str) -> None:
        """A file as a whole is one error."""
        log.warning("file failed: %s", ascii(message)[1:-1])
        self.failed += 1

    def _file_request(self, uri: str) -> Any:
        request = messages.AsyncBatchAnnotateFilesRequest()
        item = request.requests.add()
        item.input_config.gcs_source.uri = uri
        item.input_config.mime_type = mime_type_of(uri, self.options.all_pages)
        for kind in self.options.features:
            item.features.add(type_=kind, max_results=self.options.max_results)
        folder = f"{_prefix(self.options.output)}{_below(uri)}/"
        item.output_config.gcs_destination.uri = folder
        item.output_config.batch_size = self.options.batch_size
        return request

    def _request(self, uris: Sequence[str]) -> Any:
        request = messages.AsyncBatchAnnotateImagesRequest()
        request.output_config.gcs_destination.uri = _prefix(self.options.output)
        request.output_config.batch_size = self.options.batch_size
        for uri in uris:
            item = request.requests.add()
            item.image.source.image_uri = uri
            for kind in self.options.features:
                item.features.add(type_=kind, max_results=self.options.max_results)
        return request

    def _look(self, names: list[str]) -> tuple[int, int]:
        """(images done, images failed) of operations under way; those that ended leave
        ``names``."""
        done = failed = 0
        for name in list(names):
            record = self.engine.ledger.get(name)
            if record is None:  # nobody else knows this ledger
                raise AssertionError(name)
            if record.error_code == BrokenFile.code:
                self._refuse(record.error_message)
            elif record.error_code:
                raise _JobFailed(record.error_message)
            if record.state.ended:
                self.done += record.images_done
                self.shards += -(-record.images_done // self.options.batch_size)
                self.failed += record.images_failed
                names.remove(name)
                self.engine.ledger.delete(name)
            else:
                done += record.images_done
                failed += record.images_failed
        return done, failed


class _JobFailed(TapetumError):
    """An operation ended with an error."""


def _prefix(output: str) -> str:
    """A plain path is a folder; a URI is a prefix, joined as Google does."""
    return output if scheme_of(output) or output.endswith("/") else f"{output}/"


def _check_output(output: str) -> None:
    """Make the folder of results, if it is one of this machine, before any image is looked at."""
    if scheme_of(output) not in ("", "file"):
        return
    path = path_of(_prefix(output))
    folder = Path(path) if path.endswith("/") else Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise SettingsError(f"Error writing final output to: {_prefix(output)}: {reason}.")


def _below(uri: str) -> str:
    """``uri`` as the path of a folder below another."""
    path = uri[len(scheme_of(uri)) + 3 :] if scheme_of(uri) else uri
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _output(text: str) -> str:
    if not text.strip():  # an unset variable must not mean the root of the disk
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _features(text: str) -> list[int]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in NUMBERS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown) or repr(text)}: there are {', '.join(NUMBERS)}"
        )
    return [NUMBERS[name] for name in names]


def _number(low: int, high: int) -> Any:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not {low} to {high}")
        return value

    return parse
