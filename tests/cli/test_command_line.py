"""The command line as a whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tapetum
from tapetum.cli import ExitCode
from tapetum.settings import rows


def test_the_version(run_process):
    ran = run_process("--version")
    assert (ran.code, ran.out) == (ExitCode.OK, f"tapetum {tapetum.__version__}\n")


def test_help_names_every_command(run):
    ran = run("--help")
    assert ran.code == ExitCode.OK
    for command in ("serve", "annotate", "models"):
        assert f"\n    {command} " in ran.out


def test_the_help_of_annotate_documents_each_exit_code(run):
    ran = run("annotate", "--help")
    assert ran.code == ExitCode.OK
    text = " ".join(ran.out.partition("exit codes:")[2].split())
    documented = {int(part.split()[0]) for part in text.split(";")}
    assert documented == {code.value for code in ExitCode}


def test_serve_takes_every_setting_and_says_its_default(run):
    ran = run("serve", "--help")
    text = " ".join(ran.out.split())
    for name, (_, default, help) in rows().items():
        assert f"--{name.replace('_', '-')} " in text
        assert " ".join(help.split()) in text
        if isinstance(default, bool):
            assert f"{help} (default: {'on' if default else 'off'})" in text
        elif default:
            assert f"(default: {default})" in text


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["serve", "--port", "x"]])
def test_what_cannot_be_understood_is_a_usage_error(run, arguments):
    ran = run(*arguments)
    assert ran.code == ExitCode.USAGE
    assert "usage: tapetum" in ran.err


def test_a_port_that_is_taken_is_said_in_a_sentence(run_process):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_process("serve", "--port", port, "--data-dir", "data")
    assert ran.code == ExitCode.FAILED
    assert f"tapetum: Cannot listen on 127.0.0.1:{port}: " in ran.err
    assert "Traceback" not in ran.err


def test_a_data_folder_that_cannot_be_made_is_said_in_a_sentence(run):
    Path("file").touch()
    ran = run("serve", "--port", 0, "--data-dir", "file/data")
    assert ran.code == ExitCode.FAILED
    assert ran.err.startswith("tapetum: ")
    assert "Not a directory" in ran.err
    assert "file/data" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_well_on_a_signal(number):
    command = [sys.executable, "-m", "tapetum", "serve", "--port", "0", "--data-dir", "data"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("tapetum is ready on http://127.0.0.1:")
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == ExitCode.OK, err
    assert "Traceback" not in err


def test_settings_reach_a_command_from_the_environment(run, put, monkeypatch):
    put("a.jpg")
    monkeypatch.setitem(os.environ, "TAPETUM_DATA_DIR", "from-environment")
    bucket = Path("from-environment/buckets/bucket")
    bucket.mkdir(parents=True)
    run("annotate", "a.jpg", "--features", "IMAGE_PROPERTIES", "--output", "gs://bucket/")
    assert [file.name for file in bucket.iterdir()] == ["output-1-to-1.json"]


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("3", "3")])
def test_linear_algebra_has_one_thread_unless_told_otherwise(given, kept):
    """It is read as NumPy is imported, so it must be set before."""
    program = (
        "import os, sys; from tapetum.cli import main; assert 'numpy' not in sys.modules\n"
        "main(['models']); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == kept
