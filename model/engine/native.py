"""The way of a request through the kernel: the same as ``model/engine/reference.py``, with a few calls a batch.

T tokens · S sentences · P documents · R passages · N windows of a bag · C words on each side · K tags · H hidden units
"""

import ctypes
from collections.abc import Generator, Iterator, Sequence
from itertools import islice, pairwise
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fenestra.model.batch import Sentences
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.decode import decoding
from fenestra.model.decode.crf import step_scores
from fenestra.model.decode.decoding import Paths
from fenestra.model.decode.viterbi import StepScores
from fenestra.model.engine import library
from fenestra.model.engine.context_sums import Starts, Surroundings
from fenestra.model.engine.library import Array, Kernel, address
from fenestra.model.engine.reader import PIECE, Batch, Reader, grouped
from fenestra.model.engine.row_cache import Numbers, Table
from fenestra.model.engine.scorers import CpuLayers, DeviceLayers, Laid
from fenestra.model.engine.vocabulary import Vocabulary
from fenestra.model.engine.weights import Weights
from fenestra.model.network.context import parts, passage_means, topics
from fenestra.model.network.windows import PAD, Windows
from fenestra.model.results import Places
from fenestra.model.steps import Step, named, run
from fenestra.model.tags import Scheme, tag_set

_AT_ONCE = 252  # words whose rows are worked out before giving way; whole tiles of them
_LONG_SENTENCE = 8 * PIECE  # tokens; a search through more of them gives way
_COMMON = 1000  # words
_DEVICE_PIECE = 1 << 16  # tokens for a GPU: whoever wants it for speed has many


class _Facts(NamedTuple):
    """A batch looked up."""

    class_T: NDArray[np.uint8]
    """Of every token; empty for a model that does not look."""
    starts: Starts
    length_S: NDArray[np.int64]
    end_S: NDArray[np.int64]


class _Bag(NamedTuple):
    """A stretch of a batch's tokens that is tagged at once."""

    begin: int
    end: int
    sentence: int
    """The one that the first token is in."""
    at: int
    """How far into that sentence it is."""
    facts: _Facts
    row_N: NDArray[np.int32]
    """The row of row_RH that each window starts from."""
    row_RH: NDArray[np.float32]

    @property
    def size(self) -> int:
        """How many windows."""
        return self.end - self.begin


class _Pairs(NamedTuple):
    """Which slot each (word, class) has."""

    word_T: NDArray[np.int32]
    class_T: Array | None
    classes: int
    slots: NDArray[np.int32]


class Compiled:
    """Tags batches with the compiled kernel; a GPU may do the part of the network. Threads may share it."""

    def __init__(
        self,
        kernel: Kernel,
        model: Checkpoint,
        cache_mb: float,
        numbers: Numbers,
        *,
        device: torch.device | None = None,
    ) -> None:
        """Lay the weights out.

        Args:
            kernel: the compiled library.
            model: its network is where it is to compute.
            cache_mb: size of the table of words, in units of 10⁶ bytes.
            numbers: how it keeps its rows.
            device: where torch is to add them up and go through the layers; the kernel does, when omitted.
        """
        numbers = "float32" if device else numbers
        self._device = device
        self._piece = PIECE if device is None else _DEVICE_PIECE
        self._kernel, self._config, self._lexicon = kernel, model.config, model.lexicon
        self._network = model.network
        self._tags = tag_set(model.config.labels, model.config.scheme)
        self._weights = Weights(
            kernel, model.network, model.lexicon, numbers, len(self._tags), model.calibration.temperature
        )
        if numbers == "int8":
            self._measure()
        self._surroundings = Surroundings(kernel, self._weights, model.network)
        self._table = Table(self._weights, max(Table.slots_in(self._weights, cache_mb), 1), device)
        self._classify = (
            DeviceLayers(self._weights, model.network, model.calibration.temperature)
            if device
            else CpuLayers(kernel, self._weights, model.network, model.calibration.temperature)
        )
        self._vocabulary = Vocabulary(kernel, model.lexicon)
        self._learned = step_scores(model.network.chain, model.calibration.temperature)
        self._columns, self._column_arrays = _columns(self._tags, model.config.scheme, self._learned)
        same_tag, same_label = model.calibration.agreement
        self._agreement = library.Agreement(len(self._tags), self._columns.label_K, same_tag, same_label)
        self._lock = Lock()

    def _measure(self) -> None:
        """Let the steps of int8 reach as far as the rows of common words, in small letters and with a capital."""
        known = [
            self._lexicon.vector_rows,
            *(rows for name, rows in self._lexicon.field_rows.items() if name == "word"),
        ]
        words = [word for rows in known for word in islice(rows, _COMMON)]
        self._weights.measure(self._weights.pad)
        for piece in parts(len(words), _AT_ONCE):
            for some in (words[piece], [word.title() for word in words[piece]]):
                self._weights.measure(self._weights.encode(some))

    def batches(self, items: Sequence[str | Sequence[str]]) -> Generator[Step | tuple[Batch, list[Places]], None, None]:
        """Read texts (strings) and sentences of words (lists) into batches, giving way after a few thousand tokens.

        Raises:
            InputError: a word is empty.
        """
        for group in grouped(items, self._piece):
            with self._lock:
                reader = Reader(self._kernel, self._current_vocabulary())
            work = reader.read(group)
            step: Step | None = Step("tokenize")
            while step is not None:
                with self._lock:
                    step = next(work, None)
                if step is not None:
                    yield step
            yield Step("tokenize")
            yield reader.batch, reader.places

    def documents(self, documents: Sequence[Sentences]) -> Batch:
        """Read documents whose sentences are words already."""
        with self._lock:
            reader = Reader(self._kernel, self._current_vocabulary())
            reader.read_documents(documents)
        return reader.batch

    def log_probabilities(
        self, batch: Batch, part: tuple[int, int] | None = None
    ) -> Generator[Step, None, NDArray[np.float32]]:
        """Log p of every token of a batch, or of a part of them: log_TK.

        Raises:
            RunError: a score is no number.
        """
        facts = yield from self._look_up(batch)
        begin, end = part or (0, batch.tokens)
        log_TK = np.empty((end - begin, len(self._tags)), np.float32)
        for piece in _even_parts(end - begin, self._piece):
            bag = yield from named("network", self._bag(batch, facts, begin + piece.start, begin + piece.stop))
            yield from named("network", self._score(batch, bag, log_TK[piece]))
            yield Step("network")
        return log_TK

    def agree(self, batch: Batch, log_TK: NDArray[np.float32]) -> Generator[None, None, None]:
        """Let the tokens of every word of a document agree, in place, giving way now and then.

        Raises:
            MemoryError: there is none for a few numbers a tag.
        """
        vocabulary, size_P = batch.vocabulary, np.array(batch.sizes, np.int64)
        token_N, group_N, count_G = (np.empty(batch.tokens, np.int64) for _ in range(3))
        with self._lock:  # the vocabulary's scratch memory
            count = self._kernel.call(batch.tokens).find_repeats(
                address(batch.word_T), address(size_P), len(size_P), address(vocabulary.evidence),
                address(vocabulary.lowered), address(vocabulary.tally), address(token_N), address(group_N),
                address(count_G),
            )  # fmt: skip
        sum_GK = np.zeros((count // 2, len(self._tags)))  # as many words as there can be
        for piece in parts(count, PIECE):
            some = address(log_TK), address(token_N[piece]), address(group_N[piece]), piece.stop - piece.start
            self._kernel.call(some[-1]).add_up(*some, len(self._tags), address(sum_GK))
            if count > PIECE:
                yield
        for piece in parts(count, PIECE):
            some = address(log_TK), address(token_N[piece]), address(group_N[piece]), piece.stop - piece.start
            known = address(count_G), address(sum_GK), ctypes.byref(self._agreement)
            if not self._kernel.call(some[-1]).agree(*some, *known):
                raise MemoryError
            if count > PIECE:
                yield

    def paths(self, log_TK: NDArray[np.float32], lengths: Sequence[int]) -> Generator[None, None, Paths]:
        """Find the best legal path of every sentence and read it, giving way now and then."""
        if max(lengths, default=0) > _LONG_SENTENCE:
            return (yield from decoding.read_paths(log_TK, lengths, self._tags, self._config.scheme, self._learned))
        length_S = np.asarray(lengths, dtype=np.int64)
        count = len(log_TK)
        column_T, tag_T, probability_T = (
            np.empty(count, np.int64),
            np.empty(count, np.int64),
            np.empty(count, np.float32),
        )
        begin_M, end_M, label_M = (np.empty(count, np.int64) for _ in range(3))
        product_M = np.empty(count, np.float32)
        token = entities = 0
        for sentences in _stretches(length_S):
            some_S = length_S[sentences]
            here, free = slice(token, token + int(some_S.sum())), slice(entities, None)
            found = self._kernel.call(len(column_T[here])).read_paths(
                address(log_TK[here]), address(some_S), len(some_S), ctypes.byref(self._columns),
                address(column_T[here]), address(tag_T[here]), address(probability_T[here]), address(begin_M[free]),
                address(end_M[free]), address(label_M[free]), address(product_M[free]),
            )  # fmt: skip
            if found < 0:
                raise MemoryError
            begin_M[entities : entities + found] += token
            end_M[entities : entities + found] += token
            token, entities = here.stop, entities + found
            if here.stop < count:
                yield
        return Paths(
            column_T,
            tag_T,
            probability_T,
            begin_M[:entities],
            end_M[:entities],
            label_M[:entities],
            product_M[:entities],
        )

    def strange(self, batch: Batch) -> NDArray[np.bool_]:
        """Which tokens are words that training did not know; shape (T,)."""
        found_T: NDArray[np.bool_] = batch.vocabulary.strange[batch.word_T]
        return found_T

    def window(self, batch: Batch, token: int) -> tuple[list[str], Windows]:
        """The words of the window of one token, and the window over them as the network has it."""
        facts = run(self._look_up(batch))
        sentence = int(np.searchsorted(facts.end_S, token, side="right"))
        end = int(facts.end_S[sentence])
        begin = end - int(facts.length_S[sentence])
        near = range(token - self._config.context, token + self._config.context + 1)
        inside = [begin <= place < end for place in near]
        numbers = [int(batch.word_T[place]) for place, known in zip(near, inside, strict=True) if known]
        words = [batch.text(number) for number in dict.fromkeys(numbers)]
        column = {number: place for place, number in enumerate(dict.fromkeys(numbers), start=PAD + 1)}
        classes = facts.class_T if len(facts.class_T) else None
        document = int(facts.starts.document_T[token])
        ahead, size = sum(batch.sizes[:document]), batch.sizes[document]
        sentence_RD, vectors = torch.empty(0), self._network.vectors

        def vector_of(begin: int, end: int) -> torch.Tensor:
            return torch.from_numpy(batch.vocabulary.vector[batch.word_T[begin:end]].astype(np.int64))

        if self._config.features.sentence:
            _, edge_R = facts.starts.passages(token, token + 1)
            sentence_RD = passage_means(vectors, vector_of(*edge_R.tolist()), np.diff(edge_R))
        return words, Windows(
            torch.tensor([[column[int(batch.word_T[p])] if k else PAD for p, k in zip(near, inside, strict=True)]]),
            torch.empty(0)
            if classes is None
            else torch.tensor([[int(classes[p]) + 1 if k else PAD for p, k in zip(near, inside, strict=True)]]),
            topics(vectors, vector_of(ahead, ahead + size), [size])
            if self._config.features.topic
            else torch.zeros(1, 0),
            torch.zeros(1, dtype=torch.int64),
            sentence_RD,
            torch.zeros(len(sentence_RD), dtype=torch.int64),
        )

    def _current_vocabulary(self) -> Vocabulary:
        """The vocabulary to read with; a new one when it is crowded, which the table's words move to."""
        if self._vocabulary.crowded:
            old, new = self._vocabulary, self._vocabulary.successor()
            try:
                self._table.hand_over(old, new)
            except BaseException:  # half of the table speaks of the old one
                self._table.clear()
                new = old.successor()
                raise
            finally:
                self._vocabulary = new
        return self._vocabulary

    def _look_up(self, batch: Batch) -> Generator[Step, None, _Facts]:
        """What documents say of their words, and what each adds to its windows."""
        word_T, features, vocabulary = batch.word_T, self._config.features, batch.vocabulary
        length_S = np.array(batch.lengths, np.int64)
        sentences_of = np.array(batch.sentences, np.int64)
        class_T = np.empty(batch.tokens if features.elsewhere else 0, np.uint8)
        if features.elsewhere:
            with self._lock:  # the vocabulary's scratch memory
                self._kernel.call(batch.tokens).class_tokens(
                    address(word_T), address(length_S), address(sentences_of), len(sentences_of),
                    address(vocabulary.evidence), address(vocabulary.lowered), address(vocabulary.seen),
                    address(class_T),
                )  # fmt: skip
        starts = yield from named("rows", self._surroundings.starts(batch))
        unknown = int(np.count_nonzero(vocabulary.vector[word_T] == 0)) if features.vectors else 0
        yield Step("rows", batch.tokens, unknown)
        return _Facts(class_T, starts, length_S, length_S.cumsum())

    def _bag(self, batch: Batch, facts: _Facts, begin: int, end: int) -> Generator[None, None, _Bag]:
        """Tokens from ``begin`` to before ``end``."""
        sentence = int(np.searchsorted(facts.end_S, begin, side="right"))
        at = begin - int(facts.end_S[sentence] - facts.length_S[sentence])
        row_N, row_RH = yield from self._surroundings.rows(batch, facts.starts, begin, end)
        return _Bag(begin, end, sentence, at, facts, row_N, row_RH)

    def _score(self, batch: Batch, bag: _Bag, log_NK: NDArray[np.float32]) -> Generator[None, None, None]:
        """Log p of a bag. What is missing in the table is worked out first, giving way now and then."""
        vocabulary, facts = batch.vocabulary, bag.facts
        rounds, tried = 1, 0
        while tried <= rounds:  # others may use the table in between, and drive out what was just put in
            with self._lock:
                if vocabulary is not self._vocabulary:
                    break
                classes = facts.class_T if len(facts.class_T) else None
                pairs = _Pairs(batch.word_T, classes, vocabulary.classes, vocabulary.slots)
                laid, missing = self._lay_out(bag, pairs, self._table)
                if not len(missing):
                    self._classify(self._table, laid, log_NK)
                    return
                if not self._table.make_room(len(missing[:_AT_ONCE]), pairs.slots, laid.line):
                    break
                self._put(self._table, batch, missing[:_AT_ONCE], missing[:_AT_ONCE], pairs.slots)
            rounds = max(rounds, len(missing) // _AT_ONCE + 2)
            tried += 1
            yield
        yield from self._score_apart(batch, bag, log_NK)

    def _score_apart(self, batch: Batch, bag: _Bag, log_NK: NDArray[np.float32]) -> Generator[None, None, None]:
        """As :meth:`_score`, with a table for this bag alone."""
        classes, context = batch.vocabulary.classes, self._config.context
        begin, end = max(bag.begin - context, 0), min(bag.end + context, batch.tokens)
        pair_T = batch.word_T[begin:end].astype(np.int64) * classes
        if len(bag.facts.class_T):
            pair_T += bag.facts.class_T[begin:end]
        pair_U, place_T = np.unique(pair_T, return_inverse=True)
        word_T = np.zeros(end, np.int32)
        word_T[begin:] = place_T
        table = Table(self._weights, len(pair_U) + 1, self._device)
        pairs = _Pairs(word_T, None, 1, np.full(len(pair_U), -1, np.int32))
        for piece in parts(len(pair_U), _AT_ONCE):
            self._put(table, batch, pair_U[piece], np.arange(piece.start, piece.stop), pairs.slots)
            yield
        laid, _ = self._lay_out(bag, pairs, table)
        self._classify(table, laid, log_NK)

    def _put(
        self, table: Table, batch: Batch, pair_U: NDArray[np.int64], name_U: NDArray[np.int64], slots: NDArray[np.int32]
    ) -> None:
        """Put pairs of the vocabulary into a table, under a name each."""
        word_U, class_U = np.divmod(pair_U, batch.vocabulary.classes)
        entry_UE = self._weights.encode([batch.text(number) for number in word_U.tolist()])
        table.put(name_U, entry_UE, class_U + PAD + 1, slots)

    def _lay_out(self, bag: _Bag, pairs: _Pairs, table: Table) -> tuple[Laid, NDArray[np.int64]]:
        """The windows in one line of slots, and the pairs that have no slot."""
        context, length_S = self._config.context, bag.facts.length_S
        last = int(np.searchsorted(bag.facts.end_S, bag.end - 1, side="right"))
        line = np.zeros(bag.size + context * (last - bag.sentence + 4), np.int32)
        place_N, missing = np.empty(bag.size, np.int32), np.empty(bag.size + 2 * context, np.int64)
        count = self._kernel.short.lay_out(
            address(pairs.word_T), address(pairs.class_T), pairs.classes, address(length_S), bag.sentence, bag.at,
            bag.begin, bag.end, context, address(pairs.slots), address(table.uses), address(line), address(place_N),
            address(missing),
        )  # fmt: skip
        return Laid(line, place_N, bag.row_N, bag.row_RH), missing[:count]


def _even_parts(tokens: int, size: int) -> Iterator[slice]:
    """Cut tokens into pieces of about equal size."""
    return parts(tokens, -(-tokens // max(round(tokens / size), 1)) or 1)


def _stretches(length_S: NDArray[np.int64]) -> Iterator[slice]:
    """Neighbouring sentences of a few thousand tokens together."""
    if int(length_S.sum()) <= 2 * PIECE:
        yield slice(0, len(length_S))
        return
    number_S = length_S.cumsum() // PIECE
    edges = [0, *(np.flatnonzero(np.diff(number_S)) + 1).tolist(), len(length_S)]
    yield from (slice(begin, end) for begin, end in pairwise(edges))


def _columns(tags: Sequence[str], scheme: Scheme, learned: StepScores | None) -> tuple[library.Columns, list[Array]]:
    """The tables of the scheme, and the scores of steps; and what has to be kept alive."""
    tables = decoding.scheme_tables(tuple(tags), scheme)
    named_scores = {f"score_{name}": array for name, array in (learned or tables.allowed())._asdict().items()}
    kinds = {np.dtype(bool): np.uint8, np.dtype(np.float64): np.float64}
    arrays = {
        name: np.ascontiguousarray(array, kinds.get(array.dtype, np.int64))
        for name, array in {**tables._asdict(), **named_scores}.items()
    }
    most_alike = tables.alike_KA.shape[1]
    addresses = {name: address(array) for name, array in arrays.items()}
    columns = library.Columns(tags=len(tags), most_alike=most_alike, learned=learned is not None, **addresses)
    return columns, list(arrays.values())
