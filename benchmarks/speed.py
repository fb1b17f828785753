"""Ours, spaCy and a CRF side by side: ``python -m benchmarks.speed --model DIR --corpus conll2003:test``.

One table from one run: tokens a second from raw text and from tokens, all documents together and a sentence a call, on
one thread and on two, with the F1 of that very run and the time that one sentence takes. Tokens are those of the gold
annotation, whatever a contender makes of the text, so all are counted alike.

The peers are whatever these name (``benchmarks/contest/entrants.py``); without them the table is ours alone:

    PEER_PYTHON=venv/bin/python SPACY_MODEL=model-best CRF_PYTHON=venv/bin/python CRF_MODEL=crf.model PEER_DIR=peers \
        python -m benchmarks.speed --model runs/conll2003-1 --corpus conll2003:test --json speed.json --chart speed.svg
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.contest.chart import bars
from benchmarks.contest.entrants import entrants
from benchmarks.contest.rounds import Process, Row, plan, play, score, started, tune
from benchmarks.contest.table import render
from benchmarks.raw_text import Place, gold_places
from benchmarks.workloads import SAMPLE
from fenestra.cli.bench import percentile
from fenestra.model.bundled import bundled_model, find_model
from fenestra.training.data.corpus import find_corpus, read_corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans

SENTENCE = 20
"""Tokens of the sentence whose calls are timed."""

Documents = list[list[Sentence]]


def main() -> None:
    """Measure, print the table, and write what is asked for."""
    options = _parser().parse_args()
    sentences = read_corpus(find_corpus(options.corpus, Path.cwd())).sentences
    documents = [list(document) for _, document in groupby(sentences, key=lambda sentence: sentence.document)]
    tokens = sum(len(sentence.words) for sentence in sentences)
    copies, single = -(-options.tokens // tokens), of_length(sentences, SENTENCE)
    figures = {
        "corpus": options.corpus,
        "documents": len(documents),
        "sentences": len(sentences),
        "tokens": tokens,
        "copies": copies,
        "rounds": options.repeats,
        "machine": machine(),
        "load": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as scratch:
        material = Path(scratch) / "material.json"
        words = [[sentence.words for sentence in document] for document in documents]
        material.write_text(json.dumps({"documents": words, "calls": single}), encoding="utf-8")
        asked, skipped = entrants(options.model, material, copies, options.threads)
        for line in skipped:
            _note(line)
        with started(asked, options.cpus, _note) as processes:
            planned = plan(processes, options.batches, tokens, copies)
            tune(planned, _note)
            answers: dict[tuple[str, str], list[float]] = {}
            for number in range(1, options.repeats + 1):
                for process, row in planned:
                    play(process, row, copies, tokens)
                    if number == 1:
                        score(process, row, gold(documents))
                    _note(f"{number}/{options.repeats}  {_line(row)}")
                if single:
                    time_calls(processes, answers, -(-options.calls // options.repeats))
            contenders = {f"{p.entrant.name}, threads {p.entrant.threads}": p.facts for p in processes}
    rows, calls = [row for _, row in planned], [percentiles(*answer) for answer in answers.items()]
    print(render(figures, rows, calls))
    if options.json:
        content = {**figures, "contenders": contenders, "rows": [asdict(row) for row in rows], "calls": calls}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.chart:
        options.chart.write_text(bars(rows, f"Tokens a second, {options.corpus}"), encoding="utf-8")


def gold(documents: Documents) -> dict[tuple[str, str], list[set[Place]]]:
    """The gold entities of every item that a pass tags, by what is given and how."""
    sentences = [sentence for document in documents for sentence in document]
    words = [{(span.start, span.end, span.label) for span in spans(sentence.tags)} for sentence in sentences]
    return {
        ("raw", "large"): [gold_places(document) for document in documents],
        ("raw", "single"): [gold_places([sentence]) for sentence in sentences],
        ("tokens", "large"): words,
        ("tokens", "single"): words,
    }


def of_length(sentences: Sequence[Sentence], length: int) -> list[tuple[str, ...]]:
    """The sentences of that many words; where there are none, the beginnings of longer ones."""
    exact = [sentence.words for sentence in sentences if len(sentence.words) == length]
    return exact or [sentence.words[:length] for sentence in sentences if len(sentence.words) > length]


def time_calls(processes: Sequence[Process], answers: dict[tuple[str, str], list[float]], count: int) -> None:
    """Let every contender with one thread tag single sentences."""
    for process in processes:
        if process.entrant.threads == 1:
            for way in process.entrant.ways:
                took = process.ask("calls", way=way, count=count)["ms"]
                answers.setdefault((process.entrant.name, way), []).extend(took)


def percentiles(key: tuple[str, str], took: Sequence[float]) -> dict[str, Any]:
    """What is told of single calls, in milliseconds."""
    values = {f"p{percent}": percentile(took, percent) for percent in (50, 90, 99)}
    return {"contender": key[0], "way": key[1], "calls": len(took), **values}


def machine() -> str:
    """The processor, by the name that the system has for it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {os.cpu_count()} cores"


def _line(row: Row) -> str:
    rate = row.tokens / row.seconds[-1]
    return f"{row.contender:16} {row.way:7} {row.batch:7} threads {row.threads} {rate:12,.0f} tokens/s"


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.speed"
    )
    parser.add_argument("--model", type=find_model, default=bundled_model(), help="our checkpoint folder")
    parser.add_argument("--corpus", default=str(SAMPLE), help="an annotated file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--tokens", type=int, default=500_000, help="the corpus is repeated until it has as many")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=_numbers, default=[1, 2], metavar="N,N", help="numbers of threads")
    parser.add_argument("--batches", nargs="+", default=["large", "single"], choices=("large", "single"))
    parser.add_argument("--calls", type=int, default=2_000, help=f"single sentences of {SENTENCE} tokens to be timed")
    parser.add_argument(
        "--cpus",
        type=_numbers,
        metavar="N,N",
        default=sorted(os.sched_getaffinity(0))[:2],
        help="cores; one thread has the first",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write every figure there")
    parser.add_argument("--chart", type=Path, metavar="OUT.svg", help="also draw the table there")
    return parser


if __name__ == "__main__":
    main()
