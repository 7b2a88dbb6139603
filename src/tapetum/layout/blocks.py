"""Rows of one flow → blocks, by geometry.

A line continues a block when it lies below one of the block's lines at a gap of at most one and a
half line heights, overlaps it sideways by half the shorter of the two, and is of like height. Lines
beside each other belong to one block when they nearly touch, or when most lines of one stack stand
level with lines of the other, as the cells of a table and the prices of a receipt do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from tapetum.layout.columns import PROSE, are_running_text, is_wordy
from tapetum.layout.frame import Slab
from tapetum.layout.rows import Row, gap

#: Largest gap between two lines of a block, in line heights.
BLOCK_GAP = 1.5
#: Least part of the shorter line that lies above or below the longer one.
OVERLAP = 0.5
#: Largest ratio of two neighbouring heights in one block, of those of two long lines, and of those
#: of two long lines with white space between them: a heading or a caption is a block of its own.
LIKE_HEIGHT, LIKE_HEIGHT_LONG, LIKE_HEIGHT_APART = 1.6, 1.3, 1.15
#: Lines of a row with less white space between them, in heights, are one line found in pieces.
CLOSE = 1.5
#: Largest white space, in heights, between two cells of a row: a receipt's price stands far off.
FARTHEST_CELL = 30.0
#: How many rows are searched for a line's continuation: rows of other columns lie between.
ROWS_BELOW = 3
#: More white space than this between two lines, in heights, sets them apart a little.
TIGHT = 0.75
#: A line of prose beside a table is at least this share of the flow's width; the last one may be
#: shorter.
WIDE = 0.7

_PROSE, _CELLS = "prose", "cells"

#: A table: so many rows and columns at least, and such a share of the rows with enough cells.
FEWEST_ROWS, FEWEST_COLUMNS, FILLED = 3, 3, 0.8


def blocks(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of one flow as blocks, in reading order: each line is in exactly one block. A row
    whose lines are in several blocks is in each with its part of them."""
    slabs = [slab for row in rows for slab in row]
    groups = _Groups(len(slabs))
    numbered = _numbered(rows)
    for above, below in _stacked(rows, numbered):
        groups.join(above, below)
    for row in numbered:
        for number, other in pairwise(row):
            if _is_close(slabs[number], slabs[other]):
                groups.join(number, other)
    for group, other in _level(slabs, numbered, groups):
        groups.join(group, other)
    parts_of: defaultdict[int, list[Row]] = defaultdict(list)
    places: dict[int, tuple[int, float]] = {}
    middles = [row[0].middle for row in rows]
    for number, row in enumerate(numbered):
        parts: defaultdict[int, Row] = defaultdict(list)
        for position, at in enumerate(row):
            group = groups.of(at)
            parts[group].append(slabs[at])
            if group not in places:
                beside = bisect_left(middles, slabs[at].top, hi=number)
                own = beside == number
                places[group] = beside, position if own else _place(slabs[at], rows[beside])
        for group, part in parts.items():
            parts_of[group].append(part)
    ordered = sorted(parts_of, key=lambda group: places[group])
    return [part for group in ordered for part in _without_captions(parts_of[group])]


def _place(slab: Slab, row: Row) -> float:
    """The place, among the lines of ``row``, of a line that reaches up to it from further down, as
    an initial does: between two whole numbers."""
    backwards = row[0].left > row[-1].left
    return sum((other.left > slab.left) is backwards for other in row) - 0.5


def is_table(block: Sequence[Row]) -> bool:
    """Whether the block is ruled off by white space into rows and columns of cells."""
    if len(block) < FEWEST_ROWS or len(_columns(block)) < FEWEST_COLUMNS:
        return False
    return sum(len(row) >= FEWEST_COLUMNS for row in block) >= FILLED * len(block)


def _columns(block: Sequence[Row]) -> list[tuple[float, float]]:
    """The stretches (from, to) that lines of the block cover, seen from above."""
    stretches: list[tuple[float, float]] = []
    for left, right in sorted((slab.left, slab.right) for row in block for slab in row):
        if stretches and left <= stretches[-1][1]:
            stretches[-1] = stretches[-1][0], max(stretches[-1][1], right)
        else:
            stretches.append((left, right))
    return stretches


def _without_captions(block: list[Row]) -> Iterator[list[Row]]:
    """The block; where it is a table, its title and caption as blocks of their own: single lines
    above and below it that do not begin where one of its columns does."""
    start, end = 0, len(block)
    while start < end and len(block[start]) == 1:
        start += 1
    while end > start and len(block[end - 1]) == 1:
        end -= 1
    if not is_table(block[start:end]):
        yield block
        return
    columns = _columns(block[start:end])

    def is_caption(row: Row) -> bool:
        left, right = row[0].left, row[0].right
        over = [column for column in columns if left < column[1] and column[0] < right]
        return len(over) != 1 or left < over[0][0] - row[0].height

    while start > 0 and not is_caption(block[start - 1]):
        start -= 1
    while end < len(block) and not is_caption(block[end]):
        end += 1
    yield from (part for part in (block[:start], block[start:end], block[end:]) if part)


def _is_like(slab: Slab, other: Slab) -> bool:
    """Whether two lines, ``other`` below or beside ``one``, may be of one size. The box of a short
    line is as high as its letters."""
    long = min(slab.length / slab.height, other.length / other.height) >= PROSE
    apart = other.top - slab.bottom > TIGHT * min(slab.height, other.height)
    ratio = (LIKE_HEIGHT_APART if apart else LIKE_HEIGHT_LONG) if long else LIKE_HEIGHT
    return max(slab.height, other.height) <= ratio * min(slab.height, other.height)


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

    def join(self, number: int, other: int) -> None:
        first, second = sorted((self.of(number), self.of(other)))
        self._parents[second] = first


def _numbered(rows: Sequence[Row]) -> list[list[int]]:
    """Each row's lines by their number in the whole flow."""
    numbered, start = [], 0
    for row in rows:
        numbered.append(list(range(start, start + len(row))))
        start += len(row)
    return numbered


def _is_close(slab: Slab, other: Slab) -> bool:
    height = max(slab.height, other.height)
    return gap(slab, other) <= CLOSE * height and _is_like(slab, other)


def _stacked(rows: Sequence[Row], numbered: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Pairs of lines of which the second continues the first further down."""
    kinds = _kinds(rows)
    ordered = [
        sorted(zip(row, numbers, strict=True), key=lambda pair: pair[0].left)
        for row, numbers in zip(rows, numbered, strict=True)
    ]
    lefts = [[slab.left for slab, _ in row] for row in ordered]
    for at, row in enumerate(ordered):
        for slab, number in row:
            for next_at in range(at + 1, min(at + 1 + ROWS_BELOW, len(rows))):
                below = ordered[next_at]
                first = max(0, bisect_left(lefts[next_at], slab.left) - 1)
                last = bisect_left(lefts[next_at], slab.right)
                over = [pair for pair in below[first:last] if _overlap(slab, pair[0]) > 0]
                if {kinds[at], kinds[next_at]} != {_PROSE, _CELLS}:
                    yield from ((number, n) for other, n in over if _continues(slab, other))
                if over:
                    break


def _kinds(rows: Sequence[Row]) -> list[str]:
    """What each row is for certain: `_PROSE` or `_CELLS`, where a neighbour is the same; or ""."""
    edges = [(slab.left, slab.right) for row in rows for slab in row]
    width = max(right for _, right in edges) - min(left for left, _ in edges)
    looks = []
    for row in rows:
        if any(not _is_close(slab, other) for slab, other in pairwise(row)):
            looks.append(_CELLS)
        else:
            length = max(slab.right for slab in row) - min(slab.left for slab in row)
            long = length >= max(PROSE * row[0].height, WIDE * width)
            looks.append(_PROSE if long else "")
    beside = ["", *looks, ""]
    kinds = [
        kind if kind in (before, after) else ""
        for before, kind, after in zip(beside, looks, beside[2:], strict=False)
    ]
    for at in range(len(rows) - 1, 0, -1):  # a paragraph's last row is often short
        above, below = rows[at - 1][0], rows[at][0]
        near = below.top - above.bottom <= TIGHT * below.height
        if kinds[at - 1] == _PROSE and not looks[at] and near:
            kinds[at] = _PROSE
    return kinds


def _overlap(slab: Slab, other: Slab) -> float:
    return min(slab.right, other.right) - max(slab.left, other.left)


def _continues(above: Slab, below: Slab) -> bool:
    """Whether ``below`` may come after ``above`` in one block."""
    low = min(above.height, below.height)
    mean = (above.height + below.height) / 2
    down = below.middle - above.middle
    return (
        low / 2 < down <= mean * (1 + BLOCK_GAP)
        and _overlap(above, below) >= OVERLAP * min(above.length, below.length)
        and _is_like(above, below)
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
        for number, other in pairwise(row):
            height = (slabs[number].height + slabs[other].height) / 2
            if gap(slabs[number], slabs[other]) <= FARTHEST_CELL * height:
                shared[groups.of(number), groups.of(other)] += 1
    return [
        (group, other)
        for (group, other), count in shared.items()
        if group != other
        and 2 * count >= min(depths[group], depths[other])
        and _are_cells(members[group], members[other], count)
    ]


def _are_cells(cells: Sequence[Slab], other: Sequence[Slab], rows: int) -> bool:
    low, high = sorted(median(slab.height for slab in stack) for stack in (cells, other))
    if high > LIKE_HEIGHT * low:
        return False
    if rows == 1:  # a label and its number, rather than two signs at one height
        return is_wordy(cells[0]) != is_wordy(other[0])
    return not are_running_text(cells, other)
