"""By which names the labels of a model go in another tool."""

from collections.abc import Iterable, Mapping, Sequence

from fenestra.model.errors import InputError


def name_labels(
    known: Sequence[str], label_map: Mapping[str, str | None], wanted: Iterable[str] | None = None
) -> dict[str, str]:
    """The name of each label of a model that is kept.

    >>> name_labels(["LOC", "MISC", "PER"], {"PER": "PERSON", "MISC": None})
    {'LOC': 'LOC', 'PER': 'PERSON'}

    Args:
        known: the model's labels.
        label_map: new names; None drops what has that label.
        wanted: the model's labels to keep; all unless given.
    """
    kept = set(known if wanted is None else wanted)
    named = {label: label_map.get(label, label) for label in known if label in kept}
    return {label: name for label, name in named.items() if name is not None}


def check_labels(known: Sequence[str], **named: Iterable[str]) -> None:
    """Refuse labels that a model does not have: what was meant by them would never be found.

    Args:
        known: the model's labels.
        named: labels, by the name of the setting that they stand in.

    Raises:
        InputError: there is such a label.
    """
    for setting, labels in named.items():
        if strange := [label for label in labels if label not in known]:
            raise InputError(f"{setting}: the model has no label {strange[0]!r}, but {', '.join(known)}")
