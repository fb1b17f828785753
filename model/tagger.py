"""Text in, entities out: a trained model with everything it needs, safe to call from several threads.

There is one way through it, :meth:`Tagger.work`; all else runs that to its end.
"""

import math
import operator
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar, get_args, overload

import numpy as np
from numpy.typing import NDArray

from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model, bundled_name
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.columns import Columns, Unit, check_unit
from fenestra.model.decode.alternatives import best_others, label_log_products, tag_probabilities
from fenestra.model.decode.decoding import Lengths, Paths, marginals, tag_tables
from fenestra.model.engine import library
from fenestra.model.engine.cores import available_cores
from fenestra.model.engine.gpu import resolve_device, torch_scorer
from fenestra.model.engine.machine import usual_cache_mb
from fenestra.model.engine.native import Native
from fenestra.model.engine.reference import Reference, crf_of
from fenestra.model.engine.row_cache import Numbers
from fenestra.model.engine.self_test import check
from fenestra.model.engine.stages import PIECE, Document, Engine, grouped
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation, Share, split_logit
from fenestra.model.progress import Pause, Progress, finish, no_pause
from fenestra.model.results import Alternative, Places, Result, TaggedToken, TokenColumns, results, scores
from fenestra.model.tags import columns_of, tag_set
from fenestra.model.text.joined import Joined, Texts

_GPU_TOLERANCE = 1e-3  # of scores
_MOST_NAMES = 50  # in an error message
EngineName = Literal["auto", "native", "reference"]
"""The compiled kernel; NumPy; or the kernel where there is one."""
Item = str | Sequence[str]
"""A raw text, or a sentence of words."""
Sentences = Sequence[Sequence[str]]
"""A document whose sentences are words already."""
Context = TypeVar("Context")


class Tagger:
    """A trained model that tags texts. No answer depends on what was asked before, so threads may share one.

    It is pickled by its folder, so that worker processes load it for themselves; a bundled one also by its name.
    """

    def __init__(
        self, model: Checkpoint, *, folder: Path | None = None, device: str = "auto", **options: Any  # noqa: ANN401
    ) -> None:  # fmt: skip
        """Set a model up; without the folder that it was loaded from, the tagger cannot be pickled.

        Options and what is raised are as of :meth:`load`.
        """
        self._options = {"device": device, **options}
        self.config, self.version, self.labels = model.config, model.version, model.config.labels
        self.calibration, self.parameters = model.calibration, model.parameters
        self.language = model.lexicon.language
        """How raw text is read."""
        self.folder = folder
        self.cache_numbers: Numbers = options.get("cache_numbers", "int16")
        """How what words add to the first layer is stored."""
        self.device = resolve_device(device)
        """``cpu``, ``cuda`` or ``cuda:N``."""
        self._tags = tag_set(self.labels, self.config.scheme)
        self._names = tag_set(self.labels, "IOB2")
        self._transitions = crf_of(model)
        self._engine = _engine(model, self.device, **options)
        self.lexicon = self._engine.lexicon
        self.checkpoint = replace(model, lexicon=self.lexicon)
        self.engine = self._engine.name
        """Which build of the compiled kernel tags, or ``reference``."""

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "auto",
        threads: int | None = None,
        cache_mb: float | None = None,
        cache_numbers: Numbers = "int16",
        engine: EngineName = "auto",
    ) -> Self:
        """Open a checkpoint folder.

        Args:
            folder: what ``fenestra train`` wrote.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads for a large batch; as many as the process may use, when omitted.
            cache_mb: most memory, in units of 10⁶ bytes, for what frequent words add to the first layer; taken as
                words come in. A sixteenth of the memory that is available, 32 to 512, when omitted. 0 computes it anew
                for every batch. Changes speed and not a bit of any answer.
            cache_numbers: how these sums are stored: ``float32``, or as integers that take less room, ``int16``
                (probabilities change by less than 1e-4) or ``int8`` (by up to 0.1). A GPU has float32.
            engine: ``native``, ``reference``, or ``auto``: native where the kernel was compiled.

        Raises:
            CheckpointError: the folder is damaged or of another format.
            InputError: there is no such device or engine here, or an option is out of range.
        """
        options: dict[str, Any] = {"threads": threads, "cache_mb": cache_mb, "cache_numbers": cache_numbers}
        return cls(checkpoint.load(Path(folder)), folder=Path(folder), device=device, engine=engine, **options)

    def __call__(self, text: str, *, alternatives: int = 0) -> Result:
        """Find the entities of one text, ordered by start, with ``text[e.start:e.end] == e.text``; see :meth:`tag`.

        Raises:
            TypeError: ``text`` is not a string.
        """
        if not isinstance(text, str):
            hint = "; for words use tag_tokens([words]), for several texts tag(texts)" * isinstance(text, list | tuple)
            raise TypeError(f"text: expected a string, got {_kind(text)}{hint}")
        return finish(self.work([text], alternatives=alternatives))[0]

    def tag(self, texts: Iterable[str], *, alternatives: int = 0) -> list[Result]:
        """Find the entities of every text; for a stream without end, see :meth:`pipe`.

        ``alternatives`` says how many runner-up tags of each token, and labels of each entity, to tell
        (``entity.alternatives``).

        Raises:
            TypeError: ``texts`` is a single string, or one of them is not a string.
            ValueError: ``alternatives`` is below 0.
        """
        return finish(self.work(_texts(texts), alternatives=alternatives))

    def tag_tokens(self, sentences: Iterable[Sequence[str]], *, alternatives: int = 0) -> list[Result]:
        """Find the entities of sentences that are words already; ``start`` and ``end`` count words.

        Every sentence stands for itself, as if it were a document of its own; :meth:`tag_documents` takes longer ones.

        Raises:
            TypeError: a sentence is a single string, or a word is not a string.
            InputError: a word is empty.
        """
        return finish(self.work(_sentences(sentences), alternatives=alternatives))

    def tag_documents(self, documents: Iterable[Sentences]) -> list[list[Result]]:
        """Tag documents whose sentences are words already: one result for each sentence of each document.

        What a document says of a word counts in all its sentences, if the model looks at documents.

        Raises:
            TypeError: a document or a sentence is a single string, or a word is not a string.
            InputError: a word is empty.
        """
        given = [_sentences(document) for document in documents]
        found = iter(finish(self._tag(given, 0)))
        return [list(islice(found, len(document))) for document in given]

    def columns(self, items: Iterable[Item], *, offsets: Unit = "codepoint") -> Columns:
        """Find the entities of texts (strings) and of sentences of words (lists), as a few NumPy arrays.

        They are those of :meth:`tag`, in order, without an object for any of them; ``offsets`` says what those of texts
        count.

        Raises:
            TypeError: ``items`` is a single string, or an item is neither a string nor a list of strings.
            InputError: a word is empty.
            ValueError: ``offsets`` is none of these units.
        """
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise TypeError(f"items: expected an iterable of texts, got {_kind(items)}")
        found = list(items)
        _check_items(found)
        return finish(self.columns_work(found, offsets=offsets))

    def columns_work(
        self, items: Sequence[Item] | Iterator[Joined], *, offsets: Unit = "codepoint"
    ) -> Generator[Progress, None, Columns]:
        """As :meth:`columns`, yielding control like :meth:`work`; items may come joined, a few thousand tokens each."""
        check_unit(offsets)
        parts, sizes = [], []
        for some in self._joined(_documents(items)) if isinstance(items, Sequence) else items:
            for read in self._engine.read(some):
                if isinstance(read, Progress):
                    yield read
                else:
                    found, _ = yield from self._find(read)
                    parts.append(found.counted_in(offsets, some))
                    sizes.append(len(read.layout.size_Y))
                    yield Progress("decode")
        return Columns.end_to_end(parts, sizes, self.labels)

    def tag_arrow(self, data: Any, *, column: str | None = None, offsets: Unit = "codepoint") -> Any:  # noqa: ANN401
        """Find the entities of an Arrow array of texts, or of lists of words; needs the extra ``arrow``.

        The answer is an array of ``list<struct<start: int32, end: int32, label: string, score: double>>``, made without
        a Python object for a text or an entity. It holds what :meth:`tag` finds, to the bit. Nulls stay null.

        Args:
            data: a ``pyarrow`` array or chunked array, or what exports one by the PyCapsule interface (a Series of
                Polars or pandas, an array of nanoarrow), or a list that ``pyarrow.array`` takes. Texts may be
                ``string``, ``large_string``, ``string_view`` or a dictionary of these; sentences are lists of them,
                and their offsets count words.
            column: the column of the texts. Then ``data`` is a table, a record batch, or a stream of these
                (``RecordBatchReader``, a relation of DuckDB, a data frame), and what comes back is the same with one
                more column, ``entities``. A stream is read as far as it is asked for.
            offsets: what those of texts count: ``codepoint``, ``utf8`` (bytes) or ``utf16``.

        Returns:
            An array for an array, a chunked array for what comes in chunks; with ``column`` a table, a record batch or
            a ``RecordBatchReader``.

        Raises:
            ImportError: ``pyarrow`` is not installed.
            TypeError: these are neither texts nor lists of words.
            InputError: a word is null or empty, a text is not UTF-8, or there is no such column.
            ValueError: ``offsets`` is none of these units.
        """
        from fenestra.model import arrow

        check_unit(offsets)

        def tag(array: Any, first: int) -> Any:  # noqa: ANN401
            return arrow.tag(array, first, self._engine.piece, find)

        def find(pieces: Iterator[Joined]) -> Columns:
            return finish(self.columns_work(pieces, offsets=offsets))

        return arrow.apply(tag, arrow.opened(data)) if column is None else arrow.extend(tag, data, column)

    @overload
    def pipe(
        self, items: Iterable[Item], *, batch_size: int = ..., as_tuples: Literal[False] = ...
    ) -> Iterator[Result]: ...
    @overload
    def pipe(
        self, items: Iterable[tuple[Item, Context]], *, batch_size: int = ..., as_tuples: Literal[True]
    ) -> Iterator[tuple[Result, Context]]: ...
    def pipe(self, items: Iterable[Any], *, batch_size: int = 1000, as_tuples: bool = False) -> Iterator[Any]:
        """Tag a stream of texts, or of sentences of words, in order and in bounded memory.

        Args:
            items: read no further ahead than a batch.
            batch_size: items that are tagged together. It changes speed and not a bit of any answer.
            as_tuples: items come as (item, context), and results go out as (result, context).

        Raises:
            TypeError: ``items`` is a single string, or an item is neither a string nor a list of strings; or, with
                ``as_tuples``, no pair.
            ValueError: ``batch_size`` is below 1.
        """
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise TypeError(f"items: expected an iterable of texts, got {_kind(items)}")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
        return self._pipe(iter(items), batch_size, as_tuples)

    def work(self, items: Sequence[Item], *, alternatives: int = 0) -> Generator[Progress, None, list[Result]]:
        """Tag texts (strings) and sentences of words (lists), yielding control after every few milliseconds of work.

        However large an item is, a caller can do something else now and then. The bits of an answer depend on its item
        alone, not on the batch it is tagged in. Yields what was done since the last time, and returns one result an
        item, in order.

        Raises:
            InputError: a word is empty.
            ValueError: ``alternatives`` is below 0.
        """
        _check_alternatives(alternatives)
        return self._tag(_documents(items), alternatives)

    def explain(
        self, item: Item, token: int, *, tag: str | None = None, against: str | None = None, alternatives: int = 0
    ) -> Explanation:
        """Say what each word around a token of a text, or of a sentence of words, adds to the score of its tag.

        Args:
            item: the text or the words.
            token: its place among the tokens of the result, from 0.
            tag: what to explain instead of the tag that the token got: a tag, or a label for its likeliest tag there.
            against: a tag or a label whose score is taken off: why this one and not that one?
            alternatives: how many runner-up tags of the token to tell.

        Raises:
            TypeError: the item is neither a string nor a list of strings, or ``token`` is not a whole number.
            InputError: there is no such token, tag or label, or a word is empty.
            ValueError: ``alternatives`` is below 0.
        """
        _check_items([item])
        _check_alternatives(alternatives)
        asked: Any = {"tag": tag, "against": against, "alternatives": alternatives}
        return finish(self.explain_work(item, operator.index(token), **asked))

    def explain_work(
        self, item: Item, token: int, *, tag: str | None = None, against: str | None = None, alternatives: int = 0
    ) -> Generator[Progress, None, Explanation]:
        """As :meth:`explain`, yielding control like :meth:`work`.

        Of a long text only one sentence is scored, unless labels are to be consistent with those of the others.
        """
        engine = self._engine
        batch: Any = None
        for batch in engine.read(_documents([item])):
            if isinstance(batch, Progress):
                yield batch
        if not 0 <= token < batch.tokens:
            raise InputError(f"token: expected a number from 0 to below the count of tokens, {batch.tokens}")
        ends = np.cumsum(batch.lengths)
        sentence = int(np.searchsorted(ends, token, side="right"))
        begin, end = int(ends[sentence] - batch.lengths[sentence]), int(ends[sentence])
        context, unknown = engine.look_up(batch)
        yield Progress("rows", batch.tokens, unknown)
        if self.config.agreement:
            whole_TK = yield from engine.score(batch, context, 0, batch.tokens)
            alone_K = whole_TK[token].copy()
            engine.reconcile(batch, whole_TK)
            log_TK = whole_TK[begin:end].copy()
        else:
            log_TK = yield from engine.score(batch, context, begin, end)
            alone_K = log_TK[token - begin]
        paths = engine.decode(log_TK, [end - begin])
        column, other = self._compared(log_TK[token - begin], int(paths.column_T[token - begin]), tag, against)
        window = engine.window(batch, context, token)
        split = split_logit(self.parameters, self.config.activation, self.lexicon, window, column, other)
        moved_K = self.calibration.temperature * (log_TK[token - begin] - alone_K)
        consistency = float(moved_K[column]) - (0.0 if other is None else float(moved_K[other]))
        place = Places(item, batch.layout.start_T, batch.layout.width_T)
        shares = []
        for position, share in enumerate(split.share_W, start=-self.config.context):
            at = token + position
            start, stop, text = place.of(at, at + 1) if begin <= at < end else (None, None, None)
            shares.append(Share(position, text, start, stop, share))
        yield Progress("network")
        start, stop, text = place.of(token, token + 1)
        name, score = self._names[paths.tag_T[token - begin]], float(paths.probability_T[token - begin])
        tagged, logit, document = TaggedToken(text, start, stop, name, score), split.logit, split.document
        rest = (logit + consistency, split.bias, document + consistency, split.method)
        others: Sequence[Alternative] = ()
        if alternatives:
            log_TK = self._marginals(log_TK, [end - begin], paths)
            others = self._token_alternatives(log_TK, paths, alternatives)[token - begin]
        loser = None if other is None else self._tags[other]
        return Explanation(tagged, self._tags[column], *rest, shares, loser, others)

    def _compared(
        self, log_K: NDArray[np.float32], found: int, tag: str | None, against: str | None
    ) -> tuple[int, int | None]:
        """The columns of the tag to explain and of the one to compare it with; ``found`` is that of the token's tag.

        Raises:
            InputError: there is no such tag or label, or both are the same.
        """
        column = found if tag is None else self._likeliest("tag", tag, log_K, but=None)
        return column, None if against is None else self._likeliest("against", against, log_K, but=column)

    def _likeliest(self, field: str, name: str, log_K: NDArray[np.float32], *, but: int | None) -> int:
        columns = [column for column in columns_of(name, self._tags, self.config.scheme) if column != but]
        if not columns:
            known = ", ".join(self.labels[:_MOST_NAMES])
            raise InputError(f"{field}: expected another tag, or a label, of this model; its labels are {known}")
        return max(columns, key=lambda column: float(log_K[column]))

    def self_test(self, pause: Pause = no_pause) -> None:
        """Make sure that answers are batch-invariant on this machine: on a CPU to the bit, on a GPU nearly.

        ``pause`` is called between any two pieces of the work.

        Raises:
            RunError: they are not, or a score is not finite.
        """
        check(lambda texts: finish(self.work(texts), pause), 0.0 if self.device == "cpu" else _GPU_TOLERANCE)

    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of P(tag | window) for every token of the documents, end to end; shape (T, K).

        Transition scores are no part of it, nor is label consistency.
        """
        found = [np.zeros((0, len(self._tags)), np.float32)]
        for batch in self._batches(documents):
            context, _ = self._engine.look_up(batch)
            found.append(finish(self._engine.score(batch, context, 0, batch.tokens)))
        return np.concatenate(found)

    def is_oov(self, documents: Sequence[Sentences]) -> NDArray[np.bool_]:
        """Which tokens of the documents, end to end, are out-of-vocabulary words; shape (T,)."""
        found = [self._engine.is_oov(batch) for batch in self._batches(documents)]
        return np.concatenate([np.zeros(0, np.bool_), *found])

    def __reduce__(self) -> tuple[Any, ...]:
        if self.folder is None:
            raise TypeError("a tagger is pickled by its folder, and this one was not loaded from any")
        return _load_again, (type(self), str(self.folder.absolute()), self._options, bundled_name(self.folder))

    def __repr__(self) -> str:
        where = f"{str(self.folder)!r}, " if self.folder else ""
        return f"Tagger({where}labels={list(self.labels)}, {self.engine} on {self.device})"

    def _pipe(self, items: Iterator[Any], batch_size: int, as_tuples: bool) -> Iterator[Any]:
        while batch := list(islice(items, batch_size)):
            for pair in batch if as_tuples else ():
                if not isinstance(pair, list | tuple) or len(pair) != 2:
                    raise TypeError(f"items: expected pairs of an item and its context, got {_kind(pair)}")
            contents = [item for item, _ in batch] if as_tuples else batch
            _check_items(contents)
            found = finish(self.work(contents))
            yield from zip(found, (context for _, context in batch), strict=True) if as_tuples else found

    def _batches(self, documents: Sequence[Document]) -> Iterator[Any]:
        return (read for read in self._engine.read(documents) if not isinstance(read, Progress))

    def _tag(self, documents: Sequence[Document], alternatives: int) -> Generator[Progress, None, list[Result]]:
        """As :meth:`work`; a document of sentences has a result for each of them."""
        found: list[Result] = []
        sources = chain.from_iterable([d] if isinstance(d, str) else d for d in documents)
        for read in self._engine.read(documents):
            if isinstance(read, Progress):
                yield read
            else:
                found += yield from self._results(read, list(islice(sources, len(read.layout.size_Y))), alternatives)
                yield Progress("decode")
        return found

    def _joined(self, documents: Sequence[Document]) -> Iterator[Joined | Sequence[Document]]:
        """Documents a few thousand tokens at a time, texts apart from words."""
        for group in grouped(documents, self._engine.piece):
            for is_text, same_kind in groupby(group, key=lambda document: isinstance(document, str)):
                some: Any = list(same_kind)
                yield Texts.of(some) if is_text else some

    def _find(self, batch: Any) -> Generator[Progress, None, tuple[Columns, "_Evidence"]]:  # noqa: ANN401
        """Take a batch through the stages after reading."""
        engine = self._engine
        context, unknown = engine.look_up(batch)
        yield Progress("rows", batch.tokens, unknown)
        log_TK = yield from engine.score(batch, context, 0, batch.tokens)
        if self.config.agreement:
            engine.reconcile(batch, log_TK)
            yield Progress("decode")
        paths = yield from self._decode(log_TK, batch.lengths)
        oov_T = engine.is_oov(batch) if self.calibration.oov else np.zeros(batch.tokens, np.bool_)
        score_M, layout = scores(paths.log_product_M, paths, oov_T, self.calibration), batch.layout
        found = Columns.of_paths(paths, score_M, layout.size_Y, layout.start_T, layout.width_T, self.labels)
        return found, _Evidence(paths, log_TK, oov_T)

    def _results(
        self, batch: Any, sources: Sequence[str | Sequence[str]], alternatives: int  # noqa: ANN401
    ) -> Generator[Progress, None, list[Result]]:  # fmt: skip
        """As :meth:`_find`, with a result for each of the sources."""
        found, (paths, log_TK, oov_T) = yield from self._find(batch)
        layout, others_T, others_M = batch.layout, None, None
        if alternatives:
            log_TK = self._marginals(log_TK, batch.lengths, paths)
            others_T = self._token_alternatives(log_TK, paths, alternatives)
            others_M = self._entity_alternatives(log_TK, paths, oov_T, alternatives)
        tag_T = paths.tag_T.astype(np.uint16)
        end_Y, places = layout.size_Y.cumsum(), (layout.start_T, layout.width_T)
        tokens = TokenColumns(self._names, end_Y, *places, tag_T, paths.probability_T, others_T)
        made = results(found, tokens, sources)
        for entity, others in zip(chain.from_iterable(made), others_M, strict=True) if others_M else ():
            entity.alternatives = others
        return made

    def _decode(self, log_TK: NDArray[np.float32], lengths: Lengths) -> Generator[Progress, None, Paths]:
        """Decode neighbouring sentences of a few thousand tokens at a time."""
        if len(log_TK) <= 2 * PIECE:
            return self._engine.decode(log_TK, lengths)
        number_S = np.cumsum(lengths) // PIECE
        edges = [0, *(np.flatnonzero(np.diff(number_S)) + 1).tolist(), len(lengths)]
        found, token = [], 0
        for first, last in pairwise(edges):
            until = token + int(np.sum(lengths[first:last]))
            found.append(self._engine.decode(log_TK[token:until], lengths[first:last]).shifted(token))
            token = until
            yield Progress("decode")
        return Paths(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _marginals(self, log_TK: NDArray[np.float32], lengths: Lengths, paths: Paths) -> NDArray[np.float32]:
        """Log of the probability of every tag of every token: with a CRF, whatever stands around it."""
        if self._transitions is None:
            return log_TK
        return marginals(log_TK, lengths, paths.column_T, self._transitions)[0]

    def _token_alternatives(self, log_TK: NDArray[np.float32], paths: Paths, count: int) -> list[list[Alternative]]:
        tables, scheme = tag_tables(self._tags, self.config.scheme), self.config.scheme
        p_TB = tag_probabilities(log_TK, tables, scheme, len(self.labels))
        names, chosen_T = self._names, paths.tag_T
        if scheme == "IO":  # all of I is that of B
            columns = [0, *range(1, len(names), 2)]
            names, p_TB, chosen_T = tuple(names[tag] for tag in columns), p_TB[:, columns], (chosen_T + 1) // 2
        return _named(best_others(p_TB, chosen_T, count), names)

    def _entity_alternatives(
        self, log_TK: NDArray[np.float32], paths: Paths, oov_T: NDArray[np.bool_], count: int
    ) -> list[list[Alternative]]:
        """The same spans with other labels, their scores as calibrated."""
        product_ML = label_log_products(log_TK, paths, self.config.scheme, len(self.labels))
        columns = [scores(product_M, paths, oov_T, self.calibration) for product_M in product_ML.T]
        return _named(best_others(np.stack(columns, axis=1), paths.label_M, count), self.labels)


class _Evidence(NamedTuple):
    """What the entities of a batch were made from."""

    paths: Paths
    log_TK: NDArray[np.float32]
    oov_T: NDArray[np.bool_]


def _engine(
    model: Checkpoint, device: str, *, threads: int | None = None, cache_mb: float | None = None,
    cache_numbers: Numbers = "int16", engine: EngineName = "auto",
) -> Engine:  # fmt: skip
    """What computes; raises InputError where it is not here."""
    if engine not in ("auto", "native", "reference"):
        raise InputError(f"engine {engine!r}: expected auto, native or reference")
    if cache_numbers not in get_args(Numbers):
        raise InputError(f"cache_numbers {cache_numbers!r}: expected {', '.join(get_args(Numbers))}")
    cache_mb = usual_cache_mb() if cache_mb is None else cache_mb
    if not isinstance(cache_mb, int | float) or not 0 <= cache_mb < math.inf:
        raise InputError(f"cache_mb {cache_mb!r}: expected 0 or more")
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads!r}: expected 1 or more")
    kernel = None if engine == "reference" else library.load()
    if kernel is None:
        if engine == "native" or device != "cpu":
            raise InputError(f"device {device!r}, engine {engine!r}: no compiled kernel can be used here")
        return Reference(model)
    if device != "cpu":
        return Native(kernel, model, cache_mb=cache_mb, numbers="float32", scorer=torch_scorer(model, device))
    return Native(kernel, model, cache_mb=cache_mb, numbers=cache_numbers, threads=threads or available_cores())


def _load_again(kind: type[Tagger], folder: str, options: dict[str, Any], bundled: str = "") -> Tagger:
    """Unpickle; a bundled model may lie elsewhere on another machine."""
    return kind.load(bundled_model(bundled) if bundled and not Path(folder).is_dir() else folder, **options)


def _documents(items: Iterable[Item]) -> list[Document]:
    """Items as documents: a sentence of words is one of its own."""
    return [item if isinstance(item, str) else [item] for item in items]


def _named(others: Iterable[list[tuple[int, float]]], names: Sequence[str]) -> list[list[Alternative]]:
    return [[Alternative(names[column], score) for column, score in some] for some in others]


def _texts(texts: Iterable[str]) -> list[str]:
    """Check that texts are strings."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        hint = "; for one text call tagger(text)" * isinstance(texts, str)
        raise TypeError(f"texts: expected a list of strings, got {_kind(texts)}{hint}")
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            hint = "; for sentences of words use tag_tokens" * isinstance(text, list | tuple)
            raise TypeError(f"texts[{place}]: expected a string, got {_kind(text)}{hint}")
    return found


def _sentences(sentences: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    """Check that sentences are lists of strings."""
    if isinstance(sentences, str | bytes) or not isinstance(sentences, Iterable):
        raise TypeError(f"sentences: expected lists of words, got {_kind(sentences)}")
    found = list(sentences)
    for place, sentence in enumerate(found):
        if isinstance(sentence, str | bytes) or not isinstance(sentence, Sequence):
            raise TypeError(f"sentences[{place}]: expected a list of words, got {_kind(sentence)}")
    if set(map(type, chain.from_iterable(found))) - {str}:
        for place, sentence in enumerate(found):
            for number, word in enumerate(sentence):
                if not isinstance(word, str):
                    raise TypeError(f"sentences[{place}][{number}]: expected a string, got {_kind(word)}")
    return found


def _check_alternatives(count: int) -> None:
    if count < 0:
        raise ValueError(f"alternatives: expected 0 or more, got {count}")


def _check_items(items: Sequence[Any]) -> None:
    """Check that items are strings, or lists of strings."""
    sentences = [item for item in items if not isinstance(item, str)]
    for item in sentences:
        if not isinstance(item, list | tuple):
            raise TypeError(f"item: expected a text or a list of words, got {_kind(item)}")
    _sentences(sentences)


def _kind(value: object) -> str:
    """What something is, in words."""
    if isinstance(value, bytes):
        return "bytes; decode them first"
    return "one string" if isinstance(value, str) else "None" if value is None else type(value).__name__
