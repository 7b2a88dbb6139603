"""Tasks: the unit that is leased to a worker. Pure: no I/O."""
