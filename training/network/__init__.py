"""The network as torch sees it: rows, windows, layers, transitions, and how it becomes a checkpoint."""
