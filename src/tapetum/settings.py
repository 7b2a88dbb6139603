"""The one table of settings.

Each field of `Settings` is a row: name, type, default, help. A value comes from, in falling
order, a command-line flag (``--data-dir``), an environment variable (``TAPETUM_DATA_DIR``), a
settings file (``data_dir = "..."``), the default. The ``[buckets]`` table of the settings file
says where buckets really are; see `BucketRule`.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tapetum.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BucketRule:
    """Where the objects of one bucket, or of every bucket of a scheme, really are.

    ``pattern`` is ``gs://photos`` (one bucket) or ``gs://`` (all of them); ``url`` is the store's
    own URL, in which ``{bucket}`` stands for the bucket's name. ``options`` go to the store as
    they are: endpoint, region, keys.
    """

    pattern: str
    url: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _row(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a server, resolved."""

    host: str = _row("127.0.0.1", "address to listen on")
    port: int = _row(8080, "the public port, for gRPC and REST alike; 0 picks a free one")
    grpc_port: int | None = _row(None, "a port for gRPC alone, beside the public one")
    http_port: int | None = _row(None, "a port for REST alone, beside the public one")
    data_dir: Path = _row(Path("tapetum-data"), "folder of the ledger and of local buckets")
    buckets: Path | None = _row(None, "folder whose sub-folders are the buckets (DATA_DIR/buckets)")
    workers: int = _row(0, "tasks run side by side; 0 is one per processor core")
    tls_cert: Path | None = _row(None, "certificate chain in PEM; turns TLS on")
    tls_key: Path | None = _row(None, "private key in PEM")
    project: str = _row("local", "project of requests that name no parent")
    web_fetch: str = _row(
        "public", "http(s) image URLs: off, public (no private addresses), or any"
    )
    lease: float = _row(30.0, "seconds without a sign of life after which a task is taken over")
    retention_days: float = _row(30.0, "days a finished operation can still be asked for")
    log_level: str = _row("info", "debug, info, warning or error")
    bucket_rules: tuple[BucketRule, ...] = ()

    def __post_init__(self) -> None:
        if self.web_fetch not in WEB_FETCH:
            raise SettingsError(
                f"web_fetch must be one of {', '.join(WEB_FETCH)}, not {self.web_fetch!r}."
            )
        if self.log_level not in LOG_LEVELS:
            raise SettingsError(
                f"log_level must be one of {', '.join(LOG_LEVELS)}, not {self.log_level!r}."
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("tls_cert and tls_key go together: give both or neither.")
        if self.lease < 1:
            raise SettingsError(f"lease must be at least 1 second, not {self.lease:g}.")
        if self.workers < 0:
            raise SettingsError(f"workers must be 0 or more, not {self.workers}.")
        for name in ("port", "grpc_port", "http_port"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 65535:
                raise SettingsError(f"{name} must be 0 to 65535, not {value}.")

    @property
    def buckets_dir(self) -> Path:
        """The folder of local buckets."""
        return self.buckets if self.buckets is not None else self.data_dir / "buckets"

    @property
    def worker_count(self) -> int:
        """``workers``, with 0 resolved to the cores this process may use."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


WEB_FETCH = ("off", "public", "any")
LOG_LEVELS = ("debug", "info", "warning", "error")


def rows() -> dict[str, tuple[type, Any, str]]:
    """The table: name → (type, default, help), for flags and documentation."""
    hints = get_type_hints(Settings)
    return {
        field.name: (_plain_type(hints[field.name]), field.default, field.metadata["help"])
        for field in dataclasses.fields(Settings)
        if "help" in field.metadata
    }


def resolve(
    flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None = None
) -> Settings:
    """Settings from flags (``None`` means not given), the environment and a settings file.

    Raises `SettingsError` naming the setting and where its value came from.
    """
    values: dict[str, Any] = {}
    table = rows()
    if file is None and environ.get("TAPETUM_SETTINGS"):
        file = Path(environ["TAPETUM_SETTINGS"])
    if file is not None:
        values |= _from_file(file, table)
    for name, (cast, _, _) in table.items():
        variable = f"TAPETUM_{name.upper()}"
        if variable in environ:
            values[name] = _cast(cast, environ[variable], variable)
    values |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**values)


def _from_file(file: Path, table: Mapping[str, tuple[type, Any, str]]) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {file} is not TOML: {error}.") from error
    values: dict[str, Any] = {}
    buckets = document.pop("buckets", {})
    if not isinstance(buckets, dict):
        raise SettingsError(f"{file}: [buckets] is a table; the folder is its key `folder`.")
    if "folder" in buckets:
        values["buckets"] = Path(buckets.pop("folder"))
    values["bucket_rules"] = tuple(_rule(file, key, value) for key, value in buckets.items())
    for name, value in document.items():
        if name not in table:
            raise SettingsError(
                f"{file}: no setting is named {name!r}; there are {', '.join(table)}."
            )
        values[name] = _cast(table[name][0], value, f"{file}: {name}")
    return values


def _rule(file: Path, pattern: str, value: Any) -> BucketRule:
    where = f"{file}: [buckets] {pattern!r}"
    if "://" not in pattern:
        raise SettingsError(f"{where}: a bucket is written like gs://photos, all like gs://.")
    if isinstance(value, str):
        return BucketRule(pattern.rstrip("/") if not pattern.endswith("://") else pattern, value)
    if not isinstance(value, dict) or not isinstance(value.get("url"), str):
        raise SettingsError(
            f'{where}: give the store\'s URL, or {{ url = "...", endpoint = "..." }}.'
        )
    options = {key: str(option) for key, option in value.items() if key != "url"}
    pattern = pattern.rstrip("/") if not pattern.endswith("://") else pattern
    return BucketRule(pattern, value["url"], options)


def _plain_type(hint: Any) -> type:
    """``int | None`` → ``int``."""
    arguments = [part for part in getattr(hint, "__args__", ()) if part is not type(None)]
    return arguments[0] if arguments else hint  # type: ignore[no-any-return]


def _cast(cast: type, value: Any, where: str) -> Any:
    try:
        return cast(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {value!r} is not a valid {cast.__name__}.") from error
