"""TEXT_DETECTION and DOCUMENT_TEXT_DETECTION: from lines to the two fields of the message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from google.cloud import vision_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.features import Ask
from tapetum.features.document_text import DocumentTextDetection
from tapetum.features.text import TextDetection
from tapetum.layout.language_shares import Share
from tapetum.layout.page import layout
from tapetum.signals import Signals
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.text import Line, Symbol, Word

BREAKS = {0: "", 1: " ", 2: " ", 3: "\n", 4: "-\n", 5: "\n"}


def identify(text: str) -> Sequence[Share]:
    """By script alone: what the tests need of a language identifier."""
    if any("א" <= letter <= "ת" for letter in text):
        return [Share("he", 0.75), Share("yi", 0.25)]
    return [Share("en", 1.0)] if text.isascii() else []


TEXT, DOCUMENT = TextDetection(identify), DocumentTextDetection(identify)


def response() -> Any:
    return vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())


def ask(*, confidence: bool = False, max_results: int = 10) -> Ask:
    context = vision_v1.ImageContext.pb(vision_v1.ImageContext())
    if confidence:
        context.text_detection_params.enable_text_detection_confidence_score = True
    return Ask(max_results=max_results, width=640, height=480, image_context=context)


def line(text: str, x: float = 0, y: float = 0, size: float = 20) -> Line:
    """A level line of equally wide characters, ``size`` high and half as wide each."""

    def box(start: int, end: int) -> Any:
        left, right = x + start * size / 2, x + end * size / 2
        return ((left, y), (right, y), (right, y + size), (left, y + size))

    words, at = [], 0
    for word in text.split(" "):
        symbols = tuple(Symbol(c, box(at + i, at + i + 1), 0.75) for i, c in enumerate(word))
        words.append(Word(box(at, at + len(word)), symbols, 0.75))
        at += len(word) + 1
    return Line(box(0, len(text)), tuple(words), 0.75)


def describe(
    lines: Sequence[Line], asked: Ask | None = None, features: Sequence[Any] = (TEXT,)
) -> Any:
    filled = response()
    for feature in features:
        feature.describe(asked or ask(), Signals([layout(lines)]), filled)
    return filled


def rebuilt(annotation: Any) -> str:
    return "".join(
        symbol.text + BREAKS[symbol.property.detected_break.type_]
        for page in annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
        for symbol in word.symbols
    )


def vertices(poly: Any) -> list[tuple[int, int]]:
    return [(vertex.x, vertex.y) for vertex in poly.vertices]


POEM = [line("Roses are red", 10, 10), line("violets blue", 10, 38), line("far away", 10, 300)]


def test_they_are_the_two_text_features() -> None:
    assert TEXT.type == vision_v1.Feature.Type.TEXT_DETECTION
    assert DOCUMENT.type == vision_v1.Feature.Type.DOCUMENT_TEXT_DETECTION
    assert TEXT.needs == DOCUMENT.needs == (PageLayout,)


@pytest.mark.parametrize("feature", [TEXT, DOCUMENT])
def test_without_text_both_fields_stay_unset(feature: Any) -> None:
    filled = describe([], features=[feature])

    assert not filled.HasField("full_text_annotation")
    assert len(filled.text_annotations) == 0
    assert filled == response()


def test_the_first_entry_is_the_whole_text_and_the_rest_its_words() -> None:
    whole, *words = describe(POEM).text_annotations

    assert whole.description == "Roses are red\nviolets blue\nfar away"
    assert [word.description for word in words] == whole.description.split()
    assert vertices(whole.bounding_poly) == [(10, 10), (140, 10), (140, 320), (10, 320)]
    assert vertices(words[1].bounding_poly) == [(70, 10), (100, 10), (100, 30), (70, 30)]
    assert all(word.score == 0 and word.mid == "" and word.locale == "" for word in words)


def test_the_page_is_a_tree_with_boxes_everywhere() -> None:
    (page,) = describe(POEM).full_text_annotation.pages

    assert (page.width, page.height) == (640, 480)
    assert [block.block_type for block in page.blocks] == [vision_v1.Block.BlockType.TEXT] * 2
    assert [len(block.paragraphs) for block in page.blocks] == [1, 1]
    for block in page.blocks:
        for paragraph in block.paragraphs:
            for word in paragraph.words:
                boxes = [block, paragraph, word, *word.symbols]
                assert all(len(box.bounding_box.vertices) == 4 for box in boxes)
    assert vertices(page.blocks[0].bounding_box) == [(10, 10), (140, 10), (140, 58), (10, 58)]


def test_breaks_say_how_words_lines_and_paragraphs_end() -> None:
    kinds = vision_v1.TextAnnotation.DetectedBreak.BreakType
    (page,) = describe(POEM).full_text_annotation.pages
    words = [w for block in page.blocks for p in block.paragraphs for w in p.words]

    ends = [word.symbols[-1].property.detected_break.type_ for word in words]

    assert ends == [
        kinds.SPACE,
        kinds.SPACE,
        kinds.EOL_SURE_SPACE,
        kinds.SPACE,
        kinds.LINE_BREAK,
        kinds.SPACE,
        kinds.LINE_BREAK,
    ]
    inner = [symbol for word in words for symbol in word.symbols[:-1]]
    assert not any(symbol.HasField("property") for symbol in inner)


def test_confidences_are_given_only_when_asked_for() -> None:
    def confidences(asked: Ask, feature: Any = TEXT) -> set[float]:
        (page,) = describe(POEM, asked, [feature]).full_text_annotation.pages
        found = {page.confidence}
        for block in page.blocks:
            found.add(block.confidence)
            for paragraph in block.paragraphs:
                found.add(paragraph.confidence)
                for word in paragraph.words:
                    found |= {word.confidence, *(symbol.confidence for symbol in word.symbols)}
        return found

    assert confidences(ask()) == {0}
    assert confidences(ask(confidence=True)) == {0.75}
    assert confidences(ask(), DOCUMENT) == {0.75}


def test_a_confidence_is_the_mean_over_all_symbols_below() -> None:
    box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    words = tuple(
        Word(box, tuple(Symbol("a", box, each) for each in sure), 0.5)
        for sure in ([1.0, 0.5], [0.25], [0.25])
    )
    filled = describe([Line(box, words, 0.5)], features=[DOCUMENT])
    (page,) = filled.full_text_annotation.pages
    (block,) = page.blocks
    (paragraph,) = block.paragraphs

    assert [word.confidence for word in paragraph.words] == [0.75, 0.25, 0.25]
    assert page.confidence == block.confidence == paragraph.confidence == 0.5


@pytest.mark.parametrize("features", [[TEXT, DOCUMENT], [DOCUMENT, TEXT], [DOCUMENT, DOCUMENT]])
def test_the_document_wins_and_nothing_is_said_twice(features: list[Any]) -> None:
    assert describe(POEM, features=features) == describe(POEM, features=[DOCUMENT])


def test_legacy_layout_is_accepted() -> None:
    asked = ask()
    asked.image_context.text_detection_params.advanced_ocr_options.append("legacy_layout")

    assert describe(POEM, asked) == describe(POEM)


def languages(message: Any) -> list[tuple[str, float]]:
    found = message.property.detected_languages
    return [(each.language_code, round(each.confidence, 3)) for each in found]


def test_blocks_and_the_page_say_their_languages_and_the_text_its_main_one() -> None:
    filled = describe([*POEM, line("שלום", 10, 400)])
    (page,) = filled.full_text_annotation.pages

    assert [languages(block) for block in page.blocks] == [
        [("en", 1)],
        [("en", 1)],
        [("he", 0.75), ("yi", 0.25)],
    ]
    assert languages(page) == [("he", 0.75), ("yi", 0.25)]
    assert filled.text_annotations[0].locale == "he"
    assert not any(entry.locale for entry in filled.text_annotations[1:])


def test_a_line_that_was_read_as_one_language_is_in_it() -> None:
    read = Line(POEM[0].quad, POEM[0].words, 0.75, "nl")
    (page,) = describe([read, POEM[1]]).full_text_annotation.pages

    assert languages(page) == [("en", 0.5), ("nl", 0.5)]


def test_where_no_language_is_known_none_is_said() -> None:
    filled = describe([line("été", 0, 0)])
    (page,) = filled.full_text_annotation.pages

    assert languages(page) == languages(page.blocks[0]) == []
    assert filled.text_annotations[0].locale == ""


def test_a_table_is_called_one() -> None:
    cells = [line(text, 200 * at, 30 * row) for row in range(3) for at, text in enumerate("abc")]
    (page,) = describe(cells).full_text_annotation.pages

    assert [block.block_type for block in page.blocks] == [vision_v1.Block.BlockType.TABLE]


def test_max_results_does_not_bound_text() -> None:
    assert len(describe(POEM, ask(max_results=1)).text_annotations) == 8


def test_vertices_are_rounded_and_may_be_negative() -> None:
    word = describe([line("edge", -3.4, -0.6)]).text_annotations[1]

    assert vertices(word.bounding_poly)[0] == (-3, -1)


def test_a_slanted_word_keeps_its_own_corners() -> None:
    quad = ((10.0, 20.0), (110.0, 40.0), (106.0, 60.0), (6.0, 40.0))
    slanted = Line(quad, (Word(quad, (Symbol("A", quad, 0.9),), 0.9),), 0.9)
    whole, word = describe([slanted]).text_annotations

    assert vertices(word.bounding_poly) == [(10, 20), (110, 40), (106, 60), (6, 40)]
    assert vertices(whole.bounding_poly) == [(6, 20), (110, 20), (110, 60), (6, 60)]


word_texts = st.text(
    st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=6
) | st.sampled_from(["divi-", "ded", "今天是晴天", "שלום"])
lines_of_text = st.lists(
    st.builds(
        line,
        st.lists(word_texts, min_size=1, max_size=4).map(" ".join),
        st.floats(-20, 600),
        st.floats(-20, 460),
        st.sampled_from([12.0, 20.0, 40.0]),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(lines_of_text)
def test_the_text_follows_from_the_symbols_and_their_breaks(lines: list[Line]) -> None:
    filled = describe(lines)
    annotation = filled.full_text_annotation

    assert rebuilt(annotation) == annotation.text
    assert filled.text_annotations[0].description + "\n" == annotation.text
    words = ["".join(s.text for s in word.symbols) for word in words_of(annotation)]
    assert [entry.description for entry in filled.text_annotations[1:]] == words
    given_text = "".join(word.text for found in lines for word in found.words)
    assert sorted("".join(annotation.text.split())) == sorted(given_text)


def words_of(annotation: Any) -> list[Any]:
    return [
        word
        for page in annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
    ]


def test_a_missing_signal_is_a_fault_of_the_caller() -> None:
    with pytest.raises(KeyError):
        TEXT.describe(ask(), Signals(), response())
