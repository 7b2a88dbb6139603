"""LABEL_DETECTION: what the picture as a whole shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from tapetum.detectors.captions import Captions
from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.faces.quick_faces import QuickFaces
from tapetum.detectors.objects import Objects
from tapetum.detectors.photo_statistics import PhotoStatistics
from tapetum.features import Ask
from tapetum.features.label_chains import LOWEST_SCORE, broadest, reward, told
from tapetum.features.objects import FoundObject, ObjectVocabulary
from tapetum.features.vocabulary import LabelCandidate, Vocabulary
from tapetum.signals import Signals

LABEL_DETECTION = 4  # Feature.Type

# The thresholds below are round numbers between what pages, drawings and noise measure and what
# photographs do. They were set with the whole development set in view, so other pictures judge
# them; ``bench/quality/labels.py`` tells what they catch and cost.

PAGE_LINES, PAGE_SHARE = 10, 0.2
"""So many lines on so much of the picture are a page of text, not a picture of something."""

COMPOSED = 0.3
"""`PhotoStatistics.composition` of a picture of something. Photographs begin at 0.4."""

SMALLEST = 16
"""Pixels: a picture with a shorter side shows nothing that can be named."""

DRAWN = 0.9
"""Above this `PhotoStatistics.flatness` a picture is a screen, chart or drawing. Photographs end at
0.8."""

PORTRAIT = 0.35
"""A face of this share of the longest side is what the picture is about."""

STRANGE_EVIDENCE = 0.9
"""The classes know neither drawings nor portraits, and see toilets in the former and academic
gowns or neck braces in the latter. There they, and objects in drawings, must be this sure."""

SURE, MAIN, RULED_OUT = 0.8, 0.4, 0.05
"""An object on more than `MAIN` of the picture is what the classifier looks at too. Where that is
at least `SURE` of some narrow word and all but rules out the object's, the object detector has
mistaken the same thing: it knows 80 classes, and a sheepdog becomes a sheep."""

BESIDE = 0.9
"""Unless it is so sure of a thing of another kind: the car that the cat sits on."""

NOTEWORTHY = 0.01
"""Objects of one name that cover less of a picture are not what the picture is about."""

LETTERED = 0.05
"""Lettering on less of a picture is not what the picture is about."""

SMILES = 0.9
"""Of `QuickFaces.happy`: on the development set, where one face in five is happy, 85 of 100 such
faces were, and 75 of 100 happy faces are such."""

TEXT = "Text"
FACE_MID = "/m/0dzct"
PERSON_MID = "/m/01g317"
_BITS = 6.0  # specificity of words that are not of the vocabulary: as of one of 64


class LabelDetection:
    """What the classifier, the object detector and two glances know → ``label_annotations``.

    It takes the same signals whatever else is asked of the image, so its answer never changes
    with that. For this a label has glances of its own at faces (13 ms) and lettering (20 ms),
    where `Faces` takes 90 ms and `TextLines` 300 or more: they see as much as a label needs.

    No word is said of light, sky, water or colours: no signal measures them.
    """

    type = LABEL_DETECTION
    needs = (ImageClasses, Objects, Captions, QuickFaces, PhotoStatistics)

    def __init__(
        self, vocabulary: Vocabulary | None = None, objects: ObjectVocabulary | None = None
    ) -> None:
        self._given = vocabulary
        self._given_objects = objects

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        # On first use: a server that is never asked for labels reads no table.
        return self._given if self._given is not None else Vocabulary.packaged()

    @cached_property
    def _objects(self) -> ObjectVocabulary:
        if self._given_objects is not None:
            return self._given_objects
        return ObjectVocabulary.packaged()

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Labels of score 0.5 and more, by falling score, at most ``ask.max_results``.

        ``score`` is the probability of the word, for Text, Font and Document a measure of their
        share of the picture; ``topicality`` repeats it, as in the service's records. The field
        stays unset when no word reaches 0.5.
        """
        for label in self.labels(ask, signals):
            annotation = response.label_annotations.add(
                description=label.description, score=label.score, topicality=label.score
            )
            if label.mid is not None:
                annotation.mid = label.mid

    def labels(self, ask: Ask, signals: Signals) -> list[LabelCandidate]:
        """The labels that `describe` tells, best first."""
        return chosen(self._labels(ask, signals), ask.max_results)

    def _labels(self, ask: Ask, signals: Signals) -> Iterator[LabelCandidate]:
        captions, statistics = signals.of(Captions), signals.of(PhotoStatistics)
        faces = signals.of(QuickFaces)
        yield from of_lettering(captions)
        yield from of_faces(faces)
        # The networks know no pages, noise or blanks, and name them all the same.
        is_speck = min(ask.width, ask.height) < SMALLEST
        if is_speck or is_page(captions) or statistics.composition < COMPOSED:
            return
        logits = signals.of(ImageClasses).logits
        drawn = statistics.flatness > DRAWN
        strange = drawn or is_portrait(faces, max(ask.width, ask.height))
        lowest = STRANGE_EVIDENCE if strange else LOWEST_SCORE
        kept = told(self._vocabulary.candidates(logits, lowest), lowest)
        yield from kept
        if any(word.description == TEXT for word in kept):
            return  # a page that the classifier knows by its looks
        found = self._objects.found(
            signals.of(Objects), STRANGE_EVIDENCE if drawn else LOWEST_SCORE
        )
        if found:  # what the classifier makes of them takes all its words, likely or not
            words = self._vocabulary.candidates(logits)
            yield from of_objects(found, ask.width * ask.height, words)


def of_objects(
    found: Sequence[FoundObject], area: int, words: Sequence[LabelCandidate]
) -> Iterator[LabelCandidate]:
    """The names of objects ``found``, best first, each with the head of its chain: Car and
    Vehicle. ``area``: of the picture, pixels; ``words``: what the classifier says, unsorted."""
    known = {key: word for word in words for key in (word.description.casefold(), word.mid)}
    surest = max(words, key=lambda word: word.score if word.narrow else 0.0)
    covered: dict[str, float] = {}
    for one in found:
        x0, y0, x1, y1 = one.box
        covered[one.name] = covered.get(one.name, 0.0) + (x1 - x0) * (y1 - y0) / area
    for one in found:  # the first of a name is the best, and counts
        share = covered.pop(one.name, 0.0)
        if share < NOTEWORTHY:
            continue
        word = known.get(one.mid) or known.get(one.name.casefold())
        if word is None or one.mid == PERSON_MID:
            yield LabelCandidate(one.name, one.mid, one.score, _BITS)
            continue
        head = broadest(word, words)
        if surest.score >= SURE and share > MAIN and word.score < RULED_OUT:
            is_same_kind = head is not None and surest.classes <= head.classes
            if is_same_kind or one.score < BESIDE:
                continue
        yield replace(word, score=one.score)
        if head is not None:
            yield replace(head, score=one.score)


def is_portrait(faces: QuickFaces, longest: int) -> bool:
    """Whether a face takes up much of a picture whose longest side is ``longest``."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1)
    return bool((sides >= PORTRAIT * longest).any())


def is_page(captions: Captions) -> bool:
    """Whether a picture is text and little else."""
    return len(captions.quads) >= PAGE_LINES and captions.share >= PAGE_SHARE


def of_lettering(captions: Captions) -> Iterator[LabelCandidate]:
    """Text and Font where there is lettering, Document on a page.

    The score is our own definition: half, and half of the share that the lines take up, so that
    lettering on a fifth of the picture has 0.7.
    """
    if captions.share < LETTERED:
        return
    score = min(0.95, LOWEST_SCORE + captions.share)
    yield LabelCandidate(TEXT, None, score, 3.0)
    yield LabelCandidate("Font", None, max(LOWEST_SCORE, 0.9 * score), 2.0)
    if is_page(captions):
        yield LabelCandidate("Document", None, 0.95 * score, 4.0)


def of_faces(faces: QuickFaces) -> Iterator[LabelCandidate]:
    """Person and Human face where a large face is seen, Smile where one smiles."""
    if not len(faces.scores):
        return
    score = float(faces.scores.max())
    yield LabelCandidate("Person", PERSON_MID, score, _BITS)
    yield LabelCandidate("Human face", FACE_MID, score, _BITS)
    happy = float((faces.happy * faces.scores[: len(faces.happy)]).max())
    if float(faces.happy.max()) >= SMILES and happy >= LOWEST_SCORE:
        yield LabelCandidate("Smile", None, happy, _BITS)


def chosen(candidates: Iterable[LabelCandidate], limit: int) -> list[LabelCandidate]:
    """At most ``limit`` candidates of score 0.5 and more, by falling score, ties by name; of
    several of one name the best.

    A broad word is always at least as probable as a narrow one below it, so a limit applied to
    the score alone would keep "Animal, Cat" and lose "Siamese cat". Who must go is therefore
    decided by `reward`.
    """
    best: dict[str, LabelCandidate] = {}
    for candidate in candidates:
        known = best.get(candidate.description.casefold())
        if candidate.score >= LOWEST_SCORE and (known is None or candidate.score > known.score):
            best[candidate.description.casefold()] = candidate
    likely = sorted(best.values(), key=lambda label: (-reward(label), label.description))
    return sorted(likely[:limit], key=lambda label: (-label.score, label.description))
