"""The pipeline: one task end to end, from bytes to shards."""
