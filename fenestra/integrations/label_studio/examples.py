"""From the store to what a model learns from: annotated texts, and others that keep it from forgetting.

Training on a few texts alone makes a model forget much of the rest. So it also learns from texts of the project that
nobody has annotated, labelled by the model that serves (rehearsal: Robins, Connection Science 7, 1995; here with the
model's own labels, as in Li & Hoiem, Learning without Forgetting, 2016). Texts in which it gives a word a label that no
annotator gave it are left out, for there it would teach its own mistake.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fenestra.integrations.label_studio.label_config import Control
from fenestra.integrations.label_studio.labels import LabelMap
from fenestra.model.tagger import Tagger
from fenestra.model.tags import split_tag
from fenestra.training.data.formats.offsets import add_span
from fenestra.training.data.inspection import Annotation, Inspection, Text

Row = tuple[str, Mapping[str, str], Sequence[Mapping[str, Any]]]
"""Task, its texts by field, and what an annotator marked."""

_MOST_REHEARSED = 200_000  # characters, so that a training takes seconds
_REPEATED = 20_000  # characters of annotated text in an epoch, if there is less
_HELD_OUT = 5  # every fifth text that nobody annotated tells whether the model has forgotten anything


@dataclass(frozen=True, slots=True)
class Examples:
    """What one training sees of a project."""

    annotated: list[Text]
    rehearsed: list[Text]
    held_out: list[Text]
    skipped: int
    """Spans that are not in their text, or have no label."""

    @property
    def labels(self) -> list[str]:
        """The labels that annotators gave."""
        return sorted({span.label for text in self.annotated for span in text.annotations})

    @property
    def copies(self) -> tuple[int, int]:
        """How often an epoch has each annotated text, 2 to 20 times, and each that is rehearsed, 1 to 10 times.

        Few texts are repeated so that there are enough updates; the others are then about as many as the annotated.
        """
        size, others = (max(sum(len(text.text) for text in texts), 1) for texts in (self.annotated, self.rehearsed))
        times = min(max(_REPEATED // size, 2), 20)
        return times, min(max(times * size // others, 1), 10)


def collect(
    rows: Iterable[Row], texts: Iterable[str], controls: Sequence[Control], maps: Sequence[LabelMap], tagger: Tagger
) -> Examples:
    """Make examples of annotations and of other texts.

    Args:
        rows: the annotations.
        texts: of tasks, annotated or not.
        controls: of the project.
        maps: the labels of each control.
        tagger: labels what nobody has.
    """
    scratch = Inspection(Path("annotations"), "label-studio")
    annotated = [text for row in rows for text in _annotated(row, controls, maps, scratch)]
    given: dict[str, set[str]] = {}
    for text in annotated:
        _fill_in(text, tagger, controls, maps)
        _note_words(text, tagger, given)
    known = {text.text for text in annotated}
    others = list(_labelled(_first(t for t in texts if t not in known), tagger, given))
    held_out = others[::_HELD_OUT]
    return Examples(annotated, [t for n, t in enumerate(others) if n % _HELD_OUT], held_out, len(scratch.problems))


def _annotated(
    row: Row, controls: Sequence[Control], maps: Sequence[LabelMap], scratch: Inspection
) -> Iterator[Text]:  # fmt: skip
    """The texts of a task with what was marked in each, under the model's labels."""
    _, data, regions = row
    for field, content in data.items():
        text = Text(content, [], 0)
        labels = {(c.name, c.text): m for c, m in zip(controls, maps, strict=True) if c.field == field}
        for region in regions:
            names = labels.get((region["from_name"], region["to_name"]))
            value = region["value"]
            given = value.get("labels")
            if names and isinstance(given, list):
                known = [names.to_model[name] for name in given if isinstance(name, str) and name in names.to_model]
                add_span(scratch, text, {**value, "labels": known[:1]})
        if labels:
            yield text


def _fill_in(text: Text, tagger: Tagger, controls: Sequence[Control], maps: Sequence[LabelMap]) -> None:
    """Add the entities whose labels the project does not have: annotators said nothing about them."""
    asked = {label for names in maps for label in names.to_model.values()}
    for entity in tagger(text.text):
        free = all(entity.end <= span.start or span.end <= entity.start for span in text.annotations)
        if entity.label not in asked and free:
            text.annotations.append(Annotation(entity.start, entity.end, entity.label))


def _note_words(text: Text, tagger: Tagger, given: dict[str, set[str]]) -> None:
    """Note under which labels the words of an annotated text stand ("" is none), those in small letters apart."""
    for token in tagger(text.text).tokens:
        if token.text != token.text.lower():
            spans = (span.label for span in text.annotations if span.start < token.end and token.start < span.end)
            given.setdefault(token.text, set()).add(next(spans, ""))


def _labelled(texts: Sequence[str], tagger: Tagger, given: Mapping[str, set[str]]) -> Iterator[Text]:
    """Texts with the entities that the model sees, without those in which it contradicts the annotators."""
    for content, result in zip(texts, tagger.tag(texts), strict=True):
        labels = ((token.text, split_tag(token.tag)[1]) for token in result.tokens)
        if all(word not in given or label in given[word] for word, label in labels):
            yield Text(content, [Annotation(entity.start, entity.end, entity.label) for entity in result], 0)


def _first(texts: Iterable[str]) -> list[str]:
    """The first texts, as many as are rehearsed."""
    kept, characters = [], 0
    for text in texts:
        if characters + len(text) <= _MOST_REHEARSED:  # a long text is no reason to do without the others
            characters += len(text)
            kept.append(text)
    return kept
