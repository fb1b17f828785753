"""The native engine: the five stages with their inner loops in C, a few calls a batch.

A pair of word and case class is a row of the row cache, so a token costs 2C+1 look-ups and a sum. What is done for
every token, and for every new plain word, is in C; odd words stay in Python, and the two meet in numbers.

T tokens · S sentences · P documents · U pairs · N windows of a bag · C words on each side · K tags · H hidden units
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.decode import label_consistency
from fenestra.model.decode.crf import Transitions
from fenestra.model.decode.decoding import Lengths, Paths, tag_tables
from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure
from fenestra.model.engine.lookups import lookups_of
from fenestra.model.engine.reader import NativeBatch, Reader
from fenestra.model.engine.reference import NAN_SCORES, crf_of
from fenestra.model.engine.row_cache import Mirror, Numbers, RowCache
from fenestra.model.engine.stages import PIECE, Document, Window, grouped
from fenestra.model.engine.vocabulary import Vocabulary, words_beside
from fenestra.model.engine.weights import Weights
from fenestra.model.errors import RunError
from fenestra.model.network.windows import PAD
from fenestra.model.progress import Progress, parts
from fenestra.model.tags import Scheme, tag_set
from fenestra.model.text.joined import Joined

_NEW_WORDS = 252  # words whose rows are computed before control is yielded; whole blocks of them
_COMMON = 1000  # words that the units of int8 are measured with
_LAYERS = 8.0  # times as long as looking a token up
_SHARE = 512  # windows; with fewer, another thread is not worth waking


class _Context(NamedTuple):
    """What documents add to their windows."""

    class_T: NDArray[np.uint8] | None
    """Case class of every token, from 0; None for a model that does not look."""
    pair_T: NDArray[np.int32]
    """Which pair of word and case class every token is."""
    document_T: NDArray[np.int32]
    """The row of row_PH of every token."""
    row_PH: NDArray[np.float32]
    """The bias, and what the topic of a document adds."""
    topic_PD: NDArray[np.float32]
    """Mean vectors of the documents; of width 0 for a model that does not look."""
    length_S: NDArray[np.int64]
    end_S: NDArray[np.int64]


class Line(NamedTuple):
    """The windows of a bag, as places in one line of slots."""

    slots: NDArray[np.int32]
    """Of the row cache, words in order with PAD around sentences."""
    place_N: NDArray[np.int32]
    """Where in the line each window begins."""
    row_N: NDArray[np.int32]
    """Which row of row_PH is added to each."""
    row_PH: NDArray[np.float32]


class Scorer(Protocol):
    """From a line of slots to log p."""

    piece: int
    """Tokens of a bag, about."""

    def mirror(self, slots: int, /) -> Mirror | None:
        """Where a row cache of so many slots is to be copied to, if anywhere."""

    def __call__(self, cache: RowCache, line: Line, log_NK: NDArray[np.float32], /) -> int:
        """Write log p of a bag; returns how many rows hold a NaN."""


class CpuScorer:
    """All layers in C, on some threads."""

    piece = PIECE

    def __init__(self, kernel: Kernel, network: Structure, threads: int) -> None:
        self._kernel, self._network, self._threads = kernel, network, threads
        self._workers = self._start_workers()

    def mirror(self, _slots: int) -> Mirror | None:
        """No copy is needed."""
        return None

    def __call__(self, cache: RowCache, line: Line, log_NK: NDArray[np.float32]) -> int:
        """Write log p of a bag; raises MemoryError."""

        def work(begin: int, end: int) -> int:
            wrong: int = self._kernel.call(len(log_NK), _LAYERS).score_windows(
                self._network, cache.numbers, cache.scale, line.slots, line.place_N, line.row_N, line.row_PH, begin,
                end, log_NK,
            )  # fmt: skip
            if wrong < 0:
                raise MemoryError
            return wrong

        size = len(line.place_N)
        threads = min(self._threads, max(size // _SHARE, 1))
        if threads == 1:
            return work(0, size)
        bounds = [size * part // threads for part in range(threads + 1)]
        if self._workers[0] != os.getpid():  # forked meanwhile, and threads do not survive that
            self._workers = self._start_workers()
        return sum(self._workers[1].map(work, bounds[:-1], bounds[1:]))

    def _start_workers(self) -> tuple[int, ThreadPoolExecutor]:
        """Threads, and the process that they are of; none runs before there is work."""
        return os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix="windows")


class Native:
    """Tags batches with the compiled kernel.

    Threads may share it. One lock guards the vocabulary and the row cache, also while a bag is scored: so they take
    turns, bag by bag. What uses several cores is ``threads``, which share the windows of one bag.
    """

    def __init__(
        self, kernel: Kernel, model: Checkpoint, *, cache_mb: float, numbers: Numbers, threads: int = 1,
        scorer: Callable[[Weights], Scorer] | None = None,
    ) -> None:  # fmt: skip
        """Lay the weights out; arguments as of ``Tagger.load``.

        ``numbers`` are those of the row cache, and ``scorer`` makes what computes log p in place of the kernel.
        """
        self.name = kernel.name
        self._lookups = lookups_of(kernel, model.lexicon)
        self.lexicon = self._lookups.lexicon
        """That of the model, in much less memory."""
        model = replace(model, lexicon=self.lexicon)
        self._kernel, self._config = kernel, model.config
        self._tags = tag_set(model.config.labels, model.config.scheme)
        self._weights = Weights(kernel, model, numbers)
        self._scorer: Scorer = scorer(self._weights) if scorer else CpuScorer(kernel, self._weights.network, threads)
        self.piece = self._scorer.piece
        if numbers == "int8":
            self._measure()
        slots = max(RowCache.slots_in(self._weights, cache_mb), 1)
        self._cache = RowCache(self._weights, slots, self._scorer.mirror(slots))
        self._vocabulary = self._new_vocabulary()
        self._tables = _tag_tables(self._tags, model.config.scheme, crf_of(model))
        label_K = tag_tables(self._tags, model.config.scheme).label_K
        self._consistency_KK = label_consistency.weights(model.calibration, label_K)
        self._lock = Lock()

    def read(self, documents: Sequence[Document] | Joined) -> Iterator[Progress | NativeBatch]:
        """Read documents into batches; see :class:`fenestra.model.engine.stages.Engine`."""
        for group in [documents] if isinstance(documents, Joined) else grouped(documents, self.piece):
            with self._lock:
                reader = Reader(self._kernel, self._current_vocabulary())
            work = reader.read(group)
            progress: Progress | None = Progress("tokenize")
            while progress is not None:
                with self._lock:
                    progress = next(work, None)
                if progress is not None:
                    yield progress
            yield Progress("tokenize")
            yield reader.batch

    def look_up(self, batch: NativeBatch) -> tuple[_Context, int]:
        """Case classes and topics of the documents, and how many tokens have no pretrained vector."""
        word_T, features, vocabulary = batch.word_T, self._config.features, batch.vocabulary
        length_S, size_P, sentences_P = batch.lengths, batch.sizes, batch.sentences
        class_T, pair_T = None, word_T
        if features.elsewhere:
            class_T = np.empty(batch.tokens, np.uint8)
            with self._lock:  # the vocabulary's scratch memory
                self._kernel.call(batch.tokens).case_classes(
                    word_T, length_S, sentences_P, len(sentences_P), vocabulary.evidence, vocabulary.lowered,
                    vocabulary.seen, class_T,
                )  # fmt: skip
            pair_T = word_T * np.int32(vocabulary.classes) + class_T
        vector = vocabulary.vector  # which may make room for a longer one while the kernel reads
        row_PH, topic_PD = self._weights.topic_rows(word_T, size_P, vector)
        document_T = np.zeros(batch.tokens, np.int32)
        if features.topic:
            document_T = np.arange(len(size_P), dtype=np.int32).repeat(size_P)
        unknown = batch.tokens - int(np.count_nonzero(vector[word_T])) if features.vectors else 0
        return _Context(class_T, pair_T, document_T, row_PH, topic_PD, length_S, length_S.cumsum()), unknown

    def score(
        self, batch: NativeBatch, context: _Context, begin: int, end: int
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Log p of some tokens, a bag of windows at a time. Rows that are missing in the cache are computed first."""
        log_TK = np.empty((end - begin, len(self._tags)), np.float32)
        for piece in _even_parts(end - begin, self._scorer.piece):
            bag = slice(begin + piece.start, begin + piece.stop)
            wrong = yield from self._score_bag(batch, context, bag, log_TK[piece])
            if wrong:
                raise RunError(NAN_SCORES)
            yield Progress("network")
        return log_TK

    def reconcile(self, batch: NativeBatch, log_TK: NDArray[np.float32]) -> None:
        """Apply label consistency, in place; raises MemoryError."""
        vocabulary, size_P = batch.vocabulary, batch.sizes
        token_N, group_N = np.empty((2, batch.tokens), np.int64)
        with self._lock:  # the vocabulary's scratch memory
            count = self._kernel.call(batch.tokens).find_repeats(
                batch.word_T, size_P, len(size_P), vocabulary.evidence, vocabulary.lowered, vocabulary.tally, token_N,
                group_N,
            )  # fmt: skip
        if not count:
            return
        functions, tags = self._kernel.call(count), len(self._tags)
        first_QK, second_QK = np.zeros((2, count // 2, tags), np.float32)  # as many words as there can be
        functions.largest_probabilities(log_TK, token_N, group_N, count, tags, first_QK, second_QK)
        if functions.apply_label_consistency(
            log_TK, token_N, group_N, count, tags, first_QK, second_QK, self._consistency_KK
        ):
            raise MemoryError

    def decode(self, log_TK: NDArray[np.float32], lengths: Lengths) -> Paths:
        """Find the best legal path of every sentence and read it; raises MemoryError."""
        length_S, count = np.asarray(lengths, dtype=np.int64), len(log_TK)
        column_T, tag_T = np.empty(count, np.int64), np.empty(count, np.int64)
        begin_M, end_M, label_M = (np.empty(count, np.int64) for _ in range(3))
        probability_T, product_M = np.empty(count, np.float32), np.empty(count, np.float32)
        entities = self._kernel.call(count).decode_paths(
            log_TK, length_S, len(length_S), self._tables, column_T, tag_T, probability_T, begin_M, end_M, label_M,
            product_M,
        )  # fmt: skip
        if entities < 0:
            raise MemoryError
        begin_M, end_M, label_M = begin_M[:entities], end_M[:entities], label_M[:entities]
        return Paths(column_T, tag_T, probability_T, begin_M, end_M, label_M, product_M[:entities])

    def is_oov(self, batch: NativeBatch) -> NDArray[np.bool_]:
        """Which tokens are out-of-vocabulary words."""
        found_T: NDArray[np.bool_] = batch.vocabulary.oov[batch.word_T] != 0
        return found_T

    def window(self, batch: NativeBatch, context: _Context, token: int) -> Window:
        """What the network sees of one token."""
        sentence = int(np.searchsorted(context.end_S, token, side="right"))
        end = int(context.end_S[sentence])
        begin = end - int(context.length_S[sentence])
        near = range(token - self._config.context, token + self._config.context + 1)
        words = [batch.text(int(batch.word_T[place])) if begin <= place < end else None for place in near]
        class_W = None
        if context.class_T is not None:
            class_W = np.array([int(context.class_T[p]) + 1 if begin <= p < end else PAD for p in near], np.int64)
        topic_D = context.topic_PD[context.document_T[token]] if self._config.features.topic else None
        return Window(words, class_W, topic_D)

    def _measure(self) -> None:
        """Let the units of int8 reach as far as the rows of common words, in small letters and with a capital."""
        known = [self.lexicon.vector_rows]
        known += [rows for name, rows in self.lexicon.field_rows.items() if name == "word"]
        words = [word for rows in known for word in islice(rows, _COMMON)]
        self._weights.measure(self._weights.pad)
        for piece in parts(len(words), _NEW_WORDS):
            for some in (words[piece], [word.title() for word in words[piece]]):
                self._weights.measure(self._weights.encode(some))

    def _new_vocabulary(self, most_words: int | None = None) -> Vocabulary:
        """An empty one, of the usual size unless told."""
        return Vocabulary(
            self._kernel,
            self.lexicon,
            self._lookups,
            most_words=most_words or words_beside(len(self._cache.uses)),
            forget=self._cache.forget,
        )

    def _current_vocabulary(self) -> Vocabulary:
        """The vocabulary to read with; a new one where a large text has left a large one behind."""
        if self._vocabulary.is_large:
            self._vocabulary = self._new_vocabulary(self._vocabulary.usual)
            self._cache.clear()
        return self._vocabulary

    def _score_bag(
        self, batch: NativeBatch, context: _Context, bag: slice, log_NK: NDArray[np.float32]
    ) -> Generator[Progress, None, int]:
        """Log p of a bag; returns how many rows hold a NaN.

        Missing rows are put into the cache some at a time. The lock is released in between, so another thread may
        evict them again: after two rounds more than they need by themselves, the bag gets a cache of its own.
        """
        rounds, tried = 1, 0
        while tried <= rounds:
            with self._lock:
                if batch.vocabulary is not self._vocabulary:
                    break
                slots = batch.vocabulary.slots  # which may have grown
                line, missing = self._lay_out(context, bag, context.pair_T, slots, self._cache)
                if not len(missing):
                    return self._scorer(self._cache, line, log_NK)
                if not self._cache.make_room(len(missing[:_NEW_WORDS]), slots, line.slots):
                    break
                self._put(self._cache, batch, missing[:_NEW_WORDS], missing[:_NEW_WORDS], slots)
            rounds = max(rounds, len(missing) // _NEW_WORDS + 2)
            tried += 1
            yield Progress("network")
        return (yield from self._score_apart(batch, context, bag, log_NK))

    def _score_apart(
        self, batch: NativeBatch, context: _Context, bag: slice, log_NK: NDArray[np.float32]
    ) -> Generator[Progress, None, int]:
        """As :meth:`_score_bag`, with a row cache for this bag alone."""
        begin, end = max(bag.start - self._config.context, 0), min(bag.stop + self._config.context, batch.tokens)
        pair_U, place_T = np.unique(context.pair_T[begin:end], return_inverse=True)
        pair_T = np.zeros(end, np.int32)
        pair_T[begin:] = place_T
        cache = RowCache(self._weights, len(pair_U) + 1, self._scorer.mirror(len(pair_U) + 1))
        slots = np.zeros(len(pair_U), np.int32)
        for piece in parts(len(pair_U), _NEW_WORDS):
            self._put(cache, batch, pair_U[piece], np.arange(piece.start, piece.stop), slots)
            yield Progress("network")
        line, _ = self._lay_out(context, bag, pair_T, slots, cache)
        return self._scorer(cache, line, log_NK)

    def _put(self, cache: RowCache, batch: NativeBatch, pair_U: Array, name_U: Array, slots: NDArray[np.int32]) -> None:
        """Put pairs of the vocabulary into a row cache, under a name each."""
        word_U, class_U = np.divmod(pair_U.astype(np.int64), batch.vocabulary.classes)
        entry_UE = self._weights.encode_numbers(word_U, batch.vocabulary, batch.text)
        cache.put(name_U, entry_UE, class_U + PAD + 1, slots)

    def _lay_out(
        self, context: _Context, bag: slice, pair_T: NDArray[np.int32], slot_of: NDArray[np.int32], cache: RowCache
    ) -> tuple[Line, NDArray[np.int64]]:
        """The windows of a bag in one line of slots, and the pairs that have no slot."""
        reach, length_S, end_S = self._config.context, context.length_S, context.end_S
        size = bag.stop - bag.start
        first, last = end_S.searchsorted((bag.start, bag.stop - 1), side="right").tolist()
        at = bag.start - int(end_S[first] - length_S[first])
        slots = np.zeros(size + reach * (last - first + 4), np.int32)
        place_N, missing = np.empty(size, np.int32), np.empty(size + 2 * reach, np.int64)
        count = self._kernel.short.lay_out_windows(
            pair_T, length_S, first, at, bag.start, bag.stop, reach, slot_of, cache.uses, slots, place_N,
            missing,
        )  # fmt: skip
        return Line(slots, place_N, context.document_T[bag], context.row_PH), missing[:count]


def _even_parts(tokens: int, size: int) -> Iterator[slice]:
    """Cut tokens into pieces of about equal size."""
    return parts(tokens, -(-tokens // max(round(tokens / size), 1)) or 1)


def _tag_tables(tags: Sequence[str], scheme: Scheme, learned: Transitions | None) -> Structure:
    """The tables of the scheme and the transition scores, as the kernel reads them."""
    tables = tag_tables(tuple(tags), scheme)
    scores = learned or Transitions.allowed(tags, scheme)

    def array(found: Array) -> Array:
        return np.ascontiguousarray(found, np.uint8 if found.dtype == np.bool_ else found.dtype)

    return DECLARED.structures["TagTables"](
        tags=len(tags),
        most_same=tables.same_iob2_KA.shape[1],
        crf=learned is not None,
        **{name: array(found) for name, found in (*tables._asdict().items(), *scores._asdict().items())},
    )
