"""Text in, entities out: a trained model with everything it needs, safe to call from several threads."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from model import checkpoint
from model.answers import Analysis, Entity, Prediction, TaggedToken
from model.checkpoint import Checkpoint
from model.decoding import decode
from model.device import resolve_device
from model.errors import InputError, RunError
from model.explain import Explanation
from model.iob import tag_set
from model.sentences import sentence_lengths
from model.steps import Step
from model.stream import Sentences, Stream
from model.tokens import Token, tokenize

_BATCH_TOKENS = 4096


class Tagger:
    """A trained model that tags texts. Nothing in it changes after loading, so threads may share one."""

    def __init__(self, model: Checkpoint, *, device: str = "auto") -> None:
        self.config = model.config
        self.version = model.version
        self.labels = model.config.labels
        self.lexicon = model.lexicon
        self.calibration = model.calibration
        self.device = resolve_device(device)
        self.network = model.network.eval().to(self.device)
        self._vectors = self.network.vectors
        self._tags = tag_set(self.labels, self.config.scheme)

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto", threads: int | None = None) -> Self:
        """Open a checkpoint folder.

        Args:
            folder: what ``fenestra train`` wrote.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads that torch may use from now on, in this whole process; as it is, when omitted.

        Raises:
            CheckpointError: the folder is damaged or of another format.
            InputError: there is no such device.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(checkpoint.load(Path(folder)), device=device)

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

    def steps(self, items: Sequence[str | Sequence[str]]) -> Generator[Step, None, list[Analysis]]:
        """Tag texts and sentences in bounded pieces of work."""
        found: list[Analysis] = []
        texts = all(isinstance(item, str) for item in items)
        groups = [items] if texts else [[item] for item in items]
        for group in groups:
            found += self.analyse(group) if isinstance(group[0], str) else self.analyse_tokens(group)
            yield Step("network", tokens=sum(len(analysis.tokens) for analysis in found[-len(group) :]))
        return found

    def explain(self, item: str | Sequence[str], token: int) -> Explanation:
        """Say what each word around a token adds."""
        raise InputError("not yet")

    def self_test(self) -> None:
        """Tag a few texts."""
        self.analyse(["Ada met Ito."])

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        """As :meth:`tag`, with every token, its tag and its score.

        Raises:
            InputError: ``texts`` is a single string.
        """
        if isinstance(texts, str):
            raise InputError("texts: expected a list of strings, got one string")
        tokens = [tokenize(text) for text in texts]
        lengths = [sentence_lengths(text, found) for text, found in zip(texts, tokens, strict=True)]
        documents = (
            [
                [token.text for token in found[end - size : end]]
                for size, end in zip(sizes, accumulate(sizes), strict=True)
            ]
            for found, sizes in zip(tokens, lengths, strict=True)
        )
        return [
            _analysis(text, found, predictions)
            for text, found, predictions in zip(texts, tokens, self.predict(documents), strict=True)
        ]

    def analyse_tokens(self, sentences: Sequence[Sequence[str]]) -> list[Analysis]:
        """As :meth:`tag_tokens`, with every token, its tag and its score.

        Raises:
            InputError: a sentence is a single string, or a word is empty.
        """
        for number, sentence in enumerate(sentences):
            if isinstance(sentence, str):
                raise InputError(f"sentences[{number}]: expected a list of words, got one string")
            if not all(sentence):
                raise InputError(f"sentences[{number}]: holds an empty word")
        return [analysis for (analysis,) in self.analyse_documents([[sentence] for sentence in sentences])]

    def analyse_documents(self, documents: Sequence[Sentences]) -> list[list[Analysis]]:
        """Tag documents whose sentences are words already: one analysis for each sentence of each document."""
        return [
            [_token_analysis(words, prediction) for words, prediction in zip(document, predictions, strict=True)]
            for document, predictions in zip(documents, self.predict(documents), strict=True)
        ]

    def predict(self, documents: Iterable[Sentences]) -> Iterator[list[Prediction]]:
        """Tag documents of sentences of words, in order, reading no further ahead than a batch.

        What a document says of a word counts in all its sentences, if the model looks at documents;
        sentences that have nothing to do with each other are documents of one sentence.
        """
        for batch in _batches(documents):
            predictions = self._predict(batch)
            yield from ([next(predictions) for _ in document] for document in batch)

    @torch.inference_mode()
    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of P(tag | window) for every token of the documents, end to end; shape (T, K)."""
        stream = Stream.read(documents, self.lexicon, self._vectors, self.config)
        parts = [torch.zeros(0, len(self._tags))]
        for rows, windows in stream.bags(self.config.context, _BATCH_TOKENS):
            logits_NK = self.network(rows.to(self.device), windows.to(self.device))
            parts.append(torch.log_softmax(logits_NK / self.calibration.temperature, dim=1).cpu())
        result: NDArray[np.float32] = torch.cat(parts).numpy()
        if np.isnan(result).any():
            raise RunError("the model's scores are not numbers: its weights are damaged")
        return result

    def _predict(self, documents: Sequence[Sentences]) -> Iterator[Prediction]:
        """The predictions for all sentences of a batch of documents, end to end."""
        lengths = [len(sentence) for document in documents for sentence in document]
        for sentence in decode(self.log_probabilities(documents), lengths, self._tags, self.config.scheme):
            scores = self.calibration.entity_scores(sentence.log_products)
            yield Prediction(sentence.tags, sentence.tag_probabilities.tolist(), sentence.spans, scores.tolist())


def _batches(documents: Iterable[Sentences]) -> Iterator[list[Sentences]]:
    """Group documents until a batch is full; a document is never cut."""
    batch: list[Sentences] = []
    tokens = 0
    for document in documents:
        size = sum(map(len, document))
        if batch and tokens + size > _BATCH_TOKENS:
            yield batch
            batch, tokens = [], 0
        batch.append(document)
        tokens += size
    if batch:
        yield batch


def _analysis(text: str, tokens: Sequence[Token], predictions: Sequence[Prediction]) -> Analysis:
    """Put the sentences of a text back where they stand in it."""
    entities: list[Entity] = []
    tagged: list[TaggedToken] = []
    for prediction in predictions:
        first = len(tagged)
        for span, score in zip(prediction.spans, prediction.span_scores, strict=True):
            start, end = tokens[first + span.start].start, tokens[first + span.end - 1].end
            entities.append(Entity(start, end, span.label, text[start:end], score))
        for tag, score in zip(prediction.tags, prediction.token_scores, strict=True):
            tagged.append(TaggedToken(*tokens[len(tagged)], tag, score))
    return Analysis(entities, tagged)


def _token_analysis(words: Sequence[str], prediction: Prediction) -> Analysis:
    """Name places by word index."""
    return Analysis(
        [
            Entity(span.start, span.end, span.label, " ".join(words[span.start : span.end]), score)
            for span, score in zip(prediction.spans, prediction.span_scores, strict=True)
        ],
        [
            TaggedToken(word, place, place + 1, tag, score)
            for place, (word, tag, score) in enumerate(
                zip(words, prediction.tags, prediction.token_scores, strict=True)
            )
        ],
    )
