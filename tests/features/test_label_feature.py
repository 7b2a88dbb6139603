"""LABEL_DETECTION and its vocabulary."""

import json
import re
from importlib.resources import files

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.calibration import BetaCalibration
from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.objects import read_names
from tapetum.detectors.vocabulary import Vocabulary, softmax
from tapetum.features import Ask
from tapetum.features.label import LabelDetection, chosen
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.labels import Label, Labels, Word
from tapetum.signals.objects import LocatedObject, Objects
from tapetum.signals.photo_statistics import PhotoStatistics
from tapetum.signals.quick_faces import QuickFaces

TABBY, TIGER_CAT, PERSIAN, SUNGLASS, SUNGLASSES, KUVASZ = 281, 282, 283, 836, 837, 222
PERSON, CAR, CAT, DOG, SHEEP, GIRAFFE = 0, 2, 15, 16, 18, 23  # of COCO
PHOTOGRAPH = PhotoStatistics(flatness=0.2, composition=0.7)
WIDTH, HEIGHT = 640, 480
PICTURE = Picture(np.zeros((1, 1, 3), dtype=np.uint8), WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.read(files("tapetum.detectors").joinpath("tables/imagenet1k.json"))


@pytest.fixture(scope="module")
def table() -> dict:
    path = files("tapetum.detectors").joinpath("tables/imagenet1k.json")
    return json.loads(path.read_text(encoding="utf-8"))


def logits_of(shares: dict[int, float]) -> np.ndarray:
    """Logits whose softmax at the vocabulary's temperature gives ``shares``, the rest evenly."""
    rest = (1 - sum(shares.values())) / (1000 - len(shares))
    probabilities = np.full(1000, rest)
    for index, share in shares.items():
        probabilities[index] = share
    return (np.log(probabilities) * 0.7).astype(np.float32)


NOTHING = np.zeros(1000, dtype=np.float32)


LABELS = packs.maker_of(Labels, Sessions(Manifest.packaged()))
NAMES = read_names(files("tapetum.detectors").joinpath("tables/coco_objects.csv"))
CALIBRATION = BetaCalibration(**packs.chosen(Manifest.packaged().packs)["Objects"].calibration)


def objects(*seen: tuple[int, float, float]) -> Objects:
    """Objects of (class, raw score, share of the picture that the box covers), best first."""
    chances = CALIBRATION.probability(np.array([score for _, score, _ in seen])).tolist()
    return Objects(
        tuple(
            LocatedObject(NAMES[kind].name, NAMES[kind].mid, chance, (0, 0, WIDTH * share, HEIGHT))
            for (kind, _, share), chance in zip(seen, chances, strict=True)
        )
    )


def lines(count: int, share: float) -> Captions:
    return Captions(np.zeros((count, 4, 2), dtype=np.float32), share)


def faces(*found: tuple[float, float, float]) -> QuickFaces:
    """Faces of (side as a share of the width, score, happy)."""
    sides, scores, happy = np.array(found, dtype=np.float32).reshape(-1, 3).T
    boxes = np.stack([0 * sides, 0 * sides, sides * WIDTH, sides * WIDTH], axis=1)
    return QuickFaces(boxes, scores, happy)


def labels_of(
    logits: np.ndarray,
    max_results: int = 10,
    *,
    things: Objects | None = None,
    text: Captions | None = None,
    seen: QuickFaces | None = None,
    statistics: PhotoStatistics = PHOTOGRAPH,
) -> list:
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    classes = ImageClasses(logits, np.zeros(1280, dtype=np.float32))
    signals = Signals(
        [
            LABELS.recognise(PICTURE, Signals([classes])),
            things if things is not None else objects(),
            text if text is not None else lines(0, 0.0),
            seen if seen is not None else faces(),
            statistics,
        ]
    )
    LabelDetection().describe(Ask(max_results, WIDTH, HEIGHT, None), signals, response)
    return list(response.label_annotations)


def words_of(*arguments, **named) -> dict[str, float]:
    return {label.description: label.score for label in labels_of(*arguments, **named)}


def test_broad_words_are_sums_of_narrow_ones(vocabulary):
    logits = logits_of({TABBY: 0.5, TIGER_CAT: 0.2, PERSIAN: 0.1})
    labels = vocabulary.labels(softmax(logits, 0.7)).likely()
    scores = {label.word.description: label.probability for label in labels}
    assert scores["Tabby cat"] == pytest.approx(0.5, abs=1e-4)
    assert scores["Cat"] == pytest.approx(0.8, abs=1e-2)
    assert scores["Animal"] >= scores["Mammal"] >= scores["Cat"]


def test_labels_are_sorted_thresholded_and_carry_their_score_as_topicality():
    labels = labels_of(logits_of({TABBY: 0.6, PERSIAN: 0.3}))
    assert [label.description for label in labels] == ["Animal", "Cat", "Tabby cat"]
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
    assert len(labels) == min(limit, 3)
    assert "Tabby cat" in [label.description for label in labels]


def test_a_limit_prefers_a_sure_word_to_a_doubtful_narrow_one():
    (label,) = labels_of(logits_of({TABBY: 0.51, PERSIAN: 0.47}), 1)
    assert label.description == "Cat"


def test_a_word_without_mid_has_none():
    labels = labels_of(logits_of({TABBY: 0.97}))
    tabby = next(label for label in labels if label.description == "Tabby cat")
    assert tabby.mid == ""


def test_ties_go_by_name():
    labels = [Label(Word(name, None, 3.0), 0.9) for name in ("Wheel", "Bus", "Car")]
    assert [label.word.description for label in chosen(labels, 10)] == ["Bus", "Car", "Wheel"]
    assert [label.word.description for label in chosen(labels, 2)] == ["Bus", "Car"]


def test_classes_of_one_name_are_one_word():
    labels = labels_of(logits_of({SUNGLASS: 0.4, SUNGLASSES: 0.55}))
    found = [label for label in labels if label.description == "Sunglasses"]
    assert len(found) == 1
    assert found[0].score == pytest.approx(0.95, abs=1e-3)


def test_of_a_long_chain_three_words_are_said():
    assert list(words_of(logits_of({KUVASZ: 0.97}))) == ["Animal", "Dog", "Kuvasz"]


def test_two_chains_have_their_words_each():
    # A lion's share each: both are seen, neither is sure.
    words = words_of(logits_of({KUVASZ: 0.6}), things=objects((CAR, 0.7, 0.2)))
    assert {"Animal", "Dog", "Kuvasz", "Car", "Vehicle"} == set(words)


def test_an_animal_of_no_kind_is_none():
    # What the network says of noise: 40 of 100 classes are animals.
    blurred = dict.fromkeys(range(398), 0.55 / 398)
    assert labels_of(logits_of(blurred)) == []
    sure = dict.fromkeys(range(398), 0.85 / 398)
    assert "Animal" in words_of(logits_of(sure))


def test_objects_are_named_with_their_probability_and_the_head_of_their_chain():
    labels = labels_of(NOTHING, things=objects((CAT, 0.8, 0.2), (CAT, 0.7, 0.2)))
    assert [label.description for label in labels] == ["Animal", "Cat"]
    assert {label.mid for label in labels} == {"/m/0jbk", "/m/01yrx"}
    assert 0.6 < labels[0].score < 1
    (giraffe,) = labels_of(NOTHING, things=objects((GIRAFFE, 0.8, 0.2)))
    assert (giraffe.description, giraffe.mid[:3]) == ("Giraffe", "/m/")


def test_faint_and_tiny_objects_are_not_named():
    assert labels_of(NOTHING, things=objects((CAT, 0.3, 0.5), (DOG, 0.9, 0.005))) == []
    many = objects(*[(DOG, 0.9, 0.005)] * 3)
    assert "Dog" in words_of(NOTHING, things=many)


def test_the_classifier_corrects_what_it_sees_better():
    kuvasz = logits_of({KUVASZ: 0.97})
    for score in (0.8, 0.99):
        assert "Sheep" not in words_of(kuvasz, things=objects((SHEEP, score, 0.7)))
    assert "Car" not in words_of(kuvasz, things=objects((CAR, 0.6, 0.7)))
    assert "Sheep" in words_of(kuvasz, things=objects((SHEEP, 0.8, 0.2)))  # beside the dog
    assert "Car" in words_of(kuvasz, things=objects((CAR, 0.99, 0.7)))  # under the dog
    assert "Person" in words_of(kuvasz, things=objects((PERSON, 0.9, 0.7)))
    assert "Sheep" in words_of(NOTHING, things=objects((SHEEP, 0.8, 0.7)))


def test_the_best_of_two_scores_for_one_word_counts():
    words = words_of(logits_of({TABBY: 0.6}), things=objects((CAT, 0.99, 0.2)))
    assert words["Cat"] > 0.9
    assert words["Tabby cat"] == pytest.approx(0.6, abs=0.01)


def test_faces_are_persons_and_may_smile():
    words = words_of(NOTHING, seen=faces((0.3, 0.8, 0.99), (0.2, 0.7, 0.1)))
    assert set(words) == {"Human face", "Person", "Smile"}
    assert words["Person"] == words["Human face"] == pytest.approx(0.8)
    assert set(words_of(NOTHING, seen=faces((0.3, 0.8, 0.7)))) == {"Human face", "Person"}


def test_what_a_portrait_wears_must_be_sure():
    gown = logits_of({400: 0.7})
    assert "Academic gown" in words_of(gown, seen=faces((0.2, 0.8, 0.0)))
    assert "Academic gown" not in words_of(gown, seen=faces((0.5, 0.8, 0.0)))


def test_a_page_has_text_and_no_animal():
    words = words_of(logits_of({TABBY: 0.97}), things=objects((DOG, 0.9, 0.3)), text=lines(20, 0.3))
    assert set(words) == {"Text", "Font", "Document"}
    assert words["Text"] == pytest.approx(0.8)


def test_a_sign_keeps_its_words():
    words = words_of(logits_of({919: 0.97}), text=lines(3, 0.1))
    assert set(words) == {"Traffic sign", "Text", "Font"}
    assert "Text" not in words_of(logits_of({919: 0.97}), text=lines(3, 0.02))


def test_the_classes_of_pages_are_text():
    words = words_of(logits_of({916: 0.5, 922: 0.4}), things=objects((73, 0.9, 0.5)))
    assert list(words) == ["Text"]
    assert words["Text"] == pytest.approx(0.9, abs=0.01)


def test_noise_and_drawings_are_held_to_more():
    tabby, noise = logits_of({TABBY: 0.8}), PhotoStatistics(0.0, 0.1)
    assert labels_of(tabby, things=objects((DOG, 0.9, 0.3)), statistics=noise) == []
    drawing = PhotoStatistics(0.95, 0.7)
    assert "Tabby cat" not in words_of(tabby, statistics=drawing)
    assert "Tabby cat" in words_of(logits_of({TABBY: 0.97}), statistics=drawing)


@pytest.fixture(scope="module")
def detectors() -> list:
    sessions = Sessions(Manifest.packaged())
    kinds = (ImageClasses, *LabelDetection.needs)
    return [packs.maker_of(kind, sessions) for kind in kinds]


def words_for(detectors, picture: Picture) -> dict[str, float]:
    signals = signals_of(picture, detectors)
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(10, picture.width, picture.height, None)
    LabelDetection().describe(ask, signals, response)
    return {label.description: label.score for label in response.label_annotations}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cat.jpg", {"Animal", "Cat"}),
        ("dog.jpg", {"Animal", "Dog", "German Shepherd Dog"}),
        ("horses.jpg", {"Animal", "Horse"}),
        ("coffee.jpg", {"Coffee", "Coffee cup"}),
        ("astronaut.jpg", {"Person", "Human face", "Smile"}),
        ("brandenburg-gate.jpg", {"Triumphal arch"}),
        ("page.png", {"Text", "Font", "Document"}),
    ],
)
def test_the_example_photographs(detectors, photos, name, words):
    picture = decode((photos / name).read_bytes(), max)
    found = words_for(detectors, picture)
    assert words <= set(found)
    if name == "page.png":
        assert words == set(found)


@pytest.mark.parametrize("what", ["black", "white", "sky", "ramp", "noise", "coarse noise"])
@pytest.mark.parametrize("size", [(480, 640), (1, 1), (8, 8), (5000, 75)])
def test_blanks_and_noise_have_no_label(detectors, what, size):
    generator = np.random.default_rng(5)
    height, width = size
    grain = 12 if what == "coarse noise" else 1
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    if what in ("white", "sky"):
        pixels[:] = (255, 255, 255) if what == "white" else (135, 190, 235)
    elif what == "ramp":
        pixels[:] = np.linspace(0, 255, width)[:, np.newaxis]
    elif "noise" in what:
        spots = generator.integers(0, 256, (-(-height // grain), -(-width // grain), 3), np.uint8)
        pixels = spots.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width].copy()
    assert words_for(detectors, Picture(pixels, width, height)) == {}


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


def test_a_word_says_what_is_broader(vocabulary):
    words = {word.description: word for word in vocabulary.labels(np.full(1000, 0.001)).words}
    assert {"Cat", "Mammal", "Animal"} <= words["Tabby cat"].broader
    assert words["Animal"].broader == frozenset()
    covered = {word.description: word.classes for word in vocabulary.words}
    for word in words.values():
        assert all(covered[other] >= covered[word.description] for other in word.broader)
        above = {name for name, classes in covered.items() if classes > covered[word.description]}
        assert above <= word.broader


def test_words_begin_with_a_capital_and_mids_are_unique(vocabulary):
    assert all(word.description[0].isupper() for word in vocabulary.words)
    mids = [word.mid for word in vocabulary.words if word.mid is not None]
    assert len(mids) == len(set(mids)) > 300
    assert all(re.fullmatch(r"/[mg]/[0-9a-z_]+", mid) for mid in mids)


def test_softmax_survives_large_logits():
    probabilities = softmax(np.array([1e4, 0, -1e4], dtype=np.float32), 0.7)
    assert probabilities.tolist() == [1.0, 0.0, 0.0]
