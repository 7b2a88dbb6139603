"""Remake ``symbols.npz``: the keypoints of the icons of simple-icons, and their projection.

``python tools/galleries/symbols.py --simple-icons DIR --iconify DIR``, with Tapetum installed: the
unpacked npm packages simple-icons 16.37.0 and @iconify-json/logos 1.2.19 (``npm pack``). Each icon
is drawn once, black on white; only numbers are kept.

Taken are icons without a licence of their own or under one that asks for no more than a notice, of
brands that are in ``brand_names.txt``, have a logo in the other set, or publish guidelines for
theirs; and of these the ones with enough keypoints to be found by.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from tapetum.detectors.glyphs import projected, rooted
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped import brands, glyphs
from tapetum.imaging.drawing import rendered
from tapetum.signals.keypoints import LocalFeatures

LICENCES = {None, "CC0-1.0", "MIT", "Apache-2.0", "BSD-3-Clause", "MPL-2.0", "Unlicense"}
#: Keypoints: icons with fewer are left out; the best ones are kept.
LEAST, MOST = 15, 60

INSIDE = 218  # pixels of the icon, without the margin
INK = 20  # grey level


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simple-icons", type=Path, required=True, metavar="DIR")
    parser.add_argument("--iconify", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    wanted = _wanted(options.iconify)
    names, points, described = [], [], []
    table = json.loads((options.simple_icons / "data/simple-icons.json").read_text("utf-8"))
    known = brands.Brands.packaged()
    for row in table:
        name, licence = row["title"], row.get("license", {}).get("type")
        spelling = brands.key(name)
        is_wanted = spelling in wanted or row["slug"] in wanted or "guidelines" in row
        if licence not in LICENCES or not is_wanted:
            continue
        found, numbers = rooted(_drawn(options.simple_icons / f"icons/{row['slug']}.svg"), 400)
        if len(found) >= LEAST:
            brand = known.named(name)
            names.append(brand[0].name if brand and brands.key(brand[0].name) == spelling else name)
            points.append(found)
            described.append(numbers)
    basis = _basis(np.concatenate([some[:200] for some in described]))
    size = (INSIDE + 2 * glyphs.MARGIN, INSIDE + 2 * glyphs.MARGIN)
    blobs = [
        np.frombuffer(packed(LocalFeatures(p, projected(d, basis), size), MOST), np.uint8)
        for p, d in zip(points, described, strict=True)
    ]
    target = Path(glyphs.__file__).with_name("symbols.npz")
    np.savez_compressed(
        target,
        names=np.frombuffer("\n".join(names).encode(), np.uint8),
        features=np.concatenate(blobs),
        lengths=np.array([len(blob) for blob in blobs]),
        basis=basis,
    )
    print(f"{target}: {len(names)} symbols, {target.stat().st_size / 1e6:.1f} MB")


def _wanted(iconify: Path) -> set[str]:
    icons = json.loads((iconify / "icons.json").read_text("utf-8"))["icons"]
    lines = Path(__file__).with_name("brand_names.txt").read_text("utf-8").splitlines()
    best_known = {brands.key(line.split("|")[0]) for line in lines if not line.startswith("#")}
    return (best_known | {brands.key(icon.removesuffix("-icon")) for icon in icons}) - {""}


def _drawn(path: Path) -> np.ndarray:
    """The icon at 218 pixels, dark on white, with a margin: ``uint8[282, 282]``."""
    png = np.frombuffer(rendered(path.read_bytes()), np.uint8)
    ink = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)[..., 3]
    ink = cv2.resize(ink, (INSIDE, INSIDE), interpolation=cv2.INTER_AREA)
    ink = cv2.copyMakeBorder(ink, *[glyphs.MARGIN] * 4, cv2.BORDER_CONSTANT, value=0)
    return (255 - ink.astype(np.float32) * (255 - INK) / 255).round().astype(np.uint8)


def _basis(described: np.ndarray) -> np.ndarray:
    """``float32[129, 64]``: the principal components, and in the last row what centres them."""
    mean = described.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((described - mean).T))
    components = vectors[:, ::-1][:, :64]
    # The sign of a component is arbitrary: fixed, so that the file is the same on every machine.
    components = components * np.sign(components[np.abs(components).argmax(axis=0), range(64)])
    return np.concatenate([components, -(mean @ components)[np.newaxis]]).astype(np.float32)


if __name__ == "__main__":
    main()
