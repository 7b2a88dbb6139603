"""The example programs of Node.js and Java against a server that asks, over TLS, with an API key.

Python's client is asked in tests/door/test_identity.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tapetum.identity.api_keys import ApiKeys
from tapetum.identity.certificates import write_certificates

pytestmark = pytest.mark.slow
SETTINGS = """
auth = "api-key"

[projects.alpha]
buckets = ["gs://photos", "gs://results"]

[principals.alice]
project = "alpha"
"""


@pytest.fixture(scope="session")
def guarded(tmp_path_factory, new_server, photos) -> Iterator[tuple[str, dict[str, str]]]:
    """The address, and the environment of those who may come in."""
    folder = tmp_path_factory.mktemp("guarded")
    files = write_certificates(folder / "tls", ["localhost"])
    (folder / "settings.toml").write_text(SETTINGS)
    key, _ = ApiKeys(folder / "data" / "api-keys.json").make("alice")
    running = new_server(
        folder / "data",
        "--settings", str(folder / "settings.toml"),
        "--tls-cert", str(files.server), "--tls-key", str(files.server_key),
    )  # fmt: skip
    for name in ("cat.jpg", "dog.jpg"):
        shutil.copy(photos / name, running.bucket("photos"))
    running.bucket("results")
    java = f"-Djavax.net.ssl.trustStore={folder / 'tls' / 'ca.p12'} " + (
        "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit"
    )
    trusted = {
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(files.authority),
        "NODE_EXTRA_CA_CERTS": str(files.authority),
        "JAVA_TOOL_OPTIONS": java,
        "TAPETUM_API_KEY": key,
    }
    yield running.address.replace("127.0.0.1", "localhost"), trusted
    running.kill()


@pytest.fixture
def asked(program, guarded):
    """Asks a program of Node.js or Java, with other variables if need be."""
    if not program.name.startswith(("Node.js", "Java")):
        pytest.skip("tests/door/test_identity.py asks Python's client")
    address, environment = guarded

    def ask(*commands: str, **others: str):
        said, errors = program.asked(address, {**os.environ, **environment, **others}, *commands)
        assert set(said) == set(commands), errors
        return said

    return ask


def test_with_tls_and_a_key(asked):
    said = asked("sync", "start")
    assert said["sync"]["colours"] == 10
    assert said["start"]["name"].startswith("projects/alpha/operations/")


def test_with_a_wrong_key(asked):
    code = asked("unknown", TAPETUM_API_KEY="tapetum_wrong")["unknown"]["code"]
    assert code in (16, 401, "UNAUTHENTICATED")
