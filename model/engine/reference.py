"""The reference engine: the five stages in plain NumPy, as the lecture writes them.

It is the oracle of the compiled kernel, and what tags where no kernel was compiled. Every document is computed by
itself, so an answer cannot depend on what else is in the batch.

T tokens of a batch · W window width · U distinct words · K tags
"""

from array import array
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.decode import label_consistency
from fenestra.model.decode.crf import Transitions
from fenestra.model.decode.decoding import Lengths, Paths, read_paths, tag_tables
from fenestra.model.engine.stages import PIECE, Batch, Document, Layout, Window, grouped
from fenestra.model.errors import InputError, RunError
from fenestra.model.network import network
from fenestra.model.network.context import case_classes, case_evidence, topics
from fenestra.model.network.windows import PAD, sentence_bounds, window_ids
from fenestra.model.progress import Progress, parts
from fenestra.model.tags import tag_set
from fenestra.model.text.canonical import canonical
from fenestra.model.text.joined import Joined
from fenestra.model.text.language import Language
from fenestra.model.text.sentences import Splitter
from fenestra.model.text.tokens import tokenizer
from fenestra.model.words.lexicon import UNKNOWN, number_words

_REMEMBERED = 1 << 14  # words whose e(w) is kept
NAN_SCORES = "the model's scores are NaN: its weights are damaged"


class ReferenceBatch(Batch):
    """Documents as lists of words."""

    def __init__(self, language: Language) -> None:
        super().__init__()
        self._language = language
        self.words: list[str] = []
        """Canonical forms of all tokens."""

    def documents(self) -> Iterator[tuple[int, int]]:
        """Begin and end of every document, in tokens."""
        sizes = self.sizes.tolist()
        return ((end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True))

    def read_text(self, text: str) -> Iterator[Progress]:
        """Read a raw text."""
        starts, sizes, splitter = array("i"), array("i"), Splitter(text, self._language)
        for words, begins in tokenizer(self._language).pieces(text, PIECE):
            splitter.read(words, begins)
            starts.extend(begins)
            sizes.extend(map(len, words))
            self.words += map(canonical, words)
            if len(words) >= PIECE:
                yield Progress("tokenize")
        length_S, start_T = np.array(splitter.lengths(), np.int64), np.array(starts, np.int32)
        self.add(Layout.of_texts(length_S, _one(len(starts)), _one(len(length_S)), start_T, np.array(sizes, np.int32)))

    def read_words(self, sentences: Sequence[Sequence[str]]) -> None:
        """Read sentences of words, of which some may be empty.

        Raises:
            InputError: a word is empty.
        """
        words = list(chain.from_iterable(sentences))
        if not all(words):
            raise InputError("a sentence holds an empty word")
        self.words += map(canonical, words)
        self.add(Layout.of_words(np.array([*map(len, sentences)], np.int64), _one(len(sentences))))


class _Context(NamedTuple):
    """The windows of a batch."""

    words: list[str]
    """The distinct ones."""
    id_TW: NDArray[np.int64]
    """Which of them stand in the window of every token, from 1, PAD outside the sentence."""
    class_T: NDArray[np.int64] | None
    """Case class of every token, from 0; None for a model that does not look."""
    class_TW: NDArray[np.int64] | None
    """The same of every window, from 1, PAD outside the sentence."""
    topic_PD: NDArray[np.float32] | None
    """Mean vector of every document; None for a model that does not look."""


class Reference:
    """Tags batches with NumPy. Threads may share it."""

    name = "reference"
    piece = PIECE

    def __init__(self, model: Checkpoint) -> None:
        """Keep the model; nothing is prepared."""
        self._config, self.lexicon, self._parameters = model.config, model.lexicon, model.parameters
        self._calibration = model.calibration
        self._tags = tag_set(model.config.labels, model.config.scheme)
        self._transitions = crf_of(model)
        self._entry = lru_cache(_REMEMBERED)(self._encode)

    def read(self, documents: Sequence[Document] | Joined) -> Iterator[Progress | ReferenceBatch]:
        """Read documents into batches; see :class:`fenestra.model.engine.stages.Engine`."""
        for group in [list(documents)] if isinstance(documents, Joined) else grouped(documents):
            batch = ReferenceBatch(self.lexicon.language)
            for document in group:
                if isinstance(document, str):
                    yield from batch.read_text(document)
                else:
                    batch.read_words(document)
            yield Progress("tokenize")
            yield batch

    def look_up(self, batch: ReferenceBatch) -> tuple[_Context, int]:
        """Windows, case classes and topics, and how many tokens have no pretrained vector."""
        features, bounds_2T, size = self._config.features, sentence_bounds(batch.lengths), self._config.context
        words, places = number_words(batch.words)
        word_T = np.array(places, dtype=np.int64)
        vector_T = np.array([self.lexicon.vector_row(word) for word in words], dtype=np.int64)[word_T]
        class_T = class_TW = topic_PD = None
        if features.elsewhere:
            _, lowered = number_words(word.lower() for word in words)
            evidence_T = np.array([case_evidence(word) for word in words], dtype=np.uint8)[word_T]
            document_T = np.repeat(np.arange(len(batch.sizes)), batch.sizes)
            sentence_T = np.repeat(np.arange(len(batch.lengths)), batch.lengths)
            lowered_T = np.array(lowered, dtype=np.int64)[word_T] + document_T * len(words)
            class_T = case_classes(evidence_T, lowered_T, sentence_T).astype(np.int64)
            class_TW = window_ids(class_T + 1, bounds_2T, size)
        if features.topic:
            topic_PD = topics(self._parameters.vectors, vector_T, batch.sizes)
        unknown = int(np.count_nonzero(vector_T == UNKNOWN)) if features.vectors else 0
        return _Context(words, window_ids(word_T + 1, bounds_2T, size), class_T, class_TW, topic_PD), unknown

    def score(
        self, batch: ReferenceBatch, context: _Context, begin: int, end: int
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Log p of some tokens, document by document, a few thousand windows at a time from each document's first."""
        log_TK = np.empty((batch.tokens, len(self._tags)), np.float32)
        done = 0
        for document, (first, last) in enumerate(batch.documents()):
            for piece in parts(last - first, PIECE):
                bag = slice(first + piece.start, first + piece.stop)
                if bag.stop <= begin or bag.start >= end:
                    continue
                log_TK[bag] = self._score_bag(context, bag, document)
                done += bag.stop - bag.start
                if done >= PIECE:
                    yield Progress("network")
                    done = 0
        yield Progress("network")
        if np.isnan(log_TK[begin:end]).any():
            raise RunError(NAN_SCORES)
        return log_TK[begin:end]

    def reconcile(self, batch: ReferenceBatch, log_TK: NDArray[np.float32]) -> None:
        """Apply label consistency, in place."""
        repeats = label_consistency.find_repeats(batch.words[begin:end] for begin, end in batch.documents())
        label_K = tag_tables(self._tags, self._config.scheme).label_K
        label_consistency.apply(log_TK, repeats, label_consistency.weights(self._calibration, label_K))

    def decode(self, log_TK: NDArray[np.float32], lengths: Lengths) -> Paths:
        """Find the best legal path of every sentence and read it."""
        return read_paths(log_TK, lengths, self._tags, self._config.scheme, self._transitions)

    def is_oov(self, batch: ReferenceBatch) -> NDArray[np.bool_]:
        """Which tokens are out-of-vocabulary words."""
        return np.array([*map(self.lexicon.is_oov, batch.words)], np.bool_)

    def window(self, batch: ReferenceBatch, context: _Context, token: int) -> Window:
        """What the network sees of one token."""
        document = int(np.searchsorted(np.cumsum(batch.sizes), token, side="right"))
        return Window(
            [None if number == PAD else context.words[number - 1] for number in context.id_TW[token].tolist()],
            None if context.class_TW is None else context.class_TW[token],
            None if context.topic_PD is None else context.topic_PD[document],
        )

    def _score_bag(self, context: _Context, bag: slice, document: int) -> NDArray[np.floating]:
        """Rows, windows, W₁ x + b₁, activation, softmax."""
        p, id_TW, distinct_V = self._parameters, context.id_TW[bag], np.union1d([PAD], context.id_TW[bag])
        class_TW = None if context.class_TW is None else context.class_TW[bag]
        topic_D = None if context.topic_PD is None else context.topic_PD[document]
        entry_VE = np.stack([p.pad_E, *(self._entry(context.words[number - 1]) for number in distinct_V[1:].tolist())])
        z_TH = network.preactivations(p, entry_VE, np.searchsorted(distinct_V, id_TW), class_TW, topic_D)
        logits_TK = network.logits(p, self._config.activation, z_TH)
        return network.log_softmax(logits_TK / np.float32(self._calibration.temperature))

    def _encode(self, word: str) -> NDArray[np.float32]:
        """e(w) of one word."""
        found_E: NDArray[np.float32] = network.encode(self._parameters, self.lexicon.rows([word]))[1]
        return found_E


def _one(count: int) -> NDArray[np.int64]:
    return np.array([count], np.int64)


def crf_of(model: Checkpoint) -> Transitions | None:
    """The transition scores of a model's CRF, if it has one, as they stand beside its calibrated log p."""
    scores, config = model.parameters.transitions, model.config
    if scores is None:
        return None
    tags = tag_set(config.labels, config.scheme)
    return Transitions.learned(scores, tags, config.scheme).divided(model.calibration.temperature)
