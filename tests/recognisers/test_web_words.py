"""What pages speak of."""

from __future__ import annotations

from tapetum.recognisers.web_words import Words, entities
from tapetum.signals.web import Mention


def page(title: str, alt: str = "", caption: str = "", language: str = "en") -> Mention:
    return Mention(f"https://e.org/{title}", title, alt, caption, language)


PAGES = [
    page(f"{name} - travel notes", f"Photo of {name}", f"{name}, photo by {author}")
    for name, author in (
        ("Bent Pyramid", "Neithsabes"), ("Red Pyramid", "Chipdawes"), ("Eiffel Tower", "B. B."),
        ("Mont Saint-Michel", "A. A."), ("Great Wall of China", "C. C."), ("Petra", "D. D."),
    )
]  # fmt: skip
WORDS = Words.of(PAGES)


def said(matching, similar=()) -> list[str]:
    return [entity.description for entity in entities(matching, similar, WORDS)]


def test_the_words_of_a_page_that_others_lack_come_first():
    assert said([[PAGES[0]]])[0] == "Bent Pyramid"
    assert said([[PAGES[3]]])[0] == "Mont Saint-Michel"
    assert said([[PAGES[4]]])[0] == "Great Wall of China"
    for index in range(len(PAGES)):
        words = " ".join(said([[PAGES[index]]])).casefold()
        assert "travel notes" not in words
        assert "photo" not in words


def test_no_phrase_is_part_of_another():
    found = said([[PAGES[0]], [PAGES[1]]])
    assert "Pyramid" not in found or "Bent Pyramid" not in found


def test_similar_images_speak_only_together():
    assert said([], [[PAGES[0]]]) == []
    again = page("Climbing the Bent Pyramid")
    assert said([], [[PAGES[0]], [again]])[0] == "Bent Pyramid"
    assert said([[PAGES[2]]], [[PAGES[0]], [again]])[0] == "Eiffel Tower"


def test_one_image_on_many_pages_is_no_chorus():
    often = entities([[PAGES[0]] * 50], [], WORDS)[0].score
    assert often == entities([[PAGES[0]]], [], WORDS)[0].score


def test_languages_and_spellings_are_the_most_frequent():
    pages = [page("Der Eiffelturm", language="de"), page("der eiffelturm!", language="de"),
             page("Der Eiffelturm | Bilder", language="fr")]  # fmt: skip
    first = entities([pages], [], WORDS)[0]
    assert (first.description, first.language) == ("Eiffelturm", "de")


def test_nothing_said():
    assert said([[]]) == []
    assert said([[page("", "", "", "")]]) == []
    assert said([[page("12345 the of 99 - | !!")]]) == []
    assert entities([], [], Words()) == []
