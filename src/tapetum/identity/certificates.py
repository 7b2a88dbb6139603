"""A certificate authority of one's own, and a server's certificate signed by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tapetum.errors import SettingsError
from tapetum.identity.secret_files import PRIVATE, PUBLIC, replace

AUTHORITY_DAYS = 3650
#: Longer than this, some clients refuse a server's certificate.
SERVER_DAYS = 825
#: A Java trust store must have a password. It holds nothing secret.
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105

_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\.?")
#: Clocks of clients may be behind.
_BEFORE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """What lies in the folder: PEM files, and the authority's certificate for Java."""

    folder: Path

    @property
    def authority(self) -> Path:
        """What clients trust."""
        return self.folder / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """What signs; the server does not need it."""
        return self.folder / "ca-key.pem"

    @property
    def server(self) -> Path:
        """The server's certificate, for ``--tls-cert``."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The server's key, for ``--tls-key``."""
        return self.folder / "server-key.pem"

    @property
    def trust_store(self) -> Path:
        """`authority` as a PKCS#12 trust store."""
        return self.folder / "ca.p12"


def write_certificates(folder: Path, hosts: list[str]) -> CertificateFiles:
    """Certificates for ``hosts`` (names and addresses) in ``folder``, which is made private.

    An authority that is there already is kept, so that clients which trust it go on doing so, and
    only the server's certificate is new. Raises `SettingsError`.
    """
    names = [_general_name(host) for host in dict.fromkeys(hosts)]
    files = CertificateFiles(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if files.authority.exists() and files.authority_key.exists():
            authority, authority_key = _read_authority(files)
        else:
            authority, authority_key = _make_authority()
            replace(files.authority_key, _key_pem(authority_key), PRIVATE)
            replace(files.authority, authority.public_bytes(Encoding.PEM), PUBLIC)
        server, server_key = _make_server(names, hosts[0], authority, authority_key)
        replace(files.server_key, _key_pem(server_key), PRIVATE)
        replace(files.server, server.public_bytes(Encoding.PEM), PUBLIC)
        replace(files.trust_store, _java_trust_store(authority), PUBLIC)
    except OSError as error:
        raise SettingsError(f"The certificates cannot be written: {error}.") from error
    return files


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise SettingsError(f"--host {host!r} is neither a host name nor an address.")
    return x509.DNSName(host)


def _make_authority() -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tapetum certificate authority")])
    made = (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


def _make_server(
    names: list[x509.GeneralName], shown: str, authority: x509.Certificate, authority_key: Any
) -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown[:64])])
    issuer_key = authority_key.public_key()
    made = (
        _builder(subject, authority.subject, key, SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    return made, key


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: int) -> Any:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_authority(files: CertificateFiles) -> tuple[x509.Certificate, Any]:
    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        key: Any = load_pem_private_key(files.authority_key.read_bytes(), None)
        fits = authority.public_key() == key.public_key()
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"{files.authority} and {files.authority_key} cannot be read: {error}."
        ) from error
    if not fits:
        raise SettingsError(f"{files.authority_key} is not the key of {files.authority}.")
    if authority.not_valid_after_utc < datetime.now(UTC) + timedelta(days=SERVER_DAYS):
        raise SettingsError(
            f"{files.authority} ends before a new certificate would; move it away to make another."
        )
    return authority, key


def _java_trust_store(authority: x509.Certificate) -> bytes:
    entry = pkcs12.PKCS12Certificate(authority, b"tapetum")
    encryption = BestAvailableEncryption(TRUST_STORE_PASSWORD.encode())
    return pkcs12.serialize_java_truststore([entry], encryption)


def _key_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem
