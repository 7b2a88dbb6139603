"""The galleries that ship with the package: numbers and credits, no pictures."""
