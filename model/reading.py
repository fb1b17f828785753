"""Texts and sentences of words, read into batches.

Many short ones make a batch together. A long one is read piece by piece, and has a batch to itself.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from fenestra.model.batch import PIECE, Batch
from fenestra.model.errors import InputError
from fenestra.model.network.context import parts
from fenestra.model.results import Places, TextPlaces, WordPlaces
from fenestra.model.steps import Step
from fenestra.model.text.sentences import Splitter
from fenestra.model.text.tokens import pieces


@dataclass(slots=True)
class Full:
    """A batch that is ready to be tagged."""

    batch: Batch = field(default_factory=Batch)
    places: list[Places] = field(default_factory=list)
    """Where the tokens of each document stand."""


class _Text:
    """A raw text while it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts, self._sizes = array("i"), array("i")
        self._splitter = Splitter(text)

    @property
    def places(self) -> TextPlaces:
        """Where its tokens stand, when all words are read."""
        return TextPlaces(self._text, np.array(self._starts, np.int32), np.array(self._sizes, np.int32))

    def words(self) -> Iterator[list[str]]:
        """Its words, a piece at a time."""
        for words, starts in pieces(self._text, PIECE):
            self._splitter.read(words, starts)
            self._starts.extend(starts)
            self._sizes.extend(map(len, words))
            yield words

    def lengths(self) -> list[int]:
        """Tokens of each sentence, when all words are read."""
        return self._splitter.lengths()


class _Sentence:
    """A sentence of words while it is read."""

    def __init__(self, words: Sequence[str]) -> None:
        self.places = WordPlaces(words)
        self._words = words

    def words(self) -> Iterator[Sequence[str]]:
        """Its words, a piece at a time."""
        if len(self._words) <= PIECE:
            yield _checked(self._words)
        else:
            yield from (_checked(self._words[part]) for part in parts(len(self._words), PIECE))

    def lengths(self) -> list[int]:
        """It is one sentence, unless it is empty."""
        return [len(self._words)] if self._words else []


def read(items: Sequence[str | Sequence[str]]) -> Iterator[Step | Full]:
    """Read texts (strings) and sentences of words (lists), giving way after every few thousand tokens.

    Raises:
        InputError: a word is empty.
    """
    full = Full()
    for item in items:
        source = _Text(item) if isinstance(item, str) else _Sentence(item)
        words = iter(source.words())
        first = next(words)
        if full.places and len(first) >= PIECE:
            yield from (Step("tokenize"), full)
            full = Full()
        for piece in chain([first], words):
            full.batch.read(piece)
            if len(piece) >= PIECE:
                yield Step("tokenize")
        full.batch.end_document(source.lengths())
        full.places.append(source.places)
        if max(full.batch.tokens, len(full.places)) >= PIECE:
            yield from (Step("tokenize"), full)
            full = Full()
    if full.places:
        yield from (Step("tokenize"), full)


def _checked(words: Sequence[str]) -> Sequence[str]:
    """Words that came as words.

    Raises:
        InputError: one of them is empty.
    """
    if not all(words):
        raise InputError("a sentence holds an empty word")
    return words
