"""How cost grows: ``python -m benchmarks.growth``.

One thing is changed at a time, everything else stays as it is (``Shape`` in ``benchmarks/synthetic.py``): the length of
the text, the window, hidden units, features, labels, words that the model knows, distinct words of the text. Models are
made up in memory. Raw text, one thread, CPU time of this process by stage; a first pass fills the table of words and is
told apart, and passes over the things compared take turns, so that all meet the same machine.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest.table import Spread, markdown
from benchmarks.stages import STAGES, measure, spreads
from benchmarks.synthetic import EVERYTHING, VECTORS, Shape, tagger, text

_TIMED = 50_000  # tokens of a round, at least: a short text is tagged several times


class Variant(NamedTuple):
    """One value of what is changed."""

    name: str
    shape: Shape


class Cost(NamedTuple):
    """Nanoseconds a token."""

    name: str
    stages: dict[str, Spread]
    first: float
    """All stages of the first pass."""


def sweeps(base: Shape) -> dict[str, list[Variant]]:
    """What is changed, and the values it takes."""
    return {
        "length": [Variant(f"{n:,} tokens", replace(base, tokens=n)) for n in (1_000, 10_000, 100_000, 1_000_000)],
        "window": [Variant(f"C = {c}", replace(base, context=c)) for c in (0, 1, 2, 3, 4, 6)],
        "hidden": [Variant(f"{n} hidden units", replace(base, hidden=n)) for n in (100, 300, 500, 1_000)],
        "features": [
            Variant("vectors alone", replace(base, features=VECTORS)),
            Variant("of one word, all", replace(base, features=replace(EVERYTHING, elsewhere=False, topic=False))),
            Variant("and of the document", base),
        ],
        "labels": [Variant(f"{n} labels", replace(base, labels=n)) for n in (1, 4, 16, 64)],
        "known": [Variant(f"{n:,} words known", replace(base, known=n)) for n in (1_000, 20_000, 200_000)],
        "distinct": [Variant(f"{n:,} distinct words", replace(base, distinct=n)) for n in (100, 1_000, 10_000, 50_000)],
    }


def costs(variants: Sequence[Variant], repeats: int) -> list[Cost]:
    """Measure some variants in turn."""
    ready = [(variant, tagger(variant.shape), text(variant.shape)) for variant in variants]
    first = [measure(tags, [content], variant.shape.tokens) for variant, tags, content in ready]
    passes: list[list[dict[str, float]]] = [[] for _ in ready]
    for _ in range(repeats):
        for (variant, tags, content), taken in zip(ready, passes, strict=True):
            times = -(-_TIMED // variant.shape.tokens)
            several = [measure(tags, [content], variant.shape.tokens) for _ in range(times)]
            taken.append({stage: sum(one[stage] for one in several) / times for stage in STAGES})
    return [
        Cost(variant.name, spreads(taken), sum(one.values()))
        for (variant, _, _), taken, one in zip(ready, passes, first, strict=True)
    ]


def table(title: str, found: Sequence[Cost]) -> str:
    """A line for each variant, as Markdown; the last column compares its network with that of the first line."""
    head = (f"{title}, ns a token", *STAGES, "all (min – max)", "first pass", "network, times the first line")
    lines = []
    for cost in found:
        whole, network = cost.stages["all"], cost.stages["network"].median
        lines.append(
            (
                cost.name,
                *(f"{cost.stages[stage].median:,.0f}" for stage in STAGES),
                f"{whole.median:,.0f} ({whole.low:,.0f} – {whole.high:,.0f})",
                f"{cost.first:,.0f}",
                f"{network / found[0].stages['network'].median:.2f}",
            )
        )
    return markdown(head, lines)


def main() -> None:
    """Measure what is asked for, a table each."""
    options = _parser().parse_args()
    figures: dict[str, list[dict[str, object]]] = {}
    for name in options.only:
        found = costs(sweeps(Shape())[name], options.repeats)
        figures[name] = [cost._asdict() for cost in found]
        print(f"{table(name, found)}\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.growth"
    )
    names = tuple(sweeps(Shape()))
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="what is to be changed")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
