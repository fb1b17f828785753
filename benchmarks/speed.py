"""How fast, beside what: ``python -m benchmarks.speed``.

First text that does not repeat, each passage once, by processes that have just loaded their models: English of many
kinds beside spaCy's ``en_core_web_md``, Russian beside natasha, a million made-up words, and ``fenestra tag`` with one
worker and two. With ``--stages`` also what a new word costs, by stage.

Last the easy case, a corpus that is read eleven times: ours, spaCy and a CRF that were trained on the same data, from
raw text and from tokens, all documents together and a sentence a call, on one thread and on two, with the F1 of that
very run and the time that one sentence takes. Tokens are those of the gold annotation, whatever a contender makes of
the text, so all are counted alike.

The peers are whatever these name (``benchmarks/contest/cold.py``, ``benchmarks/contest/entrants.py``); one of which
something is missing is left out, as is a text whose source is not in ``--shared``, and the run says so:

    PEER_PYTHON=venv/bin/python SPACY_STOCK=en_core_web_md NATASHA_PYTHON=venv/bin/python SPACY_MODEL=model-best \
    CRF_PYTHON=venv/bin/python CRF_MODEL=crf.model PEER_DIR=peers \
        python -m benchmarks.speed --model runs/conll2003-1 --corpus conll2003:test --json speed.json --chart speed.svg
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import new_words
from benchmarks.contest import bulk, texts
from benchmarks.contest.chart import bars
from benchmarks.contest.cold import cold_entrants, memory_line, play_cold, render_cold
from benchmarks.contest.entrants import entrants
from benchmarks.contest.rounds import ROOT, Process, Row, plan, play, score, started, tune
from benchmarks.contest.table import render
from benchmarks.contest.texts import Collection
from benchmarks.raw_text import Place, gold_places
from benchmarks.workloads import SAMPLE
from fenestra.cli.bench import percentile
from fenestra.model.bundled import bundled_model, bundled_models, find_model
from fenestra.training.data.corpus import find_corpus, read_corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans

SENTENCE = 20
"""Tokens of the sentence whose calls are timed."""
_STAGE_WORDS = 200_000
PARTS = ("english", "russian", "made-up", "bulk", "repeated")

Documents = list[list[Sentence]]


def main() -> None:
    """Measure, print each table when it is made, and write what is asked for."""
    options = _parser().parse_args()
    figures: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "rounds": options.repeats}
    with tempfile.TemporaryDirectory() as folder:
        figures["cold"] = dict(_cold(options, Path(folder)))
        if options.stages:
            passes = new_words.passes_of(bundled_model(), min(options.words, _STAGE_WORDS), options.repeats)
            _show(new_words.table(passes, min(options.words, _STAGE_WORDS)))
            figures["new_word_ns"] = passes
        if "repeated" in options.only:
            figures |= _repeated(options, Path(folder), figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _cold(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Any]]:
    """The tables of text that does not repeat, one after the other."""
    english: Collection | str = ""
    if {"english", "bulk"} & set(options.only):
        english = texts.english(options.shared, options.every, folder)
    asked = {
        "english": lambda: english,
        "russian": lambda: texts.russian(options.shared, options.every),
        "made-up": lambda: texts.made_up(options.words),
    }
    for name, collect in asked.items():
        found = collect() if name in options.only else None
        if isinstance(found, Collection):
            yield name, _cold_table(found, options, folder)
        elif found:
            _note(found)
    if "bulk" in options.only and isinstance(english, Collection):
        rows = bulk.play_bulk(english, options.cpus, options.repeats, folder, _note)
        _show(bulk.render_bulk(rows))
        yield "bulk", [row._asdict() for row in rows]


def _cold_table(of: Collection, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    material = of.write(folder / "material.json")
    asked, skipped = cold_entrants(of, material, bundled_models()[of.model], os.environ)
    for line in skipped:
        _note(line)
    rows = play_cold(of, asked, options.cpus, options.repeats, _note)
    _show(render_cold(of, rows))
    _show(memory_line(rows))
    return {"tokens": of.tokens, "distinct": of.distinct, "rows": [asdict(row) for row in rows]}


def _repeated(options: argparse.Namespace, folder: Path, figures: dict[str, Any]) -> dict[str, Any]:
    """The table of a corpus that is read again and again."""
    sentences = read_corpus(find_corpus(options.corpus, Path.cwd())).sentences
    documents = [list(document) for _, document in groupby(sentences, key=lambda sentence: sentence.document)]
    tokens = sum(len(sentence.words) for sentence in sentences)
    copies, single = -(-options.tokens // tokens), of_length(sentences, SENTENCE)
    figures = {
        **{name: figures[name] for name in ("machine", "load", "rounds")},
        "corpus": options.corpus,
        "documents": len(documents),
        "sentences": len(sentences),
        "tokens": tokens,
        "copies": copies,
    }
    material = folder / "material.json"
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
    _show(render(figures, rows, calls))
    if options.chart:
        options.chart.write_text(bars(rows, f"Tokens a second, {options.corpus}"), encoding="utf-8")
    return {**figures, "contenders": contenders, "rows": [asdict(row) for row in rows], "calls": calls}


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
        if process.entrant.threads == 1 and not process.entrant.large_only:
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


def _show(table: str) -> None:
    print(table + "\n", flush=True)


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
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, help="which tables")
    parser.add_argument("--stages", action="store_true", help="also the stages of a new word")
    parser.add_argument(
        "--shared",
        type=Path,
        default=ROOT.parent / "shared",
        metavar="DIR",
        help="collections of text, if there are any",
    )
    parser.add_argument(
        "--every", type=int, default=10, metavar="N", help="each N-th text of the collections; 1 for all"
    )
    parser.add_argument("--words", type=int, default=1_000_000, help="made-up words")
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
