"""The limits of the API, as numbers: importable without Google's package or anything else."""

from __future__ import annotations

#: Images of one request, of an operation and of a call that waits for its answer.
MAX_ASYNC_IMAGES = 2000
MAX_SYNC_IMAGES = 16
#: Images (or pages) that one output object holds.
MIN_BATCH_SIZE, DEFAULT_BATCH_SIZE, MAX_BATCH_SIZE = 1, 20, 100
#: Results of one feature where the request names no number.
DEFAULT_MAX_RESULTS = 10
#: Files of one request. For operations Google names no limit; all files are opened before the call
#: is answered.
MAX_SYNC_FILES = 1
MAX_ASYNC_FILES = 100
#: Pages that a call which waits for its answer may ask for, and pages of a file.
MAX_SYNC_PAGES = 5
MAX_PAGES = 2000
#: Largest request, in bytes, at either door.
MAX_PAYLOAD = 41_943_040
#: Largest picture, in pixels.
MAX_PIXELS = 75_000_000
