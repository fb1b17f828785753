"""The five stages that every engine has, and what passes between them.

    read         texts, sentences of words → a batch of tokens
    look_up      batch → what its documents say: case classes and topics
    score        words → rows e(w), windows of rows → log p of every tag of every token
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
from fenestra.model.words.lexicon import Lexicon

PIECE = 4096
"""Tokens, about, that are worked on before control is yielded."""

Document = str | Sequence[Sequence[str]]
"""A raw text, or sentences of words."""

_CHARACTERS = 6  # of a token, about, with the space


class Batch:
    """Documents that are tagged together; how an engine keeps their words is its own business."""

    def __init__(self) -> None:
        self.tokens = 0
        """T."""
        self.lengths: list[int] = []
        """Tokens of each sentence."""
        self.sizes: list[int] = []
        """Tokens of each document."""
        self.sentences: list[int] = []
        """Sentences of each document."""
        self.places: list[Places] = []
        """Where tokens stand: of each text, and of each sentence of words."""

    def end_document(self, lengths: Sequence[int], *places: Places) -> None:
        """Take down a document whose words were read; ``lengths`` are the tokens of its sentences."""
        self.lengths += lengths
        self.sizes.append(sum(lengths))
        self.sentences.append(len(lengths))
        self.places += places
        self.tokens += self.sizes[-1]


class Window(NamedTuple):
    """What the network sees of one token."""

    words: list[str | None]
    """Of the 2C+1 positions; None beyond the end of the sentence."""
    class_W: NDArray[np.int64] | None
    """Case classes from 1, PAD outside; None for a model that does not look."""
    topic_D: NDArray[np.float32] | None
    """Mean vector of the document; likewise."""


class Engine(Protocol):
    """What computes. Threads may share one; what its batches and contexts hold, is for the engine to know."""

    name: str
    lexicon: Lexicon
    """What the model knows by name."""

    def read(self, documents: Sequence[Document], /) -> Iterator[Progress | Any]:
        """Read documents into batches, yielding control after every few thousand tokens.

        Raises:
            InputError: a word is empty.
        """

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


def grouped(documents: Sequence[Document], most: int = PIECE) -> Iterator[Sequence[Document]]:
    """Put neighbours together until there are ``most`` tokens, about; a large document is alone, and none is cut."""
    begin = tokens = 0
    for place, document in enumerate(documents):
        size = 1 + (len(document) // _CHARACTERS if isinstance(document, str) else sum(map(len, document)))
        if tokens and tokens + size > most:
            yield documents[begin:place]
            begin, tokens = place, 0
        tokens += size
    if begin < len(documents):
        yield documents[begin:]
