"""The words that were read, by number, and what is known of each without its neighbours.

Text repeats itself, so nearly every word of it, and nearly every run of characters between two spaces, was read before.
How a run is split, and all that the other files ask of a word, is worked out once and then looked up by the kernel. A
vocabulary only grows; when it is full, a new one takes its place, and the words of the row cache come along.

W words · R runs
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure
from fenestra.model.errors import InputError
from fenestra.model.network.context import CASE_CLASSES, case_evidence
from fenestra.model.text.canonical import canonical
from fenestra.model.text.characters import KINDS
from fenestra.model.text.sentences import roles
from fenestra.model.text.tokens import tokenizer
from fenestra.model.words.lexicon import Lexicon

_WORDS = 1 << 15
"""Words from which a vocabulary is full; a large text may make it larger, until it is read."""
_RUNS = 1 << 15
_LETTERS = 12  # code points and words that there is room for, for each run
LONG = DECLARED.constants["LONGEST_RUN"]
"""Characters; of longer words only a digest is kept, and their text by the batch; longer runs are not remembered."""


class Vocabulary:
    """Numbers words in order of appearance. Not for several threads at once."""

    def __init__(self, kernel: Kernel, lexicon: Lexicon, *, most_words: int = _WORDS, most_runs: int = _RUNS) -> None:
        """Start empty; memory is taken as words come in."""
        self._kernel = kernel
        self._lexicon = lexicon
        self.tokenizer = tokenizer(lexicon.language)
        self._role = roles(lexicon.language)
        self.most = most_words
        """Words from which it is full."""
        self.classes = CASE_CLASSES if lexicon.features.elsewhere else 1
        self.words: list[str | None] = []
        """Canonical form of each word; None for a long one. Several words may have the same."""
        self._numbers: dict[str | bytes, int] = {}
        self._lowered: dict[str | bytes, int] = {}
        self.vector = np.zeros(0, np.int32)
        """Row of each word's vector, 0 for none."""
        self.lowered = np.zeros(0, np.int32)
        """A number that words share which differ in case only."""
        self.evidence = np.zeros(0, np.uint8)
        self.role = np.zeros(0, np.uint32)
        self.oov = np.zeros(0, np.bool_)
        """Whether the word is out of vocabulary (``Lexicon.is_oov``)."""
        self.size = np.zeros(0, np.int32)
        """Code points of each word."""
        self.seen = np.zeros(0, np.uint8)
        """Zeros: scratch memory of ``case_classes``."""
        self.tally = np.zeros(0, np.int32)
        """Zeros: scratch memory of ``find_repeats``."""
        self.slots = np.zeros(0, np.int32)
        """Slot in the table of each (word, class), below 0 for none."""
        self._grow(1 << 10)
        self.runs: Any = _runs(most_runs, keep_stops=lexicon.language.keep_stops)

    @property
    def is_full(self) -> bool:
        """Whether it is time for a new one."""
        runs = self.runs
        no_room = runs.used_letters + LONG > runs.most_letters or runs.used_words + LONG > runs.most_words
        return len(self.words) >= self.most or runs.runs >= runs.most_runs or no_room

    def numbers(self, words: Sequence[str], long: dict[int, str]) -> NDArray[np.int32]:
        """The number of every word as it stands in a text; ``long`` receives the canonical form of long ones.

        Raises:
            InputError: a word is empty.
        """
        try:
            return np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))
        except KeyError:
            return np.fromiter([self.number(word, long) for word in words], np.int32, len(words))

    def remember(self, run: str, letters: Array, after: int) -> None:
        """Split a run without white space into words, and remember it, by its code points, if there is room.

        ``after`` is as of ``Tokenizer.after_stop``.
        """
        spans = self.tokenizer.spans(run, after)
        words = self.numbers([run[start:end] for start, end in spans], {})
        starts = _starts(tuple([start for start, _ in spans]))
        self._kernel.short.remember_run(self.runs, letters, len(run), after, words, starts, len(words))

    def successor(self) -> "Vocabulary":
        """A new one, which knows nothing yet."""
        return Vocabulary(self._kernel, self._lexicon, most_words=self.most, most_runs=self.runs.most_runs)

    def number(self, word: str, long: dict[int, str]) -> int:
        """As :meth:`numbers`, of one word."""
        if not word:  # never known, so that `numbers` always comes here
            raise InputError("a sentence holds an empty word")
        is_long = len(word) > LONG
        key = digest(word) if is_long else word
        number = self._numbers.get(key)
        form = canonical(word) if number is None or (is_long and number not in long) else ""
        if number is None:
            number = len(self.words)
            if number >= len(self.vector):
                self._grow(2 * number)
            lowered = form.lower()
            self.vector[number] = self._lexicon.vector_row(form) if self._lexicon.features.vectors else 0
            self.lowered[number] = self._lowered.setdefault(
                lowered if len(lowered) <= LONG else digest(lowered), len(self._lowered)
            )
            self.evidence[number] = case_evidence(form)
            self.role[number] = self._role(word)
            self.oov[number] = self._lexicon.is_oov(form)
            self.size[number] = len(word)
            # Last, so that a word is known only when all is known of it, whatever interrupts this.
            self.words.append(None if is_long else form)
            self._numbers[key] = number
        if is_long:
            long.setdefault(number, form)
        return number

    def _grow(self, words: int) -> None:
        """Make room; ``vector`` grows last, since its length says how much there is, whatever interrupts this."""
        slots = np.full(words * self.classes, -1, np.int32)
        slots[: len(self.slots)] = self.slots
        self.slots = slots
        for name in ("lowered", "evidence", "role", "oov", "size", "seen", "tally", "vector"):
            old: Array = getattr(self, name)
            new = np.zeros(words, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)


@lru_cache(1 << 12)
def _starts(of: tuple[int, ...]) -> NDArray[np.uint8]:
    """Where the words of a run start; most runs have one or two."""
    return np.array(of, np.uint8)


def digest(word: str) -> bytes:
    """A short name for a long word."""
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _runs(most: int, *, keep_stops: bool) -> Structure:
    """An empty table of runs."""
    places = 1 << (2 * most - 1).bit_length()
    return DECLARED.structures["Runs"](
        hash=np.empty(places, np.uint64), run=np.full(places, -1, np.int32), places=places, runs=0, most_runs=most,
        letters_at=np.empty(most, np.int64), letters_of=np.empty(most, np.int32),
        words_at=np.empty(most, np.int64), words_of=np.empty(most, np.int32),
        letters=np.empty(_LETTERS * most, np.uint32), used_letters=0, most_letters=_LETTERS * most,
        words=np.empty(_LETTERS * most, np.int32), starts=np.empty(_LETTERS * most, np.uint8), used_words=0,
        most_words=_LETTERS * most, kind=KINDS, keep_stops=int(keep_stops),
    )  # fmt: skip
