"""Places where galleries are kept."""
