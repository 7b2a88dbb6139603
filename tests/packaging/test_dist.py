"""What is in the wheel and in the source archive, and what is not."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
#: Indexes of packages take no larger file without being asked.
LARGEST = 100_000_000


def tracked(folder: str = ".") -> set[str]:
    """What git knows, or would if it were added."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others"]
    listed = subprocess.run(
        [*command, "--exclude-standard", "--", folder], check=True, capture_output=True, text=True
    )
    return {name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).exists()}


def test_the_wheel_is_the_package_and_its_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    about = f"{wheel.name.split('-py3-')[0]}.dist-info"
    assert {name for name in names if name.startswith(about)} == {
        f"{about}/{name}"
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "licenses/NOTICE",
        )
    }
    package = {name.removeprefix("src/") for name in tracked("src/tapetum")}
    assert {name for name in names if not name.startswith(about)} == package
    assert "tapetum/py.typed" in package
    assert wheel.stat().st_size < LARGEST


def test_the_wheel_says_the_version_and_what_it_needs(wheel: Path) -> None:
    about = f"{wheel.name.split('-py3-')[0]}.dist-info"
    metadata = zipfile.ZipFile(wheel).read(f"{about}/METADATA").decode()
    # Of an editable install the version may be some commits old.
    assert f"\nVersion: {wheel.name.split('-')[1]}\n" in metadata
    assert wheel.name.startswith("tapetum-")
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "\nRequires-Dist: onnxruntime" in metadata
    assert not [line for line in metadata.splitlines() if "pytest" in line]


def test_from_the_source_archive_one_can_carry_on(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert names == tracked() | {"PKG-INFO"}
    assert sdist.stat().st_size < LARGEST
