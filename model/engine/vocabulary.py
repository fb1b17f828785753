"""The words that were met, by number, and what is known of each without its neighbours.

Text repeats itself, so nearly every word of it, and nearly every run of signs between two spaces, was met before. What
a run is cut into, and all that the other files ask of a word, is worked out once and then looked up by the kernel. A
vocabulary only grows; when it is crowded, a new one takes its place, and the words that the table holds come along.

    W words · R runs
"""

import ctypes
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import Array, Kernel, Runs, address
from fenestra.model.errors import InputError
from fenestra.model.network.context import ELSEWHERE_CLASSES, case_evidence
from fenestra.model.text.sentences import role
from fenestra.model.text.tokens import cut
from fenestra.model.words.lexicon import Lexicon

_WORDS = 1 << 15
"""Words from which a vocabulary is crowded; a large text may make it larger, until it is read."""
_RUNS = 1 << 15
_LETTERS = 12  # code points and words that there is room for, for each run
LONG = 64
"""Characters; longer words are known by a digest and their text kept by those who have it, longer runs not at all."""


class Vocabulary:
    """Numbers words in order of appearance. Not for several threads at once."""

    def __init__(self, kernel: Kernel, lexicon: Lexicon, *, most_words: int = _WORDS, most_runs: int = _RUNS) -> None:
        """Start empty; memory is taken as words come in."""
        self._kernel = kernel
        self._lexicon = lexicon
        self.most = most_words
        """Words from which it is crowded."""
        self.classes = ELSEWHERE_CLASSES if lexicon.features.elsewhere else 1
        self.words: list[str | None] = []
        """Text of each word; None for a monstrous one."""
        self._numbers: dict[str | bytes, int] = {}
        self._lowered: dict[str | bytes, int] = {}
        self.vector = np.zeros(0, np.int32)
        """Row of each word's vector, 0 for none."""
        self.lowered = np.zeros(0, np.int32)
        """A number that words share which differ in case only."""
        self.evidence = np.zeros(0, np.uint8)
        self.role = np.zeros(0, np.uint16)
        self.strange = np.zeros(0, np.bool_)
        """Whether training did not know the word (``Lexicon.strange``)."""
        self.size = np.zeros(0, np.int32)
        """Code points of each word."""
        self.seen = np.zeros(0, np.uint8)
        """Zeros, for the kernel to work with."""
        self.tally = np.zeros(0, np.int32)
        """Zeros likewise."""
        self.slots = np.zeros(0, np.int32)
        """Slot in the table of each (word, class), below 0 for none."""
        self._grow(1 << 10)
        self.runs, self._kept = _runs(most_runs)

    @property
    def crowded(self) -> bool:
        """Whether it is time for a new one."""
        runs = self.runs
        return (
            len(self.words) >= self.most
            or runs.runs >= runs.most_runs
            or runs.used_letters + LONG > runs.most_letters
            or runs.used_words + LONG > runs.most_words
        )

    def numbers(self, words: Sequence[str], long: dict[int, str]) -> NDArray[np.int32]:
        """The number of every word.

        Args:
            words: in any number.
            long: takes the text of monstrous words, by number.

        Raises:
            InputError: a word is empty.
        """
        try:
            return np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))
        except KeyError:
            return np.fromiter([self.number(word, long) for word in words], np.int32, len(words))

    def learn(self, run: str, letters: Array, *, initial: bool) -> None:
        """Work out what a run is cut into, and remember it if there is room.

        Args:
            run: signs without white space.
            letters: its code points.
            initial: whether it ends like the ``J.`` of ``J. Smith``.
        """
        words = self.numbers(cut(run, initial=initial), {})
        self._kernel.short.learn(
            ctypes.byref(self.runs), address(letters), len(run), initial, address(words), len(words)
        )

    def successor(self) -> "Vocabulary":
        """A new one, which knows nothing yet."""
        return Vocabulary(self._kernel, self._lexicon, most_words=self.most, most_runs=self.runs.most_runs)

    def number(self, word: str, long: dict[int, str]) -> int:
        """As :meth:`numbers`, of one word."""
        if not word:  # never among the known, so that `numbers` always comes here
            raise InputError("a sentence holds an empty word")
        monstrous = len(word) > LONG
        key = digest(word) if monstrous else word
        number = self._numbers.get(key)
        if number is None:
            number = len(self.words)
            if number >= len(self.vector):
                self._grow(2 * number)
            lowered = word.lower()
            self.vector[number] = self._lexicon.vector_row(word) if self._lexicon.features.vectors else 0
            self.lowered[number] = self._lowered.setdefault(
                lowered if len(lowered) <= LONG else digest(lowered), len(self._lowered)
            )
            self.evidence[number] = case_evidence(word)
            self.role[number] = role(word)
            self.strange[number] = self._lexicon.strange(word)
            self.size[number] = len(word)
            # Last, so that a word is known only when all is known of it, whatever interrupts this.
            self.words.append(None if monstrous else word)
            self._numbers[key] = number
        if monstrous:
            long[number] = word
        return number

    def _grow(self, words: int) -> None:
        """Make room; ``vector`` grows last, since its length says how much there is, whatever interrupts this."""
        slots = np.full(words * self.classes, -1, np.int32)
        slots[: len(self.slots)] = self.slots
        self.slots = slots
        for name in ("lowered", "evidence", "role", "strange", "size", "seen", "tally", "vector"):
            old: Array = getattr(self, name)
            new = np.zeros(words, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)


def digest(word: str) -> bytes:
    """A short name for a monstrous word."""
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _runs(most: int) -> tuple[Runs, list[Any]]:
    """An empty table of runs, and the arrays that it is made of."""
    places = 1 << (2 * most - 1).bit_length()
    arrays: dict[str, Array] = {
        "hash": np.empty(places, np.uint64),
        "run": np.full(places, -1, np.int32),
        "letters_at": np.empty(most, np.int64),
        "letters_of": np.empty(most, np.int32),
        "words_at": np.empty(most, np.int64),
        "words_of": np.empty(most, np.int32),
        "letters": np.empty(_LETTERS * most, np.uint32),
        "words": np.empty(_LETTERS * most, np.int32),
    }
    table = Runs(
        places=places, most_runs=most, most_letters=_LETTERS * most, most_words=_LETTERS * most,
        **{name: address(array) for name, array in arrays.items()},
    )  # fmt: skip
    return table, list(arrays.values())
