"""Texts and sentences of words, read by the kernel into batches of numbered words."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import DECLARED, Kernel
from fenestra.model.engine.stages import PIECE, Batch, Document, Layout, sizes
from fenestra.model.engine.vocabulary import LONG, Vocabulary
from fenestra.model.progress import Progress, parts
from fenestra.model.text.joined import Joined, Texts, Words
from fenestra.model.text.sentences import counted_gap

_CONSTANTS, _READING = DECLARED.constants, DECLARED.structures["Reading"]
_UNKNOWN_RUN, _FULL, _NO_NUMBERS = (_CONSTANTS[f"READ_{why}"] for why in ("UNKNOWN_RUN", "FULL", "NO_NUMBERS"))
_AHEAD = 256  # unknown runs that are looked for at once
_DISTANCE = 1 << 15  # code points that are looked through for them
_BY_HAND = 64  # runs that Python reads before control is yielded
_CHARACTERS = 6  # of a token, about, with the space


class NativeBatch(Batch):
    """Documents as numbers of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.begun = 0
        """When the vocabulary began to read for it."""
        self.is_read = False
        """Whether all of its words are in ``word_T``."""
        self.long: dict[int, str] = {}
        """Canonical form of long words, by number."""
        self.read: list[NDArray[np.int32]] = []

    @property
    def word_T(self) -> NDArray[np.int32]:
        """The number of every token's word."""
        if len(self.read) != 1:
            self.read = [np.concatenate([np.zeros(0, np.int32), *self.read])]
        return self.read[0]

    def text(self, number: int) -> str:
        """The canonical form of the word of a number."""
        text = self.vocabulary.text(number)
        return self.long[number] if text is None else text


class Reader:
    """Reads into one batch. Not for several threads at once; the vocabulary neither."""

    def __init__(self, kernel: Kernel, vocabulary: Vocabulary) -> None:
        self._kernel = kernel
        self.batch = NativeBatch(vocabulary)
        vocabulary.begin(self.batch)

    def read(self, documents: Sequence[Document] | Joined) -> Iterator[Progress]:
        """Read documents, yielding control after every few thousand tokens.

        Raises:
            InputError: a word is empty.
        """
        if isinstance(documents, Texts):
            yield from self._read_texts(documents)
        elif isinstance(documents, Words):
            yield from self._read_words(documents)
        else:
            for is_text, same_kind in groupby(documents, key=lambda document: isinstance(document, str)):
                some: Any = list(same_kind)
                yield from self._read_texts(Texts.of(some)) if is_text else self._read_words(Words.of(some))
        self.batch.is_read = True

    def _read_words(self, words: Words) -> Iterator[Progress]:
        batch = self.batch
        for piece in parts(len(words.end_T), PIECE):
            code_Z, end_N = words.part(piece.start, piece.stop)
            batch.read.append(batch.vocabulary.numbers_of(code_Z, end_N, batch.long))
            if len(end_N) == PIECE:
                yield Progress("tokenize")
        batch.add(Layout.of_words(words.length_S, words.sentences_P))

    def _read_texts(self, texts: Texts) -> Iterator[Progress]:
        source = _Texts(self._kernel, self.batch, texts)
        yield from source.read()
        source.end()


class _Texts:
    """Raw texts on their way through the kernel."""

    def __init__(self, kernel: Kernel, batch: NativeBatch, texts: Texts) -> None:
        self._kernel, self._batch, self._texts = kernel, batch, texts
        self._code, self._end = texts.code_Z, texts.end_P
        self._string = (-1, "")
        """The text that was asked for last, by its place."""
        most = len(self._code)  # tokens are no more than characters; the system gives memory for what is written to
        self._word, self._start = np.empty(most, np.int32), np.empty(most, np.int32)
        self._gap = np.empty(most, np.uint8)
        self._tokens_until = np.zeros(len(texts), np.int64)
        """How many tokens there are up to the end of each text."""
        self._reading: Any = _READING.zeros()

    def read(self) -> Iterator[Progress]:
        """Split the texts into words, yielding control after every few thousand tokens."""
        reading, vocabulary = self._reading, self._batch.vocabulary
        room, by_hand = PIECE, 0
        while True:
            found = self._kernel.call(len(self._code) // _CHARACTERS).read_texts(
                vocabulary.runs, *vocabulary.lookups, vocabulary.table, self._code, self._end, len(self._texts),
                reading, self._word, self._start, self._gap, min(room, len(self._word)), self._tokens_until,
            )  # fmt: skip
            if found == _NO_NUMBERS:
                vocabulary.make_room()
            elif found == _UNKNOWN_RUN:
                remembered = self._remember_ahead()
                if not remembered:
                    yield from self._read_run()
                by_hand += 1
                if remembered or by_hand % _BY_HAND == 0:
                    yield Progress("tokenize")
            elif found == _FULL:
                room = reading.tokens + PIECE
                yield Progress("tokenize")
            else:
                return

    def end(self) -> None:
        """Split what was read into sentences, and hand all of it to the batch."""
        batch, vocabulary, count = self._batch, self._batch.vocabulary, self._reading.tokens
        length_S, sentences_P = np.empty(count, np.int64), np.empty(len(self._texts), np.int64)
        self._kernel.call(count).split_sentences(
            self._code, self._end, len(self._texts), self._tokens_until, self._word, self._start, self._gap,
            vocabulary.size, vocabulary.role, length_S, sentences_P,
        )  # fmt: skip
        word_T = self._word[:count].copy()
        batch.read.append(word_T)
        length_S, size_P = length_S[: sentences_P.sum()].copy(), sizes(self._tokens_until)
        batch.add(Layout.of_texts(length_S, size_P, sentences_P, self._start[:count].copy(), vocabulary.size[word_T]))

    def _remember_ahead(self) -> bool:
        """Remember the runs from here on that are not known; False if the next one is not known after that."""
        next_is_known = False
        vocabulary, reading, found = self._batch.vocabulary, self._reading, np.empty((_AHEAD, 3), np.int64)
        if reading.undecided or reading.stop - reading.at > LONG:
            return False
        count = self._kernel.short.unknown_runs(
            vocabulary.runs, *vocabulary.lookups, vocabulary.table, self._code, self._end, len(self._texts), reading,
            found, _AHEAD, _DISTANCE,
        )  # fmt: skip
        for begin, end, after in found[:count].tolist():
            if next_is_known and vocabulary.runs_are_full:
                break
            letters = self._code[begin:end]
            run = letters.tobytes().decode("utf-32-le", "surrogatepass")
            next_is_known |= vocabulary.remember(run, letters, after) and begin == reading.at
        return next_is_known

    def _read_run(self) -> Iterator[Progress]:
        """Read one run that cannot be remembered, as ``model/text/tokens.py`` does."""
        reading, batch = self._reading, self._batch
        if self._string[0] != reading.text:
            self._string = reading.text, self._texts.text(reading.text)
        text, tokenizer = self._string[1], batch.vocabulary.tokenizer
        base = int(self._end[reading.text]) - len(text)
        start, end = reading.at - base, reading.stop - base
        spans = iter(tokenizer.spans(text[start:end], tokenizer.after_stop(text, start, end)))
        while piece := list(islice(spans, PIECE)):
            here = slice(reading.tokens, reading.tokens + len(piece))
            self._word[here] = batch.vocabulary.numbers([text[start + a : start + b] for a, b in piece], batch.long)
            self._start[here] = [start + a for a, _ in piece]
            self._gap[here] = 0
            self._gap[reading.tokens] = self._take_gap()
            reading.tokens += len(piece)
            if len(piece) == PIECE:
                yield Progress("tokenize")
        reading.at = reading.stop

    def _take_gap(self) -> int:
        """What stands before the next token, as ``take_gap`` in ``text.c``."""
        lines, spaces, self._reading.lines, self._reading.spaces = self._reading.lines, self._reading.spaces, 0, 0
        return counted_gap(lines, spaces)
