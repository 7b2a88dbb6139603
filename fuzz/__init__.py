"""``make fuzz``: mutated requests and images against a real server, within bounds of time."""
