"""What Label Studio's webhooks tell, written to the store.

    ANNOTATION_CREATED, ANNOTATION_UPDATED    {"annotation": {…}, "task": {…}, "project": {…}}
    ANNOTATIONS_CREATED                       {"annotation": [{…}], "task": [{…}], "project": {…}}
    ANNOTATIONS_DELETED                       {"annotations": [{"id": 7}], "project": {…}}
    TASKS_CREATED, TASKS_DELETED              {"tasks": [{"id": 3}], "project": {…}}
    PROJECT_UPDATED, PROJECT_DELETED          {"project": {…}}
    START_TRAINING                            {"project": {…}}

Whoever sends one may leave out or add fields: what is not as expected is passed over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from fenestra.integrations.label_studio.label_config import Control
from fenestra.integrations.label_studio.predictions import text_of
from fenestra.integrations.label_studio.store import MOST_CHARACTERS, Annotation, Store

_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME = re.compile(r"[0-9TZ:.+-]{1,40}")
MOST_SPANS = 10_000
"""Spans of an annotation that are learnt from."""
_SPAN = ("start", "end", "text", "labels")
_ANNOTATED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"})
_DELETED = frozenset({"ANNOTATION_DELETED", "ANNOTATIONS_DELETED"})


def project_key(given: object) -> str | None:
    """The id of a project: `7` of 7, of "7.1764460000", and of {"id": 7}; None if it is none."""
    value = given.get("id") if isinstance(given, Mapping) else given
    name = str(value).partition(".")[0] if isinstance(value, int | str) else ""
    return name if _PROJECT.fullmatch(name) else None


def apply(store: Store, project: str, controls: Iterable[Control], event: Mapping[str, Any]) -> bool:
    """Write what an event says to the store; returns whether something that is learnt from has changed."""
    action, controls = event.get("action"), tuple(controls)
    if action in _ANNOTATED:
        tasks = {_key(task): task for task in _objects(event.get("task"))}
        pairs = [(a, tasks.get(_key(a, "task"), {})) for a in _objects(event.get("annotation"))]
        return _write(store, project, controls, pairs)
    if action in _DELETED:
        gone = (*_objects(event.get("annotations")), *_objects(event.get("annotation")))
        return store.remove(project, filter(None, map(_key, gone)))
    if action == "TASKS_DELETED":
        return store.remove(project, filter(None, map(_key, _objects(event.get("tasks")))), of="task")
    return False


def texts_of(controls: Iterable[Control], event: Mapping[str, Any]) -> list[str]:
    """The texts of new tasks."""
    tasks = _objects(event.get("tasks")) if event.get("action") == "TASKS_CREATED" else []
    data = [task["data"] for task in tasks if isinstance(task.get("data"), Mapping)]
    return [text for one in data for control in controls if (text := text_of(one, control.field))]


def apply_export(store: Store, project: str, controls: Iterable[Control], tasks: object) -> bool:
    """The same for tasks with their annotations, as an export has them."""
    pairs = [(a, task) for task in _objects(tasks) for a in _objects(task.get("annotations"))]
    return _write(store, project, tuple(controls), pairs)


def _write(
    store: Store,
    project: str,
    controls: tuple[Control, ...],
    pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> bool:
    """Keep annotations, each with its task, all at once: a transaction for each would take minutes for an export.

    One that was cancelled says nothing, and takes back what it said before.
    """
    kept, cancelled = [], []
    for annotation, task in pairs:
        if annotation.get("was_cancelled"):
            cancelled.append(_key(annotation))
        elif (read := _annotation(controls, annotation, task)) is not None:
            kept.append(read)
    gone = store.remove(project, filter(None, cancelled)) if cancelled else False
    return (store.put(project, *kept) if kept else False) or gone


def _annotation(
    controls: tuple[Control, ...], annotation: Mapping[str, Any], task: Mapping[str, Any]
) -> Annotation | None:
    """An annotation as it is kept; None if there is nothing to learn from it."""
    key, of = _key(annotation), _key(annotation, "task") or _key(task)
    data, result = task.get("data"), annotation.get("result")
    if not key or not of or not isinstance(data, Mapping) or not isinstance(result, list):
        return None
    texts = {control.field: text for control in controls if (text := text_of(data, control.field))}
    if not texts or sum(map(len, texts.values())) > MOST_CHARACTERS:
        return None
    updated = str(annotation.get("updated_at"))
    time = updated if _TIME.fullmatch(updated) else ""
    return Annotation(key, of, time, texts, list(islice(_spans(result), MOST_SPANS)))


def _spans(result: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The labelled spans of an annotation, with what is learnt of them and no more."""
    for region in result:
        match region:
            case {"from_name": str(), "to_name": str(), "type": "labels", "value": Mapping() as value}:
                kept = {key: value[key] for key in _SPAN if _is_plain(value.get(key))}
                yield {"from_name": region["from_name"], "to_name": region["to_name"], "value": kept}


def _is_plain(value: object) -> bool:
    """Whether a value is one that a span has: no part of it holds others."""
    parts = value if isinstance(value, list) else [value]
    return value is not None and not any(isinstance(part, list | Mapping) for part in parts)


def _objects(value: object) -> list[Mapping[str, Any]]:
    """One object, or a list of them, as a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def _key(value: Mapping[str, Any], name: str = "id") -> str:
    """An id as a name; empty if there is none."""
    found = value.get(name)
    key = str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
    return key if _ID.fullmatch(key) else ""
