"""The one tree of errors."""

from __future__ import annotations

import inspect
import re

import pytest
from google.rpc import code_pb2

from tapetum import errors


def leaves() -> list[type[errors.TapetumError]]:
    classes = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TapetumError)
    ]
    return [
        kind for kind in classes if not kind.__subclasses__() or kind.__module__ != errors.__name__
    ]


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_every_leaf_is_in_the_drawn_tree_with_its_code(leaf):
    drawn = re.search(rf"─ {leaf.__name__} +(\d+)\s", errors.__doc__ or "")
    assert drawn is not None
    assert int(drawn[1]) == leaf.code
    assert code_pb2.Code.Name(leaf.code)


def test_the_drawn_tree_has_no_leaf_too_many():
    drawn = re.findall(r"─ (\w+) +\d+\s", errors.__doc__ or "")
    assert sorted(drawn) == sorted(leaf.__name__ for leaf in leaves())
