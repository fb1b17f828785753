"""Text in, entities out: a trained model with everything it needs, safe to call from several threads.

There is one way through it, :meth:`Tagger.steps`; all else runs that to its end.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from fenestra.model import checkpoint
from fenestra.model import engine as kernel
from fenestra.model.batch import Sentences, grouped
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.decode.decoding import Paths, iob2_tags
from fenestra.model.device import resolve_device
from fenestra.model.engine.native import Compiled
from fenestra.model.engine.reference import Plain
from fenestra.model.engine.row_cache import Numbers
from fenestra.model.engine.self_test import check
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation, Share, split_logit
from fenestra.model.network.windows import Windows
from fenestra.model.results import Analysis, Entity, Places, Prediction, TaggedToken, WordPlaces, answers, prediction
from fenestra.model.steps import Step, named, run
from fenestra.model.tags import tag_set

CACHE_MB = 96.0


class Way(Protocol):
    """How batches are worked through: ``engine.reference.Plain`` or ``engine.native.Compiled``.

    What a batch is, is for it to know; it tells its ``tokens``, ``lengths`` of sentences and ``sizes`` of documents.
    """

    def batches(self, items: Sequence[str | Sequence[str]], /) -> Iterator[Step | tuple[Any, list[Places]]]:
        """Read texts and sentences of words into batches; with each, where the tokens of its documents stand."""

    def documents(self, documents: Sequence[Sentences], /) -> Any:  # noqa: ANN401
        """Read documents whose sentences are words already."""

    def log_probabilities(
        self,
        batch: Any,  # noqa: ANN401
        part: tuple[int, int] | None = None,
        /,
    ) -> Generator[Step, None, NDArray[np.float32]]:
        """Log p of every token of a batch, or of a part of them: log_TK."""

    def agree(
        self,
        batch: Any,  # noqa: ANN401
        log_TK: NDArray[np.float32],
        /,
    ) -> Generator[None, None, None]:
        """Let the tokens of every word of a document agree (``model/decode/label_consistency.py``), in place."""

    def paths(self, log_TK: NDArray[np.float32], lengths: Sequence[int], /) -> Generator[None, None, Paths]:
        """Find the best legal path of every sentence and read it."""

    def strange(self, batch: Any, /) -> NDArray[np.bool_]:  # noqa: ANN401
        """Which tokens are words that training did not know; shape (T,)."""

    def window(self, batch: Any, token: int, /) -> tuple[list[str], Windows]:  # noqa: ANN401
        """The words of the window of one token, and the window over them."""


class Tagger:
    """A trained model that tags texts. No answer depends on what was asked before, so threads may share one."""

    def __init__(
        self,
        model: Checkpoint,
        *,
        device: str = "auto",
        cache_mb: float = CACHE_MB,
        cache_numbers: Numbers = "int16",
        compiled: bool = True,
    ) -> None:
        """Set a model up; arguments as of :meth:`load`."""
        self.config = model.config
        self.version = model.version
        self.labels = model.config.labels
        self.lexicon = model.lexicon
        self.calibration = model.calibration
        self.device = resolve_device(device)
        self.network = model.network.eval().to(self.device)
        self._tags = tag_set(self.labels, self.config.scheme)
        self._names = iob2_tags(self.labels)
        here = replace(model, network=self.network)
        library = kernel.load() if compiled else None
        gpu = None if self.device.type == "cpu" else self.device
        self._way: Way = (
            Compiled(library, here, cache_mb, cache_numbers, device=gpu)
            if library
            else Plain(here, 0 if gpu else cache_mb)
        )
        self.kernel = library.name if library else None
        """Which build of the compiled kernel tags; None where torch does."""

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "auto",
        threads: int | None = None,
        cache_mb: float = CACHE_MB,
        cache_numbers: Numbers = "int16",
        compiled: bool = True,
    ) -> Self:
        """Open a checkpoint folder.

        Args:
            folder: what ``fenestra train`` wrote.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads that torch may use from now on, in this whole process; as it is, when omitted.
            cache_mb: most memory, in units of 10⁶ bytes, for what frequent words add to the first layer; taken as
                words come in. 0 computes it anew for every batch. Changes speed and not a bit of any answer.
            cache_numbers: how these sums are kept by the compiled kernel: ``float32``, or as integers that take less
                room, ``int16`` (probabilities change by less than 1e-4) or ``int8`` (by up to 0.1). A GPU has float32.
            compiled: whether to use the compiled kernel, where there is one; torch computes otherwise.

        Raises:
            CheckpointError: the folder is damaged or of another format.
            InputError: there is no such device.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(
            checkpoint.load(Path(folder)),
            device=device,
            cache_mb=cache_mb,
            cache_numbers=cache_numbers,
            compiled=compiled,
        )

    def tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Find the entities of every text, ordered by start, with ``text[e.start:e.end] == e.text``.

        ``e.score`` is a calibrated probability that span and label are right.
        """
        return [analysis.entities for analysis in self.analyse(texts)]

    def tag_tokens(self, sentences: Sequence[Sequence[str]]) -> list[list[Entity]]:
        """Find the entities of sentences that are words already; ``start`` and ``end`` count words.

        Every sentence stands for itself, as if it were a document of its own.
        """
        return [analysis.entities for analysis in self.analyse_tokens(sentences)]

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        """As :meth:`tag`, with every token, its tag and its score.

        Raises:
            InputError: ``texts`` is a single string.
        """
        if isinstance(texts, str):
            raise InputError("texts: expected a list of strings, got one string")
        return run(self.steps(texts))

    def analyse_tokens(self, sentences: Sequence[Sequence[str]]) -> list[Analysis]:
        """As :meth:`tag_tokens`, with every token, its tag and its score.

        Raises:
            InputError: a sentence is a single string, or a word is empty.
        """
        for number, sentence in enumerate(sentences):
            if isinstance(sentence, str):
                raise InputError(f"sentences[{number}]: expected a list of words, got one string")
        return run(self.steps(sentences))

    def steps(self, items: Sequence[str | Sequence[str]]) -> Generator[Step, None, list[Analysis]]:
        """Tag texts (strings) and sentences of words (lists), giving way after every few milliseconds of work.

        However large an item is, a step handles a few thousand tokens, so that a caller can do something else
        between any two. The bits of an answer depend on its item alone, not on the company it is tagged in.

        Yields:
            What was done since the last step.

        Returns:
            One analysis an item, in order.

        Raises:
            InputError: a word is empty.
        """
        analyses: list[Analysis] = []
        for found in self._way.batches(items):
            if isinstance(found, Step):
                yield found
            else:
                batch, places = found
                analyses += yield from self._analyses(batch, batch.sizes, places)
        return analyses

    def explain(self, item: str | Sequence[str], token: int) -> Explanation:
        """Say what each word around a token of a text, or of a sentence of words, adds to the score of its tag.

        Args:
            item: as of :meth:`steps`.
            token: its place among the tokens of the analysis, from 0.

        Raises:
            InputError: there is no such token, or a word is empty.
        """
        return run(self.explain_in_steps(item, token))

    def explain_in_steps(self, item: str | Sequence[str], token: int) -> Generator[Step, None, Explanation]:
        """As :meth:`explain`, giving way like :meth:`steps`.

        Of a long text only one sentence is tagged, unless its words are to agree with those of the others.
        """
        batch = self._way.documents([])
        places: list[Places] = []
        for found in self._way.batches([item]):
            if isinstance(found, Step):
                yield found
            else:
                batch, places = found
        if not 0 <= token < batch.tokens:
            raise InputError(f"token: expected a number from 0 to below the count of tokens, {batch.tokens}")
        ends = np.cumsum(batch.lengths)
        sentence = int(np.searchsorted(ends, token, side="right"))
        begin, end = int(ends[sentence]) - batch.lengths[sentence], int(ends[sentence])
        if self.config.agreement:
            whole_TK = yield from self._way.log_probabilities(batch)
            alone_K = whole_TK[token].copy()
            yield from named("decode", self._way.agree(batch, whole_TK))
            log_TK = whole_TK[begin:end].copy()
        else:
            log_TK = yield from self._way.log_probabilities(batch, (begin, end))
            alone_K = log_TK[token - begin]
        paths = yield from named("decode", self._way.paths(log_TK, [end - begin]))
        column = int(paths.column_T[token - begin])
        words, window = self._way.window(batch, token)
        rows = self.lexicon.rows(words).to(self.device)
        split = split_logit(self.network, rows, window.to(self.device), column)
        heard = self.calibration.temperature * float(log_TK[token - begin, column] - alone_K[column])
        (place,) = places
        start, stop, text = place.of(token, token + 1)
        tag, score = self._names[paths.tag_T[token - begin]], float(paths.probability_T[token - begin])
        shares = []
        for position, share in enumerate(split.share_W, start=-self.config.context):
            at = token + position
            seen = (place.of(at, at + 1)) if begin <= at < end else (None, None, None)
            shares.append(Share(position, seen[2], seen[0], seen[1], share))
        yield Step("network")
        return Explanation(
            TaggedToken(text, start, stop, tag, score),
            self._tags[column],
            split.logit + heard,
            split.bias,
            split.document + heard,
            split.method,
            shares,
        )

    def self_test(self) -> None:
        """Make sure that this machine gives a text the same bits alone and in company.

        Raises:
            RunError: it does not, or a score is no number.
        """
        check(self.analyse)

    def analyse_documents(self, documents: Iterable[Sentences]) -> list[list[Analysis]]:
        """Tag documents whose sentences are words already: one analysis for each sentence of each document."""
        return list(self._documents(documents))

    def predict(self, documents: Iterable[Sentences]) -> Iterator[list[Prediction]]:
        """Tag documents of sentences of words, in order, reading no further ahead than a batch.

        What a document says of a word counts in all its sentences, if the model looks at documents;
        sentences that have nothing to do with each other are documents of one sentence.
        """
        return ([prediction(analysis) for analysis in document] for document in self._documents(documents))

    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of P(tag | window) for every token of the documents, end to end; shape (T, K).

        Scores of steps from tag to tag, where they are learned, are no part of it, nor is what the other tokens of a
        word say of it.
        """
        return run(self._way.log_probabilities(self._way.documents(documents)))

    def strange(self, documents: Sequence[Sentences]) -> NDArray[np.bool_]:
        """Which tokens of the documents, end to end, are words that training did not know; shape (T,)."""
        return self._way.strange(self._way.documents(documents))

    def _documents(self, documents: Iterable[Sentences]) -> Iterator[list[Analysis]]:
        for group in grouped(documents):
            batch = self._way.documents(group)
            sentences = [WordPlaces(words) for document in group for words in document]
            analyses = iter(run(self._analyses(batch, batch.lengths, sentences)))
            yield from (list(islice(analyses, len(document))) for document in group)

    def _analyses(
        self,
        batch: Any,  # noqa: ANN401
        sizes: Sequence[int],
        places: Sequence[Places],
    ) -> Generator[Step, None, list[Analysis]]:
        """Tag a batch: one analysis for each of some stretches of its tokens."""
        log_TK = yield from self._way.log_probabilities(batch)
        if self.config.agreement:
            yield from named("decode", self._way.agree(batch, log_TK))
        paths = yield from named("decode", self._way.paths(log_TK, batch.lengths))
        strange_T = self._way.strange(batch) if self.calibration.strange else np.zeros(batch.tokens, np.bool_)
        written = answers(paths, strange_T, sizes, places, self.labels, self._names, self.calibration)
        analyses = yield from named("decode", written)
        yield Step("decode")
        return analyses
