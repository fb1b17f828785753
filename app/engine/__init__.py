"""Inference: the served models, the bounded queue in front of them, and the one thread that computes."""
