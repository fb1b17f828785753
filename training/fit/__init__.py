"""The loop: batches, losses, optimizers, calibration, what is kept to resume."""
