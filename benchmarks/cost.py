"""What tagging a great many documents costs, on paper: ``python -m benchmarks.cost``.

English text that does not repeat is cut into documents of 500 words. Ours is the command, ``fenestra tag`` with one
worker, over a file of all of them, from its start to the last byte written. The peers, whose rate does not depend on
what they have seen, tag a part of the documents, each in a process that has loaded its model: spaCy's stock pipeline,
of which only what finds entities is run, and a transformer of BERT's base size. All on one core, one after the other in
every round. Core hours are documents times seconds a document; dollars are those of ``--price``.

    PEER_PYTHON=venv/bin/python SPACY_STOCK=en_core_web_md TRANSFORMER_PYTHON=venv/bin/python python -m benchmarks.cost

A peer whose variable is not set is left out, and the run says so.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest import bulk, texts
from benchmarks.contest.cold import STOCK
from benchmarks.contest.entrants import Entrant
from benchmarks.contest.rounds import ROOT, Process
from benchmarks.contest.table import Spread, markdown
from benchmarks.contest.texts import Collection
from benchmarks.speed import machine

TRANSFORMER = ("TRANSFORMER_PYTHON",)
_SECONDS_AN_HOUR = 3600


class Peer(NamedTuple):
    """Somebody who tags each N-th document."""

    name: str
    command: list[str]
    every: int


class CostRow(NamedTuple):
    """What one contender took for so many documents, one value a round."""

    contender: str
    documents: int
    seconds: list[float]

    def rate(self) -> Spread:
        """Documents a second."""
        return Spread.of([self.documents / seconds for seconds in self.seconds])


def documents_of(collection: Collection, words: int) -> list[list[list[str]]]:
    """The words of a collection, one text after the other, in documents of so many; what is left over is left out.

    >>> documents_of(Collection("", "", [[["a", "b"], ["c"]], [["d", "e"]]]), 2)
    [[['a', 'b']], [['c', 'd']]]
    """
    flat = list(chain.from_iterable(sentence for document in collection.documents for sentence in document))
    return [[flat[begin : begin + words]] for begin in range(0, len(flat) - words + 1, words)]


def core_hours(documents_a_second: float, documents: int) -> float:
    """Hours of one core.

    >>> core_hours(1000, 3_600_000)
    1.0
    """
    return documents / documents_a_second / _SECONDS_AN_HOUR


def peers(folder: Path, every: Sequence[int], environment: Mapping[str, str]) -> Iterator[Peer | str]:
    """Who else takes part, or a line for who does not."""
    for (name, module, variables), each in zip(
        (("spaCy", "spacy_peer", STOCK), ("BERT, base", "transformer_peer", TRANSFORMER)), every, strict=True
    ):
        if missing := [variable for variable in variables if not environment.get(variable)]:
            yield f"no {name}: {', '.join(missing)} not set"
            continue
        python, *rest = (str(Path(environment[variable]).absolute()) for variable in variables)
        more = [*rest, "1"] if rest else [str(folder / "texts.json")]
        material = str(folder / f"{module}.json")
        yield Peer(name, [python, "-m", f"benchmarks.contest.{module}", material, "1", *more], each)


def measure(options: argparse.Namespace, folder: Path, collection: Collection) -> list[CostRow]:
    """Let everybody tag, round by round."""
    whole = Collection("English", "english", documents_of(collection, options.words))
    everyone = [" ".join(sentence) for (sentence,) in whole.documents]
    (folder / "texts.json").write_text(json.dumps(everyone), encoding="utf-8")
    rows = {"ours": CostRow("ours, `fenestra tag`", len(everyone), [])}
    asked: list[tuple[Peer, Collection]] = []
    for peer in peers(folder, options.every, os.environ):
        if isinstance(peer, str):
            _note(peer)
            continue
        part = Collection(peer.name, "", whole.documents[:: peer.every])
        part.write(Path(peer.command[3]))
        asked.append((peer, part))
        rows[peer.name] = CostRow(peer.name, len(part.documents), [])
    for number in range(1, options.repeats + 1):
        (ours,) = bulk.play_bulk(whole, options.cpus[:1], 1, folder, _note)
        rows["ours"].seconds.append(ours.seconds[0])
        for peer, part in asked:
            with Process(Entrant(peer.name, 1, peer.command, ("raw",)), options.cpus[:1]) as process:
                settings = process.ask("tune", way="raw")
                rows[peer.name].seconds.append(process.ask("pass", way="raw", batch="large", copies=1)["seconds"])
            rate = len(part.documents) / rows[peer.name].seconds[-1]
            chosen = {name: value for name, value in settings.items() if name != "tried"}
            _note(f"{number}/{options.repeats}  {peer.name} {rate:8.2f} documents/s, {chosen}, {process.facts}")
    return list(rows.values())


def render(rows: Sequence[CostRow], options: argparse.Namespace) -> str:
    """A line for each contender, as Markdown; ratios are those of one round."""
    lines = []
    for row in rows:
        rate = row.rate()
        hours = core_hours(rate.median, options.documents)
        times = Spread.of([
            theirs / row.documents * rows[0].documents / mine
            for theirs, mine in zip(row.seconds, rows[0].seconds, strict=True)
        ])  # fmt: skip
        lines.append((
            row.contender,
            f"{rate.median:,.1f} ({rate.low:,.1f} – {rate.high:,.1f})",
            f"{hours:,.0f}",
            f"{hours * options.price:,.0f}",
            f"{times.median:.1f} ({times.low:.1f} – {times.high:.1f})" if row is not rows[0] else "1",
        ))  # fmt: skip
    head = (
        f"{options.documents:,} documents of {options.words} words; {machine()}",
        "documents/s, one core", "core hours", f"dollars, at ${options.price} a core hour", "times ours",
    )  # fmt: skip
    return markdown(head, lines)


def main() -> None:
    """Measure, and print the table."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory() as name:
        collection = texts.english(options.shared, 1, Path(name))
        if isinstance(collection, str):
            sys.exit(collection)
        print(render(measure(options, Path(name), collection), options), flush=True)


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.cost"
    )
    parser.add_argument("--documents", type=int, default=1_000_000_000, help="how many there are to tag")
    parser.add_argument("--words", type=int, default=500, help="of a document")
    parser.add_argument("--price", type=float, default=0.0513, help="dollars for an hour of a core")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument(
        "--every", type=int, nargs=2, default=(40, 200), metavar="N", help="spaCy's and the transformer's share"
    )
    parser.add_argument("--cpus", type=int, nargs="+", default=sorted(os.sched_getaffinity(0))[:1], help="the core")
    parser.add_argument(
        "--shared", type=Path, default=ROOT.parent / "shared", metavar="DIR", help="collections of text"
    )
    return parser


if __name__ == "__main__":
    main()
