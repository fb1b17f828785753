"""The rows of the table of integrations, and the texts that they are measured on.

A module of this folder prints its rows, and whatever else it likes; ``python -m benchmarks.integrations`` puts those of
all modules into one table. It may import nothing but the standard library, the base install and its own client.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks.contest.texts import english

ROOT = Path(__file__).parents[2]
HEADER = (
    "| client | version | what was called | texts | entities equal to `tag` | overhead | lines of ours |\n"
    "|---|---|---|---|---|---|---|"
)
_SAMPLE = ROOT / "data" / "sample" / "train.conll"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    client: str
    version: str
    """As installed."""
    called: str
    """In the client's own words."""
    texts: int
    equal: bool
    """Whether every entity has the same start, end, label and score as those of ``tagger.tag``."""
    overhead: str
    """Beside what; ``-`` where there is nothing to compare with."""
    lines: int
    """Of ours, as :func:`lines_of` counts them."""

    def __str__(self) -> str:
        client, version, called, texts, equal, overhead, lines = astuple(self)
        return f"| {client} | {version} | {called} | {texts:,} | {'yes' if equal else 'NO'} | {overhead} | {lines:,} |"


def lines_of(*files: str) -> int:
    """Lines of files of the repository that are not empty; a folder stands for the Python files in it."""
    paths = [ROOT / file for file in files]
    sources = [source for path in paths for source in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return sum(bool(line.strip()) for source in sources for line in source.read_text(encoding="utf-8").splitlines())


def some_texts(count: int, words: int = 20) -> list[str]:
    """At most ``count`` texts of so many words that do not repeat; of the sample corpus where there is no collection.

    The collection is ``peers/diverse.py`` of a folder ``shared`` beside the checkout (:mod:`benchmarks.contest.texts`).
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = english(ROOT.parent / "shared", 1, Path(scratch))
    if isinstance(found, str):
        print(f"{found}; taking {_SAMPLE.relative_to(ROOT)}")
        return _cut([[_sample_words()]], words)[:count]
    return _cut(found.documents, words)[:count]


def in_batches(texts: list[str], size: int) -> list[list[str]]:
    """The texts, so many at once."""
    return [texts[begin : begin + size] for begin in range(0, len(texts), size)]


def _sample_words() -> list[str]:
    lines = _SAMPLE.read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines if line and not line.startswith("-DOCSTART-")]


def _cut(documents: Iterable[list[list[str]]], words: int) -> list[str]:
    """Documents in texts of some words each."""
    texts = []
    for sentences in documents:
        flat = [word for sentence in sentences for word in sentence]
        texts += map(" ".join, in_batches(flat, words))
    return texts
