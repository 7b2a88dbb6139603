"""Matching: hashes, local features, indexes."""
