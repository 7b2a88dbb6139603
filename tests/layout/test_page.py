"""From lines, wherever they stand, to blocks and paragraphs in the order a person reads them."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.layout.page import layout
from tapetum.signals.page_layout import Break, PageLayout
from tapetum.signals.text import Line, Point, Quad, Symbol, Word

SIZE = 20.0


def box(left: float, top: float, right: float, bottom: float) -> Quad:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def line(x: float, y: float, text: str, size: float = SIZE, rtl: bool = False) -> Line:
    """A level line from ``x``, equally wide letters, twice as high as wide; its box a little wider.

    ``rtl``: its first letter stands at the right end; ``x`` is the left end all the same.
    """
    step = size / 2

    def place(start: int, end: int) -> Quad:
        if rtl:
            start, end = len(text) - end, len(text) - start
        return box(x + start * step, y, x + end * step, y + size)

    words, at = [], 0
    for word in text.split(" "):
        symbols = tuple(Symbol(c, place(at + i, at + i + 1), 0.75) for i, c in enumerate(word))
        if word:
            words.append(Word(place(at, at + len(word)), symbols, 0.75))
        at += len(word) + 1
    whole = box(x - size / 4, y, x + len(text) * step + size / 4, y + size)
    return Line(whole, tuple(words), 0.75)


def prose(x: float, y: float, *texts: str, pitch: float = 1.4) -> list[Line]:
    return [line(x, y + at * pitch * SIZE, text) for at, text in enumerate(texts)]


def turned(lines: Iterable[Line], degrees: float) -> list[Line]:
    """The lines, all of them turned clockwise about the origin."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def quad(corners: Quad) -> Quad:
        one, two, three, four = ((x * cosine - y * sine, x * sine + y * cosine) for x, y in corners)
        return one, two, three, four

    def word(found: Word) -> Word:
        symbols = tuple(replace(symbol, quad=quad(symbol.quad)) for symbol in found.symbols)
        return replace(found, quad=quad(found.quad), symbols=symbols)

    return [
        replace(found, quad=quad(found.quad), words=tuple(map(word, found.words)))
        for found in lines
    ]


def read(lines: Sequence[Line]) -> list[str]:
    """The text line by line, the order of ``lines`` notwithstanding."""
    shuffled = list(lines)
    random.Random(7).shuffle(shuffled)
    found = layout(shuffled)
    assert found is not None
    return found.text.splitlines()


def texts_of_blocks(lines: Sequence[Line]) -> list[list[str]]:
    found = layout(lines)
    assert found is not None
    return [block.text.splitlines() for block in found.blocks]


def paragraphs(lines: Sequence[Line]) -> list[str]:
    found = layout(lines)
    assert found is not None
    parts = (part for block in found.blocks for part in block.paragraphs)
    return ["".join(piece.text for piece in part.pieces).rstrip("\n") for part in parts]


def ends(lines: Sequence[Line]) -> list[Break]:
    found = layout(lines)
    assert found is not None
    return [piece.end for piece in found.pieces]


LEFT = ["the moped stood in the", "yard all winter and no", "one had touched it since", "then"]
RIGHT = ["in the spring a man came", "to look at it and asked", "what it would cost him", "but"]
THIRD = ["nobody knew the answer", "for it was not ours to", "give away and so the man", "went"]


def newspaper() -> list[Line]:
    """Three columns whose rows stand level, between a heading and a footer across the page."""
    return [
        line(300, 0, "a heading across", 48),
        *prose(0, 100, *LEFT),
        *prose(300, 100, *RIGHT),
        *prose(600, 100, *THIRD),
        line(0, 300, "daily"),
        line(840, 300, "12"),
    ]


def test_columns_are_read_one_after_the_other() -> None:
    assert read(newspaper()) == ["a heading across", *LEFT, *RIGHT, *THIRD, "daily", "12"]


def test_each_column_is_a_block() -> None:
    assert texts_of_blocks(newspaper())[1:4] == [LEFT, RIGHT, THIRD]


def test_a_heading_over_two_columns_of_three_stays_with_them() -> None:
    lines = [
        line(0, 0, "over the first and the second one", 30),
        *prose(0, 60, *LEFT),
        *prose(300, 60, *RIGHT),
        *prose(600, 0, *THIRD),
    ]

    assert read(lines)[-4:] == THIRD
    assert read(lines)[1:5] == LEFT


def test_a_letter_caught_from_the_other_column_does_not_spoil_the_gutter() -> None:
    left = [*LEFT[:2], LEFT[2] + " i", *LEFT[:2], *LEFT]

    assert read([*prose(0, 0, *left), *prose(262, 0, *RIGHT, *THIRD)]) == [*left, *RIGHT, *THIRD]


def test_a_sidebar_is_read_before_what_stands_beside_it() -> None:
    menu = ["home", "about us", "products", "prices", "contact"]
    lines = [
        *(line(0, 7 + at * 43, text) for at, text in enumerate(menu)),
        *prose(200, 0, *(f"{text} and so on to the end" for text in LEFT[:3] * 3)),
    ]

    assert read(lines)[:5] == menu


TABLE = [
    ("item", "count", "price"),
    ("oil", "2", "4.50"),
    ("plugs", "4", "3.25"),
    ("cap", "1", "9"),
]


def table(x: float, y: float) -> list[Line]:
    return [
        line(x + column * 200, y + row * 30, cell)
        for row, cells in enumerate(TABLE)
        for column, cell in enumerate(cells)
    ]


def test_a_table_is_read_row_by_row_and_stands_apart() -> None:
    wide = ["this is a paragraph that is wide as the page"] * 2
    lines = [
        *prose(0, 0, *wide, "and its end"),
        *table(0, 90),
        line(100, 206, "what the repair did cost", 14),
        *prose(0, 250, *wide),
    ]
    found = layout(lines)

    assert texts_of_blocks(lines) == [
        [*wide, "and its end"],
        [" ".join(cells) for cells in TABLE],
        ["what the repair did cost"],
        wide,
    ]
    assert found is not None
    assert [block.table for block in found.blocks] == [False, True, False, False]


def test_the_cells_of_a_row_are_surely_apart_and_each_row_ends() -> None:
    sure, end = Break.SURE_SPACE, Break.END

    assert ends(table(0, 0)) == [sure, sure, end] * 4


def test_a_receipt_is_read_row_by_row() -> None:
    items = [("chicken rice", "13.50"), ("iced tea with lemon", "3.80"), ("total", "17.30")]
    lines = [line(0, 28 * row, name) for row, (name, _) in enumerate(items)]
    lines += [line(480, 28 * row + 3, price) for row, (_, price) in enumerate(items)]
    lines += [line(0, 100, "thank you", 34)]

    assert read(lines) == [*(f"{name} {price}" for name, price in items), "thank you"]
    assert len(texts_of_blocks(lines)) == 2


def test_a_form_is_read_row_by_row() -> None:
    fields = [("name", "maria novak"), ("street", "long lane"), ("city", "brno"), ("job", "baker")]
    lines = [line(0, 35 * row, name) for row, (name, _) in enumerate(fields)]
    lines += [line(200, 35 * row + 2, value) for row, (_, value) in enumerate(fields)]

    assert read(lines) == [f"{name} {value}" for name, value in fields]


def test_long_cells_in_spacious_rows_are_read_row_by_row() -> None:
    rows = list(zip(LEFT, RIGHT, strict=True))
    lines = [*prose(0, 0, *LEFT, pitch=2), *prose(300, 0, *RIGHT, pitch=2)]

    assert read(lines) == [f"{one} {other}" for one, other in rows]


def test_an_initial_comes_before_its_paragraph() -> None:
    lines = [line(0, 0, "S", 60), *prose(40, 0, *LEFT[:2]), *prose(0, 56, *LEFT)]

    assert read(lines) == ["S", *LEFT[:2], *LEFT]


def test_signs_at_one_height_are_not_one_line() -> None:
    assert texts_of_blocks([line(0, 0, "bakery"), line(500, 4, "garage")]) == [
        ["bakery"],
        ["garage"],
    ]


def test_a_heading_is_a_block_of_its_own() -> None:
    assert texts_of_blocks([line(0, 0, "heading", 48), line(0, 60, "body text")]) == [
        ["heading"],
        ["body text"],
    ]


@pytest.mark.parametrize("degrees", [-15, -8, 8, 15, 90, 180, 270, 82, 188])
@pytest.mark.parametrize("page", [newspaper(), table(0, 0)], ids=["newspaper", "table"])
def test_a_turned_page_reads_as_the_upright_one(page: list[Line], degrees: float) -> None:
    assert read(turned(page, degrees)) == read(page)


@pytest.mark.parametrize("degrees", [0, 12, 90, 180, 270, 260])
def test_boxes_begin_at_the_top_left_of_the_text_and_lean_with_it(degrees: float) -> None:
    page = prose(100, 50, *LEFT)
    (upright,) = blocks_of(page)
    (found,) = blocks_of(turned(page, degrees))

    (expected,) = turned([replace(page[0], quad=upright.quad)], degrees)
    assert [tuple(map(round, corner)) for corner in found.quad] == [
        tuple(map(round, corner)) for corner in expected.quad
    ]


def blocks_of(lines: Sequence[Line]) -> Sequence[object]:
    found = layout(lines)
    assert found is not None
    return found.blocks


def test_the_box_of_all_text_is_upright_and_begins_where_the_text_does() -> None:
    page = prose(100, 50, *LEFT)
    found, on_its_side = layout(page), layout(turned(page, 90))

    assert found is not None
    assert on_its_side is not None
    left, top, right, bottom = 100, 50, 340, 50 + 3 * 28 + 20
    assert found.quad == box(left, top, right, bottom)
    corners = [(-top, left), (-top, right), (-bottom, right), (-bottom, left)]
    assert [tuple(map(round, corner)) for corner in on_its_side.quad] == corners


def column(x: float, y: float, text: str, *, rolled: bool) -> Line:
    """A column of Japanese. ``rolled``: its box is that of a line turned clockwise."""

    def quad(corners: Quad) -> Quad:
        return (*corners[1:], corners[0]) if rolled else corners

    symbols = tuple(
        Symbol(c, quad(box(x, y + at * SIZE, x + SIZE, y + (at + 1) * SIZE)), 0.9)
        for at, c in enumerate(text)
    )
    whole = quad(box(x, y, x + SIZE, y + len(text) * SIZE))
    return Line(whole, (Word(whole, symbols, 0.9),), 0.9)


@pytest.mark.parametrize("rolled", [True, False])
def test_columns_of_japanese_are_read_from_the_right(rolled: bool) -> None:
    texts = ["吾輩は猫である", "名前はまだ無い", "どこで生れたか"]
    lines = [column(200 - at * 30, 0, text, rolled=rolled) for at, text in enumerate(texts)]

    assert read(lines) == texts
    (block,) = blocks_of(lines)
    first = box(140, 0, 220, 140)[1 if rolled else 0]
    assert block.quad[0] == first  # type: ignore[attr-defined]


HEBREW = ["שלום לכולם ברוכים", "הבאים אל העיר הגדו", "לה שלנו ביום הזה ו", "סוף"]


def test_columns_and_cells_run_from_right_to_left_where_letters_do() -> None:
    other = [text[::-1] for text in HEBREW]
    lines = [line(300, 28 * at, text, rtl=True) for at, text in enumerate(HEBREW)]
    lines += [line(0, 28 * at, text, rtl=True) for at, text in enumerate(other)]
    lines += [line(300, 300, "לחם", rtl=True), line(100, 300, "12.50")]
    lines += [line(300, 330, "חלב", rtl=True), line(100, 330, "1234567890")]

    assert read(lines) == [*HEBREW, *other, "לחם 12.50", "חלב 1234567890"]


def test_a_row_of_hebrew_runs_from_right_to_left_on_an_english_page() -> None:
    lines = [*prose(0, 0, *LEFT), line(60, 150, "שלום", rtl=True), line(0, 150, "עולם", rtl=True)]

    assert read(lines)[-1] == "שלום עולם"


def test_text_that_runs_another_way_comes_last() -> None:
    stamp = [replace(found, quad=found.quad) for found in turned([line(0, 50, "stamp")], 270)]

    assert read([*stamp, *prose(60, 0, *LEFT)])[-1] == "stamp"


def test_paragraphs_end_at_white_space() -> None:
    ys = {"a" * 15: 0, "b" * 15: 28, "c" * 15: 56, "d" * 15: 100, "e" * 15: 128}

    assert paragraphs([line(0, y, name) for name, y in ys.items()]) == [
        "\n".join(["a" * 15, "b" * 15, "c" * 15]),
        "\n".join(["d" * 15, "e" * 15]),
    ]


def test_a_paragraph_ends_where_the_next_word_would_have_fitted() -> None:
    full, end = "words that fill a line well", "and the last few"

    assert paragraphs(prose(0, 0, full, end, full, full)) == [
        f"{full}\n{end}",
        f"{full}\n{full}",
    ]


def test_a_paragraph_begins_at_an_indented_line() -> None:
    full = "words that fill a line very"
    lines = [*prose(0, 0, full, full), line(30, 56, full[:-3] + "ily"), line(0, 84, full)]

    assert len(paragraphs(lines)) == 2


def test_list_items_are_paragraphs_and_hang_together() -> None:
    first, more = "• an item that fills a line", "which goes on below the bull"
    lines = [line(0, 0, first), line(20, 28, more), line(0, 56, first), line(20, 84, more)]

    assert paragraphs(lines) == [f"{first}\n{more}"] * 2


@pytest.mark.parametrize(
    ("last", "following", "end"),
    [
        ("exam-", "ple of a word", Break.HYPHEN),
        ("exam‐", "ple of a word", Break.HYPHEN),
        ("1998-", "ple of a word", Break.WRAP),
        ("Anne-", "Marie is a name", Break.WRAP),
        ("this -", "ple of a word", Break.WRAP),
    ],
)
def test_a_hyphen_that_divides_a_word_is_a_break(last: str, following: str, end: Break) -> None:
    found = layout(prose(0, 0, f"words that fill a line {last}", f"{following} goes on here too"))

    assert found is not None
    pieces = list(found.pieces)
    at = next(i for i, piece in enumerate(pieces) if "\n" in piece.end.text)
    assert pieces[at].end is end
    if end is Break.HYPHEN:
        assert pieces[at].word.text == "exam"
        assert "exam-\nple" in found.text


def test_a_wide_gap_within_a_line_is_surely_a_space() -> None:
    assert ends([line(0, 0, "name      value of it")]) == [
        Break.SURE_SPACE,
        Break.SPACE,
        Break.SPACE,
        Break.END,
    ]


def test_pieces_of_one_line_are_joined() -> None:
    found = [line(0, 0, "the first part"), line(160, 2, "and the rest")]

    assert paragraphs(found) == ["the first part and the rest"]


def test_no_space_is_put_between_pieces_of_chinese() -> None:
    assert read([line(0, 0, "今天"), line(35, 0, "晴天")]) == ["今天晴天"]


def test_pieces_of_korean_are_words() -> None:
    assert read([line(0, 0, "한국어"), line(40, 0, "문장")]) == ["한국어 문장"]


def test_without_lines_there_are_no_blocks() -> None:
    assert layout([]) == PageLayout()


# --- whatever the lines are -------------------------------------------------------------------

letters = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=5)
words = letters | st.sampled_from(
    ["word", "divi-", "ded", "今天是晴天", "日本語の", "שלום", "12.50", "•"]
)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)
level_lines = st.builds(
    line,
    st.sampled_from([0.0, 8, 150, 300, 470]) | st.floats(-50, 900),
    st.sampled_from([0.0, 26, 28, 52, 56, 90]) | st.floats(-50, 900),
    texts,
    st.sampled_from([12.0, 20, 20, 20, 48]),
    st.booleans(),
)
points = st.tuples(st.integers(-20, 900), st.integers(-20, 900))


@st.composite
def odd_lines(draw: st.DrawFn) -> Line:
    """Any four corners at all, also four times the same."""
    quad: Quad = draw(st.tuples(points, points, points, points) | points.map(lambda p: (p,) * 4))
    found = line(0, 0, draw(texts))
    parts = tuple(
        Word(quad, tuple(replace(symbol, quad=quad) for symbol in word.symbols), 0.75)
        for word in found.words
    )
    return Line(quad, parts, 0.75)


pages = st.one_of(
    st.lists(level_lines, min_size=1, max_size=25),
    st.builds(
        turned,
        st.lists(level_lines, min_size=1, max_size=25),
        st.sampled_from([0, 90, 180, 270]) | st.floats(-180, 180),
    ),
    st.lists(odd_lines() | level_lines, min_size=1, max_size=12),
)


@settings(deadline=None)
@given(pages)
def test_every_symbol_is_there_exactly_once(lines: list[Line]) -> None:
    found = layout(lines)

    assert found is not None
    given_symbols = Counter(s for found in lines for word in found.words for s in word.symbols)
    placed = Counter(symbol for piece in found.pieces for symbol in piece.word.symbols)
    hyphens = sum(piece.end is Break.HYPHEN for piece in found.pieces)
    missing = given_symbols - placed
    assert not placed - given_symbols
    assert missing.total() == hyphens
    assert all(symbol.text in "-‐\u00ad" for symbol in missing)


@settings(deadline=None)
@given(pages, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_is_of_no_account(lines: list[Line], chance: random.Random) -> None:
    shuffled = list(lines)
    chance.shuffle(shuffled)

    assert layout(shuffled) == layout(lines)


@settings(deadline=None)
@given(pages)
def test_boxes_hold_what_is_in_them(lines: list[Line]) -> None:
    found = layout(lines)

    assert found is not None
    for block in found.blocks:
        for part in block.paragraphs:
            assert all(holds(block.quad, corner) for corner in part.quad)
            for piece in part.pieces:
                assert all(holds(part.quad, corner) for corner in piece.word.quad)
                assert all(holds(found.quad, corner) for corner in piece.word.quad)


def holds(quad: Quad, point: Point) -> bool:
    """Whether ``point`` lies in the rectangle ``quad``, a thousandth of a pixel aside."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    x, y = point
    assert all(map(math.isfinite, (x0, y0, x1, y1, x2, y2, x3, y3)))
    middle = (x0 + x2) / 2, (y0 + y2) / 2
    for (ax, ay), (bx, by) in (((x0, y0), (x1, y1)), ((x0, y0), (x3, y3))):
        length = math.hypot(bx - ax, by - ay)
        if length > 1e-6:  # what is shorter has no direction but that of its rounding
            off = ((x - middle[0]) * (bx - ax) + (y - middle[1]) * (by - ay)) / length
            if abs(off) > length / 2 + 1e-3:
                return False
    return True


def test_thousands_of_lines_on_one_spot_are_survived() -> None:
    found = layout([line(0, 0, "noise")] * 2000)

    assert found is not None
    assert found.text.split() == ["noise"] * 2000
