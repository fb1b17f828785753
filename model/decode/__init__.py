"""Log probabilities into tags and entities: the best legal path, label consistency, calibrated scores."""
