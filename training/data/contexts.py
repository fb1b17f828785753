"""Short texts made of contexts and names: an open file of patterns, a line each.

    role = nurse | lawyer               what may stand for [role]
    [ORG] is looking for a [role] .     a pattern: its tokens with single spaces between them
    [ANY] again                         [ANY] is a name of any label

``[LABEL]`` is a name with that label. Lines that begin with # and empty ones are passed over.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Contexts:
    """The patterns of a file."""

    patterns: Sequence[Sequence[str]]
    """Tokens; ``[X]`` is a slot."""
    choices: Mapping[str, Sequence[Sequence[str]]]
    """What may stand in a slot that is not a name, as tokens."""
    labels: Sequence[str]

    @classmethod
    def read(cls, path: Path, labels: Sequence[str]) -> Self:
        """Read a file.

        Raises:
            DataError: it cannot be read, holds no pattern, or has a slot that is neither a label nor listed in it; by
                ``path:line``.
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
        known = {*choices, *labels, ANY}
        for number, pattern in patterns.items():
            for token in pattern:
                if (slot := _SLOT.fullmatch(token)) and slot[1] not in known:
                    raise DataError(
                        f"{path}:{number}: unknown slot {token}, expected one of {', '.join(sorted(known))}"
                    )
        if not patterns:
            raise DataError(f"{path}: holds no pattern")
        return cls(list(patterns.values()), choices, labels)

    def make(self, names: Names, rng: Random) -> Sentence:
        """A text of one of the patterns, with names in it; a slot is left empty where no name has its label."""
        words: list[str] = []
        found: list[Span] = []
        for token in rng.choice(self.patterns):
            slot = _SLOT.fullmatch(token)
            if slot is None:
                words.append(token)
            elif slot[1] in self.choices:
                words += rng.choice(self.choices[slot[1]])
            else:
                label = rng.choice(self.labels) if slot[1] == ANY else slot[1]
                name = names.draw(label, rng) or ()
                if name:
                    found.append(Span(len(words), len(words) + len(name), label))
                words += name
        return Sentence(tuple(words), tuple(write_tags(found, len(words))), document=0, line=0)
