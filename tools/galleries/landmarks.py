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

from tapetum.detectors.classes import ImageClassifier
from tapetum.detectors.keypoints import KeypointDetector
from tapetum.gallery import unit
from tapetum.gallery.shipped import landmarks
from tapetum.imaging.decoding import decode
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions

#: Kept of each picture: 68 kB. On the development set no answer is lost to the other 500.
KEYPOINTS = 1000


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cv2.setNumThreads(1)
    sessions = Sessions(Manifest.packaged())
    keypoints, classifier = KeypointDetector(sessions), ImageClassifier(sessions)
    embeddings, blobs, sizes = [], [], []
    for row in landmarks.rows():
        content = (folder / row["picture"]).read_bytes()
        picture = decode(
            content, lambda w, h: max(d.max_side(w, h) for d in (keypoints, classifier))
        )
        [found], [classes] = keypoints.detect([picture]), classifier.detect([picture])
        embeddings.append(unit(classes.embedding))
        blobs.append(np.frombuffer(found.features.packed(KEYPOINTS), dtype=np.uint8))
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
