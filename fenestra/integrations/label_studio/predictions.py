"""Entities of a task, as Label Studio shows them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fenestra.integrations.label_studio.label_config import Control
from fenestra.integrations.label_studio.labels import LabelMap
from fenestra.model.results import DIGITS, Result
from fenestra.model.tagger import Tagger
from fenestra.training.data.formats.offsets import is_unicode

_PLAIN = "$undefined$"
"""The field of tasks that were imported as plain text."""


def text_of(data: Mapping[str, Any], field: str) -> str | None:
    """What a Text shows of a task: a field of its data, or (`meta.text`) one inside of it; None if that is no text."""
    value: Any = data.get(field)
    if value is None and "." in field:
        value = data
        for name in field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    if value is None and len(data) == 1:
        value = data.get(_PLAIN)
    return value if isinstance(value, str) and is_unicode(value) else None


def predict(
    tagger: Tagger,
    controls: Sequence[Control],
    maps: Sequence[LabelMap],
    tasks: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """One prediction for each task, in their order; all texts are tagged together.

    Args:
        tagger: the model.
        controls: of the project.
        maps: the labels of each control.
        tasks: data of each task.
    """
    texts = [[text_of(data, control.field) for control in controls] for data in tasks]
    distinct = {text: number for number, text in enumerate(dict.fromkeys(t for row in texts for t in row if t))}
    results = tagger.tag(list(distinct))
    predictions = []
    for row in texts:
        found = [(c, m, results[distinct[t]]) for c, m, t in zip(controls, maps, row, strict=True) if t]
        regions = [region for control, labels, result in found for region in _regions(control, labels, result)]
        predictions.append(
            {
                "result": regions,
                "score": _certainty(regions, [result for _, _, result in found]),
                "model_version": tagger.version,
            }
        )
    return predictions


def _regions(control: Control, labels: LabelMap, result: Result) -> Iterator[dict[str, Any]]:
    """The entities of one text whose labels the project has; offsets count code points.

    So does Label Studio's interface, of 1.23 at least, though it is JavaScript: tests/integrations/test_label_studio.py
    looks at what it highlights.
    """
    for start, end, label, quoted, score in result:
        if label not in labels.to_project:
            continue
        yield {
            "id": f"{control.name}-{control.text}-{start}-{end}",
            "from_name": control.name,
            "to_name": control.text,
            "type": "labels",
            "score": round(score, DIGITS),
            "value": {"start": start, "end": end, "text": quoted, "labels": [labels.to_project[label]]},
        }


def _certainty(regions: Sequence[Mapping[str, Any]], results: Sequence[Result]) -> float:
    """The score of a task: of its least certain entity; without entities, of its least certain token; 1 without text.

    Who sorts tasks by it, the lowest first, is asked about what the model knows least about.
    """
    if regions:
        return float(min(region["score"] for region in regions))
    return round(min((token.score for result in results for token in result.tokens), default=1.0), DIGITS)
