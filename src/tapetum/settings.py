"""The one table of settings.

Each field of `Settings` is a row: name, type, default, help. A value comes from, in falling
order, a command-line flag (``--data-dir``), an environment variable (``TAPETUM_DATA_DIR``; an
empty one counts as not given), a settings file (``data_dir = "..."``), the default. The
``[buckets]`` table of the settings file says where buckets really are (`BucketRule`), the table
``[gallery_store]`` gives that setting's URL with options, ``[packs]`` the setting ``pack`` by
signal, the tables
``[projects]``, ``[principals]`` and ``[issuers]`` who may call (`tapetum.identity.projects`).
"""

from __future__ import annotations

import copy
import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tapetum.errors import SettingsError
from tapetum.identity.projects import Projects, read_projects


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
    data_dir: Path = _row(Path("tapetum-data"), "folder of ledger, galleries and local buckets")
    buckets: Path | None = _row(None, "folder whose sub-folders are the buckets (DATA_DIR/buckets)")
    workers: int = _row(0, "tasks run side by side; 0 is one per processor core")
    executor: str = _row(
        "process",
        "where pictures are looked at: process (workers that may die) or local (threads)",
    )
    image_seconds: float = _row(
        60.0, "seconds an image may take before its worker is replaced (executor = process)"
    )
    image_memory: int = _row(
        2048, "MiB that images may make a worker grow by; 0 is no limit (executor = process)"
    )
    shutdown_seconds: float = _row(20.0, "seconds within which SIGTERM ends the server")
    pack: str = _row(
        "embedded", "packs of networks, comma-separated: NAME, or SIGNAL=NAME for one signal"
    )
    providers: str = _row(
        "cpu", "where networks run, first choice first: cpu, cuda, ... (as ONNX Runtime has them)"
    )
    arena: bool = _row(
        True, "networks keep the memory of a run for the next; off takes less memory, more time"
    )
    precision: str = _row("full", "of networks: full, or reduced (bfloat16; tapetum[openvino])")
    tls_cert: Path | None = _row(None, "certificate chain in PEM; turns TLS on")
    tls_key: Path | None = _row(None, "private key in PEM")
    insecure_listen: bool = _row(
        False, "listen beyond loopback without TLS, or without asking who calls"
    )
    auth: str = _row("none", "who may call: none (anybody, on loopback), api-key, jwt, or both")
    api_keys: Path | None = _row(None, "file of hashed API keys (DATA_DIR/api-keys.json)")
    connections: int = _row(4096, "connections at once; one more closes the longest silent one")
    idle: float = _row(900.0, "seconds of silence after which a connection is closed")
    project: str = _row("local", "project of requests that name no parent")
    web_fetch: str = _row(
        "public", "http(s) image URLs: off, public (no private addresses), listed, or any"
    )
    web_hosts: str = _row(
        "", "hosts of web_fetch = listed, comma-separated; *.example is all below example"
    )
    bucket_door: bool = _row(True, "local buckets for Google's storage clients")
    gallery_store: str | None = _row(
        None,
        "place of galleries: a path, or a URL of postgresql, file, s3, gs, az "
        "(DATA_DIR/galleries.sqlite)",
    )
    shipped: bool = _row(True, "the landmarks and names of brands that ship")
    lease: float = _row(30.0, "seconds without a sign of life after which a task is taken over")
    retention_days: float = _row(30.0, "days a finished operation can still be asked for")
    log_level: str = _row("info", "debug, info, warning or error")
    bucket_rules: tuple[BucketRule, ...] = ()
    gallery_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    projects: Projects = dataclasses.field(default_factory=Projects)

    def __post_init__(self) -> None:
        for name in _CHECKS:
            _check(name, getattr(self, name), name)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("tls_cert and tls_key go together: give both or neither.")
        if self.web_fetch == "listed" and not self.web_host_list:
            raise SettingsError("web_fetch = listed needs web_hosts: whom may be fetched from?")
        if self.precision == "reduced" and self.provider_list != ("cpu",):
            raise SettingsError("precision = reduced is for providers = cpu only.")

    @property
    def buckets_dir(self) -> Path:
        """The folder of local buckets."""
        return self.buckets if self.buckets is not None else self.data_dir / "buckets"

    @property
    def gallery_place(self) -> str:
        """The path or URL of the galleries."""
        return self.gallery_store or str(self.data_dir / "galleries.sqlite")

    @property
    def api_keys_file(self) -> Path:
        """The file of hashed API keys."""
        return self.api_keys if self.api_keys is not None else self.data_dir / "api-keys.json"

    @property
    def auth_modes(self) -> tuple[str, ...]:
        """``api-key`` and ``jwt``, whichever are on; empty when nobody is asked."""
        return tuple(mode for mode in _listed(self.auth) if mode != "none")

    @property
    def web_host_list(self) -> tuple[str, ...]:
        """``web_hosts``, one by one."""
        return _listed(self.web_hosts)

    @property
    def provider_list(self) -> tuple[str, ...]:
        """``providers``, one by one."""
        return _listed(self.providers)

    @property
    def worker_count(self) -> int:
        """``workers``, with 0 resolved to the cores this process may use."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


def _listed(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\s,]+", text))


AUTH_MODES = ("api-key", "jwt")
WEB_FETCH = ("off", "public", "listed", "any")
PRECISIONS = ("full", "reduced")
PROVIDERS = ("cpu", "cuda", "tensorrt", "migraphx", "coreml", "directml")
EXECUTORS = ("process", "local")
LOG_LEVELS = ("debug", "info", "warning", "error")

_Check = tuple[Callable[[Any], bool], str]
_SWITCH: _Check = (lambda value: isinstance(value, bool), "must be on or off")
_PORT: _Check = (lambda port: port is None or 0 <= port <= 65535, "must be 0 to 65535")
#: name → (whether a value will do, what it must be).
_CHECKS: Mapping[str, _Check] = {
    "host": (bool, "must not be empty"),
    "port": _PORT,
    "grpc_port": _PORT,
    "http_port": _PORT,
    "auth": (
        lambda text: text == "none" or (bool(_listed(text)) and {*_listed(text)} <= {*AUTH_MODES}),
        "must be none, api-key, jwt, or api-key,jwt",
    ),
    "connections": (lambda count: count >= 8, "must be 8 or more"),
    "idle": (lambda seconds: 1 <= seconds <= 86_400, "must be 1 to 86400 seconds"),
    "web_hosts": (
        lambda text: all(re.fullmatch(r"(\*\.)?[^*/]+", host) for host in _listed(text)),
        "must be host names like images.example or *.example, comma-separated",
    ),
    "workers": (lambda count: count >= 0, "must be 0 or more"),
    "project": (
        lambda name: re.fullmatch(r"[^/\s]+", name) is not None,
        "must be a name without slashes or spaces",
    ),
    "executor": (EXECUTORS.__contains__, f"must be one of {', '.join(EXECUTORS)}"),
    "image_seconds": (lambda seconds: 1 <= seconds <= 86_400, "must be 1 to 86400 seconds"),
    "image_memory": (lambda size: size == 0 or size >= 256, "must be 0 or at least 256 MiB"),
    "shutdown_seconds": (lambda seconds: 2 <= seconds <= 3600, "must be 2 to 3600 seconds"),
    "providers": (
        lambda text: bool(_listed(text)) and {*_listed(text)} <= {*PROVIDERS},
        f"must be of {', '.join(PROVIDERS)}, comma-separated",
    ),
    "precision": (PRECISIONS.__contains__, f"must be one of {', '.join(PRECISIONS)}"),
    "web_fetch": (WEB_FETCH.__contains__, f"must be one of {', '.join(WEB_FETCH)}"),
    "insecure_listen": _SWITCH,
    "arena": _SWITCH,
    "bucket_door": _SWITCH,
    "shipped": _SWITCH,
    "lease": (lambda seconds: 1 <= seconds <= 86_400, "must be 1 to 86400 seconds"),
    "retention_days": (lambda days: 0 <= days <= 36_500, "must be 0 to 36500 days"),
    "log_level": (LOG_LEVELS.__contains__, f"must be one of {', '.join(LOG_LEVELS)}"),
}


def _check(name: str, value: Any, where: str) -> None:
    """Raise `SettingsError` unless ``value`` will do; ``where`` names the setting and source."""
    is_fine, must = _CHECKS.get(name, (lambda _: True, ""))
    if not is_fine(value):
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise SettingsError(f"{where} {must}, not {shown}.")


def rows() -> dict[str, tuple[type, Any, str]]:
    """The table: name → (type, default, help), for flags and documentation."""
    hints = get_type_hints(Settings)
    return {
        field.name: (_plain_type(hints[field.name]), field.default, field.metadata["help"])
        for field in dataclasses.fields(Settings)
        if "help" in field.metadata
    }


def resolve(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    file: Path | None = None,
    given: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from flags (``None`` means not given), the environment and a settings file.
    ``given``: what a program says, in the shape of a settings file; it counts as flags do.

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
        if environ.get(variable):
            values[name] = _cast(cast, environ[variable], variable)
            _check(name, values[name], variable)
        if flags.get(name) is not None:
            values[name] = flags[name]
            _check(name, values[name], f"--{name.replace('_', '-')}")
    if given is not None:
        values |= _from_document(copy.deepcopy(dict(given)), "settings", table)
    return Settings(**values)


def _from_file(file: Path, table: Mapping[str, tuple[type, Any, str]]) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {file} is not TOML: {error}.") from error
    return _from_document(document, str(file), table)


#: The tables of a settings file that say who may call.
_WHO = frozenset({"projects", "principals", "issuers"})


def _from_document(
    document: dict[str, Any], where: str, table: Mapping[str, tuple[type, Any, str]]
) -> dict[str, Any]:
    """The values in ``document``, which is emptied of what is no row of the table."""
    values: dict[str, Any] = {}
    buckets = document.pop("buckets", {})
    if not isinstance(buckets, dict):
        raise SettingsError(f"{where}: [buckets] is a table; the folder is its key `folder`.")
    if "folder" in buckets:
        values["buckets"] = _cast(Path, buckets.pop("folder"), f"{where}: [buckets] folder")
    if buckets:
        values["bucket_rules"] = tuple(_rule(where, key, value) for key, value in buckets.items())
    if isinstance(document.get("gallery_store"), dict):
        document["gallery_store"], values["gallery_options"] = _place(
            f"{where}: [gallery_store]", document["gallery_store"]
        )
    if "packs" in document:
        if "pack" in document:
            raise SettingsError(f"{where}: say once which packs: pack = or [packs].")
        values["pack"] = _packs(f"{where}: [packs]", document.pop("packs"))
    if not _WHO.isdisjoint(document):
        values["projects"] = read_projects(document, where)
    for name, value in document.items():
        if name not in table:
            raise SettingsError(
                f"{where}: no setting is named {name!r}; there are {', '.join(table)}."
            )
        # What is off may be written so, also where there is more than on and off.
        written = "off" if name == "web_fetch" and value is False else value
        values[name] = _cast(table[name][0], written, f"{where}: {name}")
        _check(name, values[name], f"{where}: {name}")
    return values


_PATTERN = re.compile(r"([a-z][a-z0-9+.-]*://[^/]*)/?")


def _rule(origin: str, pattern: str, value: Any) -> BucketRule:
    where = f"{origin}: [buckets] {pattern!r}"
    bucket = _PATTERN.fullmatch(pattern)
    if bucket is None:
        raise SettingsError(f"{where}: a bucket is written like gs://photos, all like gs://.")
    if isinstance(value, str):
        return BucketRule(bucket[1], value)
    return BucketRule(bucket[1], *_place(where, value))


def _packs(where: str, table: Any) -> str:
    """The table of packs as the setting has it: ``all``, and each signal's."""
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise SettingsError(f'{where}: a pack is written like all = "NAME" or Objects = "NAME".')
    return ",".join(
        name if signal == "all" else f"{signal}={name}" for signal, name in table.items()
    )


def _place(where: str, value: Any) -> tuple[str, dict[str, str]]:
    """The URL and the options of a table that says where a store is."""
    if not isinstance(value, dict) or not isinstance(value.get("url"), str):
        raise SettingsError(
            f'{where}: give the store\'s URL, or {{ url = "...", endpoint = "..." }}.'
        )
    return value["url"], {key: str(option) for key, option in value.items() if key != "url"}


def _plain_type(hint: Any) -> type:
    """``int | None`` → ``int``."""
    arguments = [part for part in getattr(hint, "__args__", ()) if part is not type(None)]
    return arguments[0] if arguments else hint  # type: ignore[no-any-return]


def _cast(cast: type, value: Any, where: str) -> Any:
    if cast is bool:
        return switched(value, where)
    # A settings file has types of its own: 8080.5 is no port, and neither is true.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_path = isinstance(value, Path) and cast in (Path, str)
    fits = isinstance(value, str) or is_path or (is_number and cast in (float, type(value)))
    try:
        if not fits:
            raise ValueError
        return cast(value)
    except ValueError as error:
        raise SettingsError(f"{where}: {value!r} is not a valid {cast.__name__}.") from error


def switched(value: Any, where: str) -> bool:
    """What ``on``, ``off``, ``true`` or ``false`` says, whether a text or a truth value. Raises
    `SettingsError` that names ``where`` it came from."""
    if isinstance(value, bool):
        return value
    says = _SWITCHED.get(value.lower()) if isinstance(value, str) else None
    if says is None:
        raise SettingsError(f"{where} must be on or off, not {value!r}.")
    return says


_SWITCHED = {"on": True, "true": True, "off": False, "false": False}
