"""The landmarks that ship: `landmarks.csv` says what and whose, `landmarks.npz` the numbers.

Both are made by ``tools/galleries/landmarks.py``.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files

import numpy as np

from tapetum.gallery import PDQ_BYTES, Entry, Galleries, Gallery, Kind, Reference
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.signals.embedding import EmbeddingModel

GALLERY = Gallery("landmarks", Kind.LANDMARK)
#: What looked at the pictures.
MODEL = EmbeddingModel("7685453ee01d0bdc128cec73494a7c4e78d3aade887ae9a61e794c3ad6bda6a1", 1280)


def rows() -> Iterator[Mapping[str, str]]:
    """The rows of the table, one per picture: ``key``, ``name``, ``mid``, ``lat``, ``lng``,
    ``picture`` (file name), ``author``, ``licence``, ``url``."""
    text = files(__package__).joinpath("landmarks.csv").read_text(encoding="utf-8")
    return csv.DictReader(io.StringIO(text))


def load() -> Galleries:
    """The gallery, ready to be searched."""
    galleries = MemoryGalleries(MODEL)
    galleries.create(GALLERY)
    with files(__package__).joinpath("landmarks.npz").open("rb") as file:
        numbers = dict(np.load(file))
    ends = np.cumsum(numbers["lengths"])
    added: dict[str, tuple[Entry, list[Reference]]] = {}
    for k, row in enumerate(rows()):
        blob = numbers["features"][ends[k] - numbers["lengths"][k] : ends[k]].tobytes()
        width, height = numbers["sizes"][k].tolist()
        credit = f"{row['author']} ({row['licence']}), {row['url']}"
        reference = Reference(
            digest=hashlib.sha256(blob).hexdigest(),
            source=row["url"],
            width=width,
            height=height,
            embedding=np.asarray(numbers["embeddings"][k], dtype=np.float16).reshape(
                MODEL.dimensions
            ),
            pdq=bytes(PDQ_BYTES),
            pdq_quality=0,
            features=blob,
            model=MODEL.name,
        )
        entry = Entry(
            key=row["key"],
            name=row["name"],
            mid=row["mid"],
            lat=float(row["lat"]),
            lng=float(row["lng"]),
            url=row["url"],
            licence=row["licence"],
            credit=credit,
        )
        old, references = added.get(entry.key, (entry, []))
        if references:
            entry = replace(old, credit=f"{old.credit}; {credit}")
        added[entry.key] = (entry, [*references, reference])
    galleries.put(GALLERY, list(added.values()))
    return galleries
