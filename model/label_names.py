"""By which names the labels of a model go in other tools."""

from collections.abc import Iterable, Mapping, Sequence

from fenestra.model.errors import InputError

Renames = Mapping[str, str | None]
"""The new name of each label that has one; None drops what has that label."""
Names = Mapping[str, str]
"""The name of each label of a model, by its own; those that are not there are dropped."""
PRESIDIO: Renames = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION", "MISC": None}
"""What Presidio calls what the labels mean. It has nothing for MISC, which is everything else that has a name."""


def name_labels(labels: Iterable[str], *renames: Renames) -> Names:
    """Name labels by one map over the other, the last one the strongest; what no map names has its own name.

    >>> name_labels(["PER", "LOC", "MISC"], {"PER": "PERSON", "MISC": "OTHER"}, {"MISC": None})
    {'PER': 'PERSON', 'LOC': 'LOC'}
    """
    merged = {label: name for map_ in renames for label, name in map_.items()}
    named = {label: merged.get(label, label) for label in labels}
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
