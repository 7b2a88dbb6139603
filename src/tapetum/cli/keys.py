"""``tapetum keys``: API keys and service accounts of a server's principals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tapetum.cli import ExitCode
from tapetum.cli.flags import add_settings, settings_of
from tapetum.errors import SettingsError
from tapetum.identity.api_keys import ApiKeys
from tapetum.identity.principal import Principal
from tapetum.identity.service_accounts import write_service_account
from tapetum.settings import Settings

_SETTINGS = ("data_dir", "api_keys")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "keys",
        help="make, list and revoke API keys",
        description="API keys and service accounts of the principals in the settings file.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    make = actions.add_parser("make", help="make an API key; it is shown once and kept as a hash")
    make.add_argument("principal", metavar="PRINCIPAL", help="a name in [principals]")
    make.set_defaults(run=_make)

    listed = actions.add_parser("list", help="list the API keys there are")
    listed.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", help="refuse an API key from now on")
    revoke.add_argument("id", metavar="ID", help="the first column of `tapetum keys list`")
    revoke.set_defaults(run=_revoke)

    account = actions.add_parser(
        "service-account", help="make a key file that Google's clients sign tokens with"
    )
    account.add_argument("principal", metavar="PRINCIPAL", help="a name in [principals]")
    account.add_argument("folder", type=Path, metavar="FOLDER", help="where the files are written")
    account.set_defaults(run=_service_account)

    for action in (make, listed, revoke, account):
        add_settings(action, _SETTINGS)


def _make(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    principal = _principal(settings, options.principal)
    key, record = ApiKeys(settings.api_keys_file).make(principal.name)
    _say(key, f"# key {record.id} of {principal.name}; this is the only time it is shown")
    return ExitCode.OK


def _list(options: argparse.Namespace) -> int:
    for record in ApiKeys(settings_of(options).api_keys_file).all():
        _say(f"{record.id}  {record.created}  {record.principal}")
    return ExitCode.OK


def _revoke(options: argparse.Namespace) -> int:
    gone = ApiKeys(settings_of(options).api_keys_file).revoke(options.id)
    _say(f"{gone.id} of {gone.principal} is refused from now on")
    return ExitCode.OK


def _service_account(options: argparse.Namespace) -> int:
    principal = _principal(settings_of(options), options.principal)
    if not principal.issuer or principal.project is None:
        raise SettingsError(
            f"[principals.{principal.name}] has no issuer: give it the service account's address, "
            f'like issuer = "{principal.name}@tapetum.example".'
        )
    files = write_service_account(
        options.folder.resolve(), principal.issuer, principal.project.name
    )
    _say(
        "# the client",
        f"export GOOGLE_APPLICATION_CREDENTIALS={files.secret}",
        "# the server's settings file",
        f"[issuers.'{principal.issuer}']",
        f'keys = "{files.public}"',
    )
    return ExitCode.OK


def _principal(settings: Settings, name: str) -> Principal:
    principal = settings.projects.principals.get(name)
    if principal is None:
        known = ", ".join(settings.projects.principals) or "none"
        raise SettingsError(
            f"There is no principal {name!r} in the settings file; there are: {known}."
        )
    return principal


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201
