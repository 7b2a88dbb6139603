"""The one table of settings."""

from __future__ import annotations

import argparse
import math
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tapetum.cli import flags
from tapetum.errors import SettingsError
from tapetum.settings import BucketRule, Settings, resolve, rows, switched
from tapetum.stores.cloud import CloudStore

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")

#: A value other than the default for every row, as text.
OTHER = {
    "host": "0.0.0.0",
    "port": "9000",
    "grpc_port": "9001",
    "http_port": "9002",
    "data_dir": "/srv/data",
    "buckets": "/srv/buckets",
    "workers": "3",
    "executor": "local",
    "image_seconds": "30.0",
    "image_memory": "1024",
    "shutdown_seconds": "5.0",
    "pack": "embedded,Objects=embedded",
    "providers": "cuda,cpu",
    "arena": "off",
    "precision": "reduced",
    "tls_cert": "cert.pem",
    "tls_key": "key.pem",
    "insecure_listen": "true",
    "auth": "api-key,jwt",
    "api_keys": "/srv/api-keys.json",
    "connections": "100",
    "idle": "60.0",
    "project": "archive",
    "web_fetch": "off",
    "web_hosts": "images.example, *.cdn.example",
    "bucket_door": "off",
    "gallery_store": "s3://galleries/own",
    "shipped": "off",
    "lease": "12.5",
    "retention_days": "7.0",
    "log_level": "debug",
}
TLS = ("tls_cert", "tls_key")


def variable(name: str) -> str:
    return f"TAPETUM_{name.upper()}"


def environment(*names: str) -> dict[str, str]:
    return {variable(name): OTHER[name] for name in names}


def settings_file(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def toml(name: str) -> str:
    cast = rows()[name][0]
    if name == "buckets":  # the file's [buckets] table holds more than the folder
        return f'[buckets]\nfolder = "{OTHER[name]}"'
    return f"{name} = {OTHER[name]}" if cast in (int, float) else f'{name} = "{OTHER[name]}"'


def value_of(name: str) -> Any:
    """The other value, as a flag would have it."""
    cast = rows()[name][0]
    return switched(OTHER[name], name) if cast is bool else cast(OTHER[name])


def together(name: str) -> tuple[str, ...]:
    """``name``, and what cannot be given without it."""
    return TLS if name in TLS else (name,)


def test_there_is_another_value_for_every_row():
    assert set(OTHER) == set(rows())


def test_nothing_given_is_the_defaults():
    settings = resolve({}, {})
    assert settings == Settings()
    assert {name: getattr(settings, name) for name in rows()} == {
        name: default for name, (_, default, _) in rows().items()
    }


@pytest.mark.parametrize("name", OTHER)
def test_each_row_from_each_source(tmp_path, name):
    wanted = value_of(name)
    names = together(name)
    from_flags = resolve({one: value_of(one) for one in names}, {})
    from_environment = resolve({}, environment(*names))
    file = settings_file(tmp_path, "\n".join(toml(one) for one in names))
    for settings in (from_flags, from_environment, resolve({}, {}, file)):
        assert getattr(settings, name) == wanted
        assert type(getattr(settings, name)) is type(wanted)


def test_a_flag_beats_the_environment_beats_the_file(tmp_path):
    file = settings_file(tmp_path, "port = 1\nworkers = 1\nlease = 1")
    environ = {"TAPETUM_PORT": "2", "TAPETUM_WORKERS": "2"}
    settings = resolve({"port": 3}, environ, file)
    assert (settings.port, settings.workers, settings.lease) == (3, 2, 1.0)
    assert settings.host == Settings().host


def test_a_flag_of_zero_is_given():
    assert resolve({"port": 0}, {"TAPETUM_PORT": "2"}).port == 0


def test_what_a_program_gives_beats_the_environment_and_leaves_the_rest(tmp_path):
    file = settings_file(tmp_path, 'port = 1\nlease = 5.0\n[buckets]\n"gs://a" = "s3://b"')
    given = {"port": 3, "data_dir": tmp_path, "gallery_store": Path("galleries"), "shipped": False}
    settings = resolve({}, {"TAPETUM_PORT": "2"}, file, given)
    assert (settings.port, settings.lease, settings.data_dir) == (3, 5.0, tmp_path)
    assert (settings.gallery_store, settings.shipped) == ("galleries", False)
    assert settings.bucket_rules == (BucketRule("gs://a", "s3://b"),)
    given = {"buckets": {"gs://c": "s3://d", "folder": "e"}}
    settings = resolve({}, {}, file, given)
    assert settings.bucket_rules == (BucketRule("gs://c", "s3://d"),)
    assert settings.buckets_dir == Path("e")
    assert given == {"buckets": {"gs://c": "s3://d", "folder": "e"}}


@pytest.mark.parametrize("given", [{"port": Path("3")}, {"port": 8080.5}, {"prot": 1}])
def test_what_a_program_gives_is_checked(given):
    with pytest.raises(SettingsError, match=f"settings: .*{next(iter(given))}"):
        resolve({}, {}, None, given)


def test_the_environment_names_the_file_unless_a_flag_does(tmp_path):
    one = settings_file(tmp_path, "port = 1")
    other = tmp_path / "other.toml"
    other.write_text("port = 2")
    environ = {"TAPETUM_SETTINGS": str(one)}
    assert resolve({}, environ).port == 1
    assert resolve({}, environ, other).port == 2


def test_an_empty_variable_is_not_given():
    environ = {variable(name): "" for name in rows()} | {"TAPETUM_SETTINGS": ""}
    assert resolve({}, environ) == Settings()


WRONG = [
    ("host", ""),
    ("port", 65536),
    ("port", -1),
    ("grpc_port", 70000),
    ("http_port", -2),
    ("workers", -1),
    ("providers", "gpu"),
    ("providers", ""),
    ("precision", "half"),
    ("auth", "password"),
    ("auth", "none,jwt"),
    ("connections", 7),
    ("idle", 0.5),
    ("project", "a/b"),
    ("project", ""),
    ("web_fetch", "all"),
    ("web_hosts", "http://a/"),
    ("web_hosts", "*"),
    ("web_hosts", "a.*"),
    ("bucket_door", "yes"),
    ("insecure_listen", "1"),
    ("lease", 0.5),
    ("lease", math.inf),
    ("lease", math.nan),
    ("retention_days", -1.0),
    ("retention_days", math.nan),
    ("log_level", "loud"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_names_the_setting_and_its_source(tmp_path, name, value):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(SettingsError, match=f"^{flag} must"):
        resolve({name: value}, {})
    if value != "":
        with pytest.raises(SettingsError, match=f"^{variable(name)} must"):
            resolve({}, {variable(name): str(value)})
    text = f'"{value}"' if isinstance(value, str) else str(value)
    file = settings_file(tmp_path, f"{name} = {text}")
    with pytest.raises(SettingsError, match=rf"settings\.toml: {name} must"):
        resolve({}, {}, file)
    with pytest.raises(SettingsError, match=f"^{name} must"):
        Settings(**{name: value})


SWITCHES = [name for name in OTHER if rows()[name][0] is bool]


def switch_flags(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    flags.add_settings(parser, SWITCHES)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(
    ("text", "says"), [("on", True), ("true", True), ("OFF", False), ("False", False)]
)
def test_what_is_on_or_off_is_said_alike_everywhere(tmp_path, name, text, says):
    flag = f"--{name.replace('_', '-')}"
    assert getattr(flags.settings_of(switch_flags(flag, text)), name) is says
    assert getattr(resolve({}, {variable(name): text}), name) is says
    for spelled in (f'"{text}"', str(says).lower()):
        assert (
            getattr(resolve({}, {}, settings_file(tmp_path, f"{name} = {spelled}")), name) is says
        )


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_by_its_flag_alone_and_as_by_default_without(name):
    flag = f"--{name.replace('_', '-')}"
    assert getattr(flags.settings_of(switch_flags(flag)), name) is True
    assert getattr(flags.settings_of(switch_flags()), name) is rows()[name][1]


def test_what_is_neither_on_nor_off_is_a_wrong_flag(capsys):
    with pytest.raises(SystemExit):
        switch_flags("--shipped", "maybe")
    assert "argument --shipped: it must be on or off, not 'maybe'." in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in OTHER if rows()[name][0] in (int, float)])
def test_what_is_no_number_names_the_setting_and_its_source(tmp_path, name):
    with pytest.raises(SettingsError, match=f"^{variable(name)}: 'many' is not a valid"):
        resolve({}, {variable(name): "many"})
    for value in ("true", "[]", '"many"'):
        file = settings_file(tmp_path, f"{name} = {value}")
        with pytest.raises(SettingsError, match=rf"settings\.toml: {name}: .* is not a valid"):
            resolve({}, {}, file)


@pytest.mark.parametrize("line", ["port = 80.5", "data_dir = 5", "host = 7", "tls_cert = true"])
def test_a_file_value_of_the_wrong_type(tmp_path, line):
    with pytest.raises(SettingsError, match=rf"settings\.toml: {line.split()[0]}: .* not a valid"):
        resolve({}, {}, settings_file(tmp_path, line))


def test_fetching_from_listed_hosts_needs_a_list():
    with pytest.raises(SettingsError, match="web_fetch = listed needs web_hosts"):
        resolve({"web_fetch": "listed"}, {})
    settings = resolve({"web_fetch": "listed", "web_hosts": "a.example, *.b.example"}, {})
    assert settings.web_host_list == ("a.example", "*.b.example")


@pytest.mark.parametrize("name", TLS)
def test_certificate_and_key_go_together(name):
    with pytest.raises(SettingsError, match="tls_cert and tls_key go together"):
        resolve({}, environment(name))


def test_an_unknown_key_is_named_with_those_there_are(tmp_path):
    with pytest.raises(SettingsError, match=r"settings\.toml: .*'prot'.* there are host, port"):
        resolve({}, {}, settings_file(tmp_path, "prot = 8080"))


@pytest.mark.parametrize("content", [b"port = ", b'host = "\xff"'])
def test_a_file_that_is_not_toml(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.toml is not TOML"):
        resolve({}, {}, path)


def test_fetching_is_off_however_that_is_written(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("web_fetch = false")
    assert resolve({}, {}, file).web_fetch == "off"
    assert resolve({}, {}, given={"web_fetch": False}).web_fetch == "off"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"no\.toml cannot be read"):
        resolve({}, {}, tmp_path / "no.toml")


# --- [buckets] --------------------------------------------------------------------------------


def test_the_forms_of_a_bucket(tmp_path):
    settings = resolve(
        {},
        {},
        settings_file(
            tmp_path,
            """
            [buckets]
            folder = "/srv/buckets"
            "gs://scans" = "/mnt/scans"
            "gs://photos/" = "gs://photos"
            "gs://" = "gs://{bucket}"
            "s3://" = { url = "s3://{bucket}", endpoint = "http://127.0.0.1:9000", port = 9 }
            """,
        ),
    )
    assert settings.buckets_dir == Path("/srv/buckets")
    assert settings.bucket_rules == (
        BucketRule("gs://scans", "/mnt/scans"),
        BucketRule("gs://photos", "gs://photos"),
        BucketRule("gs://", "gs://{bucket}"),
        BucketRule("s3://", "s3://{bucket}", {"endpoint": "http://127.0.0.1:9000", "port": "9"}),
    )


def test_the_folder_of_buckets_from_elsewhere_wins(tmp_path):
    file = settings_file(tmp_path, '[buckets]\nfolder = "/from/file"')
    assert resolve({}, {"TAPETUM_BUCKETS": "/from/env"}, file).buckets_dir == Path("/from/env")
    assert resolve({"data_dir": Path("d")}, {}).buckets_dir == Path("d/buckets")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('photos = "/x"', "'photos': a bucket is written like gs://photos"),
        ('"gs://photos/2026" = "/x"', "'gs://photos/2026': a bucket is written like"),
        ('"gs://photos" = 5', "'gs://photos': give the store's URL"),
        ('"gs://photos" = { endpoint = "http://x" }', "'gs://photos': give the store's URL"),
        ("folder = 5", r"[buckets] folder: 5 is not a valid Path"),
    ],
)
def test_a_wrong_bucket_is_named(tmp_path, line, said):
    with pytest.raises(SettingsError, match=re.escape(said)):
        resolve({}, {}, settings_file(tmp_path, f"[buckets]\n{line}"))


def test_buckets_is_a_table(tmp_path):
    with pytest.raises(SettingsError, match="is a table"):
        resolve({}, {}, settings_file(tmp_path, 'buckets = "/srv"'))


# --- worker_count -----------------------------------------------------------------------------


def test_no_workers_means_one_per_core():
    assert Settings(workers=5).worker_count == 5
    assert 1 <= Settings().worker_count <= (os.cpu_count() or 1)


# --- docs/settings.md -------------------------------------------------------------------------


def documented_row(name: str) -> str:
    _, default, help = rows()[name]
    if isinstance(default, bool):
        default = "on" if default else "off"
    shown = "none" if default is None else f"`{default}`"
    flag = f"--{name.replace('_', '-')}"
    return f"| `{name}` | `{flag}` | `{variable(name)}` | {shown} | {help} |"


def test_the_page_has_a_row_for_every_setting_and_no_other():
    shown = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert shown == [documented_row(name) for name in rows()]


EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_on_the_page_can_be_used(tmp_path, example):
    key_file = tmp_path / "service-account.json"
    example = example.replace("/etc/tapetum/service-account.json", str(key_file))
    settings = resolve({}, {}, settings_file(tmp_path, example))
    assert settings.bucket_rules or tomllib.loads(example).keys() - {"buckets"}
    for rule in settings.bucket_rules:
        if "service_account" in rule.options:
            # A key file would have to hold a real key: it is enough that it is looked for.
            with pytest.raises(SettingsError, match="Unable to open service account file"):
                CloudStore(rule.url, rule.options)
        elif "://" in rule.url:
            CloudStore(rule.url.replace("{bucket}", "photos"), rule.options)


def test_the_page_covers_each_kind_of_store():
    text = "".join(EXAMPLES)
    wanted = ('"gs://" = "gs://{bucket}"', "base_url", "s3://{bucket}", "endpoint", "az://{bucket}")
    for part in (*wanted, "account_name"):
        assert part in text


# --- [gallery_store] --------------------------------------------------------------------------


def test_the_forms_of_a_gallery_store(tmp_path):
    assert resolve({"data_dir": Path("d")}, {}).gallery_place == "d/galleries.sqlite"
    file = settings_file(tmp_path, 'gallery_store = "postgresql:///g"')
    assert resolve({}, {}, file).gallery_place == "postgresql:///g"
    text = '[gallery_store]\nurl = "s3://b/g"\nendpoint = "http://e"\nport = 5\n'
    settings = resolve({}, {}, settings_file(tmp_path, text))
    assert settings.gallery_place == "s3://b/g"
    assert settings.gallery_options == {"endpoint": "http://e", "port": "5"}


def test_a_gallery_store_without_a_url(tmp_path):
    file = settings_file(tmp_path, '[gallery_store]\nendpoint = "http://e"')
    with pytest.raises(SettingsError, match=r"\[gallery_store\]: give the store's URL"):
        resolve({}, {}, file)
