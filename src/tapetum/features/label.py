"""LABEL_DETECTION: what the picture as a whole shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tapetum.features import Ask
from tapetum.features.label_chains import LOWEST_SCORE, broadest, reward, told
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.labels import Label, Labels, Word
from tapetum.signals.objects import LocatedObject, Objects
from tapetum.signals.photo_statistics import PhotoStatistics
from tapetum.signals.quick_faces import QuickFaces

#: Feature.Type.
LABEL_DETECTION = 4

# The thresholds below are round numbers between what pages, drawings and noise measure and what
# photographs do. They were set with the whole development set in view, so other pictures judge
# them; ``bench/quality/labels.py`` tells what they catch and cost.

#: So many lines on so much of the picture are a page of text, not a picture of something.
PAGE_LINES, PAGE_SHARE = 10, 0.2

#: `PhotoStatistics.composition` of a picture of something. Photographs begin at 0.4.
COMPOSED = 0.3

#: Pixels: a picture with a shorter side shows nothing that can be named.
SMALLEST = 16

#: Above this `PhotoStatistics.flatness` a picture is a screen, chart or drawing. Photographs end at
#: 0.8.
DRAWN = 0.9

#: A face of this share of the longest side is what the picture is about.
PORTRAIT = 0.35

#: The classes know neither drawings nor portraits, and see toilets in the former and academic gowns
#: or neck braces in the latter. There they, and objects in drawings, must be this sure.
STRANGE_EVIDENCE = 0.9

#: An object on more than `MAIN` of the picture is what the classifier looks at too. Where that is
#: at least `SURE` of some narrow word and all but rules out the object's, the object detector has
#: mistaken the same thing: it knows 80 classes, and a sheepdog becomes a sheep.
SURE, MAIN, RULED_OUT = 0.8, 0.4, 0.05

#: Unless it is so sure of a thing of another kind: the car that the cat sits on.
BESIDE = 0.9

#: Objects of one name that cover less of a picture are not what the picture is about.
NOTEWORTHY = 0.01

#: Lettering on less of a picture is not what the picture is about.
LETTERED = 0.05

#: Of `QuickFaces.happy`: on the development set, where one face in five is happy, 85 of 100 such
#: faces were, and 75 of 100 happy faces are such.
SMILES = 0.9

TEXT = "Text"
FACE_MID = "/m/0dzct"
PERSON_MID = "/m/01g317"
#: Specificity of words that are not of the vocabulary: as of one of 64.
_BITS = 6.0


class LabelDetection:
    """What the classifier, the object detector and two glances know → ``label_annotations``.

    It takes the same signals whatever else is asked of the image, so its answer never changes
    with that. For this a label has glances of its own at faces (13 ms) and lettering (20 ms),
    where `Faces` takes 90 ms and `TextLines` 300 or more: they see as much as a label needs.

    No word is said of light, sky, water or colours: no signal measures them.
    """

    type = LABEL_DETECTION
    needs = (Labels, Objects, Captions, QuickFaces, PhotoStatistics)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Labels of score 0.5 and more, by falling score, at most ``ask.max_results``.

        ``score`` is the probability of the word, for Text, Font and Document a measure of their
        share of the picture; ``topicality`` repeats it, as in the service's records. The field
        stays unset when no word reaches 0.5.
        """
        for label in self.labels(ask, signals):
            annotation = response.label_annotations.add(
                description=label.word.description,
                score=label.probability,
                topicality=label.probability,
            )
            if label.word.mid is not None:
                annotation.mid = label.word.mid

    def labels(self, ask: Ask, signals: Signals) -> list[Label]:
        """The labels that `describe` tells, best first."""
        return chosen(self._labels(ask, signals), ask.max_results)

    def _labels(self, ask: Ask, signals: Signals) -> Iterator[Label]:
        captions, statistics = signals.of(Captions), signals.of(PhotoStatistics)
        faces = signals.of(QuickFaces)
        yield from of_lettering(captions)
        yield from of_faces(faces)
        # The networks know no pages, noise or blanks, and name them all the same.
        is_speck = min(ask.width, ask.height) < SMALLEST
        if is_speck or is_page(captions) or statistics.composition < COMPOSED:
            return
        labels = signals.of(Labels)
        drawn = statistics.flatness > DRAWN
        strange = drawn or is_portrait(faces, max(ask.width, ask.height))
        lowest = STRANGE_EVIDENCE if strange else LOWEST_SCORE
        kept = told(labels.likely(lowest), lowest)
        yield from kept
        if any(label.word.description == TEXT for label in kept):
            return  # a page that the classifier knows by its looks
        things = signals.of(Objects).likely(STRANGE_EVIDENCE if drawn else LOWEST_SCORE)
        if things:  # what the classifier makes of them takes all its words, likely or not
            yield from of_objects(things, ask.width * ask.height, labels.likely())


def of_objects(
    things: Sequence[LocatedObject], area: int, labels: Sequence[Label]
) -> Iterator[Label]:
    """The names of ``things``, best first, each with the head of its chain: Car and Vehicle.
    ``area``: of the picture, pixels; ``labels``: what the classifier says, unsorted."""
    known = {
        key: label
        for label in labels
        for key in (label.word.description.casefold(), label.word.mid)
    }
    surest = max(labels, key=lambda label: label.probability if label.word.narrow else 0.0)
    covered: dict[str, float] = {}
    for thing in things:
        x0, y0, x1, y1 = thing.box
        covered[thing.name] = covered.get(thing.name, 0.0) + (x1 - x0) * (y1 - y0) / area
    for thing in things:  # the first of a name is the best, and counts
        share = covered.pop(thing.name, 0.0)
        if share < NOTEWORTHY:
            continue
        label = known.get(thing.mid) or known.get(thing.name.casefold())
        if label is None or thing.mid == PERSON_MID:
            yield Label(Word(thing.name, thing.mid or None, _BITS), thing.probability)
            continue
        head = broadest(label, labels)
        if surest.probability >= SURE and share > MAIN and label.probability < RULED_OUT:
            is_same_kind = head is not None and is_kind_of(surest.word, head.word)
            if is_same_kind or thing.probability < BESIDE:
                continue
        yield replace(label, probability=thing.probability)
        if head is not None:
            yield replace(head, probability=thing.probability)


def is_kind_of(word: Word, head: Word) -> bool:
    """Whether ``word`` is ``head`` or below it."""
    return word.description == head.description or head.description in word.broader


def is_portrait(faces: QuickFaces, longest: int) -> bool:
    """Whether a face takes up much of a picture whose longest side is ``longest``."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1)
    return bool((sides >= PORTRAIT * longest).any())


def is_page(captions: Captions) -> bool:
    """Whether a picture is text and little else."""
    return len(captions.quads) >= PAGE_LINES and captions.share >= PAGE_SHARE


def of_lettering(captions: Captions) -> Iterator[Label]:
    """Text and Font where there is lettering, Document on a page.

    The score is our own definition: half, and half of the share that the lines take up, so that
    lettering on a fifth of the picture has 0.7.
    """
    if captions.share < LETTERED:
        return
    score = min(0.95, LOWEST_SCORE + captions.share)
    yield Label(Word(TEXT, None, 3.0), score)
    yield Label(Word("Font", None, 2.0), max(LOWEST_SCORE, 0.9 * score))
    if is_page(captions):
        yield Label(Word("Document", None, 4.0), 0.95 * score)


def of_faces(faces: QuickFaces) -> Iterator[Label]:
    """Person and Human face where a large face is seen, Smile where one smiles."""
    if not len(faces.confidences):
        return
    confidence = float(faces.confidences.max())
    yield Label(Word("Person", PERSON_MID, _BITS), confidence)
    yield Label(Word("Human face", FACE_MID, _BITS), confidence)
    happy = float((faces.happy * faces.confidences[: len(faces.happy)]).max())
    if float(faces.happy.max()) >= SMILES and happy >= LOWEST_SCORE:
        yield Label(Word("Smile", None, _BITS), happy)


def chosen(labels: Iterable[Label], limit: int) -> list[Label]:
    """At most ``limit`` labels of probability 0.5 and more, by falling probability, ties by name;
    of several of one name the best.

    A broad word is always at least as probable as a narrow one below it, so a limit applied to
    the probability alone would keep "Animal, Cat" and lose "Siamese cat". Who must go is therefore
    decided by `reward`.
    """
    best: dict[str, Label] = {}
    for label in labels:
        name = label.word.description.casefold()
        known = best.get(name)
        is_better = known is None or label.probability > known.probability
        if label.probability >= LOWEST_SCORE and is_better:
            best[name] = label
    likely = sorted(best.values(), key=lambda label: (-reward(label), label.word.description))
    return sorted(likely[:limit], key=lambda label: (-label.probability, label.word.description))
