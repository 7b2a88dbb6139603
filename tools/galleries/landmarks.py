"""Remake ``landmarks.npz`` from the photographs that ``landmarks.csv`` names.

``python tools/galleries/landmarks.py FOLDER``, with Tapetum installed. FOLDER holds the pictures,
which are those of the Debian package gcompris-qt-data 3.1-2 (rcc/explore_monuments.rcc and, with
``__2`` in their names, rcc/categorization.rcc). They are not kept: what ships is numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from tapetum.gallery import unit
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped import landmarks
from tapetum.imaging.decoding import decode
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints

#: Kept of each picture: 68 kB. On the development set no answer is lost to the other 500.
KEYPOINTS = 1000


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cv2.setNumThreads(1)
    sessions = Sessions(Manifest.packaged())
    keypoints, embedder = (packs.maker_of(kind, sessions) for kind in (Keypoints, Embedding))
    if embedder.model != landmarks.MODEL:
        raise SystemExit(f"Say in landmarks.py first that MODEL is {embedder.model}.")
    embeddings, blobs, sizes = [], [], []
    for row in landmarks.rows():
        content = (folder / row["picture"]).read_bytes()
        picture = decode(content, lambda w, h: max(d.max_side(w, h) for d in (keypoints, embedder)))
        [local], [embedding] = keypoints.detect([picture]), embedder.embed([picture])
        embeddings.append(unit(embedding.vector))
        blobs.append(np.frombuffer(packed(local.features, KEYPOINTS), dtype=np.uint8))
        sizes.append((picture.width, picture.height))
    target = Path(landmarks.__file__).with_name("landmarks.npz")
    np.savez_compressed(
        target,
        embeddings=np.stack(embeddings),
        features=np.concatenate(blobs),
        lengths=np.array([len(blob) for blob in blobs]),
        sizes=np.array(sizes),
    )
    print(f"{target}: {len(blobs)} pictures, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
