"""Tapetum: self-hosted, offline batch image annotation that speaks Google Cloud Vision.

    import tapetum

    for result in tapetum.annotate(paths, ["LABEL_DETECTION", "TEXT_DETECTION"]):
        print(result.uri, result.error or result.labels)

The names below are all that a program needs. They are loaded when they are first used, so that
``import tapetum`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapetum.api import FEATURES, Annotator, annotate
    from tapetum.errors import TapetumError
    from tapetum.results.annotations import Likelihood
    from tapetum.results.result import Result

    __version__: str

__all__ = [
    "FEATURES",
    "Annotator",
    "Likelihood",
    "Result",
    "TapetumError",
    "__version__",
    "annotate",
]

#: Name → the module that it is in.
_MODULES = {
    "FEATURES": "api",
    "Annotator": "api",
    "Likelihood": "results.annotations",
    "Result": "results.result",
    "TapetumError": "errors",
    "annotate": "api",
}


if not TYPE_CHECKING:  # to a type checker, a name that is not above is none

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 (reads files)

            value = version("tapetum")
        elif name in _MODULES:
            from importlib import import_module  # noqa: PLC0415 (only when a name is used)

            value = getattr(import_module(f"tapetum.{_MODULES[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
