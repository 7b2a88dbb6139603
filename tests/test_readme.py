"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tapetum import wiring
from tapetum.vision import messages

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_client_program_runs(start_server, photos, tmp_path):
    server = start_server()
    shutil.copy(photos / "cat.jpg", server.bucket("my-photos"))
    results = server.bucket("my-results")
    [program, _] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "127.0.0.1:8080" in program
    program = program.replace("127.0.0.1:8080", server.address)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=True
    )
    assert ran.stdout.strip() == "gs://my-results/run-1/"
    assert [path.name for path in (results / "run-1").iterdir()] == ["output-1-to-1.json"]


def test_the_table_of_features_says_what_works():
    table = README.partition("## The eleven features")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "_" in row]
    working = {row.split("|")[1].strip() for row in rows if row.split("|")[2].startswith(" works")}
    names = {messages.Feature.Type.Name(feature.type) for feature in wiring.features()}
    assert working == names
    known = set(messages.Feature.Type.keys()) - {"TYPE_UNSPECIFIED", "PRODUCT_SEARCH"}
    assert {name for row in rows for name in re.findall(r"[A-Z]+_[A-Z_]+", row)} >= known


PAGES = sorted(
    str(page.relative_to(ROOT)) for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert ((ROOT / page).parent / link).exists(), link


def test_the_demo_runs():
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py")],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Output prefix: gs://demo/results/" in ran.stdout
    assert "cat.jpg" in ran.stdout


def test_every_example_photo_is_credited():
    credits = (ROOT / "examples" / "LICENSES.md").read_text()
    photos = [path.name for path in (ROOT / "examples" / "photos").iterdir()]
    assert 8 <= len(photos) <= 12
    assert all(name in credits for name in photos)
