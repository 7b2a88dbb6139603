"""TEXT_DETECTION: words with their boxes, and the text they make."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.features.text_annotation import annotate
from tapetum.layout.language_shares import Identify
from tapetum.signals import Signals
from tapetum.signals.page_layout import PageLayout

#: ``google.cloud.vision.v1.Feature.Type``.
TEXT_DETECTION = 5


class TextDetection:
    """Fills ``text_annotations`` and ``full_text_annotation``, or neither where there is no text.

    Confidences are filled only where ``image_context`` of the request asks for them. Neither
    `Ask.max_results` nor ``advanced_ocr_options`` changes anything: there is one layout, and
    ``legacy_layout`` is it. Where DOCUMENT_TEXT_DETECTION has filled the fields, they stay.
    """

    type = TEXT_DETECTION
    needs = (PageLayout,)

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Fill both fields of ``response``."""
        if response.HasField("full_text_annotation"):
            return
        page = signals.of(PageLayout)
        if not page.blocks:
            return
        parameters = ask.image_context.text_detection_params
        confident = bool(parameters.enable_text_detection_confidence_score)
        annotate(page, ask, response, self._identify, confident=confident)
