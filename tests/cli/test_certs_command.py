"""``tapetum certs``."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from tapetum.cli import ExitCode


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_files_and_the_lines(run, tmp_path):
    ran = run("certs", "tls", "--host", "vision.googleapis.com", "--host", "10.1.2.3")
    assert ran.code == ExitCode.OK, ran.err
    folder = tmp_path / "tls"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {
        "ca.pem": 0o644, "ca.p12": 0o644, "server.pem": 0o644,
        "ca-key.pem": 0o600, "server-key.pem": 0o600,
    }  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700
    for line in (
        f"tapetum serve --tls-cert {folder}/server.pem --tls-key {folder}/server-key.pem",
        f"export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={folder}/ca.pem",
        f"export REQUESTS_CA_BUNDLE={folder}/ca.pem",
        f"export NODE_EXTRA_CA_CERTS={folder}/ca.pem",
    ):
        assert line in ran.out
    assert re.search(rf"-Djavax\.net\.ssl\.trustStore={folder}/ca\.p12 ", ran.out)
    assert "PRIVATE" not in ran.out

    names = certificate(folder / "server.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {"vision.googleapis.com", "localhost"} <= set(
        names.value.get_values_for_type(x509.DNSName)
    )
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert {ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("::1")} <= set(addresses)
    store = pkcs12.load_pkcs12((folder / "ca.p12").read_bytes(), b"changeit")
    assert store.additional_certs[0].certificate == certificate(folder / "ca.pem")


def test_again_it_keeps_the_authority_and_renews_the_server(run, tmp_path):
    run("certs", "tls")
    authority = certificate(tmp_path / "tls" / "ca.pem")
    first = certificate(tmp_path / "tls" / "server.pem")
    assert run("certs", "tls").code == ExitCode.OK
    second = certificate(tmp_path / "tls" / "server.pem")
    assert certificate(tmp_path / "tls" / "ca.pem") == authority
    assert first != second
    for one in (first, second):
        one.verify_directly_issued_by(authority)


@pytest.mark.parametrize("host", ["", "a b", "-x", "a" * 300, "http://x", "a" * 40 + "!"])
def test_a_wrong_host_is_named(run, host):
    ran = run("certs", "tls", f"--host={host}")
    assert ran.code == ExitCode.FAILED
    assert repr(host) in ran.err


def test_an_authority_that_cannot_be_read_is_not_written_over(run, tmp_path):
    run("certs", "tls")
    (tmp_path / "tls" / "ca-key.pem").write_text("no key")
    ran = run("certs", "tls")
    assert ran.code == ExitCode.FAILED
    assert "ca-key.pem" in ran.err
    assert (tmp_path / "tls" / "ca-key.pem").read_text() == "no key"


def test_a_folder_that_cannot_be_made_is_said(run, tmp_path):
    (tmp_path / "file").write_text("")
    ran = run("certs", "file/tls")
    assert ran.code == ExitCode.FAILED
    assert "Traceback" not in ran.err
