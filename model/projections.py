"""W₁⁽ʲ⁾ e(w) of the words that are met most, kept.

The first layer is a sum over words (``model/network/network.py``), so what a word adds at each of the 2C+1 positions
can be worked out when it is first met, and looked up ever after. Text is Zipfian: a table of a few thousand words
serves nearly all of it. The table is bounded; when it is full, the words used least make room, and old merits count
half.

A kept vector has the bits of one that is computed anew (``model/tiles.py``), so nobody can tell what was in the table.

    U distinct words · M = W·H, a vector for each position · N windows · H hidden units
"""

from collections.abc import Generator, Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from fenestra.model import tiles
from fenestra.model.network.network import WindowTagger
from fenestra.model.network.windows import PAD, Windows
from fenestra.model.words.lexicon import Lexicon

_PIECE = 8 * tiles.TILE - 1  # words that are computed before giving way; one more row is PAD
_LONG = 64  # characters; longer words are known by a digest, so that they take no more room than others
_MAKE_ROOM = 8  # an eighth of the table is freed at a time


class Projections:
    """The first layer of a network on the CPU, with a bounded table of words. Threads may share it."""

    def __init__(self, network: WindowTagger, lexicon: Lexicon, megabytes: float) -> None:
        """Set up a table that holds nothing but PAD.

        Args:
            network: whose first layer it is.
            lexicon: looks up the rows of words.
            megabytes: size of the table in units of 10⁶ bytes; memory is taken as words come in. 0 for no table.
        """
        self._network = network
        self._lexicon = lexicon
        width = network.project.out_features
        self._device = network.bias.device
        self._most = int(megabytes * 1e6) // (4 * width)
        """Slots of the table; slot 0 is PAD."""
        self._lock = Lock()
        self._slots: dict[str | bytes, int] = {}
        self._keys: dict[int, str | bytes] = {}
        self._free = list(range(self._most - 1, PAD, -1))
        self._uses = np.zeros(self._most, dtype=np.int64)
        self._table = torch.empty(self._most, width)  # the system gives memory for what is written to
        if self._most:
            with torch.inference_mode():
                self._table[PAD] = self._project([])[PAD]

    def __len__(self) -> int:
        """How many words are in the table."""
        return len(self._slots)

    def mix(self, words: Sequence[str], windows: Windows) -> Generator[None, None, Tensor]:
        """The sum of every window, as :meth:`WindowTagger.mix`, giving way after every few hundred new words.

        Args:
            words: U distinct words.
            windows: over ``0 … U``: 0 is PAD, u + 1 is word u.

        Returns:
            preactivation_NH.
        """
        long = max(map(len, words), default=0) > _LONG
        keys = [word if len(word) <= _LONG else _digest(word) for word in words] if long else words
        if len(keys) < self._most:
            # Others may use the table between two pieces and drive out what was just computed; a few rounds are enough.
            for _ in range(len(keys) // _PIECE + 2):
                with self._lock, torch.inference_mode():
                    found = list(map(self._slots.get, keys))
                    missing = [place for place, slot in enumerate(found) if slot is None] if None in found else []
                    self._add(keys, words, missing[:_PIECE])
                    if len(missing) <= _PIECE:
                        slot_V = np.fromiter(map(self._slots.__getitem__, keys), np.int64, len(keys))
                        self._uses[slot_V] += 1
                        ids_V = torch.from_numpy(np.concatenate([[PAD], slot_V]))
                        return self._network.mix(self._table, windows._replace(word_NW=ids_V[windows.word_NW]))
                yield
        projection_VM = yield from self.compute(words)
        with torch.inference_mode():
            return self._network.mix(projection_VM, windows.to(self._device))

    def compute(self, words: Sequence[str]) -> Generator[None, None, Tensor]:
        """The vectors of PAD and of some words, without the table; returns projection_VM, V = U + 1."""
        parts: list[Tensor] = []
        for begin in range(0, len(words), _PIECE):
            with torch.inference_mode():
                part_VM = self._project(words[begin : begin + _PIECE])
                parts.append(part_VM[1:] if parts else part_VM)
            yield
        with torch.inference_mode():
            return torch.cat(parts or [self._project([])])

    def _project(self, words: Sequence[str]) -> Tensor:
        return self._network.project_rows(self._lexicon.rows(words).to(self._device))

    def _add(self, keys: Sequence[str | bytes], words: Sequence[str], missing: Sequence[int]) -> None:
        """Work out some of the words of a batch and put them into the table."""
        if not missing:
            return
        projection_VM = self._project([words[place] for place in missing])
        if len(self._free) < len(missing):
            self._make_room(len(missing) - len(self._free), keys)
        slots = [self._free.pop() for _ in missing]
        self._table[torch.tensor(slots)] = projection_VM[1:]
        self._uses[slots] = 0
        for slot, place in zip(slots, missing, strict=True):
            self._keys[slot] = keys[place]
            self._slots[keys[place]] = slot

    def _make_room(self, needed: int, keys: Sequence[str | bytes]) -> None:
        """Drive out the words used least, though none of the batch."""
        leaves = np.zeros(self._most, dtype=bool)
        leaves[list(self._keys)] = True
        leaves[[self._slots[key] for key in keys if key in self._slots]] = False
        slots = np.flatnonzero(leaves)
        count = min(max(needed, self._most // _MAKE_ROOM), len(slots))
        for slot in slots[np.argpartition(self._uses[slots], count - 1)[:count]].tolist():
            del self._slots[self._keys.pop(slot)]
            self._free.append(slot)
        self._uses //= 2


def _digest(word: str) -> bytes:
    """A short name for a monstrous word."""
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).digest()
