"""The layout of a page, made once from its lines for whoever reads it."""

from __future__ import annotations

from tapetum.imaging.picture import Picture
from tapetum.layout.page import layout
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.text import TextLines


class PageLayoutRecogniser:
    """Makes `PageLayout` of `TextLines`, by geometry alone."""

    signal = PageLayout
    needs = (TextLines,)

    def max_side(self, width: int, height: int) -> int:
        """1: it looks at no pixels."""
        return 1

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> PageLayout:
        """The layout of the picture's lines."""
        return layout(signals.of(TextLines).lines)
