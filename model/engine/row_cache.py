"""The row cache: W₁⁽ʲ⁾ e(w) + E⁽ʲ⁾[class] for all 2C+1 positions j, of the most frequent words, in bounded memory.

Text is Zipfian: some ten thousand words cover nearly all of it. A slot belongs to a pair of word and case class
(``model/network/context.py``), so that a token costs 2C+1 rows and no more. Most pairs of a text come once and never
again. So, when three fourths of the cache are full, a new one is on probation: it goes when some thousand others have
come and it has not, and what comes back after that may stay at once (S3-FIFO; Yang et al., SOSP 2023). When the cache
is full, the least frequently used pairs are evicted, and all counts are halved. Whatever it held, a row is computed
from its word alone, and has the same bits.

S slots, of which 0 is PAD's · U pairs · W window width · H hidden units, padded to whole panels
"""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import DECLARED, Array, empty
from fenestra.model.engine.weights import Weights
from fenestra.model.network.windows import PAD

Numbers = Literal["float32", "int16", "int8"]
"""How a row is stored: as it is; as integers with a scale for each row; or with one for each hidden unit."""

_EVICTED = 8  # an eighth of the cache, or of those on probation, at a time
_FREE = -1
_HAD_SLOT = DECLARED.constants["HAD_SLOT"]
_PROBATION, _SHARE, _LEAST = 4096, 4, 4096  # slots, a fourth of all at most; in a small cache all are alike
_TWICE = 2


class Mirror(Protocol):
    """A copy of the rows on another device."""

    def write(self, slot_U: NDArray[np.int64], row_UWH: Array, /) -> None:
        """Copy some rows."""


class RowCache:
    """Rows of (word, class) pairs. Its owner sees to it that only one thread uses it."""

    def __init__(self, weights: Weights, slots: int, mirror: Mirror | None = None) -> None:
        """Set up a cache of one slot or more that holds nothing but PAD; memory is taken as words come in."""
        self._weights, self.mirror = weights, mirror
        self.numbers = empty((slots, weights.window, weights.hidden), weights.numbers)
        self.scale = np.empty((slots, weights.window), np.float32)
        self.uses = np.zeros(slots, np.int64)
        self._pair = np.full(slots, _FREE, np.int64)
        self._free = list(range(slots - 1, PAD, -1))
        self._most_young = min(slots // _SHARE, _PROBATION) if slots >= _LEAST else slots
        self._born = np.zeros(slots, np.int64)
        """When the pair of each slot came that is on probation, counted in pairs; 0 for others."""
        self._young = self._now = 0
        """How many are on probation, and how many have come in all."""
        self._write(weights.pad, np.zeros(1, np.int64), np.array([PAD]))

    @classmethod
    def slots_in(cls, weights: Weights, megabytes: float) -> int:
        """How many slots there are in so many units of 10⁶ bytes."""
        row = np.dtype(weights.numbers).itemsize * weights.hidden + 4
        return int(megabytes * 1e6) // (weights.window * row + 24)

    def __len__(self) -> int:
        """How many pairs are in the table."""
        return len(self._pair) - 1 - len(self._free)

    def make_room(self, needed: int, slots: NDArray[np.int32], line: NDArray[np.int32]) -> bool:
        """See to it that slots are free; False if there are not so many.

        Pairs whose probation has ended, and then the least frequently used ones, are evicted and lose their place in
        ``slots``, but none of those in ``line``.
        """
        if len(self._free) - needed < len(self._pair) // _SHARE:
            self._end_probation(self._young + needed - self._most_young, slots, line)
        missing = needed - len(self._free)
        if missing <= 0:
            return True
        may_go = self._pair != _FREE
        may_go[line] = False
        candidates = np.flatnonzero(may_go)
        if len(candidates) < missing:
            return False
        count = min(max(missing, len(self._pair) // _EVICTED), len(candidates))
        evicted = candidates[np.argpartition(self.uses[candidates], count - 1)[:count]]
        self._evict(evicted, slots)
        self.uses //= 2
        return True

    def put(self, pair_U: Array, entry_UE: NDArray[np.float32], class_U: Array, slots: NDArray[np.int32]) -> None:
        """Compute the rows of pairs, of classes from 0 for PAD, for which there is room; writes their ``slots``."""
        slot_U = np.array(self._free[: -len(pair_U) - 1 : -1], np.int64)
        self._write(entry_UE, class_U, slot_U)
        del self._free[-len(pair_U) :]
        self.uses[slot_U] = 0
        is_young_U = slots[pair_U] != _HAD_SLOT
        self._born[slot_U] = is_young_U * np.arange(self._now + 1, self._now + len(slot_U) + 1)
        self._now += len(slot_U)
        self._young += int(np.count_nonzero(is_young_U))
        self._pair[slot_U] = pair_U
        slots[pair_U] = slot_U

    def forget(self, slot_U: NDArray[np.int64]) -> None:
        """Forget the pairs of some slots, whose words have lost their numbers."""
        self._pair[slot_U] = _FREE
        self._grow_up(slot_U)
        self._free += slot_U.tolist()

    def clear(self) -> None:
        """Forget all pairs."""
        self._pair.fill(_FREE)
        self._born.fill(0)
        self._young = 0
        self._free = list(range(len(self._pair) - 1, PAD, -1))

    def _end_probation(self, count: int, slots: NDArray[np.int32], line: NDArray[np.int32]) -> None:
        """Let so many of the pairs on probation go, or stay for good if they were used twice or are in a line."""
        if count <= 0:
            return
        young = np.flatnonzero(self._born)
        count = min(max(count, self._most_young // _EVICTED), len(young))
        if not count:
            return
        oldest = young[np.argpartition(self._born[young], count - 1)[:count]]
        self._grow_up(oldest)
        may_go = self.uses < _TWICE
        may_go[line] = False
        self._evict(oldest[may_go[oldest]], slots)

    def _grow_up(self, slot_U: NDArray[np.int64]) -> None:
        """End the probation of slots that may be on it."""
        self._young -= int(np.count_nonzero(self._born[slot_U]))
        self._born[slot_U] = 0

    def _evict(self, slot_U: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        slots[self._pair[slot_U]] = _HAD_SLOT
        self.forget(slot_U)

    def _write(self, entry_UE: NDArray[np.float32], class_U: NDArray[np.int64], slot_U: NDArray[np.int64]) -> None:
        self._weights.project(entry_UE, class_U, slot_U, self.numbers, self.scale)
        if self.mirror is not None:
            self.mirror.write(slot_U, self.numbers[slot_U])
