"""The ``fenestra`` command, the only place that sees both training and the service."""
