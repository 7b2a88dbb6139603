"""The example programs, run against a server, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
NODE = CLIENTS / "node"
JAVA = CLIENTS / "java" / "target"

#: Cells of the page's tables: (table, row, column) → whether the test passed.
RESULTS: dict[tuple[str, str, str], bool] = {}


@dataclass
class Program:
    """One of the example programs with one transport, and what its commands have said."""

    name: str
    arguments: Callable[[str], list[str]]
    commands: tuple[str, ...] = ()
    attach: str = "--attach"
    said: dict[str, dict] = field(default_factory=dict)
    errors: str = ""

    def run(self, server, *commands: str) -> None:
        """Run ``commands`` in one process and keep the lines they print."""
        environment = {**os.environ, "STORAGE_EMULATOR_HOST": server.url}
        said, errors = self.asked(server.address, environment, *commands)
        self.said |= said
        self.errors += errors

    def asked(
        self, address: str, environment: dict[str, str], *commands: str
    ) -> tuple[dict[str, dict], str]:
        """What ``commands`` say in one process, and what else is in its way."""
        result = subprocess.run(
            [*self.arguments(address), *commands],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        facts = [json.loads(line) for line in result.stdout.splitlines()]
        return {one.pop("command"): one for one in facts}, result.stderr

    def of(self, server, command: str) -> dict:
        """What ``command`` said. All commands run at the first question."""
        if not self.said and not self.errors:
            self.run(server)
        assert command in self.said, self.errors
        return self.said[command]


def _python(*arguments: str) -> Callable[[str], list[str]]:
    script, *rest = arguments
    program = str(CLIENTS / "python" / script)
    return lambda address: [sys.executable, program, "--server", address, *rest]


def _node(transport: str) -> Callable[[str], list[str]]:
    program = ["node", str(NODE / "client.js"), "--transport", transport]
    return lambda address: [*program, "--server", address]


def _java(transport: str) -> Callable[[str], list[str]]:
    path = f"{JAVA / 'classes'}{os.pathsep}{JAVA / 'dependency'}{os.sep}*"
    # One short program: the second compiler costs more than it brings.
    program = ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "Client"]
    return lambda address: [*program, address, transport]


PROGRAMS = {
    program.name: program
    for program in (
        Program("Python gRPC", _python("client.py", "--transport", "grpc")),
        Program("Python REST", _python("client.py", "--transport", "rest")),
        Program("Python asyncio", _python("asyncio_client.py")),
        Program("Node.js gRPC", _node("grpc")),
        Program("Node.js REST", _node("fallback")),
        Program("Java gRPC", _java("grpc"), attach="attach"),
        Program("Java REST", _java("httpjson"), attach="attach"),
    )
}


def _missing(name: str) -> str:
    """Why the program cannot run here; empty if it can."""
    if name.startswith("Node.js"):
        if shutil.which("node") is None:
            return "node is not installed"
        return "" if (NODE / "node_modules").is_dir() else "make test-clients installs its packages"
    if name.startswith("Java"):
        if shutil.which("java") is None:
            return "java is not installed"
        is_built = (JAVA / "classes" / "Client.class").exists() and (JAVA / "dependency").is_dir()
        return "" if is_built else "make test-clients compiles it, with Maven and a JDK of 17 or up"
    return ""


@pytest.fixture(scope="session", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Program:
    name = request.param
    if missing := _missing(name):
        variable = f"TAPETUM_REQUIRE_{name.partition('.')[0].partition(' ')[0].upper()}"
        if os.environ.get(variable):
            pytest.fail(f"{variable} is set, but {missing}")
        pytest.skip(f"{name}: {missing}")
    return PROGRAMS[name]


@pytest.fixture(scope="session")
def buckets(server, photos: Path):
    """gs://photos and gs://results, as the programs expect them."""
    for file in (*photos.glob("*.jpg"), CLIENTS / "pages.pdf"):
        shutil.copy(file, server.bucket("photos"))
    server.bucket("results")
    return server


Cell = Callable[..., None]


@pytest.fixture
def cell(record_property) -> Cell:
    """Says which cell of the page's tables the test is about."""

    def note(table: str, row: str, column: str) -> None:
        record_property("cell", (table, row, column))

    return note


@pytest.fixture
def row(cell: Cell) -> Cell:
    """Says which row of what is refused the test is about."""

    def note(text: str, level: str, code: int) -> None:
        cell("validation", text, f"{level} {code}")

    return note


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "cell":
                RESULTS[value] = RESULTS.get(value, True) and report.passed


@pytest.fixture
def results() -> dict[tuple[str, str, str], bool]:
    """The cells known so far."""
    return RESULTS
