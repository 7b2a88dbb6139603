"""Results: what is said of a picture, for a program in Python. Plain values, without protobuf."""
