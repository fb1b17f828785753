"""The words that were read, by number, and what is known of each without its neighbours.

Text repeats itself, so nearly every word of it was read before. What a word is, and all that the other files ask of it,
is worked out once and then looked up by the kernel, which does that itself for plain words (``model/text/plain.py``);
odd ones come here. When there is no room for more words, those that were not read for longest make room, word by word.

W words · R odd runs
"""

import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure
from fenestra.model.engine.lookups import Lookups, lookups_of
from fenestra.model.errors import InputError
from fenestra.model.network.context import CASE_CLASSES, case_evidence
from fenestra.model.network.windows import PAD
from fenestra.model.text.canonical import canonical
from fenestra.model.text.characters import KINDS
from fenestra.model.text.joined import code_points, lengths, string
from fenestra.model.text.sentences import roles
from fenestra.model.text.tokens import tokenizer
from fenestra.model.words.lexicon import Lexicon

_LEAST_WORDS, WORDS = 1 << 15, 1 << 17
"""Words that a vocabulary has room for; a large text may take more, until it is read."""
_WORDS_A_SLOT = 8
_RUNS = 1 << 14
_LETTERS = 12  # code points and words that there is room for, for each run
_EVICTED = 8  # an eighth of the words at a time
LONG = DECLARED.constants["LONGEST_RUN"]
"""Characters; longer runs are not remembered."""
_KEY = DECLARED.constants["KEY_BYTES"]
_NO_NUMBERS = DECLARED.constants["NO_NUMBERS"]
PLAIN_WORD, _ODD_WORD = 1, 2
"""What ``known`` says of a word: that the kernel can look it up, or only Python."""
_ARRAYS = {
    "hash": np.uint32, "bytes": np.uint8, "free": np.int32, "used": np.int64, "known": np.uint8, "size": np.int32,
    "lowered": np.int32, "vector": np.int32, "role": np.uint32, "evidence": np.uint8, "oov": np.uint8,
}  # fmt: skip
_PRIVATE = {"hash": "_hash", "bytes": "_bytes"}


def words_beside(slots: int) -> int:
    """How many words there is room for beside a row cache of so many slots: a word takes 170 bytes, a row thousands."""
    return min(max(1 << (_WORDS_A_SLOT * slots - 1).bit_length(), _LEAST_WORDS), WORDS)


class Vocabulary:
    """Numbers words. Not for several threads at once."""

    def __init__(
        self, kernel: Kernel, lexicon: Lexicon, lookups: Lookups | None = None, *, most_words: int = WORDS,
        most_runs: int = _RUNS, forget: Callable[[NDArray[np.int64]], None] | None = None,
    ) -> None:  # fmt: skip
        """Start empty; memory is taken as words come in.

        Args:
            kernel: the compiled library.
            lexicon: what the model knows.
            lookups: the same as a table, if there is one already.
            most_words: words that there is room for.
            most_runs: odd runs that are remembered.
            forget: called with the slots of words that have to go.
        """
        lookups = lookups or lookups_of(kernel, lexicon)
        self._kernel, self._lexicon = kernel, lookups.lexicon
        self.lookups = lookups.how, lookups.strings
        self.tokenizer = tokenizer(lexicon.language)
        self._role = roles(lexicon.language)
        self._forget = forget
        self.usual = most_words
        """Words that there is room for when no large text is read."""
        self.classes = CASE_CLASSES if lexicon.features.elsewhere else 1
        self._readers: WeakSet[Any] = WeakSet()
        self._seed, self._most_runs = secrets.randbits(64), most_runs
        self._hash, self._bytes = np.zeros(0, np.uint32), np.zeros(0, np.uint8)
        self.now = 0
        """Rises with every batch."""
        self.key = np.zeros((0, _KEY), np.uint8)
        self.free = np.zeros(0, np.int32)
        self.used = np.zeros(0, np.int64)
        self.known = np.zeros(0, np.uint8)
        self.vector = np.zeros(0, np.int32)
        """Row of each word's vector, 0 for none."""
        self.lowered = np.zeros(0, np.int32)
        """A number that words share which differ in case only."""
        self.evidence = np.zeros(0, np.uint8)
        self.role = np.zeros(0, np.uint32)
        self.oov = np.zeros(0, np.uint8)
        """1 for a word that is out of vocabulary (``Lexicon.is_oov``)."""
        self.size = np.zeros(0, np.int32)
        """Code points of each word."""
        self.seen = np.zeros(0, np.uint8)
        """Zeros: scratch memory of ``case_classes``."""
        self.tally = np.zeros(0, np.int32)
        """Zeros: scratch memory of ``find_repeats``."""
        self.slots = np.zeros(0, np.int32)
        """Slot in the table of each (word, class); that of PAD, or one below, for none."""
        self.table: Any = None
        """The words as the kernel has them."""
        self._grow(most_words)
        self.runs: Any = _runs(most_runs, keep_stops=lexicon.language.keep_stops)

    def __len__(self) -> int:
        """How many words have a number."""
        return len(self.used) - int(self.table.unused)

    @property
    def is_large(self) -> bool:
        """Whether it has grown over its usual size, and no batch needs it any more."""
        return len(self.used) > self.usual and not self._readers

    @property
    def runs_are_full(self) -> bool:
        """Whether the next run to be remembered takes the place of all others."""
        runs = self.runs
        letters_left, words_left = runs.most_letters - runs.used_letters, runs.most_words - runs.used_words
        return bool(runs.runs >= runs.most_runs or min(letters_left, words_left) < LONG)

    def begin(self, batch: Any) -> None:  # noqa: ANN401 - whatever has word numbers
        """Keep what is read from now on for as long as a batch lives."""
        self.now += 1
        self.table.now = self.now
        batch.begun = self.now
        self._readers.add(batch)

    def numbers(self, words: Sequence[str], long: dict[int, str]) -> NDArray[np.int32]:
        """The number of every word as it stands in a text; ``long`` receives the canonical form of long ones.

        Raises:
            InputError: a word is empty.
        """
        return self.numbers_of(code_points("".join(words)), lengths(words).cumsum(), long)

    def numbers_of(
        self, code_Z: NDArray[np.uint32], end_N: NDArray[np.int64], long: dict[int, str]
    ) -> NDArray[np.int32]:
        """As :meth:`numbers`, of words end to end, given one past the last of each."""
        count, done, why = len(end_N), 0, np.zeros(1, np.int64)
        word_N = np.empty(count, np.int32)
        while True:
            done = self._kernel.call(count - done).number_words(
                *self.lookups, self.table, code_Z, end_N, done, count, word_N, why
            )
            if done == count:
                return word_N
            if why[0] == _NO_NUMBERS:
                self.make_room()
            else:
                begin = int(end_N[done - 1]) if done else 0
                word_N[done] = self.number(string(code_Z[begin : int(end_N[done])]), long)
                done += 1

    def remember(self, run: str, letters: Array, after: int) -> bool:
        """Split a run without white space into words, and remember it, by its code points.

        ``after`` is as of ``Tokenizer.after_stop``. False if there is no room for such a run, or a word of it is long.
        """
        if self.runs_are_full:
            self._clear_runs()
        long: dict[int, str] = {}
        spans = self.tokenizer.spans(run, after)
        words = self.numbers([run[start:end] for start, end in spans], long)
        starts = _starts(tuple([start for start, _ in spans]))
        remember = self._kernel.short.remember_run
        return not long and bool(remember(self.runs, letters, len(run), after, words, starts, len(words)))

    def number(self, word: str, long: dict[int, str]) -> int:
        """As :meth:`numbers`, of one word, whatever it is."""
        if not word:
            raise InputError("a sentence holds an empty word")
        number, is_long = self._key_number(word)
        if not self.known[number]:
            form = canonical(word)
            self.lowered[number] = self._key_number(form.lower())[0]
            self.vector[number] = self._lexicon.vector_row(form) if self._lexicon.features.vectors else 0
            self.evidence[number] = case_evidence(form)
            self.role[number] = self._role(word)
            self.oov[number] = self._lexicon.is_oov(form)
            self.size[number] = len(word)
            self.known[number] = _ODD_WORD  # last, whatever interrupts this
        if is_long and number not in long:
            long[number] = canonical(word)
        return number

    def text(self, number: int) -> str | None:
        """The canonical form of a word; None for one that only a digest is kept of."""
        key = self.key[number].tobytes()[: self._bytes[number]]
        return None if key.startswith(_DIGEST) else canonical(key.decode("utf-8", "surrogatepass"))

    def make_room(self) -> None:
        """Forget words that were not read for long and that no batch needs, or grow if those are few."""
        most, needed = len(self.used), self.now + 1
        for batch in self._readers:
            if batch.is_read:
                self.used[batch.word_T] = self.used[self.lowered[batch.word_T]] = self.now
            else:
                needed = min(needed, batch.begun)
        old = self.used[(self._bytes > 0) & (self.used < needed)]
        if len(old) < most // _EVICTED // 2:
            self._grow(2 * most)
            return
        wanted = min(most // _EVICTED, len(old)) - 1
        before = min(int(np.partition(old, wanted)[wanted]) + 1, needed)
        # In this order, so that no word ever has the rows of another one, whatever interrupts this.
        slots = self.slots.reshape(most, self.classes)
        forgotten = np.flatnonzero((self._bytes > 0) & (self.used < before))
        lost = slots[forgotten]
        slots[forgotten] = PAD
        if self._forget is not None:
            self._forget(lost[lost > PAD].astype(np.int64))
        self._clear_runs()
        self._kernel.long.forget_words(self.table, before)

    def _clear_runs(self) -> None:
        self.runs = _runs(self._most_runs, keep_stops=self._lexicon.language.keep_stops)

    def _key_number(self, word: str) -> tuple[int, bool]:
        """The number of a word that nothing need be known of, and whether it is long."""
        key = word.encode("utf-8", "surrogatepass")
        is_long = len(key) > _KEY
        if is_long:
            key = _DIGEST + blake2b(key, digest_size=16).digest()
        letters = np.frombuffer(bytearray(key), np.uint8)
        while (number := self._kernel.short.word_number(self.table, letters, len(key))) == _NO_NUMBERS:
            self.make_room()
        return int(number), is_long

    def _grow(self, most: int) -> None:
        """Make room; all of it takes place, or nothing."""
        before, places = len(self.used), 1 << (2 * most - 1).bit_length()
        new: dict[str, Array] = {name: np.zeros(most, number) for name, number in _ARRAYS.items()}
        for name, array in new.items() if before else ():
            array[:before] = getattr(self, _PRIVATE.get(name, name))
        key, slots = np.zeros((most, _KEY), np.uint8), np.zeros(most * self.classes, np.int32)
        key[:before], slots[: len(self.slots)] = self.key, self.slots
        unused = int(self.table.unused) if before else 0
        fresh = np.arange(most - 1, before - 1, -1, dtype=np.int32)
        new["free"] = np.concatenate([fresh, self.free[:unused], np.zeros(before - unused, np.int32)])
        table = DECLARED.structures["Words"](
            most=most, now=self.now, seed=self._seed, places=places, place=np.empty(places, np.uint64), key=key,
            unused=unused + len(fresh), **new,
        )  # fmt: skip
        self._kernel.long.index_words(table)
        new = {_PRIVATE.get(name, name): array for name, array in new.items()}
        scratch = {"seen": np.zeros(most, np.uint8), "tally": np.zeros(most, np.int32)}
        vars(self).update(new, **scratch, table=table, key=key, slots=slots)  # at once, whatever interrupts this


_DIGEST = b"\xff"
"""No UTF-8 begins with it."""


@lru_cache(1 << 12)
def _starts(of: tuple[int, ...]) -> NDArray[np.uint8]:
    """Where the words of a run start; most runs have one or two."""
    return np.array(of, np.uint8)


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
