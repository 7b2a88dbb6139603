"""``tapetum certs``: certificates for TLS, and how each client comes to trust them."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import Any

from tapetum.cli import ExitCode
from tapetum.identity.certificates import TRUST_STORE_PASSWORD, CertificateFiles, write_certificates


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "certs",
        help="make certificates for TLS",
        description="Write a certificate authority and a server certificate signed by it into "
        "FOLDER, and print what the server and each client need. Run again, it keeps the "
        "authority and renews the server's certificate.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where they are written")
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME",
        help="a name or address the server is called by, beside localhost and this machine's "
        "name; may be repeated (vision.googleapis.com for programs that cannot be told another)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the files and print the lines to paste."""
    own = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    files = write_certificates(options.folder.resolve(), [*options.host, *own])
    print(_lines(files))  # noqa: T201
    return ExitCode.OK


def _lines(files: CertificateFiles) -> str:
    java = (
        f"-Djavax.net.ssl.trustStore={files.trust_store} -Djavax.net.ssl.trustStoreType=PKCS12 "
        f"-Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}"
    )
    return f"""\
# the server
tapetum serve --tls-cert {files.server} --tls-key {files.server_key}

# Python and Node.js over gRPC
export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={files.authority}
# Python over REST
export REQUESTS_CA_BUNDLE={files.authority}
# Node.js over REST
export NODE_EXTRA_CA_CERTS={files.authority}
# Java
export JAVA_TOOL_OPTIONS="{java}"

# Clients need {files.authority.name} (Java: {files.trust_store.name}). {files.authority_key.name}
# signs certificates that they will believe: keep it away from the server and from everybody."""
