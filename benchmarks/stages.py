"""Where the time goes: ``python -m benchmarks.stages --model DIR --corpus conll2003:test``.

``Tagger.work`` names what every piece of work was part of (``model/README.md``), so the time between two steps belongs
to a stage:

    tokenize   texts → numbers of words
    rows       documents → classes and topics
    network    windows → log p
    decode     log p → tags → entities
    rest       what comes after the last step

The time is that of this process and not of the clock, on one thread, the table of words filled by a first pass. Tokens
are those of the annotation, as in ``python -m benchmarks.speed``.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from benchmarks.contest.table import Spread, markdown
from benchmarks.workloads import SAMPLE
from fenestra.model.bundled import bundled_model, find_model
from fenestra.model.progress import Stage
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of, find_corpus, read_corpus

Items = Sequence[str | Sequence[str]]
STAGES = (*get_args(Stage), "rest")


def measure(tagger: Tagger, items: Items, tokens: int) -> dict[str, float]:
    """CPU time of one pass by stage, in nanoseconds a token."""
    spent = dict.fromkeys(STAGES, 0.0)
    before = time.process_time()
    for step in tagger.work(items):
        now = time.process_time()
        spent[step.stage] += now - before
        before = now
    spent["rest"] += time.process_time() - before
    return {stage: 1e9 * seconds / tokens for stage, seconds in spent.items()}


def spreads(passes: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """The median and the ends of some passes, for every stage and for ``all`` of them.

    >>> spreads([{"rows": 1.0, "decode": 2.0}, {"rows": 3.0, "decode": 2.0}])["all"]
    Spread(median=4.0, low=3.0, high=5.0)
    """
    found = {stage: Spread.of([one[stage] for one in passes]) for stage in passes[0]}
    return found | {"all": Spread.of([sum(one.values()) for one in passes])}


def table(found: Mapping[str, Spread], title: str) -> str:
    """A line for each stage, as Markdown."""
    lines = [
        (stage, f"{ns.median:,.0f}", f"{ns.low:,.0f} – {ns.high:,.0f}", f"{ns.median / found['all'].median:.0%}")
        for stage, ns in found.items()
    ]
    return markdown((title, "ns a token", "min – max", "share"), lines)


def corpus_items(corpus: str, tokens: int) -> tuple[dict[str, Items], int]:
    """A corpus as raw documents and as sentences of words, so often that there are enough tokens; and how many."""
    sentences = read_corpus(find_corpus(corpus, Path.cwd())).sentences
    documents = [" ".join(map(" ".join, document)) for document in documents_of(sentences)]
    once = sum(len(sentence.words) for sentence in sentences)
    copies = -(-tokens // once)
    words = [sentence.words for sentence in sentences]
    return {"raw documents": documents * copies, "sentences of words": words * copies}, once * copies


def main() -> None:
    """Measure and print a table for raw text and one for words."""
    options = _parser().parse_args()
    items, tokens = corpus_items(options.corpus, options.tokens)
    tagger = Tagger.load(options.model, device="cpu", threads=1)
    figures = {}
    for title, given in items.items():
        measure(tagger, given, tokens)
        passes = [measure(tagger, given, tokens) for _ in range(options.repeats)]
        figures[title] = spreads(passes)
        print(f"{table(figures[title], title)}\n", flush=True)
    if options.json:
        content = {"corpus": options.corpus, "tokens": tokens, "ns_per_token": figures}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.stages"
    )
    parser.add_argument("--model", type=find_model, default=bundled_model(), help="checkpoint folder")
    parser.add_argument("--corpus", default=str(SAMPLE), help="an annotated file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--tokens", type=int, default=200_000, help="the corpus is repeated until it has as many")
    parser.add_argument("--repeats", type=int, default=5, help="passes, after a first one")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
