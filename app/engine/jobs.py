"""A request on its way through the model."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fenestra.app.observability.traces import Trace
from fenestra.model.explain import Explanation
from fenestra.model.progress import Progress
from fenestra.model.results import Result

Item = str | Sequence[str]
"""A raw text, or a sentence of words."""

_CHARACTERS_A_TOKEN = 4  # roughly, with the space; only the size of a batch depends on it


class Works(Protocol):
    """What the queue needs of whatever it works with."""

    def work(self, items: Sequence[Item], /) -> Generator[Progress, None, list[Any]]:
        """Work through texts and sentences in bounded pieces; one result each, in order."""


class TagsText(Works, Protocol):
    """What the service needs of a tagger. :class:`fenestra.model.tagger.Tagger` has it; tests bring a stub."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that entities can have."""

    @property
    def version(self) -> str:
        """Which model this is, down to the weights."""

    def work(self, items: Sequence[Item], /, *, alternatives: int = 0) -> Generator[Progress, None, list[Result]]:
        """Tag texts and sentences; one result each, with so many runner-up tags and labels."""

    def explain_work(self, item: Item, token: int, /) -> Generator[Progress, None, Explanation]:
        """Say what each word around a token adds to the score of its tag, in bounded pieces."""


class ClientGone(Exception):
    """The client hung up before its turn came: there is nobody to answer."""


@dataclass(eq=False, slots=True)
class Job:
    """What one request wants of the model. The event loop owns it; the worker only reads it."""

    tagger: Works
    items: Sequence[Item]
    render: Callable[[list[Any]], Iterator[bytes]]
    """Makes the answer, in pieces, from one result an item."""
    gone: Callable[[], bool]
    """Whether the client has hung up."""
    answer: asyncio.Future[bytes]
    trace: Trace | None
    """Where the time it takes is to be noted, if anywhere."""
    arrived: float
    """When it joined the queue, by the monotonic clock, in seconds."""
    tokens: int = field(init=False)
    """How many there are, about."""

    def __post_init__(self) -> None:
        self.tokens = sum(size(item) for item in self.items)

    @property
    def unwanted(self) -> bool:
        """Whether computing it would be for nothing: answered already (too late, given up), or nobody there."""
        return self.answer.done() or self.gone()


def size(item: Item) -> int:
    """How many tokens an item has, about, without looking at it; at least 1.

    >>> size("Ada met Ito."), size(["Ada", "met", "Ito", "."])
    (4, 4)
    """
    return len(item) // _CHARACTERS_A_TOKEN + 1 if isinstance(item, str) else max(len(item), 1)
