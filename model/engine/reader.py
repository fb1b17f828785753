"""Texts and sentences of words, read by the kernel into batches of numbered words."""

import ctypes
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import Array, Kernel, Reading, address
from fenestra.model.engine.vocabulary import LONG, Vocabulary
from fenestra.model.network.context import parts
from fenestra.model.results import Places, TextPlaces, WordPlaces
from fenestra.model.steps import Step
from fenestra.model.text.tokens import cut_long

PIECE = 4096
"""Tokens, about, that are worked on before giving way."""

_UNKNOWN, _FULL = 2, 1  # as in text.c
_AHEAD = 256  # unknown runs that are looked for at once
_DISTANCE = 1 << 15  # code points that are looked through for them
_BY_HAND = 64  # runs that Python reads before giving way
_CHARACTERS = 6  # of a token, about, with the space


class Batch:
    """Documents that are tagged together, as numbers of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.long: dict[int, str] = {}
        """Text of monstrous words, by number."""
        self._chunks: list[NDArray[np.int32]] = []
        self.lengths: list[int] = []
        """Tokens of each sentence."""
        self.sizes: list[int] = []
        """Tokens of each document."""
        self.sentences: list[int] = []
        """Sentences of each document."""
        self.tokens = 0
        """How many were read."""

    @property
    def word_T(self) -> NDArray[np.int32]:
        """The number of every token's word."""
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate([np.zeros(0, np.int32), *self._chunks])]
        return self._chunks[0]

    def read(self, word_N: NDArray[np.int32]) -> None:
        """Take the next words of a document."""
        self._chunks.append(word_N)
        self.tokens += len(word_N)

    def end_document(self, lengths: Sequence[int]) -> None:
        """Say how the words since the last document part into sentences."""
        self.lengths += lengths
        self.sizes.append(sum(lengths))
        self.sentences.append(len(lengths))

    def text(self, number: int) -> str:
        """The word of a number."""
        text = self.vocabulary.words[number]
        return self.long[number] if text is None else text


class Reader:
    """Reads into one batch. Not for several threads at once; the vocabulary neither."""

    def __init__(self, kernel: Kernel, vocabulary: Vocabulary) -> None:
        self._kernel = kernel
        self.batch = Batch(vocabulary)
        self.places: list[Places] = []
        """Where the tokens of each document stand."""

    def read(self, items: Sequence[str | Sequence[str]]) -> Iterator[Step]:
        """Read texts (strings) and sentences of words (lists), giving way after every few thousand tokens.

        Raises:
            InputError: a word is empty.
        """
        for written, alike in groupby(items, key=lambda item: isinstance(item, str)):
            some = list(alike)
            yield from self._read_texts(cast(list[str], some)) if written else self._read_words(some)

    def read_documents(self, documents: Sequence[Sequence[Sequence[str]]]) -> None:
        """Read documents whose sentences are words already."""
        batch = self.batch
        words = list(chain.from_iterable(chain.from_iterable(documents)))
        batch.read(batch.vocabulary.numbers(words, batch.long))
        for document in documents:
            batch.end_document(list(map(len, document)))

    def _read_words(self, sentences: Sequence[Sequence[str]]) -> Iterator[Step]:
        batch = self.batch
        words = sentences[0] if len(sentences) == 1 else list(chain.from_iterable(sentences))  # large ones are alone
        for piece in parts(len(words), PIECE):
            batch.read(batch.vocabulary.numbers(words[piece], batch.long))
            if piece.stop < len(words):
                yield Step("tokenize")
        for sentence in sentences:
            batch.end_document([len(sentence)] if sentence else [])
            self.places.append(WordPlaces(sentence))

    def _read_texts(self, texts: list[str]) -> Iterator[Step]:
        source = _Texts(self._kernel, self.batch, texts)
        yield from source.read()
        word_T, start_T = source.tokens()
        size_T = self.batch.vocabulary.size[word_T]
        self.batch.read(word_T)
        token = sentence = 0
        lengths, sentences_of = source.sentences()
        for text, until, count in zip(texts, source.tokens_until.tolist(), sentences_of, strict=True):
            self.batch.end_document(lengths[sentence : sentence + count])
            self.places.append(TextPlaces(text, start_T[token:until], size_T[token:until]))
            token, sentence = until, sentence + count


class _Texts:
    """Raw texts on their way through the kernel."""

    def __init__(self, kernel: Kernel, batch: Batch, texts: list[str]) -> None:
        self._kernel, self._batch, self._texts = kernel, batch, texts
        joined = "".join(texts)
        self._code = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        self._end = np.fromiter(map(len, texts), np.int64, len(texts)).cumsum()
        most = len(self._code)  # tokens are no more than characters; the system gives memory for what is written to
        self._word, self._start, self._lines = (
            np.empty(most, np.int32),
            np.empty(most, np.int32),
            np.empty(most, np.uint8),
        )
        self.tokens_until = np.zeros(len(texts), np.int64)
        """How many tokens there are up to the end of each text."""
        self._reading = Reading()

    def tokens(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The number of every token's word, and where it starts in its text, in code points."""
        return self._word[: self._reading.tokens].copy(), self._start[: self._reading.tokens].copy()

    def read(self) -> Iterator[Step]:
        """Cut the texts into words, giving way after every few thousand tokens."""
        reading, runs = self._reading, self._batch.vocabulary.runs
        room, by_hand = PIECE, 0
        while True:
            found = self._kernel.call(len(self._code) // _CHARACTERS).read_on(
                ctypes.byref(runs), address(self._code), address(self._end), len(self._texts),
                address(self._batch.vocabulary.size), ctypes.byref(reading), address(self._word), address(self._start),
                address(self._lines), min(room, len(self._word)), address(self.tokens_until),
            )  # fmt: skip
            if found == _UNKNOWN:
                learned = self._learn_ahead()
                if not learned:
                    yield from self._read_run()
                by_hand += 1
                if learned or by_hand % _BY_HAND == 0:
                    yield Step("tokenize")
            elif found == _FULL:
                room = reading.tokens + PIECE
                yield Step("tokenize")
            else:
                return

    def sentences(self) -> tuple[list[int], list[int]]:
        """How many tokens each sentence has, and how many sentences each text."""
        vocabulary = self._batch.vocabulary
        length_S, sentences_of = np.empty(self._reading.tokens, np.int64), np.empty(len(self._texts), np.int64)
        count = self._kernel.call(self._reading.tokens).split(
            address(self._code), address(self._end), len(self._texts), address(self.tokens_until), address(self._word),
            address(self._start), address(self._lines), address(vocabulary.size), address(vocabulary.role),
            address(length_S), address(sentences_of),
        )  # fmt: skip
        return length_S[:count].tolist(), sentences_of.tolist()

    def _learn_ahead(self) -> bool:
        """Learn the runs from here on that are not known; False if the next one is not known after that."""
        vocabulary, reading, found = self._batch.vocabulary, self._reading, np.empty((_AHEAD, 3), np.int64)
        if vocabulary.crowded or reading.unsure or reading.stop - reading.at > LONG:
            return False
        count = self._kernel.short.look_ahead(
            ctypes.byref(vocabulary.runs), address(self._code), address(self._end), len(self._texts),
            ctypes.byref(reading), address(found), _AHEAD, _DISTANCE,
        )  # fmt: skip
        for begin, end, initial in found[:count].tolist():
            letters = self._code[begin:end]
            vocabulary.learn(_string(letters), letters, initial=bool(initial))
        return bool(count) and int(found[0, 0]) == reading.at

    def _read_run(self) -> Iterator[Step]:
        """Read one run that cannot be remembered, as ``model/text/tokens.py`` does."""
        reading, batch = self._reading, self._batch
        text = self._texts[reading.text]
        base = int(self._end[reading.text]) - len(text)
        start, end = reading.at - base, reading.stop - base
        lines = min(reading.lines, 2)
        words = cut_long(text, start, end)
        while piece := list(islice(words, PIECE)):
            number_N = batch.vocabulary.numbers(piece, batch.long)
            here = slice(reading.tokens, reading.tokens + len(piece))
            size_N = batch.vocabulary.size[number_N]
            self._word[here] = number_N
            self._start[here] = start + np.cumsum(size_N) - size_N
            self._lines[here] = 0
            self._lines[reading.tokens] = lines
            lines = 0
            start += int(size_N.sum())
            reading.tokens += len(piece)
            if len(piece) == PIECE:
                yield Step("tokenize")
        reading.at, reading.lines = reading.stop, 0


def grouped(items: Sequence[str | Sequence[str]], most: int) -> Iterator[Sequence[str | Sequence[str]]]:
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


def _string(letters: Array) -> str:
    """Code points as a string."""
    return letters.tobytes().decode("utf-32-le", "surrogatepass")
