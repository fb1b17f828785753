"""Taggers side by side: what ``python -m benchmarks.speed`` is made of."""
