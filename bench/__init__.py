"""Speed and memory, each beside its target: ``python -m bench`` (``make bench``).

Every measurement makes its own inputs and starts its own processes. Targets are ratios taken
within one run wherever that is possible, so that a slow or busy machine does not decide them.
"""
