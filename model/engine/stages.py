"""The five stages that every engine has, and what passes between them.

    read         texts, sentences of words → a batch of tokens
    look_up      batch → what its documents say: case classes and topics
    score        words → rows e(w), windows of rows → log p of every tag of every token
    reconcile    log p → log p, consistent over the tokens of a word in a document
    decode       log p → the best legal paths, and the entities along them

``reference.py`` is NumPy and reads like the lecture; ``native.py`` is the compiled kernel. One suite of tests runs
both.

T tokens of a batch · S sentences · P documents · Y items: texts, and sentences of words · D width of a vector · K tags
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.decoding import Lengths, Paths
from fenestra.model.progress import Progress
from fenestra.model.text.joined import Joined
from fenestra.model.words.lexicon import Lexicon

PIECE = 4096
"""Tokens, about, that are worked on before control is yielded."""

Document = str | Sequence[Sequence[str]]
"""A raw text, or sentences of words."""

_CHARACTERS = 6  # of a token, about, with the space


class Layout(NamedTuple):
    """Which tokens belong together, and where they stand."""

    length_S: NDArray[np.int64]
    """Tokens of each sentence."""
    size_P: NDArray[np.int64]
    """Tokens of each document."""
    sentences_P: NDArray[np.int64]
    """Sentences of each document."""
    size_Y: NDArray[np.int64]
    """Tokens of each item."""
    start_T: NDArray[np.int32]
    """Where each token starts in its item: in code points, or in words."""
    width_T: NDArray[np.int32]
    """How many of these it has."""

    @classmethod
    def of_texts(
        cls,
        length_S: NDArray[np.int64],
        size_P: NDArray[np.int64],
        sentences_P: NDArray[np.int64],
        start_T: NDArray[np.int32],
        width_T: NDArray[np.int32],
    ) -> "Layout":
        """That of raw texts, each of them an item."""
        return cls(length_S, size_P, sentences_P, size_P, start_T, width_T)

    @classmethod
    def of_words(cls, length_S: NDArray[np.int64], sentences_P: NDArray[np.int64]) -> "Layout":
        """That of sentences of words, each of them an item, of which a word is at its place and one long."""
        end_S, until_P = length_S.cumsum(), sentences_P.cumsum()
        tokens = int(end_S[-1]) if len(end_S) else 0
        end_P = np.concatenate([np.zeros(1, np.int64), end_S])[until_P]  # tokens up to the end of each document
        start_T = np.arange(tokens, dtype=np.int32) - (end_S - length_S).repeat(length_S).astype(np.int32)
        return cls(length_S, sizes(end_P), sentences_P, length_S, start_T, np.ones(tokens, np.int32))


def sizes(until_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """How much each adds to a running total.

    >>> sizes(np.array([2, 5, 5]))
    array([2, 3, 0])
    """
    size_N = until_N.copy()
    size_N[1:] -= until_N[:-1]
    return size_N


class Batch:
    """Documents that are tagged together; how an engine keeps their words is its own business."""

    def __init__(self) -> None:
        self._layouts: list[Layout] = []
        self.tokens = 0
        """T."""

    def add(self, layout: Layout) -> None:
        """Take down some documents whose words were read."""
        self._layouts.append(layout)
        self.tokens += len(layout.start_T)

    @property
    def layout(self) -> Layout:
        """That of all documents."""
        if len(self._layouts) != 1:
            none = Layout.of_words(np.zeros(0, np.int64), np.zeros(0, np.int64))
            self._layouts = [Layout(*map(np.concatenate, zip(none, *self._layouts, strict=True)))]
        return self._layouts[0]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence."""
        return self.layout.length_S

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        return self.layout.size_P

    @property
    def sentences(self) -> NDArray[np.int64]:
        """Sentences of each document."""
        return self.layout.sentences_P


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
    piece: int
    """Tokens of a batch, about."""
    lexicon: Lexicon
    """What the model knows by name."""

    def read(self, documents: Sequence[Document] | Joined, /) -> Iterator[Progress | Any]:
        """Read documents into batches, yielding control after every few thousand tokens; joined ones into one batch.

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

    def decode(self, log_TK: NDArray[np.float32], lengths: Lengths, /) -> Paths:
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
