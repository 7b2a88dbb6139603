"""Chains: which words of "Animal … Siamese cat" are said."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapetum.detectors.vocabulary import ClassWord, Vocabulary, softmax
from tapetum.features.label_chains import broadest, told
from tapetum.signals.labels import Label, Word


def labels(*rows: tuple[str, range, float, str | None]) -> list[Label]:
    """Of words with the classes they cover, of 1000. One that covers a single class is narrow."""
    words = [
        ClassWord(name, mid, frozenset(classes), len(classes) == 1 and not mid)
        for name, classes, _, mid in rows
    ]
    return [
        Label(
            Word(
                word.description,
                word.mid,
                float(np.log2(1000 / len(word.classes))),
                frozenset(other.description for other in words if word.is_below(other)),
                word.narrow,
            ),
            score,
        )
        for word, (_, _, score, _) in zip(words, rows, strict=True)
    ]


ROWS = [
    ("Animal", range(400), 0.99, "/m/1"),
    ("Vertebrate", range(330), 0.98, None),
    ("Carnivore", range(150), 0.97, "/m/2"),
    ("Dog", range(118), 0.96, "/m/3"),
    ("Working dog", range(30), 0.95, None),
    ("Kuvasz", range(1), 0.9, None),
]
CHAIN = labels(*ROWS)
ANIMAL, VERTEBRATE, CARNIVORE, DOG, WORKING_DOG, KUVASZ = CHAIN


def names(said) -> set[str]:
    return {label.word.description for label in told(said)}


def test_the_narrow_the_everyday_and_the_broadest():
    assert names(CHAIN) == {"Kuvasz", "Dog", "Animal"}


def test_without_an_everyday_word_the_most_telling_stands_in():
    assert names([VERTEBRATE, WORKING_DOG, KUVASZ]) == {"Kuvasz", "Working dog", "Vertebrate"}


def test_a_chain_may_end_early():
    doubtful = replace(KUVASZ, probability=0.3)
    assert names([ANIMAL, VERTEBRATE, CARNIVORE, DOG, doubtful]) == {"Dog", "Carnivore", "Animal"}
    assert names([ANIMAL]) == {"Animal"}
    assert names([]) == set()


def test_a_name_of_the_same_class_is_the_broader_word():
    coffee, espresso, drink, alias = labels(
        ("Coffee", range(967, 968), 0.9, "/m/4"),
        ("Espresso", range(967, 968), 0.9, None),
        ("Drink", range(966, 970), 0.9, "/m/5"),
        ("Coffee drink", range(967, 968), 0.9, "/m/6"),
    )
    assert names([coffee, espresso, drink]) == {"Espresso", "Coffee", "Drink"}
    assert len(names([coffee, espresso, drink, alias])) == 3
    assert broadest(espresso, [coffee, espresso, alias]) is None  # all three are the same thing
    assert broadest(espresso, [coffee, espresso, drink]) == drink


def test_a_broad_word_needs_more_than_chance():
    assert names(labels(("Animal", range(400), 0.69, None))) == set()
    assert names(labels(("Animal", range(400), 0.71, None))) == {"Animal"}
    assert names(labels(("Tabby", range(1), 0.51, None))) == {"Tabby"}


def test_the_broadest_is_above_the_word():
    assert broadest(DOG, CHAIN) == ANIMAL
    assert broadest(ANIMAL, CHAIN) is None


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.read(files("tapetum.detectors").joinpath("tables/imagenet1k.json"))


@given(st.integers(0, 999), st.integers(0, 999), st.floats(0.6, 0.99))
def test_no_chain_has_more_than_three_words(vocabulary, first, second, share):
    logits = np.full(1000, -20, dtype=np.float32)
    logits[first], logits[second] = 0.7 * np.log(share), 0.7 * np.log(1.001 - share)
    said = told(vocabulary.labels(softmax(logits, 0.7)).likely())
    assert said
    broader = {description for label in said for description in label.word.broader}
    ends = [label for label in said if label.word.description not in broader]
    assert len(said) <= 3 * len(ends)
    covered = {word.description: word.classes for word in vocabulary.words}
    assert any({first, second} & covered[label.word.description] for label in said)
