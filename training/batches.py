"""A corpus as the network sees it: one flat stream of tokens, cut into bags of windows as they are asked for.

    T tokens of the corpus · N windows of a batch · W window width
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import NamedTuple

import torch
from torch import Tensor

from model.config import ModelConfig
from model.iob import OUTSIDE, convert, tag_set
from model.lexicon import Lexicon, Rows, number_words
from model.window import sentence_bounds, window_ids
from training.corpus import Sentence


class Batch(NamedTuple):
    """What a step of training takes: the rows of the words that occur in it, its windows, and their tags."""

    rows: Rows
    windows_NW: Tensor
    gold_N: Tensor


@dataclass(frozen=True, slots=True)
class Stream:
    """A corpus whose words were looked up once; windows are gathered from it on the fly."""

    rows: Rows
    word_T: Tensor
    gold_T: Tensor
    lengths: tuple[int, ...]
    starts: tuple[int, ...]
    has_entity: tuple[bool, ...]
    context: int

    @classmethod
    def build(cls, sentences: Sequence[Sentence], lexicon: Lexicon, config: ModelConfig) -> "Stream":
        """Number the words and tags of a corpus."""
        column = {tag: number for number, tag in enumerate(tag_set(config.labels, config.scheme))}
        words, places = number_words(chain.from_iterable(sentence.words for sentence in sentences))
        gold = [column[tag] for sentence in sentences for tag in convert(sentence.tags, config.scheme)]
        lengths = tuple(len(sentence.words) for sentence in sentences)
        return cls(
            lexicon.rows(words),
            torch.tensor(places, dtype=torch.int64),
            torch.tensor(gold, dtype=torch.int64),
            lengths,
            tuple(accumulate(lengths, initial=0))[:-1],
            tuple(any(tag != OUTSIDE for tag in sentence.tags) for sentence in sentences),
            config.context,
        )

    def batch(self, chosen: Sequence[int], lengths: Sequence[int] | None = None) -> Batch:
        """Gather the windows of some sentences.

        Args:
            chosen: indices of sentences.
            lengths: where sentences end for the windows, if not where they end in the corpus.
        """
        pieces = [torch.arange(self.starts[s], self.starts[s] + self.lengths[s]) for s in chosen]
        token_N = torch.cat(pieces)
        word_U, place_N = torch.unique(self.word_T[token_N], return_inverse=True)
        bounds_2N = sentence_bounds(list(lengths or [self.lengths[s] for s in chosen]))
        return Batch(self.rows[word_U], window_ids(place_N + 1, bounds_2N, self.context), self.gold_T[token_N])

    def in_order(self, batch_tokens: int) -> Iterator[Batch]:
        """All windows once, in the order of the corpus."""
        for chosen in packed(range(len(self.lengths)), self.lengths, batch_tokens):
            yield self.batch(chosen)

    def shuffled(
        self, batch_tokens: int, rng: random.Random, *, oversample: float = 1.0, join: float = 0.0
    ) -> Iterator[Batch]:
        """One epoch: every sentence in a new order, whole sentences to a batch.

        Args:
            batch_tokens: tokens from which a batch is full.
            rng: decides everything that is random here.
            oversample: how often a sentence with an entity comes, on average.
            join: share of the sentence ends within a batch that windows see through.
        """
        order = [s for s in range(len(self.lengths)) for _ in range(self._repeats(s, oversample, rng))]
        rng.shuffle(order)
        for chosen in packed(order, self.lengths, batch_tokens):
            yield self.batch(chosen, joined([self.lengths[s] for s in chosen], join, rng))

    def _repeats(self, sentence: int, oversample: float, rng: random.Random) -> int:
        """How often a sentence comes in this epoch: the whole part always, the fraction by chance."""
        if oversample == 1.0 or not self.has_entity[sentence]:
            return 1
        return int(oversample) + (rng.random() < oversample % 1)


def packed(order: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Fill batches with whole sentences until each has ``batch_tokens`` tokens or more.

    >>> list(packed([0, 1, 2], [3, 4, 5], batch_tokens=6))
    [[0, 1], [2]]
    """
    batch: list[int] = []
    tokens = 0
    for sentence in order:
        batch.append(sentence)
        tokens += lengths[sentence]
        if tokens >= batch_tokens:
            yield batch
            batch, tokens = [], 0
    if tokens:
        yield batch


def joined(lengths: Sequence[int], share: float, rng: random.Random) -> list[int]:
    """Melt a random share of neighbouring sentences into one, as a missed break in raw text does."""
    merged = list(lengths[:1])
    for length in lengths[1:]:
        if share and rng.random() < share:
            merged[-1] += length
        else:
            merged.append(length)
    return merged
