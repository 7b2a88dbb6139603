"""DOCUMENT_TEXT_DETECTION: the same text as TEXT_DETECTION, with confidences."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.features.text_annotation import annotate
from tapetum.layout.language_shares import Identify
from tapetum.signals import Signals
from tapetum.signals.page_layout import PageLayout

#: ``google.cloud.vision.v1.Feature.Type``.
DOCUMENT_TEXT_DETECTION = 11


class DocumentTextDetection:
    """Fills ``text_annotations`` and ``full_text_annotation`` with confidences at every level, or
    neither where there is no text. Replaces what TEXT_DETECTION has filled in."""

    type = DOCUMENT_TEXT_DETECTION
    needs = (PageLayout,)

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Fill both fields of ``response``. `Ask.max_results` does not bound text."""
        page = signals.of(PageLayout)
        if not page.blocks:
            return
        response.ClearField("text_annotations")
        response.ClearField("full_text_annotation")
        annotate(page, ask, response, self._identify, confident=True)
