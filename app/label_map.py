"""By which names labels go at the doors for clients of other tools; at ``POST /tag`` they are the model's own.

Clients drop labels that they do not know, without a word. So what was renamed or dropped is said in a header of every
answer, and a map that names a label that no model has is refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from fenestra.model.errors import InputError
from fenestra.model.label_names import Names, Renames
from fenestra.model.suggest import did_you_mean

LABELS_HEADER = "X-Fenestra-Labels"
"""Says what was renamed or dropped in an answer, as ``PER=PERSON, MISC=``; not there if nothing was."""
TYPES_HEADER = "X-Fenestra-Entities"
"""Says which types Presidio's ``/analyze`` looked for: a request may name others, which no model here finds."""
LONGEST_NAME = 200
"""Characters of a label's name, as in a checkpoint."""
_RENAME = re.compile(r"(?:(?P<model>[^/:]+)/)?(?P<label>[^/:][^:]*):(?P<name>.*)")
_HEADER_CHARACTERS = 4000
_MOST_NAMES = 20


class Rename(NamedTuple):
    """One entry of the setting ``FENESTRA_LABEL_MAP``."""

    model: str | None
    """Name of the one model that it is for; None if it is for all."""
    label: str
    """As the model knows it."""
    name: str | None
    """As clients get it; None if they do not."""


def read_rename(value: object) -> object:
    """Read ``label:name``, ``label:`` or ``model/label:name``; what is no string is left as it is.

    >>> read_rename("english/MISC:")
    Rename(model='english', label='MISC', name=None)

    Raises:
        ValueError: it has another form.
    """
    if not isinstance(value, str):
        return value
    match = _RENAME.fullmatch(value)
    if match is None or not is_name(match["name"].strip() or "-"):
        raise ValueError("expected label:name, label: to drop it, or model/label:name, separated by commas")
    return Rename(match["model"], match["label"].strip(), match["name"].strip() or None)


def is_name(name: str) -> bool:
    """Whether clients can get a name: it is short and has no character that is not seen."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def check_setting(renames: Iterable[Rename], labels: Mapping[str, Sequence[str]]) -> None:
    """Check that all that the setting names is there.

    Args:
        renames: the setting.
        labels: those of each model that is served, by its name.

    Raises:
        InputError: it names a model that is not served, or a label that no model has.
    """
    for model, label, _ in renames:
        if model is not None and model not in labels:
            hint = did_you_mean(model, labels)
            raise InputError(f"FENESTRA_LABEL_MAP: no model {model!r} is served, but {', '.join(labels)}{hint}")
        known = labels.values() if model is None else [labels[model]]
        if not any(label in those for those in known):
            there = sorted({one for those in known for one in those})[:_MOST_NAMES]
            whose = "no model has" if model is None else f"{model} does not have"
            hint = did_you_mean(label, there)
            raise InputError(f"FENESTRA_LABEL_MAP: {whose} the label {label!r}; there are {', '.join(there)}{hint}")


def of_model(renames: Iterable[Rename], model: str) -> Renames:
    """What the setting says for a model: an entry for it alone is stronger than one for all."""
    ordered = sorted(renames, key=lambda rename: rename.model is not None)
    return {label: name for one, label, name in ordered if one in (None, model)}


def labels_header(labels: Iterable[str], names: Names) -> dict[str, str]:
    """The header of an answer in which labels have these names; none if all have their own.

    Names are percent-encoded where a header asks for it, and a list that is too long for one ends in dots.

    >>> labels_header(["PER", "LOC", "MISC"], {"PER": "PERSON", "LOC": "LOC"})
    {'X-Fenestra-Labels': 'PER=PERSON, MISC='}
    """
    changed = [label for label in labels if names.get(label) != label]
    value = _joined(f"{quote(label)}={quote(names.get(label, ''))}" for label in changed)
    return {LABELS_HEADER: value} if value else {}


def types_header(types: Iterable[str]) -> dict[str, str]:
    """The header that says which types were looked for."""
    return {TYPES_HEADER: _joined(map(quote, types))}


def _joined(parts: Iterable[str]) -> str:
    """A list, for a header."""
    joined = ", ".join(parts)
    if len(joined) <= _HEADER_CHARACTERS:
        return joined
    return ", ".join(filter(None, (joined[:_HEADER_CHARACTERS].rpartition(",")[0], "...")))
