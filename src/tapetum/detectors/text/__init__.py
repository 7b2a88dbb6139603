"""Text: finding lines and reading them."""
