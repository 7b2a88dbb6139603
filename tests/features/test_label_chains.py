"""Chains: which words of "Animal … Siamese cat" are said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapetum.features.label_chains import broadest, told
from tapetum.features.vocabulary import LabelCandidate, Vocabulary


def word(name: str, classes: range, score: float, mid: str | None = None, narrow: bool = False):
    bits = float(np.log2(1000 / len(classes)))
    return LabelCandidate(name, mid, score, bits, frozenset(classes), narrow)


ANIMAL = word("Animal", range(400), 0.99, "/m/1")
VERTEBRATE = word("Vertebrate", range(330), 0.98)
CARNIVORE = word("Carnivore", range(150), 0.97, "/m/2")
DOG = word("Dog", range(118), 0.96, "/m/3")
WORKING_DOG = word("Working dog", range(30), 0.95)
KUVASZ = word("Kuvasz", range(1), 0.9, narrow=True)
CHAIN = [ANIMAL, VERTEBRATE, CARNIVORE, DOG, WORKING_DOG, KUVASZ]


def names(candidates) -> set[str]:
    return {one.description for one in told(candidates)}


def test_the_narrow_the_everyday_and_the_broadest():
    assert names(CHAIN) == {"Kuvasz", "Dog", "Animal"}


def test_without_an_everyday_word_the_most_telling_stands_in():
    assert names([VERTEBRATE, WORKING_DOG, KUVASZ]) == {"Kuvasz", "Working dog", "Vertebrate"}


def test_a_chain_may_end_early():
    doubtful = word("Kuvasz", range(1), 0.3, narrow=True)
    assert names([ANIMAL, VERTEBRATE, CARNIVORE, DOG, doubtful]) == {"Dog", "Carnivore", "Animal"}
    assert names([ANIMAL]) == {"Animal"}
    assert names([]) == set()


def test_a_name_of_the_same_class_is_the_broader_word():
    coffee = word("Coffee", range(967, 968), 0.9, "/m/4")
    espresso = word("Espresso", range(967, 968), 0.9, narrow=True)
    drink = word("Drink", range(966, 970), 0.9, "/m/5")
    alias = word("Coffee drink", range(967, 968), 0.9)
    assert names([coffee, espresso, drink]) == {"Espresso", "Coffee", "Drink"}
    assert names([coffee, espresso, drink, alias]) == {"Espresso", "Coffee", "Drink"}


def test_a_broad_word_needs_more_than_chance():
    assert names([word("Animal", range(400), 0.69)]) == set()
    assert names([word("Animal", range(400), 0.71)]) == {"Animal"}
    assert names([word("Tabby", range(1), 0.51)]) == {"Tabby"}


def test_the_broadest_is_above_the_word():
    assert broadest(DOG, CHAIN) == ANIMAL
    assert broadest(ANIMAL, CHAIN) is None


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.packaged()


@given(st.integers(0, 999), st.integers(0, 999), st.floats(0.6, 0.99))
def test_no_chain_has_more_than_three_words(vocabulary, one, other, share):
    logits = np.full(1000, -20, dtype=np.float32)
    logits[one], logits[other] = 0.7 * np.log(share), 0.7 * np.log(1.001 - share)
    said = told(vocabulary.candidates(logits))
    assert said
    ends = [a for a in said if not any(b.classes < a.classes for b in said)]
    assert len(said) <= 3 * len(ends)
    assert any(one in word.classes or other in word.classes for word in said)
