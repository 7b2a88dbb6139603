"""Faces: where they are, their shape, where they look and how."""
