"""A request on its way through the model."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fenestra.app.observability.traces import Trace
from fenestra.model.explain import Explanation
from fenestra.model.progress import Progress
from fenestra.model.results import Result
from fenestra.model.text.language import Language

Item = str | Sequence[str]
"""A raw text, or a sentence of words."""
Pieces = list[bytes]
"""A response in the pieces in which it was written: it may have fifty megabytes, and joining them would double that."""

_CHARACTERS_A_TOKEN = 4  # roughly, with the space; only batch sizes depend on it


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

    @property
    def language(self) -> Language:
        """The language that it reads."""

    def work(self, items: Sequence[Item], /, *, alternatives: int = 0) -> Generator[Progress, None, list[Result]]:
        """Tag texts and sentences; one result each, with so many runner-up tags and labels."""

    def explain_work(
        self, item: Item, token: int, /, *, tag: str | None = None, against: str | None = None, alternatives: int = 0
    ) -> Generator[Progress, None, Explanation]:
        """Say what each word around a token adds to the score of its tag, or of another one, in bounded pieces."""


class ClientGone(Exception):
    """The client disconnected before its turn came."""


Done = Callable[[Pieces | BaseException], None]
"""Called on the event loop, once, with a response or with what went wrong."""


@dataclass(eq=False, slots=True)
class Job:
    """The work of one request. The event loop owns it; the worker only reads it."""

    tagger: Works
    items: Sequence[Item]
    render: Callable[[list[Any]], Iterator[bytes]]
    """Writes the response, in pieces, from one result an item."""
    gone: Callable[[], bool]
    """Whether the client has disconnected."""
    done: Done
    trace: Trace | None
    """Records the time it takes, if the request is traced."""
    arrived: float
    """When it joined the queue, by the monotonic clock, in seconds."""
    tokens: int = field(init=False)
    """Estimated number of tokens."""
    is_done: bool = field(default=False, init=False)
    """Whether it was answered, or nobody wants the answer any more."""

    def __post_init__(self) -> None:
        items = self.items
        self.tokens = size(items[0]) if len(items) == 1 else sum(map(size, items))

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the result: the job has timed out, or the client has disconnected."""
        return self.is_done or self.gone()


def size(item: Item) -> int:
    """Estimate the tokens of an item from its length; at least 1.

    >>> size("Ada met Ito."), size(["Ada", "met", "Ito", "."])
    (4, 4)
    """
    return len(item) // _CHARACTERS_A_TOKEN + 1 if isinstance(item, str) else max(len(item), 1)
