"""Packs: which detector makes each signal, as rows of the manifest.

A pack is a name that several rows share. The embedded one makes every signal; another may make
some of them, and is chosen as a whole or for one signal. What a row names is imported and made
here, so that a new network for a known signal is a row, and perhaps a file below
`tapetum.detectors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from tapetum.errors import ModelError, SettingsError
from tapetum.models.manifest import Manifest, PackRow
from tapetum.models.session import Sessions
from tapetum.signals.embedding import EmbeddingModel

#: The pack that ships; it makes what no chosen pack makes.
EMBEDDED = "embedded"


def chosen(rows: Iterable[PackRow], choice: str = EMBEDDED) -> dict[str, PackRow]:
    """The row that makes each signal, by the signal's name.

    ``choice``: names of packs, and ``SIGNAL=NAME`` for one signal, comma-separated. Raises
    `SettingsError` for a pack or signal that no row has, and for two chosen packs that both make a
    signal; `ModelError` for a pack that has two rows of one signal.
    """
    table = _by_signal(rows)
    names, of_signal = _parsed(choice)
    _check(table, names, of_signal)
    return {
        signal: makers[of_signal[signal]] if signal in of_signal else _only(signal, makers, names)
        for signal, makers in table.items()
        if signal in of_signal or makers.keys() & {*names, EMBEDDED}
    }


def makers(sessions: Sessions, choice: str = EMBEDDED) -> list[Any]:
    """What makes each signal. Raises as `chosen` and `made` do."""
    return [made(row, sessions) for row in chosen(sessions.manifest.packs, choice).values()]


def maker_of(signal: type[Any], sessions: Sessions, choice: str = EMBEDDED) -> Any:
    """What makes ``signal``. Raises as `chosen` and `made` do, and `ModelError` where nothing makes
    it."""
    row = chosen(sessions.manifest.packs, choice).get(signal.__name__)
    if row is None:
        raise ModelError(f"No pack makes {signal.__name__}.")
    return made(row, sessions)


def made(row: PackRow, sessions: Sessions) -> Any:
    """The detector that ``row`` names (`tapetum.detectors.Detector`, or one with ``needs``).

    Its class is called with what the row gives: ``sessions`` where it has weights, ``vocabulary``
    (the file) and ``calibration`` where it has those, and ``model`` for an embedding. Raises
    `ModelError` when there is no such class or file, when the class wants something else, and when
    it makes another signal or is no detector.
    """
    module, _, name = row.detector.partition(":")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"The pack {row.name} names no detector of {row.signal}: {error}.") from (
            error
        )
    named: dict[str, Any] = {}
    if row.vocabulary:
        named["vocabulary"] = _vocabulary(row)
    if row.calibration:
        named["calibration"] = row.calibration
    if row.dimensions:
        named["model"] = embedding_model(row, sessions.manifest)
    try:
        detector = kind(*([sessions] if row.weights else []), **named)
    except (TypeError, ValueError, LookupError) as error:
        raise ModelError(
            f"{row.detector} does not take what the pack {row.name} gives it to make {row.signal}: "
            f"{type(error).__name__}: {error}."
        ) from error
    _check_made(detector, row)
    return detector


def _vocabulary(row: PackRow) -> Traversable:
    package, _, path = row.vocabulary.partition(":")
    try:
        file = files(package).joinpath(path)
    except (ImportError, TypeError, ValueError) as error:
        raise ModelError(
            f"The vocabulary of {row.signal} in the pack {row.name} is in no package: {error}."
        ) from error
    if not file.is_file():
        raise ModelError(
            f"The vocabulary of {row.signal} in the pack {row.name} is not there: "
            f"{row.vocabulary} is no file."
        )
    return file


def _check_made(detector: Any, row: PackRow) -> None:
    """Here, and not at the first picture."""
    work = "recognise" if hasattr(detector, "needs") else "detect"
    lacking = [name for name in ("signal", "max_side", work) if not hasattr(detector, name)]
    if lacking:
        raise ModelError(
            f"The pack {row.name} says that {row.detector} makes {row.signal}, but it is no "
            f"detector: it has no {' and no '.join(lacking)}."
        )
    made = getattr(detector.signal, "__name__", detector.signal)
    if made != row.signal:
        raise ModelError(
            f"The pack {row.name} says that {row.detector} makes {row.signal}, but it makes {made}."
        )


def embedding_model(row: PackRow, manifest: Manifest) -> EmbeddingModel:
    """What the embeddings are called that ``row`` makes, by its weights. Raises `ModelError` where
    it has none."""
    if not row.weights:
        raise ModelError(f"The pack {row.name} makes {row.signal} of no weights.")
    return EmbeddingModel(manifest[row.weights[0]].sha256, row.dimensions)


def _by_signal(rows: Iterable[PackRow]) -> dict[str, dict[str, PackRow]]:
    """Signal → pack → row."""
    table: dict[str, dict[str, PackRow]] = {}
    for row in rows:
        makers = table.setdefault(row.signal, {})
        if row.name in makers:
            raise ModelError(
                f"The pack {row.name} has two makers of {row.signal}: "
                f"{makers[row.name].detector} and {row.detector}."
            )
        makers[row.name] = row
    return table


def _parsed(choice: str) -> tuple[list[str], dict[str, str]]:
    """The packs chosen as a whole, and those chosen for a signal."""
    names: list[str] = []
    of_signal: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in choice.split(","))):
        signal, separator, name = (text.strip() for text in part.partition("="))
        if not separator:
            names.append(part)
        elif of_signal.setdefault(signal, name) != name:
            raise SettingsError(
                f"Packs {of_signal[signal]} and {name} are both chosen for {signal}: leave one out."
            )
    return names, of_signal


def _check(
    table: Mapping[str, Mapping[str, PackRow]], names: Iterable[str], of_signal: Mapping[str, str]
) -> None:
    packs = sorted({name for makers in table.values() for name in makers})
    for name in (*names, *of_signal.values()):
        if name not in packs:
            raise SettingsError(f"No pack is named {name!r}; there are {', '.join(packs)}.")
    for signal, name in of_signal.items():
        if signal not in table:
            raise SettingsError(
                f"No pack makes a signal named {signal!r}; there are {', '.join(sorted(table))}."
            )
        if name not in table[signal]:
            raise SettingsError(
                f"The pack {name} does not make {signal}; {', '.join(table[signal])} does."
            )


def _only(signal: str, makers: Mapping[str, PackRow], names: Iterable[str]) -> PackRow:
    """The row of the chosen pack that makes ``signal``, else the embedded one's."""
    wanted = [name for name in dict.fromkeys(names) if name in makers and name != EMBEDDED]
    if len(wanted) > 1:
        raise SettingsError(
            f"Packs {' and '.join(wanted)} both make {signal}: choose one for it, as in "
            f"{signal}={wanted[0]}."
        )
    return makers[wanted[0] if wanted else EMBEDDED]
