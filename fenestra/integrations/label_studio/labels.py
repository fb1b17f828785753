"""Labels of the model, and labels of the project: which is which."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeVar

from fenestra.integrations.label_studio.label_config import ProjectLabel
from fenestra.model.tags import OUTSIDE
from fenestra.training.data.names import usual_label

_T = TypeVar("_T")
_LONGEST = 200  # characters of a model's label
_KINDS = ("person", "place", "organisation")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Both directions for one control."""

    to_project: Mapping[str, str]
    """Label of the model → name that annotations hold; others are not shown."""
    to_model: Mapping[str, str]
    """Value or alias of a label of the project → label of the model, one that it is still to learn perhaps."""

    @classmethod
    def of(cls, model: Sequence[str], project: Sequence[ProjectLabel], given: Mapping[str, str]) -> Self:
        """Match labels by name.

        What ``given`` says comes first; then the same name, ``predicted_values``, the same name in other letters, and
        the usual names of persons, places and organisations.

        Args:
            model: labels of the model.
            project: labels of the control.
            given: label of the model → label of the project.
        """
        to_project = {
            name: found.written for name in model if (found := _match(name, model, project, given)) is not None
        }
        to_model: dict[str, str] = {}
        back = {written: name for name, written in reversed(to_project.items())}
        for label in project:
            to_model[label.value] = to_model[label.written] = back.get(label.written) or _as_tag(label.value)
        return cls(to_project, to_model)


def _match(
    name: str, model: Sequence[str], project: Sequence[ProjectLabel], given: Mapping[str, str]
) -> ProjectLabel | None:
    """The label of the project that a label of the model means; None if there is none."""
    if name in given:
        return _first(label for label in project if given[name] in (label.value, label.alias))
    same = _first(label for label in project if name in (label.value, label.alias, _as_tag(label.value)))
    said = _first(label for label in project if name in label.predicted)
    folded = name.casefold()
    alike = _first(label for label in project if folded in (label.value.casefold(), label.alias.casefold()))
    if found := same or said or alike:
        return found
    values = [label.value for label in project]
    kind = _first(kind for kind in _KINDS if usual_label(kind, model) == name)
    usual = usual_label(kind, values) if kind else None
    return _first(label for label in project if label.value == usual)


@lru_cache(4096)
def _as_tag(value: str) -> str:
    """The label as a model can have it: without blanks and characters that are not seen, and never O, which is none.

    >>> _as_tag("Place of birth"), _as_tag("O")
    ('Place_of_birth', 'O_')
    """
    name = "".join(letter for letter in "_".join(value.split()) if letter.isprintable())[:_LONGEST]
    return f"{name}_" if name in ("", OUTSIDE) else name


def _first(found: Iterable[_T]) -> _T | None:
    return next(iter(found), None)
