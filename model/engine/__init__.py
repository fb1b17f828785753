"""What computes: the compiled kernel and its NumPy reference, with the same five stages."""
