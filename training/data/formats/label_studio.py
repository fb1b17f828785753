"""Label Studio's JSON export: a list of tasks, each with its data and the annotations of it.

    {"data": {"text": "Ada met …"}, "annotations": [{"result": [{"type": "labels", "from_name": "label",
     "to_name": "text", "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}}]}]}

The short export (JSON-MIN) is read too. Its interface, of 1.23 at least, and its Python tools count code points; others
who write such files count UTF-16 units, as a browser does: the text of each span decides which a file has.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output
from fenestra.training.data.formats.offsets import add_span, is_unicode, json_list, short
from fenestra.training.data.formats.records import Record, read_records
from fenestra.training.data.inspection import Inspection, Text

_REGIONS = ("labels", "hypertextlabels")
_LEFT_OUT = _TASKS, _ANNOTATIONS, _RESULTS = (
    "tasks without an annotation",
    "further annotations of a task that has one",
    "results that mark no span of the text",
)


def read_label_studio(found: Inspection, _: ReadingConfig) -> None:
    """Read the tasks of an export: of each its first annotation that was not cancelled."""
    left_out: Counter[str] = Counter()
    for record in read_records(found):
        text = _read_task(found, record, left_out)
        if text:
            found.texts.append(text)
    found.notes += [f"{what} left out: {left_out[what]:,}" for what in _LEFT_OUT if left_out[what]]


def _read_task(found: Inspection, record: Record, left_out: Counter[str]) -> Text | None:
    task = record.value
    if not isinstance(task, Mapping):
        found.problem(record.line, f"expected a task, an object with data and annotations, got {short(task)}")
        return None
    results = _results(task, left_out)
    if results is None:
        return None
    spans = [span for result in results if (span := _span(result, left_out))]
    data = task.get("data", task)
    content = _content(data if isinstance(data, Mapping) else {}, results)
    if not isinstance(content, str) or not is_unicode(content):
        found.problem(record.line, f"data: expected a text, got {short(data)}")
        return None
    text = Text(content, [], record.line)
    for span in spans:
        add_span(found, text, span)
    return text


def _results(task: Mapping[str, Any], left_out: Counter[str]) -> Sequence[Any] | None:
    """What is marked in a task; None if nobody has annotated it."""
    if "data" not in task:  # JSON-MIN: the spans stand under the name of their control, and nowhere if there is none
        lists = [value for value in task.values() if isinstance(value, list)]
        return [{"type": "labels", "value": span} for spans in lists for span in spans if isinstance(span, Mapping)]
    given = task.get("annotations", task.get("completions"))
    annotations = [
        annotation
        for annotation in (given if isinstance(given, list) else ())
        if isinstance(annotation, Mapping) and not annotation.get("was_cancelled")
    ]
    left_out[_ANNOTATIONS] += max(len(annotations) - 1, 0)
    if not annotations:
        left_out[_TASKS] += 1
        return None
    results = annotations[0].get("result")
    return results if isinstance(results, list) else []


def _span(result: object, left_out: Counter[str]) -> dict[str, Any] | None:
    """The span of a result; None if it is a relation, a choice or anything else that marks no part of the text."""
    match result:
        case {"type": str() as kind, "value": Mapping() as value} if kind.lower() in _REGIONS:
            span = dict(value)
            match value.get("globalOffsets"):
                case {"start": start, "end": end}:  # of a page: start and end alone count from its element
                    span |= {"start": start, "end": end}
            span["label"] = value.get("labels") or value.get("hypertextlabels")
            if span["label"]:
                return span
    left_out[_RESULTS] += 1
    return None


def _content(data: Mapping[str, Any], results: Sequence[Any]) -> object:
    """The text of a task: under the name of the results' object, under `text`, or else its only string."""
    named = [result.get("to_name") for result in results if isinstance(result, Mapping)]
    for key in (*named, "text"):
        if isinstance(key, str) and isinstance(data.get(key), str):
            return data[key]
    strings = [value for value in data.values() if isinstance(value, str)]
    return strings[0] if len(strings) == 1 else None


def write_label_studio(output: Output) -> bytes:
    """The list of tasks that Label Studio imports, for a labelling interface with a Text `text` and Labels `label`."""
    return json_list(
        {
            "id": number,
            "data": {"text": text.text},
            "annotations": [{"result": [_result(text, place, *span) for place, span in enumerate(text.annotations)]}],
        }
        for number, text in enumerate(output.texts, 1)
    )


def _result(text: Text, place: int, start: int, end: int, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text.text[start:end], "labels": [label]}
    return {"id": f"span{place}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
