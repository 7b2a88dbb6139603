"""Identity: who is calling, what they may reach, and how much of it."""
