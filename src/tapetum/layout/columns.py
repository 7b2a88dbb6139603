"""Columns: a page is read column by column, a table or a receipt row by row.

White space tells the two apart only together with what stands beside it. The page is cut along a
gutter, an upright strip that no line crosses, where both sides are running text, or where their
lines do not stand level with each other. Lines that cross the gutter, such as headings, cut the
page across. Each part is looked at again by itself. What is left without a cut is a *flow*: its
lines are read from the top, row by row. Rules of thumb, after the recursive cuts of Nagy and Seth
("Hierarchical representation of optically scanned documents", 1984): nothing here is learnt.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice, pairwise
from statistics import median

from tapetum.layout.frame import Slab
from tapetum.layout.scripts import FIRST_OF_EAST_ASIA

#: A line of prose is at least this many times as long as it is high; a price is not.
PROSE = 8.0
#: Boxes reach beyond their ink by about this share of their height, at either end.
INSET = 0.25
#: Of what no ink touches, in heights of the lines beside it. `MANY` lines of prose on either side
#: need none: that they all stop short of it is enough.
NARROWEST_GUTTER = 0.5

MANY = 4

#: A line that reaches further across a gutter, in heights, crosses it; up to that it has caught a
#: letter of the other side.
OVERREACH = 1.0
#: Share of the lines on either side that may reach into the gutter.
STRAYS = 0.1
#: Two lines stand level when their middles are at most this many heights apart.
LEVEL = 0.2
#: Sides of which so many lines stand level with one of the other side are rows of a table. With
#: lines at the pitch of print about a third do by chance.
MOSTLY_LEVEL = 0.7
#: Heights from one line to the next, from which lines that stand level are rows even where they are
#: long: print is set closer.
SPACIOUS = 1.7
#: Lines on either side from which not standing level means something.
FEWEST_UNLEVEL = 3
#: White space, in line heights, between columns and a row at the page's foot or head that belongs
#: to neither of them.
FOOTER_GAP, HEADER_GAP = 1.0, 2.0
#: A line so many times as high as usual heads the columns below it, wherever it stands.
HEADLINE = 1.6
#: The most likely ones, in each part of the page.
GUTTERS_TRIED = 6
#: Cuts within cuts; no page has so many, noise may.
DEEPEST = 12
#: A line is a neighbour within at most so many median heights.
MOST_BUCKETS = 8


def flows(slabs: Sequence[Slab]) -> Iterator[list[Slab]]:
    """``slabs``, which come from the top, as flows in reading order; none is empty."""
    yield from _cut(list(slabs), 0)


def is_prose(slabs: Iterable[Slab]) -> bool:
    """Whether most of the text, by length, stands on long lines."""
    long = total = 0.0
    for slab in slabs:
        total += slab.length
        long += slab.length if slab.length >= PROSE * slab.height else 0.0
    return 2 * long > total


def are_running_text(stack: Sequence[Slab], other: Sequence[Slab]) -> bool:
    """Whether two stacks beside each other, from the top, are columns of prose rather than of long
    cells."""
    if not (is_prose(stack) and is_prose(other)):
        return False
    return not (_is_spacious(stack) and _is_spacious(other) and _are_level(stack, other))


def is_wordy(slab: Slab) -> bool:
    """Whether the line has at least three letters, one of a script that writes words in one."""
    letters = [character for character in slab.line.text if character.isalpha()]
    return len(letters) >= 3 or any(letter >= FIRST_OF_EAST_ASIA for letter in letters)


def _cut(slabs: list[Slab], depth: int) -> Iterator[list[Slab]]:
    if depth < DEEPEST:
        bands = _best_cut(slabs)
        if bands:
            for part in chain.from_iterable(bands):
                yield from _cut(part, depth + 1)
            return
    if slabs:
        yield slabs


def _best_cut(slabs: Sequence[Slab]) -> list[tuple[list[Slab], ...]]:
    """The bands of the gutter that leaves the fewest lines outside its columns; none where nothing
    is a gutter."""
    best: list[tuple[list[Slab], ...]] = []
    fewest = len(slabs)
    for gutter in _gutters(slabs):
        bands = list(_bands(slabs, gutter))
        outside = sum(len(band[0]) for band in bands if len(band) == 1)
        if outside < fewest:
            best, fewest = bands, outside
        if outside == 0:
            break
    return best


def _inked(slab: Slab) -> tuple[float, float]:
    inset = min(INSET * slab.height, slab.length / 2)
    return slab.left + inset, slab.right - inset


def _gutters(slabs: Sequence[Slab]) -> Iterator[float]:
    """Where a gutter may be, most likely first: gaps between neighbours that lie above each other,
    by how long the lines beside them are together."""
    gaps = [
        (_inked(slab)[1], _inked(other)[0], min(slab.length, other.length))
        for slab, other in _neighbours(slabs)
    ]
    gaps = [gap for gap in gaps if gap[1] > gap[0]]
    for _ in range(GUTTERS_TRIED):
        if not gaps:
            return
        gutter = _deepest(gaps)
        yield gutter
        gaps = [gap for gap in gaps if not gap[0] <= gutter <= gap[1]]


def _deepest(gaps: Sequence[tuple[float, float, float]]) -> float:
    """The middle of the stretch that lies in the gaps (from, to, weight) of the largest weight."""
    edges = sorted(
        [(start, -weight) for start, _, weight in gaps] + [(end, weight) for _, end, weight in gaps]
    )
    best = inside = 0.0
    ends = gaps[0][:2]
    for at, (x, weight) in enumerate(edges[:-1]):
        inside -= weight
        if inside > best:
            best, ends = inside, (x, edges[at + 1][0])
    return (ends[0] + ends[1]) / 2


def _neighbours(slabs: Sequence[Slab]) -> Iterator[tuple[Slab, Slab]]:
    """Each line with the next one to the right that stands at the height of its middle."""
    if not slabs:
        return
    size = median(slab.height for slab in slabs)
    buckets: defaultdict[int, list[Slab]] = defaultdict(list)
    for slab in sorted(slabs, key=lambda slab: slab.left):
        reach = min(slab.height / 2, MOST_BUCKETS * size / 2)
        first, last = int((slab.middle - reach) // size), int((slab.middle + reach) // size)
        for bucket in range(first, last + 1):
            buckets[bucket].append(slab)
    starts = {key: [slab.left for slab in bucket] for key, bucket in buckets.items()}
    for slab in slabs:
        key = int(slab.middle // size)
        after = bisect_left(starts[key], slab.right - 2 * INSET * slab.height)
        for other in islice(buckets[key], after, after + MOST_BUCKETS):
            if other is not slab and abs(other.middle - slab.middle) < other.height / 2:
                yield slab, other
                break


def _bands(slabs: Sequence[Slab], gutter: float) -> Iterator[tuple[list[Slab], ...]]:
    """The page across: bands of two columns at ``gutter``, and what stands between those in one."""

    def crosses(slab: Slab) -> bool:
        return min(gutter - slab.left, slab.right - gutter) > OVERREACH * slab.height

    waiting: list[Slab] = []
    for crossing, run in groupby(slabs, crosses):
        band = list(run)
        if crossing:
            waiting += band
            continue
        head, body, foot = _without_edges(band, gutter)
        columns = _sides(body, gutter)
        if not _are_columns(*columns):
            waiting += band
            continue
        if waiting or head:
            yield ([*waiting, *head],)
        yield columns
        waiting = foot
    if waiting:
        yield (waiting,)


def _sides(slabs: Iterable[Slab], gutter: float) -> tuple[list[Slab], list[Slab]]:
    sides: tuple[list[Slab], list[Slab]] = ([], [])
    for slab in slabs:
        sides[(slab.left + slab.right) / 2 > gutter].append(slab)
    return sides


def _without_edges(band: list[Slab], gutter: float) -> tuple[list[Slab], list[Slab], list[Slab]]:
    """(head, columns, foot): what stands at the edges of a band and belongs to the page, not to one
    of its columns: headlines with nothing beside them, and, well apart from the rest, what stands
    on both sides of the gutter without making columns."""
    size = median(slab.height for slab in band)
    lines = list(_stretches(band, 0.0))
    headlines = 0
    while headlines < len(lines) - 1 and _is_headline(lines[headlines], gutter, size):
        headlines += 1
    parts = list(_stretches(_flat(lines[headlines:]), FOOTER_GAP * size))
    head, foot = lines[:headlines], []
    if (
        len(parts) > 1
        and _white(parts[0], parts[1]) >= HEADER_GAP * size
        and _is_page_wide(parts[0], gutter)
    ):
        head.append(parts.pop(0))
    while len(parts) > 1 and _is_page_wide(parts[-1], gutter):
        foot.append(parts.pop())
    return _flat(head), _flat(parts), _flat(foot)


def _stretches(slabs: Iterable[Slab], white: float) -> Iterator[list[Slab]]:
    """The lines cut wherever so much white, in pixels, runs across from side to side."""
    stretch: list[Slab] = []
    bottom = 0.0
    for slab in sorted(slabs, key=lambda slab: slab.top):
        if stretch and slab.top >= bottom + white:
            yield stretch
            stretch = []
        bottom = max(bottom, slab.bottom) if stretch else slab.bottom
        stretch.append(slab)
    if stretch:
        yield stretch


def _flat(parts: Iterable[Iterable[Slab]]) -> list[Slab]:
    """All lines of ``parts``, from the top."""
    return sorted(chain.from_iterable(parts), key=lambda slab: (slab.middle, slab.left))


def _white(above: Sequence[Slab], below: Sequence[Slab]) -> float:
    return below[0].top - max(slab.bottom for slab in above)


def _is_headline(slabs: Sequence[Slab], gutter: float, size: float) -> bool:
    one_sided = not all(_sides(slabs, gutter))
    return one_sided and all(slab.height >= HEADLINE * size for slab in slabs)


def _is_page_wide(slabs: Sequence[Slab], gutter: float) -> bool:
    sides = _sides(slabs, gutter)
    return all(sides) and not is_prose(slabs) and not _are_columns(*sides)


def _are_columns(left: Sequence[Slab], right: Sequence[Slab]) -> bool:
    fewest = min(len(left), len(right))
    if fewest < 2:
        return False
    height = median(slab.height for slab in (*left, *right))
    starts = sorted(_inked(slab)[0] for slab in right)
    ends = sorted((_inked(slab)[1] for slab in left), reverse=True)
    white = starts[int(STRAYS * len(starts))] - ends[int(STRAYS * len(ends))]
    prose = are_running_text(left, right)
    if white < (0.0 if prose and fewest >= MANY else NARROWEST_GUTTER * height):
        return False
    return prose or (
        fewest >= FEWEST_UNLEVEL
        and all(2 * sum(map(is_wordy, side)) > len(side) for side in (left, right))
        and not _are_level(left, right)
    )


def _is_spacious(column: Sequence[Slab]) -> bool:
    if len(column) < 2:
        return False
    pitch = median(below.middle - above.middle for above, below in pairwise(column))
    return pitch >= SPACIOUS * median(slab.height for slab in column)


def _are_level(left: Sequence[Slab], right: Sequence[Slab]) -> bool:
    """Whether most lines of the side that has fewer stand level with one of the other side."""
    few, many = sorted((left, right), key=len)
    middles = sorted(slab.middle for slab in many)
    level = 0
    for slab in few:
        at = bisect_left(middles, slab.middle)
        nearest = min(abs(middle - slab.middle) for middle in middles[max(0, at - 1) : at + 1])
        level += nearest <= LEVEL * slab.height
    return level >= MOSTLY_LEVEL * len(few)
