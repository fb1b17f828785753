"""What the service asks of its supervisor if it is one of several workers (:mod:`fenestra.app.workers`)."""

from collections.abc import Mapping
from typing import Protocol

from fenestra.app.engine.models import Models, ServedModel


class Link(Protocol):
    """The supervisor, as a worker sees it."""

    loaded: Mapping[str, ServedModel]
    """The models that were loaded before this process began, the default one first."""
    watches: bool
    """Whether this is the worker that watches the folders of the models, for all."""

    def serve_models(self, models: Models) -> None:
        """Let the supervisor have models of this worker replaced."""

    async def reload(self, name: str) -> tuple[ServedModel, ServedModel]:
        """Have a model loaded anew by all workers; returns the one before and the new one, once all serve it.

        Raises:
            Problem: ``reload_failed``: all serve the one before.
        """

    async def exposition(self) -> bytes:
        """The metrics of all workers together, in Prometheus' text format.

        Raises:
            Problem: ``not_ready``: the supervisor does not answer.
        """
