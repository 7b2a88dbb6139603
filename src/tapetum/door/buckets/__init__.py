"""The bucket door: local buckets for Google's storage clients."""
