"""Names in short texts of their own, beside a stock pipeline of spaCy: ``python -m benchmarks.probe [--held-back]``.

``benchmarks/probe.toml`` puts companies, places and persons of many origins into short contexts, one text at a time: at
work, in the news, in headlines without a verb, lists, signatures, lines of a CV, chats, quotations, tickets, mail. A
name counts as right if label, start and end are. The same texts are asked in small letters. Besides, there are texts in
which names that are written alike mean different things, and texts without a name, which are right if nothing is found.

Half of the names and contexts are open, the others held back (``--held-back``): decide by those, report these.

The peer needs ``PEER_PYTHON``, an environment with spaCy, and ``SPACY_STOCK``, a pipeline there or its folder:

    PEER_PYTHON=venv/bin/python SPACY_STOCK=en_core_web_md python -m benchmarks.probe
"""

import argparse
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fenestra
from benchmarks.stock import TYPES

FILE = Path(__file__).with_suffix(".toml")
PEER = ("PEER_PYTHON", "SPACY_STOCK")
ALIKE, NOTHING = "alike", "no name"

Spans = set[tuple[int, int, str]]
Find = Callable[[Sequence[str]], list[Spans]]

_MARKED = re.compile(r"\[(\w+) ([^]]+)\]")


class Case(NamedTuple):
    """A text to ask, and the names that are asked for."""

    kind: str
    """A label; :data:`ALIKE` for names that are written alike, :data:`NOTHING` for texts without a name."""
    text: str
    gold: Spans
    """Start, end (code points, half-open) and label of each name."""


class Count(NamedTuple):
    """How many answers are right, of how many."""

    right: int
    asked: int

    def __add__(self, other: "Count") -> "Count":  # type: ignore[override]
        return Count(self.right + other.right, self.asked + other.asked)

    def __str__(self) -> str:
        return f"{self.right / self.asked:.1%}" if self.asked else "–"


def read_cases(half: str, path: Path = FILE) -> list[Case]:
    """The texts of a half, ``open`` or ``held_back``."""
    asked: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))[half]
    cases = [
        in_context(context, name, label)
        for label, contexts in asked["contexts"].items()
        for context in contexts
        for name in asked["names"][label]
    ]
    cases += map(marked, asked["texts"]["marked"])
    return cases + [Case(NOTHING, text, set()) for text in asked["texts"]["without"]]


def in_context(context: str, name: str, label: str) -> Case:
    """A name in place of ``{}``; other names of the context are not asked for."""
    start = context.index("{}")
    return Case(label, context.replace("{}", name), {(start, start + len(name), label)})


def marked(text: str) -> Case:
    """The names that a text marks.

    >>> marked("[PER Paris Hilton] flew.")
    Case(kind='alike', text='Paris Hilton flew.', gold={(0, 12, 'PER')})
    """
    plain, gold, end = "", set(), 0
    for found in _MARKED.finditer(text):
        plain += text[end : found.start()]
        gold.add((len(plain), len(plain) + len(found[2]), found[1]))
        plain, end = plain + found[2], found.end()
    return Case(ALIKE, plain + text[end:], gold)


def in_small_letters(case: Case) -> Case:
    """The same text in small letters, of which every character of the probe has one of the same length."""
    return case._replace(text=case.text.lower())


def count(case: Case, found: Spans) -> Count:
    """How many of the names are found as they are; without a name, whether nothing is."""
    return Count(len(case.gold & found), len(case.gold)) if case.gold else Count(int(not found), 1)


def counts(cases: Iterable[Case], answers: Iterable[Spans]) -> dict[str, Count]:
    """The counts of each kind, in the order of the cases."""
    table: dict[str, Count] = {}
    for case, found in zip(cases, answers, strict=True):
        table[case.kind] = table.get(case.kind, Count(0, 0)) + count(case, found)
    return table


def ours(model: str) -> Find:
    """A bundled model by its name, or a checkpoint folder."""
    tagger = fenestra.load(model)
    return lambda texts: [{(e.start, e.end, e.label) for e in result} for result in tagger.tag(texts)]


def peer(environment: Mapping[str, str]) -> Find | str:
    """The stock pipeline, or why it is left out."""
    if missing := [name for name in PEER if not environment.get(name)]:
        return f"no spaCy: {', '.join(missing)} not set"
    command = [environment["PEER_PYTHON"], "-m", "benchmarks.contest.spacy_spans", environment["SPACY_STOCK"]]

    def find(texts: Sequence[str]) -> list[Spans]:
        asked = "".join(json.dumps(text) + "\n" for text in texts)
        answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True).stdout
        return [
            {(start, end, TYPES[label]) for start, end, label in json.loads(line) if label in TYPES}
            for line in answer.splitlines()
        ]

    return find


def wrong(cases: Sequence[Case], answers: Sequence[Spans]) -> Iterable[str]:
    """A line for each case that is not wholly right: the text, and what was found in it."""
    for case, found in zip(cases, answers, strict=True):
        if count(case, found).right < count(case, found).asked:
            shown = ", ".join(f"{label} {case.text[start:end]!r}" for start, end, label in sorted(found))
            yield f"{case.kind}\t{case.text!r}\t{shown or 'nothing'}"


def main() -> None:
    """Print a table: a line for each who was asked and each way of writing, a column for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="english", help="a bundled model, or a checkpoint folder")
    parser.add_argument("--held-back", action="store_true", help="the half that decides nothing")
    parser.add_argument("--wrong", action="store_true", help="list what the model has wrong; of the open half only")
    parser.add_argument("--json", action="store_true", help="print right and asked of each kind, as JSON")
    options = parser.parse_args()
    if options.wrong and options.held_back:
        parser.error("--wrong: expected without --held-back, which nobody may learn from")
    cases = read_cases("held_back" if options.held_back else "open")
    finders = {Path(options.model).name: ours(options.model)}
    stock = peer(os.environ)
    if not isinstance(stock, str):
        finders[os.environ.get("SPACY_STOCK_NAME", "spaCy")] = stock
    ways = {"as it is": cases, "small letters": [in_small_letters(case) for case in cases]}
    answers = {
        (who, way): find([case.text for case in written]) for who, find in finders.items()
        for way, written in ways.items()
    }  # fmt: skip
    tables = {key: counts(ways[key[1]], found) for key, found in answers.items()}
    if options.json:
        print(json.dumps([{"who": who, "way": way, **table} for (who, way), table in tables.items()]))
    else:
        kinds = {kind: total for table in tables.values() for kind, (_, total) in table.items()}
        print("| | | " + " | ".join(f"{kind} ({total})" for kind, total in kinds.items()) + " |")
        print("|---|---|" + "---|" * len(kinds))
        for (who, way), table in tables.items():
            print(f"| {who} | {way} | " + " | ".join(str(table[kind]) for kind in kinds) + " |")
    if isinstance(stock, str):
        print(stock)
    if options.wrong:
        for (_, way), found in list(answers.items())[: len(ways)]:
            print(f"\n{way}", *wrong(ways[way], found), sep="\n")


if __name__ == "__main__":
    main()
