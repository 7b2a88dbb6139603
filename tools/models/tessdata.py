"""Rebuild the ``.traineddata`` files under ``weights/tessdata/`` from pinned Debian packages.

``python tools/models/tessdata.py --output DIR [--packages DIR]``

Needs ``apt-get`` and ``dpkg-deb``, on Debian 12 or with its package source, and nothing of
``requirements.txt``. The packages are fetched, checked and opened, never installed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

MANIFEST = Path(__file__).parents[2] / "src/tapetum/models/manifest.toml"
#: Of every package: Debian's packages of tessdata_fast 4.1.0.
VERSION = "1:4.1.0-2"
FOLDER = "usr/share/tesseract-ocr/5/tessdata"

#: The model's name, with which the package's ends (``tesseract-ocr-kor``), and the SHA-256 of the
#: package.
PACKAGES = {
    "kor": "2440d76b2c1570d7b42bc18dd2cc2f7b1a0e706e823dae9548358cc9bfb39701",
    "rus": "115f30363bacd85ba48f1e4d038f3d942e6d2afe271198ea3204bbf67ab2d3f1",
    "ukr": "fb4f49c5866bf0d4ded9682f5a9fef484969f08ea399272d3d78fc8626e6af5d",
    "bul": "73be0cf3fe9e2dd5f4371012c2cfa704b0b56c56550ee4a11addaa440bc108b3",
    "srp": "7d4df5e6b193799f27b94c8008dcbbb35686a921882c38c2f6156c3c952ca11d",
    "bel": "5d2255273155d6eed7fb344672c90336aa6f2afc605cc95218957cb3dd6a8431",
    "ell": "d91e67c44817946d8109f85b8b3488e7c272d0a085e140629ec914ef9787fdd1",
    "ara": "31a6f57b04f92cfc17e2e3434ab48ae88e4f261e95c6dd6c649984ef7029f6fb",
    "fas": "0252cd44f2522c1524c56fece2eaa4fdb81bf08b2c70517eb082b2cced252d78",
    "urd": "1f5403160d11cf72603cf84811b31f9ed0b8705e004974093ae455542e3eb0b7",
    "heb": "3cdd4dc3a148dba3aa9c85922d2060922c35fdaf4fce1b805ac7d06a48ba3292",
    "hin": "5a68e8761de9e054e6450c0beab918650e802c03124c816acaf9693d33dabd89",
    "nep": "1ab4bf582b1fa332f39d808995907cc7e0884cf6cefb05771bf897b5500a247e",
    "ben": "aa1444f80c1dfc27e42f152442332b57413e2f48fd0626c9dc205a76a0338729",
    "tha": "cd9a924bec82efcf612a2bd7661ff99d219c998cdce6541e568cde939007a81f",
    "vie": "1ba3dcd144d65d0f4cf7b8cb87a29b7ba35746f830261074942d38fe07404da3",
    "tam": "ddb1ada253912afc35f15c134c8570f6a9fae41067c9861e11dc9e16188097bb",
    "tel": "0b5deb6d45776678d9129d6b5e6c469c90ae37f6a05e81ee8e7a4307ba7cf492",
    "guj": "ff528e0a224d7a56d0fa5ba66c759bb50d1813cc071c1954a557bce67a808799",
    "pan": "cd113282000b94eed0f8950d5fa5b60a8c9b29a8fe27752947f4beaaa135c50e",
    "khm": "62af3aa91b31717eec1e38f66cec36149a20703d56a91111a650100c63bc7d67",
    "sin": "e4a913099c89a8802594e4082071e22df0722835d0f15f7ec9b0479cc9eb2b46",
}


class RecipeError(Exception):
    """A rebuild went wrong: a download or a hash does not agree."""


def download(models: list[str], directory: Path) -> None:
    """Fetch the packages of ``models`` into ``directory`` with apt."""
    wanted = [f"tesseract-ocr-{model}={VERSION}" for model in models]
    subprocess.run(["apt-get", "download", "-qq", *wanted], cwd=directory, check=True)


def extract(model: str, packages: Path) -> bytes:
    """The file of ``model`` in its package, which lies in ``packages``."""
    (package,) = packages.glob(f"tesseract-ocr-{model}_*.deb")
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != PACKAGES[model]:
        raise RecipeError(f"{package.name} has sha256 {found}, expected {PACKAGES[model]}.")
    with tempfile.TemporaryDirectory() as opened:
        subprocess.run(["dpkg-deb", "--extract", str(package), opened], check=True)
        return Path(opened, FOLDER, f"{model}.traineddata").read_bytes()


def write(model: str, content: bytes, directory: Path) -> Path:
    """Write the file of ``model``. Raises `RecipeError`, after writing, when its hash is not that
    of the manifest."""
    rows = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["weight"]
    row = next(row for row in rows if row["name"] == f"tesseract-{model}")
    path = directory / Path(row["file"]).name
    directory.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    if found != row["sha256"]:
        raise RecipeError(f"{path} has sha256 {found}, the manifest says {row['sha256']}.")
    return path


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="packages at hand")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as downloads:
        packages = options.packages or Path(downloads)
        try:
            if options.packages is None:
                download(list(PACKAGES), packages)
            for model in PACKAGES:
                path = write(model, extract(model, packages), options.output)
                print(f"{path} is the file of the manifest")
        except (RecipeError, OSError, ValueError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
