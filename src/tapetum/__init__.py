"""Tapetum: self-hosted, offline batch image annotation that speaks Google Cloud Vision."""

from importlib.metadata import version

__version__ = version("tapetum")
