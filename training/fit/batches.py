"""A corpus as the network sees it: one flat stream of tokens, cut into bags of windows as they are asked for.

T tokens of the corpus · N windows of a batch · S sentences of a batch · W window width
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fenestra.model.config import ModelConfig
from fenestra.model.network.stream import Stream
from fenestra.model.network.windows import Windows, sentence_bounds, window_ids
from fenestra.model.tags import Span, spans, tag_set, write_tags
from fenestra.model.words.lexicon import Lexicon, Rows
from fenestra.model.words.vectors import VectorTable
from fenestra.training.config import TrainingConfig
from fenestra.training.data.corpus import Sentence, documents_of


class Batch(NamedTuple):
    """What a step of training takes: the rows of the words that occur in it, its windows, and their tags."""

    rows: Rows
    windows: Windows
    gold_N: Tensor
    length_S: Tensor
    """Windows of each sentence, as the text is parted when it is read: sentences without a break are one."""
    target_NK: Tensor
    """Shares of the tags to learn by where teachers speak; else empty."""


class Cut(NamedTuple):
    """How sentences are met in an epoch."""

    oversample: float = 1.0
    """How often a sentence with an entity comes, on average."""
    join: float = 0.0
    """Share of the sentence ends within a document that windows see through."""
    varied: tuple[float, ...] = ()
    """Shares of the sentences that are met in each of the variants of the corpus."""
    unlabelled: float = 1.0
    """Share of the sentences without tags that are met."""


@dataclass(frozen=True, slots=True)
class TaggedStream:
    """An annotated corpus whose words were looked up once; windows are gathered from it on the fly.

    Behind its sentences may stand others without tags, for which teachers speak, and behind all of these variants of
    all of them: the same sentences in other letters, in the same order.
    """

    stream: Stream
    alone: Stream
    """The same, every sentence a document of its own; the very same stream if no sentence is to be met alone."""
    gold_T: Tensor
    starts: tuple[int, ...]
    spans: tuple[list[Span], ...]
    """The true spans of each sentence, before the model's scheme has its say."""
    context: int
    sentences: int
    """How many there are without the variants."""
    labelled: int
    """How many of these are annotated."""
    belief_TK: Tensor
    """What the teachers say of the tokens of the others."""

    @classmethod
    def build(
        cls,
        sentences: Sequence[Sentence],
        lexicon: Lexicon,
        vectors: VectorTable,
        config: ModelConfig,
        *,
        isolate: bool = False,
        variants: Sequence[Sequence[Sentence]] = (),
        belief_TK: Tensor | None = None,
    ) -> "TaggedStream":
        """Number the words and tags of a corpus.

        Args:
            sentences: of the corpus.
            lexicon: knows the features of words.
            vectors: for the means of documents and sentences.
            config: of the model.
            isolate: whether some sentences will be met alone.
            variants: the same sentences in other letters, each with as many words and the same tags.
            belief_TK: what teachers say of the tokens of the last of the sentences, whose tags do not count.
        """
        written = (sentences, *variants)
        column = {tag: number for number, tag in enumerate(tag_set(config.labels, config.scheme))}
        found = tuple(spans(sentence.tags) for sentence in chain.from_iterable(written))
        stream = Stream.read(list(chain.from_iterable(map(documents_of, written))), lexicon, vectors, config)
        tags = (write_tags(f, length, config.scheme) for f, length in zip(found, stream.lengths, strict=True))
        gold_T = torch.tensor([column[tag] for tag in chain.from_iterable(tags)], dtype=torch.int64)
        starts = tuple(accumulate(stream.lengths, initial=0))
        if belief_TK is None:
            belief_TK = torch.zeros(0, len(column))
        labelled = starts.index(starts[len(sentences)] - len(belief_TK))
        gold_T.view(len(written), -1)[:, starts[labelled] :] = belief_TK.argmax(dim=1)
        return cls(
            stream,
            stream.parted([1] * len(found), vectors, config) if isolate else stream,
            gold_T,
            starts[:-1],
            found,
            config.context,
            len(sentences),
            labelled,
            belief_TK,
        )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sentence."""
        return self.stream.lengths

    def batch(self, chosen: Sequence[int], lengths: Sequence[int], lonely: Sequence[bool]) -> Batch:
        """Gather the windows of some sentences.

        Args:
            chosen: indices of sentences.
            lengths: where sentences end for the windows; may join neighbours in ``chosen``, each of which keeps the
                mean of its own words.
            lonely: whether a sentence is met without its document.
        """
        first_S = torch.tensor([self.starts[s] for s in chosen])
        size_S = torch.tensor([self.lengths[s] for s in chosen])
        lonely_S = torch.tensor(lonely)
        sentence_N = torch.arange(len(chosen)).repeat_interleave(size_S)
        token_N = torch.arange(len(sentence_N)) + (first_S - size_S.cumsum(0) + size_S)[sentence_N]
        bounds_2N = sentence_bounds(lengths)
        # A window sees nothing but words of its batch, so numbering these once numbers all of them.
        word_U, place_N = torch.unique(self.stream.word_T[token_N], return_inverse=True)
        windows = Windows(
            window_ids(place_N + 1, bounds_2N, self.context),
            self._elsewhere(token_N, lonely_S[sentence_N], bounds_2N),
            torch.where(
                lonely_S[:, None],
                self.alone.topic_PD[self.alone.document_T[first_S]],
                self.stream.topic_PD[self.stream.document_T[first_S]],
            ),
            sentence_N,
            self.stream.sentence_RD,
            self.stream.passage_T[token_N] if self.stream.passage_T.numel() else self.stream.passage_T,
        )
        gold_N = self.gold_T[token_N]
        return Batch(
            self.stream.rows.pick(word_U),
            windows.own_passages(),
            gold_N,
            torch.tensor(lengths),
            self._targets(token_N, gold_N),
        )

    def shuffled(self, rng: random.Random, cut: Cut) -> list[list[int]]:
        """Plan one epoch: runs of sentences, in a new order; a run is read without a break, most are one sentence."""
        runs = [run for run in self._runs(cut.join, rng) for _ in range(self._repeats(run, cut, rng))]
        rng.shuffle(runs)
        return [self._varied(run, cut.varied, rng) for run in runs] if any(cut.varied) else runs

    def tokens(self, runs: Sequence[Sequence[int]]) -> int:
        """Tokens, and so windows, of an epoch."""
        return sum(self.lengths[sentence] for run in runs for sentence in run)

    def batches(
        self, runs: Sequence[Sequence[int]], batch_tokens: int, rng: random.Random, isolate: float = 0.0
    ) -> Iterator[Batch]:
        """Read a planned epoch, whole runs to a batch.

        Args:
            runs: from :meth:`shuffled`.
            batch_tokens: tokens from which a batch is full.
            rng: decides which sentences are met alone.
            isolate: share of them, of those that are runs of their own.
        """
        sizes = [self.tokens([run]) for run in runs]
        for chosen in packed(sizes, batch_tokens):
            sentences = [s for number in chosen for s in runs[number]]
            lonely = [len(runs[number]) == 1 and rng.random() < isolate for number in chosen for _ in runs[number]]
            yield self.batch(sentences, [sizes[number] for number in chosen], lonely)

    def _runs(self, join: float, rng: random.Random) -> Iterator[list[int]]:
        """Part the corpus into runs of sentences whose ends between them are overlooked; most have one sentence."""
        run: list[int] = []
        for sentence, start in enumerate(self.starts[: self.sentences]):
            if run and (rng.random() >= join or self.stream.document_T[start] != self.stream.document_T[start - 1]):
                yield run
                run = []
            run.append(sentence)
        if run:
            yield run

    def _targets(self, token_N: Tensor, gold_N: Tensor) -> Tensor:
        """What the teachers say, and all of it on the gold tag where there is one; empty without teachers."""
        if not len(self.belief_TK):
            return torch.empty(0)
        target_NK = functional.one_hot(gold_N, self.belief_TK.shape[1]).float()
        length = len(self.gold_T) * self.sentences // len(self.starts)  # tokens without the variants
        taught_N = token_N % length - (length - len(self.belief_TK))
        target_NK[taught_N >= 0] = self.belief_TK[taught_N[taught_N >= 0]].float()
        return target_NK

    def _varied(self, run: list[int], shares: Sequence[float], rng: random.Random) -> list[int]:
        """The run, or its place in the variant that the draw falls on."""
        draw = rng.random()
        for number, share in enumerate(shares, start=1):
            if draw < share:
                return [sentence + number * self.sentences for sentence in run]
            draw -= share
        return run

    def _elsewhere(self, token_N: Tensor, lonely_N: Tensor, bounds_2N: Tensor) -> Tensor:
        if not self.stream.elsewhere_T.numel():
            return self.stream.elsewhere_T
        class_N = torch.where(lonely_N, self.alone.elsewhere_T[token_N], self.stream.elsewhere_T[token_N])
        return window_ids(class_N + 1, bounds_2N, self.context)

    def _repeats(self, run: Sequence[int], cut: Cut, rng: random.Random) -> int:
        """How often a run comes in this epoch: the whole part always, the fraction by chance."""
        if run[-1] >= self.labelled:
            return int(rng.random() < cut.unlabelled)
        oversample = cut.oversample
        if oversample == 1.0 or not any(self.spans[sentence] for sentence in run):
            return 1
        return int(oversample) + (rng.random() < oversample % 1)


def varied_shares(config: TrainingConfig) -> dict[str, float]:
    """The variants that are met in training (``training/data/perturbations.py``), each with its share of the sentences."""  # noqa: E501
    shares = {"lower": config.lower_sentences, "upper": config.upper_sentences, "typos": config.typo_sentences}
    return {name: share for name, share in shares.items() if share}


def packed(sizes: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Fill batches with whole runs until each has ``batch_tokens`` tokens or more; gives their indices.

    >>> list(packed([3, 4, 5], batch_tokens=6))
    [[0, 1], [2]]
    """
    batch: list[int] = []
    tokens = 0
    for number, size in enumerate(sizes):
        batch.append(number)
        tokens += size
        if tokens >= batch_tokens:
            yield batch
            batch, tokens = [], 0
    if tokens:
        yield batch
