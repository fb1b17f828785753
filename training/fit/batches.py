"""A corpus as the network sees it: one flat stream of tokens, from which batches of windows are gathered.

T tokens of the corpus · N windows of a batch · S sentences of a batch · W window width · K tags
"""

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fenestra.model.config import ModelConfig
from fenestra.model.tags import Scheme, tag_set
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.config import TrainingConfig
from fenestra.training.data.corpus import sentences_of_documents
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.long_columns import Column
from fenestra.training.data.packed import PackedSentences, join_sentences, pack_sentences
from fenestra.training.data.spans import Span, spans, write_tags
from fenestra.training.data.stream import Stream, sequences
from fenestra.training.network.rows import Rows, Windows, windows_over
from fenestra.training.vectors.quantise import VectorTable

_POOL = 4096  # runs that are sorted by length together
_MOST_OF_A_BYTE = 256
_STRETCH = 64  # runs of about one length that stay together


class Batch(NamedTuple):
    """What one update needs: windows, the rows of the words that occur in them, and their tags."""

    rows: Rows
    windows: Windows
    gold_N: Tensor
    length_S: Tensor
    """Windows of each sentence; joined sentences count as one."""
    sequence_R: Tensor
    """Windows of each sequence of sentences that a recurrent network reads in one go."""
    target_NK: Tensor
    """Probabilities of the tags as targets, if there are teachers; else empty."""


class Sampling(NamedTuple):
    """How sentences are drawn for an epoch."""

    oversample: float = 1.0
    """How often a sentence with an entity is drawn, on average."""
    join: float = 0.0
    """Share of the sentence ends within a document that windows see through."""
    varied: tuple[float, ...] = ()
    """Share of the sentences that is taken from each variant of the corpus."""
    unlabelled: float = 1.0
    """Share of the sentences without tags that is drawn."""
    made: float = 1.0
    """Share of the sentences that augmentation made that is drawn."""
    repeats: int = 1
    """How often an annotated sentence is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs(Sequence[range]):
    """Runs of neighbouring sentences, as their numbers."""

    begin_R: NDArray[np.int64]
    end_R: NDArray[np.int64]

    @classmethod
    def of(cls, runs: Iterable[Sequence[int]]) -> Self:
        """Runs of one sentence or more each."""
        if isinstance(runs, cls):
            return runs
        bounds = array("q", chain.from_iterable((run[0], run[-1] + 1) for run in runs))
        return cls(*np.array(bounds, dtype=np.int64).reshape(-1, 2).T)

    def taken(self, order: Sequence[int]) -> Self:
        """Some of the runs, in another order."""
        order_R = np.array(order, dtype=np.int64)
        return type(self)(self.begin_R[order_R], self.end_R[order_R])

    def __len__(self) -> int:
        return len(self.begin_R)

    @overload
    def __getitem__(self, place: int) -> range: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> "range | Runs":
        if isinstance(place, slice):
            return type(self)(self.begin_R[place], self.end_R[place])
        return range(int(self.begin_R[place]), int(self.end_R[place]))


@dataclass(frozen=True, slots=True)
class TaggedStream:
    """An annotated corpus whose words were looked up once; windows are gathered from it on the fly.

    The order is: annotated sentences; sentences without tags, for which there are teacher probabilities; then variants
    of all of these, which are the same sentences in other letters, in the same order.
    """

    stream: Stream
    isolated: Stream
    """The same with every sentence as a document of its own; identical to ``stream`` if no sentence is isolated."""
    gold_T: Tensor
    """The tag of each token, as its column; uint8, or int32 if there are more than 256 tags."""
    bound_S1: NDArray[np.int64]
    """Where each sentence starts, and the last one ends."""
    written: PackedSentences
    """The sentences themselves."""
    named_S: NDArray[np.bool_]
    """Whether each sentence has an entity."""
    context: int
    sentences: int
    """How many there are without the variants."""
    labelled: int
    """How many of these are annotated."""
    teacher_TK: Tensor
    """Teacher probabilities of the tokens of the sentences without tags."""
    sequence: int | None
    """Tokens with which a sequence of sentences is full that is read in one go; None for a window network."""
    made: int
    """How many of the annotated sentences, the last of them, augmentation made."""

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
        teacher_TK: Tensor | None = None,
        made: int = 0,
    ) -> "TaggedStream":
        """Number the words and tags of a corpus.

        Args:
            sentences: of the corpus.
            lexicon: knows the features of words.
            vectors: for the means of documents.
            config: of the model.
            isolate: whether some sentences will be isolated from their document.
            variants: the same sentences in other letters, each with as many words and the same tags.
            teacher_TK: teacher probabilities for the tokens of the last sentences, whose own tags are ignored.
            made: how many of the sentences before those augmentation made.
        """
        parts = [pack_sentences(part) for part in (sentences, *variants)]
        written = join_sentences(parts)
        documents = list(chain.from_iterable(map(sentences_of_documents, parts)))
        word_T, lengths = torch.from_numpy(written.word_T), tuple(written.length_S.tolist())
        stream = Stream.of(written.words, word_T, lengths, documents, lexicon, vectors, config)
        tags = tag_set(config.labels, config.scheme)
        gold_T, named_S = _columns(parts[0], tags, config.scheme, len(parts))
        bound_S1 = np.concatenate([[0], written.end_S])
        if teacher_TK is None:
            teacher_TK = torch.zeros(0, len(tags))
        labelled = int(np.searchsorted(bound_S1, bound_S1[len(sentences)] - len(teacher_TK)))
        gold_T.view(len(parts), -1)[:, bound_S1[labelled] :] = teacher_TK.argmax(dim=1)
        return cls(
            stream,
            stream.split_into([1] * len(lengths), vectors, config) if isolate else stream,
            gold_T,
            bound_S1,
            written,
            named_S,
            config.context,
            len(sentences),
            labelled,
            teacher_TK,
            config.recurrent.sequence if config.kind == "recurrent" else None,
            made,
        )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sentence."""
        return self.stream.lengths

    def batch(self, chosen: Sequence[int], lengths: Sequence[int], isolated: Sequence[bool]) -> Batch:
        """Gather the windows of some sentences.

        Args:
            chosen: indices of sentences.
            lengths: where sentences end for the windows, or sequences; may join neighbours in ``chosen``.
            isolated: whether each sentence is taken without its document.
        """
        chosen_S = np.array(chosen, dtype=np.int64)
        first_S = torch.from_numpy(self.bound_S1[chosen_S])
        size_S = torch.from_numpy(self.bound_S1[chosen_S + 1]) - first_S
        isolated_S = torch.tensor(isolated)
        sentence_N = torch.arange(len(chosen)).repeat_interleave(size_S)
        token_N = torch.arange(len(sentence_N)) + (first_S - size_S.cumsum(0) + size_S)[sentence_N]
        # A window contains no word from outside its batch, so it is enough to number the words of the batch.
        word_U, place_N = torch.unique(self.stream.word_T[token_N], return_inverse=True)
        windows = Windows(
            windows_over(place_N, lengths, self.context),
            self._elsewhere(token_N, isolated_S[sentence_N], lengths),
            torch.where(
                isolated_S[:, None],
                self.isolated.topic_PD[self.isolated.document_S[chosen_S]],
                self.stream.topic_PD[self.stream.document_S[chosen_S]],
            ),
            sentence_N,
        )
        gold_N = self.gold_T[token_N].long()
        return Batch(
            self.stream.rows.pick(word_U.long()),
            windows,
            gold_N,
            torch.tensor(lengths) if self.sequence is None else size_S,
            torch.tensor(lengths),
            self._targets(token_N, gold_N),
        )

    def spans(self) -> Iterator[list[Span]]:
        """The true spans of each sentence, before they are written in the model's scheme."""
        return (spans(sentence.tags) for sentence in self.written)

    def shuffled(self, rng: random.Random, sampling: Sampling) -> Runs:
        """Plan one epoch: runs of sentences in a new order. The sentences of a run are joined; most runs have one."""
        runs = Runs.of(run for run in self._runs(sampling.join, rng) for _ in range(self._repeats(run, sampling, rng)))
        order = list(range(len(runs)))
        rng.shuffle(order)
        runs = runs.taken(order)
        if self.sequence is not None:
            runs = runs.taken(alike(self.sizes(runs), rng))
        return Runs.of(self._varied(run, sampling.varied, rng) for run in runs) if any(sampling.varied) else runs

    def sizes(self, runs: Runs) -> list[int]:
        """Tokens of each run."""
        return (self.bound_S1[runs.end_R] - self.bound_S1[runs.begin_R]).tolist()  # type: ignore[no-any-return]

    def tokens(self, runs: Sequence[Sequence[int]]) -> int:
        """Tokens, and so windows, of an epoch."""
        return sum(self.sizes(Runs.of(runs)))

    def batches(
        self, runs: Sequence[Sequence[int]], batch_tokens: int, rng: random.Random, isolate: float = 0.0
    ) -> Iterator[Batch]:
        """Gather the batches of a planned epoch; a run is never split.

        Args:
            runs: from :meth:`shuffled`.
            batch_tokens: a batch is full when it has this many tokens or more.
            rng: decides which sentences are isolated.
            isolate: share of the runs of one sentence that are isolated; joined sentences never are.
        """
        sizes = self.sizes(Runs.of(runs))
        for chosen in packed(sizes, batch_tokens):
            sentences = [s for number in chosen for s in runs[number]]
            isolated = [len(runs[number]) == 1 and rng.random() < isolate for number in chosen for _ in runs[number]]
            yield self.batch(sentences, [sizes[number] for number in chosen], isolated)

    def _runs(self, join: float, rng: random.Random) -> Iterator[Sequence[int]]:
        """Split the corpus into runs of joined sentences; most runs have one sentence.

        For a recurrent network a run is a sequence. Where the first of a document ends is drawn, so that a sentence has
        other neighbours in every epoch.
        """
        if self.sequence is not None:
            full, count = self.sequence, self.sentences
            documents = self.stream.document_S[:count].tolist()
            yield from sequences(self.lengths[:count], documents, lambda: rng.randint(0, full), full)
            return
        begin, before = 0, None
        for sentence, document in enumerate(self.stream.document_S[: self.sentences].tolist()):
            if sentence > begin and (rng.random() >= join or document != before):
                yield range(begin, sentence)
                begin = sentence
            before = document
        if begin < self.sentences:
            yield range(begin, self.sentences)

    def _targets(self, token_N: Tensor, gold_N: Tensor) -> Tensor:
        """Teacher probabilities, or the one-hot gold tag where there is one; empty without teachers."""
        if not len(self.teacher_TK):
            return torch.empty(0)
        target_NK = functional.one_hot(gold_N, self.teacher_TK.shape[1]).float()
        length = int(self.bound_S1[self.sentences])  # tokens without the variants
        teacher_N = token_N % length - (length - len(self.teacher_TK))
        target_NK[teacher_N >= 0] = self.teacher_TK[teacher_N[teacher_N >= 0]].float()
        return target_NK

    def _varied(self, run: range, shares: Sequence[float], rng: random.Random) -> range:
        """The run itself, or the same run in a variant, at random."""
        draw = rng.random()
        for number, share in enumerate(shares, start=1):
            if draw < share:
                return range(run.start + number * self.sentences, run.stop + number * self.sentences)
            draw -= share
        return run

    def _elsewhere(self, token_N: Tensor, isolated_N: Tensor, lengths: Sequence[int]) -> Tensor:
        if not self.stream.elsewhere_T.numel():
            return self.stream.elsewhere_T
        class_N = torch.where(isolated_N, self.isolated.elsewhere_T[token_N], self.stream.elsewhere_T[token_N])
        return windows_over(class_N, lengths, self.context)

    def _repeats(self, run: Sequence[int], sampling: Sampling, rng: random.Random) -> int:
        """How often a run comes in this epoch: the whole part always, the fraction at random."""
        if run[-1] >= self.labelled:
            return int(rng.random() < sampling.unlabelled)
        if run[-1] >= self.labelled - self.made and sampling.made < 1:
            return int(rng.random() < sampling.made) * sampling.repeats
        oversample = sampling.oversample
        if oversample == 1.0 or not self.named_S[run[0] : run[-1] + 1].any():
            return sampling.repeats
        return (int(oversample) + (rng.random() < oversample % 1)) * sampling.repeats


def _columns(
    sentences: PackedSentences, tags: Sequence[str], scheme: Scheme, times: int
) -> tuple[Tensor, NDArray[np.bool_]]:
    """The column of the tag of each token in a scheme, and whether each sentence has an entity; some times over."""
    column = {tag: number for number, tag in enumerate(tags)}.__getitem__
    gold_T, named_S = Column("B" if len(tags) <= _MOST_OF_A_BYTE else "i"), Column("B")
    for sentence in sentences:
        found = spans(sentence.tags)
        gold_T.extend(map(column, write_tags(found, len(sentence.tags), scheme)))
        named_S.append(bool(found))
    once_T, once_S = gold_T.array(), named_S.array()
    for _ in range(1, times):
        gold_T.extend_array(once_T)
        named_S.extend_array(once_S)
    return torch.from_numpy(gold_T.array()), named_S.array().astype(np.bool_)


def varied_shares(config: TrainingConfig) -> dict[str, float]:
    """Share of the sentences that training takes from each variant (``training/data/perturbations.py``), by name."""
    shares = {"lower": config.lower_sentences, "upper": config.upper_sentences, "typos": config.typo_sentences}
    return {name: share for name, share in shares.items() if share}


def alike(sizes: Sequence[int], rng: random.Random) -> list[int]:
    """Order runs of these sizes so that those of about one length are together, in pools of some thousand.

    Batches then need little padding. Batches of neighbours would come from the shortest to the longest; so the pool is
    cut into stretches, which are shuffled.
    """
    found: list[int] = []
    for begin in range(0, len(sizes), _POOL):
        pool = sorted(range(begin, min(begin + _POOL, len(sizes))), key=sizes.__getitem__)
        stretches = [pool[at : at + _STRETCH] for at in range(0, len(pool), _STRETCH)]
        rng.shuffle(stretches)
        found += chain.from_iterable(stretches)
    return found


def packed(sizes: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Fill batches with whole runs until each has ``batch_tokens`` tokens or more; yields the indices of the runs.

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
