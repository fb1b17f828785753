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
from typing import Any

from fenestra.integrations.label_studio.label_config import Control
from fenestra.integrations.label_studio.predictions import text_of
from fenestra.integrations.label_studio.store import MOST_CHARACTERS, Annotation, Store

_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME = re.compile(r"[0-9TZ:.+-]{1,40}")
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
        annotations = [(a, tasks.get(_key(a, "task"), {})) for a in _objects(event.get("annotation"))]
        changes = [_annotated(store, project, controls, *pair) for pair in annotations]
        return any(changes)
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
    changed, controls = False, tuple(controls)
    for task in _objects(tasks):
        for annotation in _objects(task.get("annotations")):
            changed |= _annotated(store, project, controls, annotation, task)
    return changed


def _annotated(
    store: Store, project: str, controls: tuple[Control, ...], annotation: Mapping[str, Any], task: Mapping[str, Any]
) -> bool:
    """Keep an annotation; one that was cancelled says nothing, and takes back what it said before."""
    key, of = _key(annotation), _key(annotation, "task") or _key(task)
    if not key or not of:
        return False
    if annotation.get("was_cancelled"):
        return store.remove(project, [key])
    data, result = task.get("data"), annotation.get("result")
    if not isinstance(data, Mapping) or not isinstance(result, list):
        return False
    texts = {control.field: text for control in controls if (text := text_of(data, control.field))}
    if not texts or sum(map(len, texts.values())) > MOST_CHARACTERS:
        return False
    updated = str(annotation.get("updated_at"))
    time = updated if _TIME.fullmatch(updated) else ""
    return store.put(project, Annotation(key, of, time, texts, list(_spans(result))))


def _spans(result: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The labelled spans of an annotation, with what is learnt of them and no more."""
    for region in result:
        match region:
            case {"from_name": str(), "to_name": str(), "type": "labels", "value": Mapping() as value}:
                kept = {key: value[key] for key in _SPAN if key in value}
                yield {"from_name": region["from_name"], "to_name": region["to_name"], "value": kept}


def _objects(value: object) -> list[Mapping[str, Any]]:
    """One object, or a list of them, as a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def _key(value: Mapping[str, Any], name: str = "id") -> str:
    """An id as a name; empty if there is none."""
    found = value.get(name)
    key = str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
    return key if _ID.fullmatch(key) else ""
