"""schemathesis over what the REST door says of itself in ``/v1/openapi.json``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

#: Apart from the other dependencies, as it is only wanted here; it comes from an index.
TOOL = "schemathesis==4.32.5"
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


def run(address: str, seconds: int) -> bool:
    """Ask every path in ways that its schemas allow and do not; whether no answer was a 5xx or
    another than the schemas say, and none took longer than five seconds."""
    uv = Path(sys.executable).with_name("uv")
    command = [
        uv, "tool", "run", "--quiet", "--from", TOOL, "schemathesis", "run",
        f"http://{address}/v1/openapi.json", "--checks", CHECKS, "--phases", "coverage,fuzzing",
        "--max-time", str(seconds), "--max-response-time", "5", "--continue-on-failure",
        "--seed", "1", "--no-color", "--warnings", "off",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # for what it would leave behind
        return subprocess.run(command, cwd=folder, check=False).returncode == 0
