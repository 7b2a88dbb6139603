"""Telling want of memory, in whatever words a library says it, from any other fault."""

from __future__ import annotations

#: What ONNX Runtime and OpenCV say when an allocation fails; both have an error of their own for
#: everything.
_WORDS = ("bad allocation", "bad_alloc", "Failed to allocate memory", "Insufficient memory")


def raise_if_exhausted(error: Exception) -> None:
    """Raise ``MemoryError`` when that is what ``error`` says: the process is at its limit, and
    whoever runs it decides what becomes of the picture in hand."""
    if isinstance(error, MemoryError) or any(word in str(error) for word in _WORDS):
        raise MemoryError from error
