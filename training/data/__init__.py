"""Corpora: reading, checking, splitting, perturbing; gazetteers."""
