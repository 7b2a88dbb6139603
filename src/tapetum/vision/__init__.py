"""Vision: Google's messages, their JSON, and the rules of their arguments."""
