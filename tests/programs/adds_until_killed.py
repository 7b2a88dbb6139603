"""Adds made-up reference images and saves the index, over and over, until it is killed.

``python adds_until_killed.py PLACE MODEL``: prints the key of each entry once ``put`` has returned.
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from tapetum.gallery import Entry, Gallery, Kind, Reference, unit
from tapetum.gallery.backends import search
from tapetum.gallery.backends.places import opened
from tapetum.signals.embedding import EmbeddingModel

search.FLAT_ROWS = 50  # the other drivers take it from there when they are first opened
gallery = Gallery("crawl", Kind.WEB)
model = EmbeddingModel(sys.argv[2], 1280)
galleries = opened(sys.argv[1], {}, model)
if gallery not in galleries.visible():
    galleries.create(gallery)
start = galleries.size(gallery).entries
for number in range(start, 1_000_000):
    random = np.random.default_rng(number)
    embedding = unit(np.abs(random.standard_normal(model.dimensions)).astype(np.float32))
    key = f"e{number}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    reference = Reference(
        digest, key, 9, 9, embedding, random.bytes(32), 90, b"x", model=model.name
    )
    galleries.put(gallery, [(Entry(key), [reference])])
    print(key, flush=True)
    if number % 10 == 9:
        galleries.tend(gallery)
