"""The five stages that every engine has, and what passes between them.

    read         texts, sentences of words → a batch of tokens
    look_up      batch → what its documents add: case classes and topics
    score        tokens → log p of every tag, by their windows
    reconcile    log p → log p, consistent over the tokens of a word in a document
    decode       log p → the best legal paths, and the entities along them

``reference.py`` is NumPy and reads like the lecture; ``native.py`` is the compiled kernel. One suite of tests runs
both.

T tokens of a batch · D width of a vector · K tags
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.decoding import Paths
from fenestra.model.progress import Progress
from fenestra.model.results import Places

PIECE = 4096
"""Tokens, about, that are worked on before control is yielded."""

Item = str | Sequence[str]
"""A raw text, or a sentence of words."""
Sentences = Sequence[Sequence[str]]
"""A document whose sentences are words already."""

_CHARACTERS = 6  # of a token, about, with the space


class Batch(Protocol):
    """Documents that are tagged together."""

    tokens: int
    """T."""
    lengths: list[int]
    """Tokens of each sentence."""
    sizes: list[int]
    """Tokens of each document."""
    places: list[Places]
    """Where the tokens of each document stand; empty where documents were given as sentences of words."""


class Window(NamedTuple):
    """What the network sees of one token."""

    words: list[str | None]
    """Of the 2C+1 positions; None beyond the end of the sentence."""
    class_W: NDArray[np.int64] | None
    """Case classes from 1, PAD outside; None for a model that does not look."""
    topic_D: NDArray[np.float32] | None
    """Mean vector of the document; likewise."""


class Engine(Protocol):
    """What computes. Threads may share one; what a batch and its context are, is for the engine to know."""

    name: str

    def read(self, items: Sequence[Item], /) -> Iterator[Progress | Any]:
        """Read items into batches, yielding control after every few thousand tokens.

        Raises:
            InputError: a word is empty.
        """

    def read_documents(self, documents: Sequence[Sentences], /) -> Any:  # noqa: ANN401 - a batch
        """Read documents whose sentences are words already into one batch."""

    def look_up(self, batch: Any, /) -> tuple[Any, int]:  # noqa: ANN401
        """What documents add to their windows, and how many tokens are words without a pretrained vector."""

    def score(
        self, batch: Any, context: Any, begin: int, end: int, /  # noqa: ANN401
    ) -> Generator[Progress, None, NDArray[np.float32]]:  # fmt: skip
        """Log p of the tokens from ``begin`` to before ``end``: log_TK.

        Raises:
            RunError: a score is NaN.
        """

    def reconcile(self, batch: Any, log_TK: NDArray[np.float32], /) -> None:  # noqa: ANN401
        """Apply label consistency to a whole batch, in place."""

    def decode(self, log_TK: NDArray[np.float32], lengths: Sequence[int], /) -> Paths:
        """Find the best legal path of every sentence and read it."""

    def is_oov(self, batch: Any, /) -> NDArray[np.bool_]:  # noqa: ANN401
        """Which tokens are out-of-vocabulary words; shape (T,)."""

    def window(self, batch: Any, context: Any, token: int, /) -> Window:  # noqa: ANN401
        """What the network sees of one token."""


def grouped(items: Sequence[Item], most: int = PIECE) -> Iterator[Sequence[Item]]:
    """Put neighbours together until there are ``most`` tokens, about; a large item is alone."""
    begin = tokens = 0
    for place, item in enumerate(items):
        size = len(item) // _CHARACTERS + 1 if isinstance(item, str) else len(item) + 1
        if tokens and tokens + size > most:
            yield items[begin:place]
            begin, tokens = place, 0
        tokens += size
    if begin < len(items):
        yield items[begin:]


def grouped_documents(documents: Iterator[Sentences]) -> Iterator[list[Sentences]]:
    """Put neighbouring documents together until there are :data:`PIECE` tokens; a document is never cut."""
    group: list[Sentences] = []
    tokens = 0
    for document in documents:
        group.append(document)
        tokens += sum(map(len, document))
        if max(tokens, len(group)) >= PIECE:
            yield group
            group, tokens = [], 0
    if group:
        yield group
