"""The symbols of brands that ship, as keypoints: `symbols.npz`, made by
``tools/galleries/symbols.py``. No icon can be drawn from it.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from tapetum.gallery.matching.local_features import unpacked
from tapetum.signals.keypoints import LocalFeatures

#: Pixels of white around each icon, whose keypoints lie partly in it.
MARGIN = 32


def load() -> list[tuple[str, LocalFeatures]]:
    """The name and the keypoints of each symbol, as `tapetum.detectors.glyphs` makes them."""
    with files(__package__).joinpath("symbols.npz").open("rb") as file:
        numbers = dict(np.load(file))
    ends = np.cumsum(numbers["lengths"])
    blobs = np.split(numbers["features"], ends[:-1])
    names = bytes(numbers["names"]).decode().split("\n")
    features = (unpacked(blob.tobytes()) for blob in blobs)
    return list(zip(names, features, strict=True))
