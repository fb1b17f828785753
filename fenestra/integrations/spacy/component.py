"""The component ``fenestra`` of spaCy: it gives the tagger the text of a document, and the document its entities."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.pipeline.span_ruler import prioritize_existing_ents_filter
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span
from spacy.util import minibatch

from fenestra.integrations.spacy.source import Files, Source
from fenestra.model.columns import Columns
from fenestra.model.errors import CheckpointError, InputError
from fenestra.model.label_names import Names, Renames, check_labels, name_labels

_MODEL = "model"  # the checkpoint inside of a saved component
Entity = tuple[int, int, str, float]
"""Start and end in the text, label and score."""

if not Span.has_extension("score"):
    Span.set_extension("score", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What becomes of the entities that the tagger finds."""

    labels: Sequence[str] | None = None
    """The model's labels to keep; None for all."""
    label_map: Renames
    """New names of labels; None drops what has that label."""
    min_score: float = 0.0
    """Entities below are dropped."""
    annotate_ents: bool = True
    """Whether entities go to ``doc.ents``."""
    overwrite: bool = False
    """Whether all that are in ``doc.ents`` are removed, or stay, and ours that overlap them are left out."""
    spans_key: str | None = None
    """Of ``doc.spans``, where all entities go, too, whatever is in ``doc.ents``."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise InputError(f"min_score {self.min_score!r}: expected a number from 0 to 1")
        if "" in self.label_map.values():  # spaCy would leave such entities out of doc.ents, without a word
            raise InputError("label_map: expected a name or null, got an empty one")
        if not self.annotate_ents and not self.spans_key:
            raise InputError("annotate_ents is false and there is no spans_key: entities would go nowhere")

    def names_of(self, known: Sequence[str]) -> Names:
        """The name of each label of a model that is kept."""
        kept = known if self.labels is None else [label for label in known if label in self.labels]
        return name_labels(kept, self.label_map)


class EntityPipe:
    """Finds entities in the text of documents, with the probability of each in ``span._.score``.

    What is found is what :meth:`Tagger.tag` finds. Where an entity does not begin and end with tokens of spaCy, its
    span takes in the whole of them. The model is opened when the first document comes.
    """

    def __init__(self, name: str, source: Source, annotation: Annotation) -> None:
        """Keep where the model is and what becomes of its entities; nothing is opened."""
        self.name, self._source, self._annotation = name, source, annotation
        self._names: Names | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that documents get; none before there is a model."""
        known = self._source.labels() if self._source.is_there() else ()
        return tuple(dict.fromkeys(self._annotation.names_of(known).values()))

    def __call__(self, doc: Doc) -> Doc:
        """Find the entities of a document; of many at once, :meth:`pipe` is several times as fast.

        Raises:
            InputError: there is no such model, or it has not the labels that were named.
            CheckpointError: it is damaged.
        """
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 1000) -> Iterator[Doc]:
        """Find the entities of a stream of documents, so many at a time; raises as :meth:`__call__`."""
        for batch in minibatch(stream, batch_size):
            found = self._source.tagger().columns([doc.text for doc in batch])  # no object for an entity, as `tag` has
            for doc, entities in zip(batch, self._by_document(found, len(batch)), strict=True):
                self._annotate(doc, entities)
                yield doc

    def score(self, examples: Iterable[Any], **_: Any) -> dict[str, Any]:  # noqa: ANN401 - spaCy's
        """Precision, recall and F1 of ``doc.ents`` (``ents_f`` …), and of ``doc.spans`` if they are asked for."""
        examples, key = list(examples), self._annotation.spans_key
        scores: dict[str, Any] = {}
        if self._annotation.annotate_ents:
            scores |= get_ner_prf(examples)
        if key:
            scores |= Scorer.score_spans(
                examples, f"spans_{key}", getter=lambda doc, _: doc.spans.get(key, ()), allow_overlap=True,
                has_annotation=lambda doc: key in doc.spans,
            )  # fmt: skip
        return scores

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the model itself, so that the pipeline needs nothing else on another machine.

        Raises:
            InputError: there is no such model.
            CheckpointError: it is damaged.
            StorageError: the disk refused.
        """
        if _MODEL not in exclude:
            self._source.save(Path(path) / _MODEL)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "EntityPipe":
        """Use the model that :meth:`to_disk` saved, which is read and checked when the first document comes.

        Raises:
            CheckpointError: there is none.
        """
        if _MODEL not in exclude:
            self.use(Path(path) / _MODEL)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """As :meth:`to_disk`, in memory."""
        content: bytes = srsly.msgpack_dumps({} if _MODEL in exclude else {_MODEL: self._source.pack()})
        return content

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "EntityPipe":
        """As :meth:`from_disk`, in memory."""
        if _MODEL not in exclude:
            content = srsly.msgpack_loads(data)
            if _MODEL not in content:
                raise CheckpointError(f"{self.name}: the bytes hold no model")
            self.use(content[_MODEL])
        return self

    def use(self, where: Path | Files) -> None:
        """Take another model, a checkpoint folder or what :func:`fenestra.model.checkpoint.pack` gave.

        Raises:
            InputError: it has not the labels that were named.
            CheckpointError: it is damaged.
        """
        self._source, self._names = self._source.at(where), None
        self._label_names()

    def _label_names(self) -> Names:
        """The name of each label of the model that is kept."""
        if self._names is None:
            known, given = self._source.labels(), self._annotation
            check_labels(known, label_map=given.label_map, labels=given.labels or ())
            self._names = given.names_of(known)
        return self._names

    def _by_document(self, found: Columns, documents: int) -> Iterator[list[Entity]]:
        """The entities of each document that are kept."""
        names = self._label_names()
        kept = np.isin(found.label_M, [n for n, label in enumerate(found.labels) if label in names])
        kept &= found.score_M >= self._annotation.min_score
        found = found.only(kept)
        labels = [names.get(label, "") for label in found.labels]
        its = (labels[label] for label in found.label_M.tolist())
        rows = zip(found.start_M.tolist(), found.end_M.tolist(), its, found.score_M.tolist(), strict=True)
        for count in np.bincount(found.item_M, minlength=documents).tolist():
            yield list(islice(rows, count))

    def _annotate(self, doc: Doc, entities: Sequence[Entity]) -> None:
        to, spans = self._annotation, _spans(doc, entities)
        if to.spans_key:
            doc.spans[to.spans_key] = spans
        if to.annotate_ents:
            before = () if to.overwrite else doc.ents
            if len(before) + len(spans) > 1:  # they may overlap
                spans = prioritize_existing_ents_filter(before, spans)
            doc.set_ents(spans or before, default="outside")


def _spans(doc: Doc, entities: Sequence[Entity]) -> list[Span]:
    """Entities as spans of tokens; of two on the same tokens, the one with the higher score."""
    spans: dict[tuple[int, int], tuple[Span, float]] = {}
    for start, end, label, score in entities:
        span = doc.char_span(start, end, label, alignment_mode="expand")
        at = span.start, span.end
        if at not in spans or spans[at][1] < score:
            spans[at] = span, score
    for span, score in spans.values():
        span._.score = score
    return [span for span, _ in spans.values()]
