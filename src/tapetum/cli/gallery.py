"""``tapetum gallery``: reference images of logos, landmarks and the web."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tapetum.cli import ExitCode
from tapetum.cli.flags import add_settings, settings_of
from tapetum.errors import InvalidGallery
from tapetum.gallery import EVERYONE, Galleries, Gallery, Kind
from tapetum.gallery.ingest import Report
from tapetum.recognisers.administration import GalleryAdministration, faults, items_of
from tapetum.recognisers.explain import Explainer
from tapetum.recognisers.references import ReferenceMaker
from tapetum.wiring import embedding_model, gallery_makers, own_galleries, with_shipped

_WIDE = 1000
#: Entries of a gallery that are listed.
_SHOWN = 1000
#: That are printed; --problems FILE takes them all.
_PROBLEMS = 20


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "gallery",
        help="reference images of logos, landmarks and the web",
        description="Keep galleries: reference images that LOGO, LANDMARK and WEB detection "
        "answer from. docs/galleries.md shows how.",
    )
    actions = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    create = _command(actions, "create", _create, "make an empty gallery")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--kind", type=Kind, choices=list(Kind), required=True, metavar="KIND",
                     help="logo, landmark or web")  # fmt: skip

    for name, help in (
        ("add", "add folders, image files, SVG icons or tables of images"),
        ("import", "add crawls (WARC), saved sites, sitemaps, or other data sets' tables"),
    ):
        add = _command(actions, name, _add, help)
        add.add_argument("name", metavar="NAME")
        add.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        add.add_argument("--images", type=Path, metavar="FOLDER",
                         help="where the images are that a table or sitemap names")  # fmt: skip
        add.add_argument("--labels", type=Path, metavar="FILE",
                         help="Google Landmarks v2: train_label_to_category.csv")  # fmt: skip
        add.add_argument("--base", default="", metavar="URL",
                         help="where a saved site comes from")  # fmt: skip
        add.add_argument("--background", type=Path, metavar="FOLDER",
                         help="photographs to calibrate with, instead of the ones that "
                         "ship")  # fmt: skip
        add.add_argument("--problems", type=Path, metavar="FILE",
                         help="write what was left out to FILE, a line each")  # fmt: skip

    _command(actions, "list", _list, "list the galleries")
    show = _command(actions, "show", _show, "list a gallery's entries, or all of one entry")
    show.add_argument("name", metavar="NAME")
    show.add_argument("entry", nargs="?", metavar="ENTRY")
    remove = _command(actions, "remove", _remove, "remove entries, or a whole gallery")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("entries", nargs="*", metavar="ENTRY")
    remove.add_argument("--all", action="store_true", help="the whole gallery")
    test = _command(actions, "test", _test, "show what galleries make of an image")
    test.add_argument("image", type=Path, metavar="IMAGE")
    test.add_argument("--gallery", dest="name", metavar="NAME", help="only this one")
    test.add_argument("--draw", type=Path, metavar="FILE",
                     help="write a PNG of the best candidate's matched points")  # fmt: skip
    verify = _command(actions, "verify", _verify, "check that galleries can be read and used")
    verify.add_argument("name", nargs="?", metavar="NAME")


def _command(actions: Any, name: str, run: Any, help: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = actions.add_parser(
        name, help=help, description=help.capitalize()
    )
    command.add_argument("--of", default=EVERYONE, metavar="PROJECT", dest="owner",
                     help="the project that owns the gallery (default: everyone's)")  # fmt: skip
    add_settings(command, ("data_dir", "gallery_store", "workers", "pack", "providers"))
    command.set_defaults(run=run)
    return command


def _create(options: argparse.Namespace) -> int:
    with closing(own_galleries(settings_of(options))) as galleries:
        galleries.create(Gallery(options.name, options.kind, options.owner))
    Console().print(f"Made the {options.kind} gallery {options.name}.", markup=False)
    return ExitCode.OK


def _add(options: argparse.Namespace) -> int:
    """Exit code 3 when some images were left out."""
    settings = settings_of(options)
    with closing(own_galleries(settings)) as galleries:
        gallery = galleries.find(options.owner, options.name)
        items = items_of(options.paths, gallery.kind, options.base, options.images, options.labels)
        maker = ReferenceMaker(*gallery_makers(settings))
        administration = GalleryAdministration(galleries, maker, settings.worker_count)
        ingest = administration.ingest(gallery, options.background)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} images"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(f"Adding to {gallery.name}", total=None)
            report = ingest.run(items, lambda so_far: progress.update(bar, completed=so_far.seen))
        size = galleries.size(gallery)
    _print_report(report, options.problems)
    Console().print(
        f"{gallery.name} holds {size.references} images of {size.entries} entries.", markup=False
    )
    return ExitCode.SOME_IMAGES_FAILED if report.failed else ExitCode.OK


def _print_report(report: Report, file: Path | None) -> None:
    counts = [f"{report.added} added"]
    if report.known:
        counts.append(f"{report.known} there already")
    if report.blank:
        counts.append(f"{report.blank} blank, which nothing will ever match")
    if report.failed:
        counts.append(f"{report.failed} left out")
    Console().print(", ".join(counts) + ".", markup=False)
    errors = Console(stderr=True)
    for source, owner in report.shared[:_PROBLEMS]:
        line = f"{ascii(source)[1:-1]}: the same picture as of {ascii(owner)[1:-1]}"
        errors.print(line, markup=False, soft_wrap=True)
    lines = [f"{ascii(problem.source)[1:-1]}: {problem.message}" for problem in report.problems]
    for line in lines[:_PROBLEMS]:
        errors.print(line, markup=False, soft_wrap=True)
    if report.failed > _PROBLEMS:
        errors.print(f"... and {report.failed - _PROBLEMS} more.", markup=False)
    if file is not None:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _list(options: argparse.Namespace) -> int:
    table = Table("gallery", "kind", "project", "entries", "images")
    settings = settings_of(options)
    with closing(with_shipped(settings, own_galleries(settings))) as galleries:
        for gallery in galleries.visible(options.owner or None):
            size = galleries.size(gallery)
            owner = gallery.project or "(everyone)"
            table.add_row(
                gallery.name, gallery.kind, owner, str(size.entries), str(size.references)
            )
    _console().print(table)
    return ExitCode.OK


def _show(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    with closing(with_shipped(settings, own_galleries(settings))) as galleries:
        gallery = galleries.find(options.owner, options.name)
        if options.entry is not None:
            _print_entry(galleries, gallery, options.entry)
            return ExitCode.OK
        table = Table("entry", "name", "mid", "place", "licence")
        entries = galleries.entries(gallery, limit=_SHOWN)
        for entry in entries:
            place = "" if entry.lat is None else f"{entry.lat:.4f}, {entry.lng:.4f}"
            table.add_row(entry.key, entry.name, entry.mid, place, entry.licence)
        size = galleries.size(gallery)
    _console().print(table)
    if size.entries > len(entries):
        _console().print(f"... and {size.entries - len(entries)} more.")
    return ExitCode.OK


def _print_entry(galleries: Galleries, gallery: Gallery, key: str) -> None:
    entry = galleries.entry(gallery, key)
    console = _console()
    for name in ("key", "name", "mid", "lat", "lng", "url", "licence", "credit"):
        value = getattr(entry, name)
        if value not in ("", None):
            console.print(f"{name}: {value}", markup=False)
    if entry.aliases:
        console.print(f"aliases: {', '.join(entry.aliases)}", markup=False)
    table = Table("image", "size", "PDQ quality", "keypoints", "background", "digest")
    for _, reference in galleries.references(gallery, key):
        usual = reference.calibration
        table.add_row(
            reference.source, f"{reference.width}×{reference.height}",
            str(reference.pdq_quality), f"{len(reference.features) // 1024} KiB",
            f"{usual.mean:.2f} ± {usual.deviation:.2f}, up to {usual.highest:.2f}",
            reference.digest[:12],
        )  # fmt: skip
    console.print(table)
    if entry.mentions:
        pages = Table("page", "title", "says", "language")
        for mention in entry.mentions:
            pages.add_row(
                mention.page_url, mention.title, mention.alt or mention.caption, mention.language
            )
        console.print(pages)


def _remove(options: argparse.Namespace) -> int:
    if bool(options.entries) == options.all:
        raise InvalidGallery("Name the entries to remove, or say --all for the whole gallery.")
    with closing(own_galleries(settings_of(options))) as galleries:
        gallery = galleries.find(options.owner, options.name)
        if options.all:
            galleries.drop(gallery)
            Console().print(f"Removed the gallery {gallery.name}.", markup=False)
        for key in options.entries:
            count = galleries.remove(gallery, key)
            Console().print(f"Removed {key} with {count} images.", markup=False)
    return ExitCode.OK


def _test(options: argparse.Namespace) -> int:
    content = options.image.read_bytes()
    settings = settings_of(options)
    with closing(with_shipped(settings, own_galleries(settings))) as galleries:
        seen = galleries.visible(options.owner)
        if options.name is not None:
            seen = [galleries.find(options.owner, options.name)]
        explainer = Explainer(galleries, *gallery_makers(settings))
        picture = explainer.opened(content)
        candidates = explainer.candidates(picture, seen)
    table = Table("gallery", "entry", "similarity", "above background", "inliers", "PDQ bits")
    for candidate in candidates:
        above = "" if candidate.score is None else f"{candidate.score:.2f}"
        table.add_row(
            candidate.gallery.name, candidate.name or candidate.entry,
            f"{candidate.similarity:.3f}", above, str(candidate.inliers), str(candidate.distance),
        )  # fmt: skip
    _console().print(table)
    if options.draw is not None and candidates:
        options.draw.write_bytes(explainer.drawing(picture, candidates[0]))
        _console().print(f"Drew {options.draw}.", markup=False)
    return ExitCode.OK


def _verify(options: argparse.Namespace) -> int:
    """Exit code 1 when something is wrong."""
    settings = settings_of(options)
    model = embedding_model(settings)
    count = 0
    with closing(own_galleries(settings)) as galleries:
        for line in galleries.damage():
            count += 1
            Console().print(line, markup=False, soft_wrap=True)
        for gallery in galleries.visible(options.owner or None):
            if options.name not in (None, gallery.name):
                continue
            for line in faults(galleries, gallery, model):
                count += 1
                Console().print(f"{gallery.name}: {line}", markup=False, soft_wrap=True)
            galleries.tend(gallery)
            size = galleries.size(gallery)
            Console().print(
                f"{gallery.name}: {size.references} images of {size.entries} entries.",
                markup=False,
            )
    return ExitCode.FAILED if count else ExitCode.OK


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)
