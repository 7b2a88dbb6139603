"""Saliency: where a picture differs from what its own spectrum leads to expect."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.imaging.picture import Picture
from tapetum.signals.context import RequestContext
from tapetum.signals.saliency import Saliency

#: Longest side of the map.
_SIDE = 160
#: Side of the square that is transformed, as in the paper.
_SPECTRUM = 64
#: Sigma in pixels of that square.
_BLUR = 2.5
#: Amplitudes below this are rounding, not structure (64² pixels, 0..100 Lab units).
_FAINT = 4.0
#: A channel whose standard deviation is below this (Lab units) says nothing.
_FLAT = 0.05

Floats = NDArray[np.float64]


class SaliencyDetector:
    """Makes `Saliency` by the spectral residual.

    Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007. We transform the
    three channels of CIE Lab, not grey alone, and add their maps by the channels' contrast, so
    that a red thing on green of the same lightness counts. A flat picture has a uniform map.
    """

    signal = Saliency

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the map, but so long that the short side still has 64 pixels."""
        longest, shortest = max(width, height), min(width, height)
        return min(longest, max(_SIDE, -(-_SPECTRUM * longest // shortest)))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Saliency]:
        """One `Saliency` per picture."""
        return [Saliency(_importance(picture)) for picture in pictures]


def _importance(picture: Picture) -> NDArray[np.float32]:
    scale = min(1.0, _SIDE / max(picture.width, picture.height))
    columns = max(1, round(picture.width * scale))
    rows = max(1, round(picture.height * scale))

    square = np.asarray(picture.resized(_SPECTRUM, _SPECTRUM), dtype=np.float32) / 255
    lab = np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2LAB), dtype=np.float64)
    total = np.zeros((_SPECTRUM, _SPECTRUM))
    for channel in np.moveaxis(lab, 2, 0):
        contrast = float(channel.std())
        if contrast > _FLAT:
            surprise = _residual(channel)
            total += contrast * surprise / surprise.sum()

    way = cv2.INTER_LINEAR if max(columns, rows) > _SPECTRUM else cv2.INTER_AREA
    resized = cv2.resize(total, (columns, rows), interpolation=way)
    importance = np.asarray(resized, dtype=np.float64)
    whole = float(importance.sum())
    if whole <= 0:
        importance, whole = np.ones((rows, columns)), float(rows * columns)
    return np.asarray(importance / whole, dtype=np.float32)


def _residual(channel: Floats) -> Floats:
    """Positive ``64×64`` map of one channel: its spectrum without the smooth part."""
    spectrum = np.fft.fft2(channel - channel.mean())
    # A spectrum is periodic; OpenCV's filters know no such border, so it is laid on by hand.
    logarithm = np.pad(np.log(np.abs(spectrum) + _FAINT), 1, mode="wrap")
    expected = np.asarray(cv2.blur(logarithm, (3, 3)), dtype=np.float64)[1:-1, 1:-1]
    # Dividing the spectrum by its smooth amplitude is the paper's exp(log|F| - mean log|F|) with
    # the phase kept, but where there is no amplitude there is none to raise.
    surprise = np.abs(np.fft.ifft2(spectrum * np.exp(-expected))) ** 2
    smooth = cv2.GaussianBlur(surprise, (0, 0), _BLUR, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smooth, dtype=np.float64)
