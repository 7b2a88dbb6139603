"""SVG drawings as pixels, with nothing from outside the file and nothing that runs."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from tapetum.errors import InvalidGallery

#: Longest side of a rendering, pixels.
SIDE = 512
#: Largest SVG file, bytes.
MAX_BYTES = 4_000_000
#: Elements drawn, counting those that are drawn again by reference.
MAX_ELEMENTS = 100_000

#: Elements within elements.
MAX_DEPTH = 100

#: Elements that run, fetch or embed other documents.
_DROPPED = frozenset({"script", "foreignObject", "iframe", "audio", "video", "handler", "listener"})
_EMBEDDED = re.compile(r"data:image/(png|jpe?g|gif|webp);base64,", re.IGNORECASE)
_OUTSIDE = re.compile(r"@import|url\(\s*['\"]?(?!#|['\"]#)[^)]*\)", re.IGNORECASE)
_REFERENCE = re.compile(r"#([^)'\"\s]+)")
_NUMBER = re.compile(r"[-+]?[0-9.]+(?:e[-+]?[0-9]+)?", re.IGNORECASE)


def rendered(content: bytes) -> bytes:
    """The drawing as PNG on a transparent ground, its longest side 512 pixels.

    Scripts and embedded documents are left out, and so are pictures and styles that lie outside
    the file. Raises `InvalidGallery` when it cannot be drawn.
    """
    import resvg_py  # noqa: PLC0415 (whoever only wants a title draws nothing)

    root = _parsed(content)
    _cleaned(root)
    if _weight(root) > MAX_ELEMENTS:
        raise InvalidGallery(f"The SVG draws more than {MAX_ELEMENTS:,} elements.")
    wide, high = _shape(root)
    scale = SIDE / max(wide, high)
    root.set("width", str(max(1, round(wide * scale))))
    root.set("height", str(max(1, round(high * scale))))
    try:
        drawn = resvg_py.svg_to_bytes(
            svg_string=Xml.tostring(root, encoding="unicode"), skip_system_fonts=True
        )
    except ValueError as error:
        raise InvalidGallery(f"The SVG cannot be drawn: {error}.") from error
    return bytes(drawn)


def title_of(content: bytes) -> str:
    """The drawing's own title, if it has one. Raises `InvalidGallery` when it is no SVG."""
    for child in _parsed(content):
        if _name(child) == "title":
            return " ".join((child.text or "").split())
    return ""


def _parsed(content: bytes) -> Xml.Element:
    if len(content) > MAX_BYTES:
        raise InvalidGallery(f"The SVG is larger than {MAX_BYTES // 1_000_000} MB.")
    if b"<!ENTITY" in content.upper():
        raise InvalidGallery("The SVG declares entities, which can be made to grow without end.")
    try:
        root = Xml.fromstring(content)  # noqa: S314  (no entities, see above)
    except (Xml.ParseError, ValueError, LookupError) as error:
        raise InvalidGallery(f"The SVG cannot be read: {error}.") from error
    if _depth(root) > MAX_DEPTH:
        raise InvalidGallery(f"The SVG is nested more than {MAX_DEPTH} deep.")
    if _name(root) != "svg":
        raise InvalidGallery(f"The file is XML of {_name(root)!r}, not SVG.")
    return root


def _depth(root: Xml.Element) -> int:
    """Levels of elements, without recursion."""
    depth, level = 0, [root]
    while level and depth <= MAX_DEPTH:
        depth, level = depth + 1, [child for element in level for child in element]
    return depth


def _name(element: Xml.Element) -> str:
    """Without its namespace; empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _cleaned(element: Xml.Element) -> None:
    for attribute, value in list(element.attrib.items()):
        plain = attribute.rpartition("}")[2]
        leads_out = plain == "href" and not (value.startswith("#") or _EMBEDDED.match(value))
        if leads_out or plain.lower().startswith("on"):
            del element.attrib[attribute]
        elif plain != "href" and _OUTSIDE.search(value):
            element.set(attribute, _OUTSIDE.sub("", value))
    if _name(element) == "style" and element.text:
        element.text = _OUTSIDE.sub("", element.text)
    for child in list(element):
        if _name(child) in _DROPPED or not _name(child):
            element.remove(child)
        else:
            _cleaned(child)


def _weight(root: Xml.Element) -> int:
    """How many elements are drawn when every reference is followed, up to `MAX_ELEMENTS`."""
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    weights: dict[Xml.Element, int] = {}

    def weigh(element: Xml.Element) -> int:
        if element not in weights:
            weights[element] = 0  # a circle of references is not drawn
            total = 1 + sum(weigh(child) for child in element)
            for value in element.attrib.values():
                for name in _REFERENCE.findall(value):
                    if name in named:
                        total += weigh(named[name])
            weights[element] = min(total, MAX_ELEMENTS + 1)
        return weights[element]

    try:
        return weigh(root)
    except RecursionError:  # a long chain of references
        raise InvalidGallery("The SVG refers to itself too deeply.") from None


def _shape(root: Xml.Element) -> tuple[float, float]:
    """Width over height as the drawing says, at most 20 to 1 either way."""
    box = [float(number) for number in _NUMBER.findall(root.get("viewBox", "")) if _is(number)]
    wide, high = box[2:] if len(box) == 4 else (0.0, 0.0)
    if not (wide > 0 and high > 0):
        sides = (_NUMBER.match(root.get(side, "")) for side in ("width", "height"))
        wide, high = (float(m[0]) if m and _is(m[0]) else 0.0 for m in sides)
        if not (wide > 0 and high > 0):
            return 1.0, 1.0
        root.set("viewBox", f"0 0 {wide:g} {high:g}")
    ratio = min(20.0, max(0.05, wide / high))
    return ratio, 1.0


def _is(number: str) -> bool:
    try:
        return 0 <= abs(float(number)) < 1e9
    except ValueError:
        return False
