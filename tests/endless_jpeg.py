"""A small picture that decodes for ever: 8192×9000, grey, progressive, thousands of empty scans.

Each scan says that it refines all coefficients and brings no bits; the decoder walks through the
1.15 million blocks of the picture for every one of them.
"""

from __future__ import annotations

import struct

WIDTH, HEIGHT, SCANS = 8192, 9000, 8000


def endless_jpeg(scans: int = SCANS) -> bytes:
    """About ``10 × scans`` bytes."""
    quantisation = _segment(0xDB, b"\0" + bytes([1] * 64))
    frame = _segment(0xC2, struct.pack(">BHHB", 8, HEIGHT, WIDTH, 1) + b"\x01\x11\0")
    # One code each, of one bit: a difference of 0, and "the rest of the block is 0".
    direct = _segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0")
    others = _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    first = _segment(0xDA, b"\x01\x01\0" + b"\0\0\0")
    empty = _segment(0xDA, b"\x01\x01\0" + b"\x01\x3f\0")
    return (
        b"\xff\xd8" + quantisation + frame + direct + others + first + empty * scans + b"\xff\xd9"
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
