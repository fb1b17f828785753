"""What reading a corpus gives: its sentences or texts, what is wrong with it, and what is worth a remark.

Readers of ``training/data/formats/`` fill an :class:`Inspection`; ``training/data/corpus.py`` makes a corpus of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fenestra.model.text.language import DEFAULT
from fenestra.model.text.tokens import Token
from fenestra.training.config import FormatName
from fenestra.training.data.raw_sentences import RawSentences
from fenestra.training.data.schemes import FileScheme

FIRST_PROBLEMS = 20
"""How many problems a message lists."""
FIRST_LINES = 5
"""How many lines a remark lists."""


class Sentence(NamedTuple):
    """A sentence: as many IOB2 tags as words."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    document: int
    """The same for sentences of one document; where the file marks none, every sentence is its own."""
    line: int
    """Line of the first word in the file, from 1."""


class Problem(NamedTuple):
    """What is wrong with a file, and in which line; 0 stands for the whole file."""

    line: int
    message: str
    file: str = ""
    """The file, where the corpus is a folder."""


class Annotation(NamedTuple):
    """A labelled part of a text: ``text[start:end]``, in code points."""

    start: int
    end: int
    label: str


@dataclass(slots=True)
class Text:
    """A text and what is marked in it."""

    text: str
    annotations: list[Annotation]
    line: int
    """Where it stands in the file, from 1; in a table, its row."""
    file: str = ""
    """The file, where the corpus is a folder."""
    sentences: list[list[Token]] | None = None
    """Its tokens by sentences, where the format has them; None leaves them to the tokenizer."""
    language: str = DEFAULT
    """By which the tokenizer reads it."""


@dataclass(slots=True)
class Inspection:
    """A file as it was read, with all its errors."""

    path: Path
    format: FormatName = "conll"
    language: str = DEFAULT
    """Of its texts, as the settings say."""
    raw: RawSentences = field(default_factory=RawSentences)
    texts: list[Text] = field(default_factory=list)
    """Of a format with character offsets."""
    sentences: Sequence[Sentence] = ()
    """Those without a problem of their own, in IOB2."""
    problems: list[Problem] = field(default_factory=list)
    scheme: FileScheme = "IOB2"
    columns: int = 0
    documents: int = 0
    """How many lines begin a document."""
    notes: list[str] = field(default_factory=list)
    """What was left out or changed in reading."""

    def problem(self, line: int, message: str, file: str = "") -> None:
        """Note what is wrong."""
        self.problems.append(Problem(line, message, file))


def list_problems(problems: Sequence[tuple[str, Problem]]) -> str:
    """One ``path:line: message`` a line for the first twenty, and how many more there are."""
    lines = []
    for path, (line, message, file) in problems[:FIRST_PROBLEMS]:
        place = f"{path}/{file}" if file else path
        lines.append(f"{place}:{line}: {message}" if line else f"{place}: {message}")
    more = len(problems) - FIRST_PROBLEMS
    return "\n".join(lines + ([f"… and {more:,} more"] if more > 0 else []))


def list_lines(numbers: Iterable[int]) -> str:
    """``line 3`` · ``lines 3, 4`` · ``lines 3, 4, 5, 6, 7 and 12 more``."""
    numbers = list(numbers)
    first = ", ".join(map(str, numbers[:FIRST_LINES]))
    more = f" and {len(numbers) - FIRST_LINES:,} more" if len(numbers) > FIRST_LINES else ""
    return f"line{'s' if len(numbers) > 1 else ''} {first}{more}"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 span`` · ``1,200 spans``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
