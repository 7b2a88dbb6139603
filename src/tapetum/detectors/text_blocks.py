"""Rows of one flow → blocks, by geometry.

A line continues a block when it lies below one of the block's lines at a gap of at most one and a
half line heights, overlaps it sideways by half the shorter of the two, and is of like height. Lines
beside each other belong to one block when they nearly touch, or when most lines of one stack stand
level with lines of the other, as the cells of a table and the prices of a receipt do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from tapetum.detectors.text_columns import PROSE, is_prose, is_wordy
from tapetum.detectors.text_frame import Slab
from tapetum.detectors.text_rows import Row, gap

BLOCK_GAP = 1.5
"""Largest gap between two lines of a block, in line heights."""

OVERLAP = 0.5
"""Least part of the shorter line that lies above or below the longer one."""

LIKE_HEIGHT = 1.6
"""Largest ratio of two neighbouring heights in one block: a heading is a block of its own."""

CLOSE = 1.5
"""Lines of a row with less white space between them, in heights, are one line found in pieces."""

FARTHEST_CELL = 40.0
"""Largest white space, in heights, between two cells of a row: a receipt's price stands far off."""

ROWS_BELOW = 3
"""How many rows are searched for a line's continuation: rows of other columns lie between."""

WIDE = 0.7
"""A line of prose beside a table is at least this share of the flow's width."""

FEWEST_ROWS, FEWEST_COLUMNS, FILLED = 3, 3, 0.8
"""A table: so many rows and columns at least, and such a share of the rows with enough cells."""


def blocks(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of one flow as blocks, in reading order: each line is in exactly one block. A row
    whose lines are in several blocks is in each with its part of them."""
    slabs = [slab for row in rows for slab in row]
    groups = _Groups(len(slabs))
    numbered = _numbered(rows)
    for above, below in _stacked(rows, numbered):
        groups.join(above, below)
    for row in numbered:
        for one, other in pairwise(row):
            if _is_close(slabs[one], slabs[other]):
                groups.join(one, other)
    for one, other in _level(slabs, numbered, groups):
        groups.join(one, other)
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in numbered:
        parts: defaultdict[int, Row] = defaultdict(list)
        for at in row:
            parts[groups.of(at)].append(slabs[at])
        for group, part in parts.items():
            found[group].append(part)
    return list(found.values())  # in order of their first lines


def is_table(block: Sequence[Row]) -> bool:
    """Whether the block is ruled off by white space into rows and columns of cells."""
    if len(block) < FEWEST_ROWS:
        return False
    cells = sorted((slab.left, slab.right) for row in block for slab in row)
    columns, reached = 1, cells[0][1]
    for left, right in cells:
        columns += left > reached
        reached = max(reached, right)
    full = sum(len(row) >= FEWEST_COLUMNS for row in block)
    return columns >= FEWEST_COLUMNS and full >= FILLED * len(block)


def like_height(one: float, other: float) -> bool:
    return max(one, other) <= LIKE_HEIGHT * min(one, other)


class _Groups:
    """Numbers that belong together (union and find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def of(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._parents[second] = first


def _numbered(rows: Sequence[Row]) -> list[list[int]]:
    """Each row's lines by their number in the whole flow."""
    found, start = [], 0
    for row in rows:
        found.append(list(range(start, start + len(row))))
        start += len(row)
    return found


def _is_close(one: Slab, other: Slab) -> bool:
    height = max(one.height, other.height)
    return gap(one, other) <= CLOSE * height and like_height(one.height, other.height)


def _stacked(
    rows: Sequence[Row], numbered: Sequence[Sequence[int]]
) -> Iterator[tuple[int, int]]:
    """Pairs of lines of which the second continues the first further down."""
    width = _width(slab for row in rows for slab in row)
    tabular = [_has_cells(row) for row in rows]
    ordered = [
        sorted(zip(row, numbers, strict=True), key=lambda pair: pair[0].left)
        for row, numbers in zip(rows, numbered, strict=True)
    ]
    lefts = [[slab.left for slab, _ in row] for row in ordered]
    for at, row in enumerate(ordered):
        for slab, number in row:
            prose = not tabular[at] and slab.length >= max(PROSE * slab.height, WIDE * width)
            for next_at in range(at + 1, min(at + 1 + ROWS_BELOW, len(rows))):
                below = ordered[next_at]
                first = max(0, bisect_left(lefts[next_at], slab.left) - 1)
                last = bisect_left(lefts[next_at], slab.right)
                over = [pair for pair in below[first:last] if _overlap(slab, pair[0]) > 0]
                for other, other_number in over:
                    wide = other.length >= max(PROSE * other.height, WIDE * width)
                    apart = (prose and tabular[next_at]) or (
                        tabular[at] and wide and not tabular[next_at]
                    )
                    if _continues(slab, other) and not apart:
                        yield number, other_number
                if over:
                    break


def _width(slabs: Iterable[Slab]) -> float:
    edges = [(slab.left, slab.right) for slab in slabs]
    return max(right for _, right in edges) - min(left for left, _ in edges)


def _has_cells(row: Row) -> bool:
    return any(not _is_close(one, other) for one, other in pairwise(row))


def _overlap(one: Slab, other: Slab) -> float:
    return min(one.right, other.right) - max(one.left, other.left)


def _continues(above: Slab, below: Slab) -> bool:
    """Whether ``below`` may come after ``above`` in one block."""
    low = min(above.height, below.height)
    mean = (above.height + below.height) / 2
    down = below.middle - above.middle
    return (
        low / 2 < down <= mean * (1 + BLOCK_GAP)
        and _overlap(above, below) >= OVERLAP * min(above.length, below.length)
        and like_height(above.height, below.height)
    )


def _level(
    slabs: Sequence[Slab], numbered: Sequence[Sequence[int]], groups: _Groups
) -> list[tuple[int, int]]:
    """Pairs of groups whose lines stand beside each other as the cells of rows do."""
    members: defaultdict[int, list[Slab]] = defaultdict(list)
    for at, slab in enumerate(slabs):
        members[groups.of(at)].append(slab)
    depths: Counter[int] = Counter(
        group for row in numbered for group in {groups.of(at) for at in row}
    )
    shared: Counter[tuple[int, int]] = Counter()
    for row in numbered:
        for one, other in pairwise(row):
            height = (slabs[one].height + slabs[other].height) / 2
            if gap(slabs[one], slabs[other]) <= FARTHEST_CELL * height:
                shared[groups.of(one), groups.of(other)] += 1
    return [
        (one, other)
        for (one, other), count in shared.items()
        if one != other
        and 2 * count >= min(depths[one], depths[other])
        and _are_cells(members[one], members[other], count)
    ]


def _are_cells(one: Sequence[Slab], other: Sequence[Slab], rows: int) -> bool:
    heights = [median(slab.height for slab in stack) for stack in (one, other)]
    if not like_height(*heights):
        return False
    if rows == 1:  # a label and its number, rather than two signs at one height
        return is_wordy(one[0]) != is_wordy(other[0])
    return not (is_prose(one) and is_prose(other))
