"""Imaging: bytes of a file → ``Picture``, pages → ``Picture``."""
