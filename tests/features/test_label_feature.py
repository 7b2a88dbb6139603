"""LABEL_DETECTION and its vocabulary."""

import json
import re
from importlib.resources import files

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors import Signals
from tapetum.detectors.classes import ImageClasses
from tapetum.features import Ask
from tapetum.features.label import LabelDetection, chosen
from tapetum.features.vocabulary import LabelCandidate, Vocabulary, softmax

TABBY, TIGER_CAT, PERSIAN, SUNGLASS, SUNGLASSES = 281, 282, 283, 836, 837


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.packaged()


@pytest.fixture(scope="module")
def table() -> dict:
    path = files("tapetum.features").joinpath("tables/imagenet1k.json")
    return json.loads(path.read_text(encoding="utf-8"))


def logits_of(shares: dict[int, float]) -> np.ndarray:
    """Logits whose softmax at the vocabulary's temperature gives ``shares``, the rest evenly."""
    rest = (1 - sum(shares.values())) / (1000 - len(shares))
    probabilities = np.full(1000, rest)
    for index, share in shares.items():
        probabilities[index] = share
    return (np.log(probabilities) * 0.7).astype(np.float32)


def labels_of(logits: np.ndarray, max_results: int = 10) -> list:
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    embedding = np.zeros(1280, dtype=np.float32)
    signals = Signals([ImageClasses(logits, embedding)])
    context = vision_v1.ImageContext.pb(vision_v1.ImageContext())
    LabelDetection().describe(Ask(max_results, 640, 480, context), signals, response)
    return list(response.label_annotations)


def test_broad_words_are_sums_of_narrow_ones(vocabulary):
    logits = logits_of({TABBY: 0.5, TIGER_CAT: 0.2, PERSIAN: 0.1})
    scores = {c.description: c.score for c in vocabulary.candidates(logits)}
    assert scores["Tabby cat"] == pytest.approx(0.5, abs=1e-4)
    assert scores["Cat"] == pytest.approx(0.8, abs=1e-2)
    assert scores["Animal"] >= scores["Mammal"] >= scores["Cat"]


def test_labels_are_sorted_thresholded_and_carry_their_score_as_topicality():
    labels = labels_of(logits_of({TABBY: 0.6, PERSIAN: 0.3}))
    described = [label.description for label in labels]
    assert described[0] == "Animal"
    assert "Cat" in described
    assert "Tabby cat" in described
    assert "Persian cat" not in described
    assert [-label.score for label in labels] == sorted(-label.score for label in labels)
    assert all(label.topicality == label.score for label in labels)
    assert all(0.5 <= label.score <= 1 for label in labels)
    cat = next(label for label in labels if label.description == "Cat")
    assert cat.mid == "/m/01yrx"
    assert not cat.HasField("bounding_poly")


def test_nothing_likely_leaves_the_field_unset():
    assert labels_of(np.zeros(1000, dtype=np.float32)) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_limit_keeps_the_narrow_word(limit):
    labels = labels_of(logits_of({TABBY: 0.97}), limit)
    assert len(labels) == limit
    assert "Tabby cat" in [label.description for label in labels]


def test_a_limit_prefers_a_sure_word_to_a_doubtful_narrow_one():
    (label,) = labels_of(logits_of({TABBY: 0.51, PERSIAN: 0.47}), 1)
    assert label.description == "Cat"


def test_a_word_without_mid_has_none():
    labels = labels_of(logits_of({TABBY: 0.97}))
    tabby = next(label for label in labels if label.description == "Tabby cat")
    assert tabby.mid == ""


def test_ties_go_by_name():
    candidates = [LabelCandidate(name, None, 0.9, 3.0) for name in ("Wheel", "Bus", "Car")]
    assert [c.description for c in chosen(candidates, 10)] == ["Bus", "Car", "Wheel"]
    assert [c.description for c in chosen(candidates, 2)] == ["Bus", "Car"]


def test_classes_of_one_name_are_one_word():
    labels = labels_of(logits_of({SUNGLASS: 0.4, SUNGLASSES: 0.55}))
    found = [label for label in labels if label.description == "Sunglasses"]
    assert len(found) == 1
    assert found[0].score == pytest.approx(0.95, abs=1e-3)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.floats(0.1, 20))
def test_any_logits_give_proper_labels(seed, limit, spread):
    logits = np.random.default_rng(seed).normal(0, spread, 1000).astype(np.float32)
    labels = labels_of(logits, limit)
    assert len(labels) <= limit
    assert len({label.description for label in labels}) == len(labels)
    assert labels == labels_of(logits, limit)


def test_the_table_is_whole_and_sorted(table, vocabulary):
    wnids = [leaf["wnid"] for leaf in table["leaves"]]
    assert len(wnids) == 1000
    assert wnids == sorted(set(wnids))
    names = [ancestor["name"].casefold() for ancestor in table["ancestors"]]
    assert names == sorted(set(names))
    for ancestor in table["ancestors"]:
        assert ancestor["leaves"] == sorted(set(ancestor["leaves"]))
        assert 0 <= ancestor["leaves"][0] <= ancestor["leaves"][-1] < 1000
    descriptions = [word.description.casefold() for word in vocabulary.words]
    assert len(descriptions) == len(set(descriptions))
    assert {index for word in vocabulary.words for index in word.classes} == set(range(1000))


def test_words_begin_with_a_capital_and_mids_are_unique(vocabulary):
    assert all(word.description[0].isupper() for word in vocabulary.words)
    mids = [word.mid for word in vocabulary.words if word.mid is not None]
    assert len(mids) == len(set(mids)) > 300
    assert all(re.fullmatch(r"/[mg]/[0-9a-z_]+", mid) for mid in mids)


def test_softmax_survives_large_logits():
    probabilities = softmax(np.array([1e4, 0, -1e4], dtype=np.float32), 0.7)
    assert probabilities.tolist() == [1.0, 0.0, 0.0]
