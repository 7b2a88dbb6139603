"""What a request says beside its pictures: who asked, for which project, in which languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What goes with a picture and is not in its pixels.

    ``principal``: the name of the caller whose rights count where images are read and output is
    written; empty where nobody is asked. ``project``: whose galleries its pictures are compared
    with, beside those for everyone. ``languages``: the BCP-47 codes of the languages that the text
    of one picture is said to be in, often none.
    """

    principal: str = ""
    project: str = ""
    languages: tuple[str, ...] = ()


#: Of a request about which nothing is known.
NO_CONTEXT = RequestContext()
