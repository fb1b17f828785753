"""Short texts made of contexts and names: an open file of patterns, a line each.

    role = nurse | lawyer               what may stand for [role]
    [ORG] is looking for a [role] .     a pattern: its tokens with single spaces between them
    [ANY] again                         [ANY] is a name of any label
    ORG = [last] & Sons                 names of a label are made so, too: one in five
    <ORG Bank of [country] > again      what is between <LABEL and > is one name with that label

``[LABEL]`` is a name with that label; ``[kind]`` is one of that kind of the name lists, and only a part of a name.
What may stand for a slot may have slots itself. Lines that begin with # and empty ones are passed over.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Self

from fenestra.model.errors import DataError
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.names import Names
from fenestra.training.data.spans import Span, write_tags

ANY = "ANY"

_CHOICE = re.compile(r"(\w+) = (.+)")
_SLOT = re.compile(r"\[(\w+)\]")
_OPEN, _CLOSE = re.compile(r"<(\w+)"), ">"
_MADE = 0.2  # share of the names with a label that are made, where the file says how


@dataclass(frozen=True, slots=True)
class Contexts:
    """The patterns of a file."""

    patterns: Sequence[Sequence[str]]
    """Tokens; ``[X]`` is a slot."""
    choices: Mapping[str, Sequence[Sequence[str]]]
    """What may stand in a slot that is not a name, as tokens."""
    labels: Sequence[str]

    @classmethod
    def read(cls, path: Path, labels: Sequence[str], kinds: Collection[str] = ()) -> Self:
        """Read a file.

        Args:
            path: of the file.
            labels: the labels of the model.
            kinds: the kinds of the name lists.

        Raises:
            DataError: it cannot be read, holds no pattern, has a slot that is neither a label, a kind, nor listed in
                it, or names that are not closed; by ``path:line``.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from error
        patterns: dict[int, list[str]] = {}
        choices: dict[str, list[list[str]]] = {}
        for number, line in enumerate(lines, start=1):
            if found := _CHOICE.fullmatch(line):
                choices.setdefault(found[1], []).extend(choice.split() for choice in found[2].split("|"))
            elif line.strip() and not line.startswith("#"):
                patterns[number] = line.split()
        if not patterns:
            raise DataError(f"{path}: holds no pattern")
        parts = {*choices, *kinds}
        for number, pattern in patterns.items():
            _check_slots(pattern, {*parts, *labels, ANY}, f"{path}:{number}")
            _check_names(pattern, labels, f"{path}:{number}")
        for name, ways in choices.items():
            for way in ways:
                _check_slots(way, parts - {name, *labels}, f"{path}: {name} = {' '.join(way)}")
        return cls(list(patterns.values()), choices, labels)

    def make(self, names: Names, rng: Random) -> Sentence:
        """A text of one of the patterns, with names in it; a slot is left empty where there is no such name."""
        words: list[str] = []
        found: list[Span] = []
        opened = 0, ""
        for token in rng.choice(self.patterns):
            start, slot = len(words), _SLOT.fullmatch(token)
            if name := _OPEN.fullmatch(token):
                opened = start, name[1]
            elif token == _CLOSE and opened[1]:
                if start > opened[0]:
                    found.append(Span(opened[0], start, opened[1]))
                opened = 0, ""
            elif slot and slot[1] in {*self.labels, ANY}:
                label = rng.choice(self.labels) if slot[1] == ANY else slot[1]
                words += self._name(label, names, rng)
                if len(words) > start and not opened[1]:
                    found.append(Span(start, len(words), label))
            else:
                words += self._fill(token, names, rng)
        return Sentence(tuple(words), tuple(write_tags(found, len(words))), document=0, line=0)

    def _name(self, label: str, names: Names, rng: Random) -> Sequence[str]:
        if label in self.choices and rng.random() < _MADE:
            return [word for token in rng.choice(self.choices[label]) for word in self._fill(token, names, rng)]
        return names.draw(label, rng) or ()

    def _fill(self, token: str, names: Names, rng: Random) -> Sequence[str]:
        """The words of a token: of a choice, of a name of a list, or itself."""
        slot = _SLOT.fullmatch(token)
        if slot is None:
            return (token,)
        if slot[1] in self.choices:
            return [word for part in rng.choice(self.choices[slot[1]]) for word in self._fill(part, names, rng)]
        return names.of(slot[1], rng)


def _check_slots(tokens: Sequence[str], known: Collection[str], place: str) -> None:
    for token in tokens:
        if (slot := _SLOT.fullmatch(token)) and slot[1] not in known:
            raise DataError(f"{place}: unknown slot {token}, expected one of {', '.join(sorted(known))}")


def _check_names(pattern: Sequence[str], labels: Sequence[str], place: str) -> None:
    """Refuse names that are opened in a name, not closed, empty, or of another label."""
    opened = ""
    for before, token in pairwise(["", *pattern, ""]):
        if found := _OPEN.fullmatch(token):
            if opened or found[1] not in labels:
                raise DataError(
                    f"{place}: {token} cannot begin a name, expected one of {', '.join(labels)}, not in a name"
                )
            opened = token
        elif token == _CLOSE and opened:
            if before == opened:
                raise DataError(f"{place}: a name without words")
            opened = ""
    if opened:
        raise DataError(f"{place}: {opened} is not closed by {_CLOSE}")
