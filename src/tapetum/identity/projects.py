"""The ``[projects]``, ``[principals]`` and ``[issuers]`` tables of the settings file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapetum.errors import SettingsError
from tapetum.identity.principal import Principal, Principals, Project, Quota, check_buckets

#: What Google's clients put into ``aud`` of the tokens they sign themselves.
AUDIENCES = tuple(
    f"https://{host}.googleapis.com/" for host in ("vision", "us-vision", "eu-vision")
)
#: What they put into ``scope`` instead (Node.js, and Java and Python when scopes are set).
SCOPES = tuple(
    f"https://www.googleapis.com/auth/{scope}" for scope in ("cloud-platform", "cloud-vision")
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed: ``name`` is their ``iss``, a service account's address or the
    URL of an OpenID provider.

    ``keys`` says where the public keys are: a JWKS file, a PEM file of a public key or
    certificate, or the https URL of a JWKS. A token must name one of ``audiences``, or, without
    an audience, one of ``scopes``.
    """

    name: str
    keys: str
    audiences: tuple[str, ...] = AUDIENCES
    scopes: tuple[str, ...] = SCOPES


@dataclass(frozen=True, slots=True)
class Projects:
    """Who is known."""

    principals: Mapping[str, Principal] = field(default_factory=dict)
    issuers: Mapping[str, Issuer] = field(default_factory=dict)

    def asked(self, asked: bool) -> Principals:
        """The principals, for a server that asks who is calling or does not."""
        return Principals(self.principals, asked=asked)


def read_projects(document: dict[str, Any], where: str) -> Projects:
    """Take the three tables out of a parsed settings file. ``where`` names the file.

    Raises `SettingsError` naming the table and key.
    """
    projects = {
        name: _project(name, table)
        for name, table in _tables(document.pop("projects", {}), f"{where}: [projects")
    }
    principals = {
        name: _principal(name, table, projects)
        for name, table in _tables(document.pop("principals", {}), f"{where}: [principals")
    }
    issuers = {
        name: _issuer(name, table)
        for name, table in _tables(document.pop("issuers", {}), f"{where}: [issuers", any_name=True)
    }
    return Projects(principals, issuers)


class _Table:
    """One TOML table, of which every key must be taken."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = dict(values)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.pop(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise SettingsError(f"{self.where} {key} must be given, as text.")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None) -> tuple[str, ...] | None:
        value = self._values.pop(key, None)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise SettingsError(f"{self.where} {key} must be a list of texts.")
        return tuple(value)

    def buckets(self, key: str, default: tuple[str, ...] | None) -> tuple[str, ...] | None:
        patterns = self.texts(key, default)
        return None if patterns is None else check_buckets(patterns, f"{self.where} {key}")

    def quota(self) -> Quota:
        return Quota(self._count("requests_per_minute"), self._count("images_in_progress"))

    def _count(self, key: str) -> int:
        value = self._values.pop(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SettingsError(f"{self.where} {key} must be a whole number, 0 for no limit.")
        return value

    def end(self) -> None:
        """Every key was taken, or the table has one there is not."""
        if self._values:
            raise SettingsError(f"{self.where} has no key {next(iter(self._values))!r}.")


def _tables(tables: Any, where: str, *, any_name: bool = False) -> list[tuple[str, _Table]]:
    if not isinstance(tables, dict) or not all(
        isinstance(table, dict) for table in tables.values()
    ):
        raise SettingsError(f"{where}.NAME] is a table.")
    for name in tables:
        if not any_name and not _NAME.fullmatch(name):
            raise SettingsError(f"{where}.{name!r}] is no name: letters, digits, '.', '_' and '-'.")
    return [(name, _Table(f"{where}.{name}]", values)) for name, values in tables.items()]


def _project(name: str, table: _Table) -> Project:
    project = Project(name, table.buckets("buckets", ()) or (), table.quota())
    table.end()
    return project


def _principal(name: str, table: _Table, projects: Mapping[str, Project]) -> Principal:
    project = table.text("project")
    if project not in projects:
        raise SettingsError(f"{table.where} project {project!r} has no table [projects.{project}].")
    principal = Principal(
        name=name,
        project=projects[project],
        input_buckets=table.buckets("input_buckets", None),
        output_buckets=table.buckets("output_buckets", None),
        issuer=table.text("issuer", ""),
        subject=table.text("subject", ""),
        quota=table.quota(),
    )
    table.end()
    return principal


def _issuer(name: str, table: _Table) -> Issuer:
    issuer = Issuer(
        name=name,
        keys=table.text("keys"),
        audiences=table.texts("audiences", AUDIENCES) or (),
        scopes=table.texts("scopes", SCOPES) or (),
    )
    table.end()
    return issuer
