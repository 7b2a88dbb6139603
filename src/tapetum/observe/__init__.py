"""Observe: what a running Tapetum says of itself."""
