"""WEB_DETECTION: where the picture, parts of it and pictures like it are shown.

It answers from the web galleries (`tapetum.gallery`) that the request's project sees. Where there
are none, or nothing in them has to do with the picture, every list stays empty, and the best guess
is the best label.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tapetum.features import Ask
from tapetum.features.label import LabelDetection
from tapetum.signals import Signals
from tapetum.signals.web import WebImage, WebMatches

#: Feature.Type.
WEB_DETECTION = 10
_LABEL_LANGUAGE = "en"


class WebDetection:
    """`WebMatches` → ``web_detection``."""

    type = WEB_DETECTION

    def __init__(self, labels: LabelDetection | None = None) -> None:
        self._labels = labels if labels is not None else LabelDetection()
        self.needs = (WebMatches, *self._labels.needs)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Each list holds at most ``ask.max_results``; there is at most one best guess.

        Titles of pages are HTML, as the API says: what looks like markup in them is escaped.
        """
        matches = signals.of(WebMatches)
        most = ask.max_results
        web = response.web_detection
        for entity in matches.entities[:most]:
            added = web.web_entities.add(score=entity.score, description=entity.description)
            if entity.mid:
                added.entity_id = entity.mid
        for images, field in (
            (matches.full, web.full_matching_images),
            (matches.partial, web.partial_matching_images),
            (matches.similar, web.visually_similar_images),
        ):
            for image in images[:most]:
                field.add(url=image.url)
        _add_pages(web, matches, most)
        self._add_guess(web, matches, ask, signals)
        if not web.ListFields():
            response.ClearField("web_detection")

    def _add_guess(self, web: Any, matches: WebMatches, ask: Ask, signals: Signals) -> None:
        if matches.entities:
            best = matches.entities[0]
            label, language = best.description, best.language
        else:
            best_labels = self._labels.labels(replace(ask, max_results=1), signals)
            label = best_labels[0].word.description if best_labels else ""
            language = _LABEL_LANGUAGE
        if label:
            web.best_guess_labels.add(label=label.lower(), language_code=language)


def _add_pages(web: Any, matches: WebMatches, most: int) -> None:
    """Pages that show the picture or a part of it: with whole copies first, then by URL."""
    pages: dict[str, Any] = {}
    for images, field in (
        (matches.full, "full_matching_images"),
        (matches.partial, "partial_matching_images"),
    ):
        for image, mention in _mentions(images):
            page = pages.get(mention.page_url)
            if page is None:
                if len(pages) == most:
                    continue
                page = web.pages_with_matching_images.add(
                    url=mention.page_url, page_title=html.escape(mention.title)
                )
                pages[mention.page_url] = page
            if len(getattr(page, field)) < most:
                getattr(page, field).add(url=image.url)


def _mentions(images: Iterable[WebImage]) -> Iterable[tuple[WebImage, Any]]:
    return ((image, mention) for image in images for mention in image.mentions)
