"""DOCUMENT_TEXT_DETECTION: the same text as TEXT_DETECTION, with confidences."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.features.text_annotation import annotate
from tapetum.features.text_languages import Identify
from tapetum.layout.page import layout
from tapetum.signals import Signals
from tapetum.signals.text import TextLines

DOCUMENT_TEXT_DETECTION = 11
"""``google.cloud.vision.v1.Feature.Type``."""


class DocumentTextDetection:
    """Fills ``text_annotations`` and ``full_text_annotation`` with confidences at every level, or
    neither where there is no text. Replaces what TEXT_DETECTION has filled in."""

    type = DOCUMENT_TEXT_DETECTION
    needs = (TextLines,)

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Fill both fields of ``response``. `Ask.max_results` does not bound text."""
        found = layout(signals.of(TextLines).lines)
        if found is None:
            return
        response.ClearField("text_annotations")
        response.ClearField("full_text_annotation")
        annotate(found, ask, response, self._identify, confident=True)
