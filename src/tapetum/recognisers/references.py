"""From the bytes of an image file to the `Reference` that a gallery keeps of it."""

from __future__ import annotations

import cv2
import numpy as np

from tapetum.detectors import Detector, Embedder
from tapetum.gallery import Kind, Reference, unit
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.sources.items import is_svg
from tapetum.imaging.child import MaxSideFor
from tapetum.imaging.decoders import Decoders, shared
from tapetum.imaging.picture import Picture
from tapetum.recognisers.web import hash_of
from tapetum.signals.keypoints import Keypoints

#: Keypoints kept of a reference image, by kind: the best 600 are enough to recognise a copy, of
#: which there may be hundreds of thousands (41 kB each); a place or a mark seen anew needs more.
MOST_KEYPOINTS = {Kind.WEB: 600, Kind.LANDMARK: 1500, Kind.LOGO: 1500}

#: Standard deviation of grey levels below which a picture shows nothing.
_FLAT = 1.0


class ReferenceMaker:
    """Looks at reference images exactly as the server looks at the images it is asked about."""

    def __init__(
        self, embedder: Embedder, keypoints: Detector[Keypoints], decoders: Decoders | None = None
    ) -> None:
        self.model = embedder.model
        self._embedder = embedder
        self._keypoints = keypoints
        self._decoders = decoders or shared()

    def make(self, content: bytes, digest: str, source: str, kind: Kind) -> Reference:
        """The `Reference` of the image file ``content``, not calibrated.

        A picture of one colour is no fault: its numbers are zero, and nothing resembles it.
        SVG is drawn first. Raises as `tapetum.imaging.decoders.Decoders.decode`, and
        `InvalidGallery` for SVG that cannot be drawn.
        """
        picture = decoded(self._decoders, source, content, self._max_side)
        return self.of_picture(picture, digest, source, kind)

    def of_picture(self, picture: Picture, digest: str, source: str, kind: Kind) -> Reference:
        """The `Reference` of a decoded picture."""
        hashed = hash_of(picture)
        is_blank = float(cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY).std()) < _FLAT
        if is_blank:
            embedding = np.zeros(self.model.dimensions, dtype=np.float16)
            features = b""
        else:
            embedding = unit(self._embedder.embed([picture])[0].vector)
            local = self._keypoints.detect([picture])[0].features
            features = packed(local, MOST_KEYPOINTS[kind]) if len(local) else b""
        return Reference(
            digest=digest,
            source=source,
            width=picture.width,
            height=picture.height,
            embedding=embedding,
            pdq=hashed.hashes[0].tobytes(),
            pdq_quality=hashed.quality,
            features=features,
            model=self.model.name,
        )

    def _max_side(self, width: int, height: int) -> int:
        makers = (self._embedder, self._keypoints)
        return max(maker.max_side(width, height) for maker in makers)


def decoded(decoders: Decoders, source: str, content: bytes, max_side_for: MaxSideFor) -> Picture:
    """The picture in the image file ``content``, drawn if it is SVG; raises as
    `ReferenceMaker.make`."""
    drawn = decoders.drawn(content) if is_svg(source, content) else content
    return decoders.decode(drawn, max_side_for)
