"""Mutations of bytes, drawn by hypothesis, so that what fails is made small and shown."""

from __future__ import annotations

from hypothesis import strategies as st

#: What parsers trip over: ends of ranges, lengths, brackets, text that is none.
PIECES = [
    b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff",
    b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud800", b"-1", b"1e999", b"99999999999999999999",
    b"null", b"true", b"NaN", b"[[[[[[[[", b'{"a":', b"../", b"%00", b"gs://", b"http://[", b":",
    "é漢😀".encode(), b"A" * 300,
]  # fmt: skip

_Edit = tuple[float, int, bytes]  # (place, bytes gone, bytes in their stead)
_LARGE = st.tuples(
    st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=8)
)
_SMALL = st.tuples(
    st.floats(0, 1) | st.floats(0, 0.1), st.just(1), st.binary(min_size=1, max_size=1)
)


def _mutated(seed: bytes, edits: list[_Edit], kept: float) -> bytes:
    content = bytearray(seed)
    for place, gone, new in edits:
        start = min(int(place * len(content)), len(content) - 1)
        content[start : start + gone] = new
    return bytes(content[: max(1, int(len(content) * kept))])


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of ``seeds`` with one to three changes, single bytes or whole pieces, and now and then
    cut short."""
    kept = st.sampled_from([1.0, 1.0, 1.0, 1.0, 1.0, 0.5])
    edits = st.lists(_SMALL, min_size=1, max_size=3) | st.lists(_LARGE, min_size=1, max_size=3)
    return st.builds(_mutated, st.sampled_from(seeds), edits, kept)
