"""What a word costs that was never met: ``python -m benchmarks.new_words``; a table of ``benchmarks.speed --stages``.

One text of made-up words, all different, is tagged by a model just loaded. The stages of ``Tagger.work`` are split
further where a new word has its own work:

    tokenize   text → words, with what each is by itself: case, role, row of its vector
    rows       words → classes and topics
    encode     word → e(w): vector, shape, affixes, n-grams, lists
    project    e(w) → W₁⁽ʲ⁾ e(w) of all positions, into the row cache
    windows    the rest of the network: sums of rows, activation, softmax
    decode     log p → tags → entities
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contest.table import Spread, markdown
from benchmarks.contest.texts import made_up
from benchmarks.stages import measure, spreads
from fenestra.model.bundled import bundled_model, find_model
from fenestra.model.engine.row_cache import RowCache
from fenestra.model.engine.weights import Weights
from fenestra.model.tagger import Tagger

_PARTS = {"encode": (Weights, "encode_numbers"), "project": (RowCache, "put")}
"""What is measured inside of the stage ``network``."""


def new_word(tagger: Tagger, words: int) -> dict[str, float]:
    """CPU time of one pass over so many words that the tagger has not met, in nanoseconds a word, by stage."""
    (document,) = made_up(words).documents
    text = " ".join(document[0])
    with timed() as spent:
        found = measure(tagger, [text], words)
    parts = {name: 1e9 * seconds / words for name, seconds in spent.items()}
    network = found.pop("network") - sum(parts.values())
    order = ("tokenize", "rows", "encode", "project", "windows", "decode", "rest")
    found |= parts | {"windows": network}
    return {stage: found[stage] for stage in order}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Add up the seconds of CPU time that the parts of ``network`` take."""
    spent = dict.fromkeys(_PARTS, 0.0)
    kept = {name: getattr(kind, method) for name, (kind, method) in _PARTS.items()}
    for name, (kind, method) in _PARTS.items():
        setattr(kind, method, _timed(kept[name], name, spent))
    try:
        yield spent
    finally:
        for name, (kind, method) in _PARTS.items():
            setattr(kind, method, kept[name])


def table(passes: Sequence[dict[str, float]], words: int) -> str:
    """A line for each stage, as Markdown."""
    found: dict[str, Spread] = spreads(passes)
    lines = [(stage, f"{ns.median:,.0f}", f"{ns.low:,.0f} – {ns.high:,.0f}") for stage, ns in found.items()]
    return markdown((f"a new word, {words:,} of them, all different", "ns a word", "min – max"), lines)


def _timed(work: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed_work(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        began = time.process_time()
        try:
            return work(*arguments, **named)
        finally:
            spent[name] += time.process_time() - began

    return timed_work


def main() -> None:
    """Measure models just loaded and print a table."""
    options = _parser().parse_args()
    passes = passes_of(options.model, options.words, options.repeats)
    print(table(passes, options.words))
    if options.json:
        content = {"words": options.words, "ns_per_word": passes}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def passes_of(model: Path, words: int, repeats: int) -> list[dict[str, float]]:
    """One pass by each of so many models just loaded."""
    return [new_word(Tagger.load(model, device="cpu", threads=1), words) for _ in range(repeats)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.new_words"
    )
    parser.add_argument("--model", type=find_model, default=bundled_model(), help="checkpoint folder")
    parser.add_argument("--words", type=int, default=200_000, help="different words of the text")
    parser.add_argument("--repeats", type=int, default=3, help="models, each just loaded")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
