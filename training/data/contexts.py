"""Short texts made of contexts and names: an open file of patterns, a line each.

    role = nurse | lawyer               what may stand for [role]
    [ORG] is looking for a [role] .     a pattern: its tokens with single spaces between them
    [ANY] again                         [ANY] is a name of any label
    [ORG] = [last] & Sons               names of a label are made so, too: one in five
    <ORG Bank of [country] > again      what is between <LABEL and > is one name with that label

``[LABEL]`` is a name with that label; ``[kind]`` is one of that kind of the name lists, and only a part of a name.
What may stand for a slot may have slots itself, of kinds and of what is listed above it. Lines that begin with # and
empty ones are passed over.
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

_CHOICE = re.compile(r"(\w+|\[\S+\]) = (.+)")
_SLOT = re.compile(r"\[([^][\s]+)\]")
_TIGHT = re.compile(r"\w+=\S|\w+ =\S|\w+= ")
_GLUED = re.compile(r"\[\w|\w\]")
_OPEN, _CLOSE = re.compile(r"<(\S+)"), ">"
_MADE = 0.2  # share of the names with a label that are made, where the file says how

Ways = Mapping[str, Sequence[Sequence[str]]]
"""Name of a slot → what may stand in it, as tokens."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """The patterns of a file."""

    patterns: Sequence[Sequence[str]]
    """Tokens; ``[X]`` is a slot."""
    choices: Ways
    """Of slots that are not a name."""
    made: Ways
    """Of labels: how names with it are made."""
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
        patterns: list[list[str]] = []
        choices: dict[str, list[list[str]]] = {}
        made: dict[str, list[list[str]]] = {}
        for number, line in enumerate(lines, start=1):
            place, parts = f"{path}:{number}", {*kinds, *choices}
            if found := _CHOICE.fullmatch(line):
                ways = [_checked_way(way.split(), parts, place) for way in found[2].split("|")]
                label = _SLOT.fullmatch(found[1])
                if label and label[1] not in labels:
                    raise DataError(f"{place}: {found[1]} is no label, expected one of {', '.join(labels)}")
                of, name = (made, label[1]) if label else (choices, found[1])
                of.setdefault(name, []).extend(ways)
            elif _TIGHT.match(line):
                raise DataError(f"{place}: expected NAME = A | B, with a blank on each side of = and |")
            elif line.strip() and not line.startswith("#"):
                pattern = line.split()
                _check_slots(pattern, {*parts, *labels, ANY}, place)
                _check_names(pattern, labels, place)
                patterns.append(pattern)
        if not patterns:
            raise DataError(f"{path}: holds no pattern")
        return cls(patterns, choices, made, labels)

    @staticmethod
    def kinds(path: Path) -> set[str]:
        """The kinds of names that a file asks for: its slots in small letters that are not listed in it."""
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        listed = {found[1] for line in lines if (found := _CHOICE.fullmatch(line))}
        return {slot for line in lines for slot in _SLOT.findall(line) if slot[0].islower()} - listed

    def make(self, names: Names, rng: Random) -> Sentence:
        """A text of one of the patterns, with names in it; a slot is left empty where there is no such name."""
        words: list[str] = []
        found: list[Span] = []
        begin, label = 0, ""
        for token in rng.choice(self.patterns):
            start, slot = len(words), _SLOT.fullmatch(token)
            if opened := _OPEN.fullmatch(token):
                begin, label = start, opened[1]
            elif token == _CLOSE and label:
                if start > begin:
                    found.append(Span(begin, start, label))
                label = ""
            elif slot and (slot[1] in self.labels or slot[1] == ANY):
                of = rng.choice(self.labels) if slot[1] == ANY else slot[1]
                words += self._name(of, names, rng)
                if len(words) > start and not label:
                    found.append(Span(start, len(words), of))
            else:
                words += self._fill(token, names, rng)
        return Sentence(tuple(words), tuple(write_tags(found, len(words))), document=0, line=0)

    def _name(self, label: str, names: Names, rng: Random) -> Sequence[str]:
        if label in self.made and rng.random() < _MADE:
            return [word for token in rng.choice(self.made[label]) for word in self._fill(token, names, rng)]
        return names.draw(label, rng) or ()

    def _fill(self, token: str, names: Names, rng: Random) -> Sequence[str]:
        """The words of a token: of a choice, of a name of a list, or itself."""
        slot = _SLOT.fullmatch(token)
        if slot is None:
            return (token,)
        if slot[1] in self.choices:
            return [word for part in rng.choice(self.choices[slot[1]]) for word in self._fill(part, names, rng)]
        return names.of(slot[1], rng)


def _checked_way(way: list[str], known: Collection[str], place: str) -> list[str]:
    """What may stand for a slot, if it is well written."""
    _check_slots(way, known, place)
    if any(_OPEN.fullmatch(token) or token == _CLOSE for token in way):
        raise DataError(f"{place}: names are marked in patterns only")
    return way


def _check_slots(tokens: Sequence[str], known: Collection[str], place: str) -> None:
    for token in tokens:
        slot = _SLOT.fullmatch(token)
        if slot is None and _GLUED.search(token):
            raise DataError(f"{place}: {token!r}: a slot is a token of its own, with blanks around it")
        if slot and slot[1] not in known:
            expected = f"expected one of {', '.join(sorted(known))}" if known else "and no name lists are given"
            above = "; what stands for a slot is listed above it, and a kind of name needs reference.lists that have it"
            raise DataError(f"{place}: unknown slot {token}, {expected}{above if known else ''}")


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
