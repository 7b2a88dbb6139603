"""Safety: whether a picture is of a kind that somebody may not want to see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Basis(Enum):
    """What a probability rests on."""

    #: The picture as a whole, as something trained on pictures of that kind sees it.
    SCENE = auto()
    #: Things that go with it are seen: a gun is no fight and a syringe no operation. However
    #: sure the thing is, this says little of the scene.
    THINGS = auto()


@dataclass(frozen=True, slots=True)
class Evidence:
    """``probability``: 0..1, of what ``basis`` says; not calibrated to how often it is right."""

    probability: float
    basis: Basis


@dataclass(frozen=True, slots=True)
class Safety:
    """The evidence that a picture is ``adult`` (nudity, sexual acts), a ``spoof`` (drawn or changed
    to be funny), ``medical``, ``violence`` (violent or bloody), ``racy`` (skimpy clothes, poses).
    What is adult is racy too."""

    adult: Evidence
    spoof: Evidence
    medical: Evidence
    violence: Evidence
    racy: Evidence
