"""A PDF to measure with: a photograph and a line of text on every page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def pdf_of(photo: Path, count: int) -> bytes:
    """``count`` A4 pages that share one JPEG."""
    with Image.open(photo) as image:
        width, height = image.size
    jpeg = photo.read_bytes()
    kids = b" ".join(b"%d 0 R" % (5 + 2 * number) for number in range(count))
    bodies = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Count %d /Kids [%s]>>" % (count, kids),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        b"<</Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB "
        b"/BitsPerComponent 8 /Filter /DCTDecode /Length %d>>\nstream\n%s\nendstream"
        % (width, height, len(jpeg), jpeg),
    ]
    for number in range(count):
        text = b"BT /F 24 Tf 60 780 Td (Page %d of %d) Tj ET " % (number + 1, count)
        drawing = text + b"475 0 0 350 60 %d cm /I Do" % (100 + number % 300)
        bodies.append(
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources <</Font <</F 3 0 R>> /XObject <</I 4 0 R>>>>>>" % (6 + 2 * number)
        )
        bodies.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(drawing), drawing))
    return _file(bodies)


def _file(bodies: list[bytes]) -> bytes:
    file = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table, size = len(file), len(bodies) + 1
    file += b"xref\n0 %d\n0000000000 65535 f \n" % size
    file += b"".join(b"%010d 00000 n \n" % place for place in places)
    file += b"trailer <</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, table)
    return bytes(file)
