"""Everyday texts, beside natasha: ``python -m benchmarks.everyday``.

News, mail, chats, lines of a CV and tickets in Russian (``benchmarks/everyday.ru.toml``), one text at a time, as one
would post them. A name is right if label, start and end are; a pair of quotation marks around it counts neither way.
The peer needs ``NATASHA_PYTHON``, an environment with natasha:

    NATASHA_PYTHON=venv/bin/python python -m benchmarks.everyday
"""

import argparse
import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import fenestra
from benchmarks.probe import marked

FILE = Path(__file__).with_name("everyday.ru.toml")
PEER = "NATASHA_PYTHON"
Span = tuple[int, int, str]
Case = tuple[str, str, set[Span]]
"""Kind of text, text, and its names."""

_OUTER = '«»"“”„'
_NATASHA = """
import json, sys
from natasha import Doc, NewsEmbedding, NewsNERTagger, Segmenter
segmenter, tagger = Segmenter(), NewsNERTagger(NewsEmbedding())
found = []
for text in json.load(sys.stdin):
    doc = Doc(text)
    doc.segment(segmenter)
    doc.tag_ner(tagger)
    found.append([[span.start, span.stop, span.type] for span in doc.spans])
json.dump(found, sys.stdout)
"""


class Counts(NamedTuple):
    """Names that are right, that were found, and that are there."""

    right: int
    found: int
    gold: int

    def __str__(self) -> str:
        f1 = 200 * self.right / (self.found + self.gold) if self.found + self.gold else 100.0
        return f"{f1:.1f}"


def main() -> None:
    """Print F1 by kind of text, and by label, of ours and of natasha."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="russian", help="checkpoint folder, or the name of a bundled model")
    options = parser.parse_args()
    kinds = tomllib.loads(FILE.read_text(encoding="utf-8"))["texts"]
    cases = [(kind, *unmarked(text)) for kind, texts in kinds.items() for text in texts]
    texts = [text for _, text, _ in cases]
    tagger = fenestra.load(options.model)
    answers = {tagger.version: [[(e.start, e.end, e.label) for e in tagger(text)] for text in texts]}
    if python := os.environ.get(PEER):
        answers["natasha"] = natasha(python, texts)
    else:
        print(f"no peer: {PEER} is not set")
    print(f"| {len(cases)} texts | names | " + " | ".join(answers) + " |\n|---|---|" + "---|" * len(answers))
    for name in (*kinds, "LOC", "ORG", "PER", "all"):
        columns = [
            count(cases, found, lambda kind, span, name=name: name in (kind, span[2], "all"))  # type: ignore[misc]
            for found in answers.values()
        ]
        print(f"| {name} | {columns[0].gold} | " + " | ".join(map(str, columns)) + " |")


def unmarked(text: str) -> tuple[str, set[Span]]:
    """A text without its marks, and where its names are.

    >>> unmarked("Из [LOC Тулы].")
    ('Из Тулы.', {(3, 7, 'LOC')})
    """
    case = marked(text)
    return case.text, case.gold


def bare(text: str, spans: Collection[Span]) -> set[Span]:
    """Spans without the quotation marks at their ends."""
    found = set()
    for start, end, label in spans:
        while start < end and text[start] in _OUTER:
            start += 1
        while end > start and text[end - 1] in _OUTER:
            end -= 1
        found.add((start, end, label))
    return found


def count(
    cases: Sequence[Case], found: Sequence[Collection[Span]], belongs: Callable[[str, Span], bool]
) -> Counts:  # fmt: skip
    """What was found of the names that belong to a group, by kind of text and span."""
    right = guessed = gold = 0
    for (kind, text, spans), answer in zip(cases, found, strict=True):
        truth = {span for span in bare(text, spans) if belongs(kind, span)}
        guess = {span for span in bare(text, answer) if belongs(kind, span)}
        right, guessed, gold = right + len(truth & guess), guessed + len(guess), gold + len(truth)
    return Counts(right, guessed, gold)


def natasha(python: str, texts: Sequence[str]) -> list[list[Span]]:
    """What natasha finds in texts."""
    answer = subprocess.run(
        [python, "-c", _NATASHA], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return [[(start, end, label) for start, end, label in spans] for spans in json.loads(answer.stdout)]


if __name__ == "__main__":
    main()
