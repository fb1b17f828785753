"""Learning from corrections: a trained model goes on from its weights, and keeps what it knows."""
