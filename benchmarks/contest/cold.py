"""Text that does not repeat: every contender tags it once, in a process that has just loaded its model.

What a user's own corpus costs: most of its words are few, and each of them is met for the first time. A round starts
every contender anew, one after the other, so that all of them meet the same machine; ours then tags the same text a
second time. Loading is not part of the time. Nor is a virtual machine's getting memory from its host, page by page at
half a gigabyte a second, which a table of rows would pay for on the first process alone: as much as any contender takes
is touched and given back before each of them starts.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contest.entrants import COLUMNAR, OURS, Entrant
from benchmarks.contest.rounds import Process
from benchmarks.contest.table import Spread, markdown
from benchmarks.contest.texts import Collection

STOCK = ("PEER_PYTHON", "SPACY_STOCK")
NATASHA = ("NATASHA_PYTHON",)
_MADE_UP = "made-up words"
_TOUCHED = 3 << 30  # bytes
_PAGE = 4096


@dataclass
class ColdRow:
    """What one contender did with one collection, one value a round."""

    contender: str
    way: str
    tokens: int
    first_seconds: list[float] = field(default_factory=list)
    """Of a model just loaded."""
    second_seconds: list[float] = field(default_factory=list)
    """Of the pass after that; empty for peers."""
    load_seconds: list[float] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)
    """Bytes of resident memory that a first pass adds, its answer and its text included."""
    facts: dict[str, Any] = field(default_factory=dict)


def cold_entrants(
    of: Collection, material: Path, model: Path, environment: Mapping[str, str]
) -> tuple[list[Entrant], list[str]]:
    """Who tags a collection, ours first; and a line for each peer that is left out."""
    shared = [str(material), "1"]
    mine = [sys.executable, "-m", "benchmarks.contest.ours", *shared, str(model.absolute()), "1"]
    found = [Entrant(OURS, 1, mine, ways=("raw",), forgets=True)]
    if of.name == _MADE_UP:
        return found, []
    found.append(Entrant(COLUMNAR, 1, [*mine, "arrow"], ways=("raw",), forgets=True))
    names = STOCK if of.model == "english" else NATASHA
    if missing := [name for name in names if not environment.get(name)]:
        return found, [f"no peer for {of.name}: {', '.join(missing)} not set"]
    python, *rest = (str(Path(environment[name]).absolute()) for name in names)
    if of.model == "english":
        peer = [python, "-m", "benchmarks.contest.spacy_peer", *shared, *rest, "1"]
        found.append(Entrant(f"spaCy, {environment.get('SPACY_STOCK_NAME', 'as installed')}", 1, peer, ways=("raw",)))
    else:
        found.append(
            Entrant("natasha", 1, [python, "-m", "benchmarks.contest.natasha_peer", *shared], ways=("tokens",))
        )
    return found, []


def play_cold(
    of: Collection, asked: Sequence[Entrant], cpus: Sequence[int], rounds: int, note: Callable[[str], None]
) -> list[ColdRow]:
    """Let every contender tag a collection in every round."""
    rows = [ColdRow(entrant.name, entrant.ways[0], of.tokens) for entrant in asked]
    for number in range(1, rounds + 1):
        for entrant, row in zip(asked, rows, strict=True):
            _touch_memory()
            with Process(entrant, cpus[:1]) as process:
                row.facts = process.facts
                row.load_seconds.append(process.facts["load_seconds"])
                before = process.ask("memory")["bytes"]
                row.first_seconds.append(process.ask("pass", way=row.way, batch="large", copies=1)["seconds"])
                row.grown.append(process.ask("memory")["bytes"] - before)
                if entrant.forgets:
                    row.second_seconds.append(process.ask("pass", way=row.way, batch="large", copies=1)["seconds"])
            rate = row.tokens / row.first_seconds[-1]
            note(f"{number}/{rounds}  {of.name}: {row.contender:24} {rate:12,.0f} tokens/s cold")
    return rows


def _touch_memory() -> None:
    """Let the host give the machine memory before somebody is timed."""
    np.empty(_TOUCHED, np.uint8)[::_PAGE] = 1


def render_cold(of: Collection, rows: Sequence[ColdRow]) -> str:
    """A line for each pass, as Markdown; ratios are those of one round."""
    head = (
        f"{of.name}: {len(of.documents):,} texts, {of.tokens:,} words, {of.distinct:,} of them distinct; one core",
        "from", "tokens/s", "ours, cold, is … times as fast", "in a second pass",
    )  # fmt: skip
    ways = {"raw": "raw text", "tokens": "words"}
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row.second_seconds:
            lines.append((f"{row.contender}, cold", ways[row.way], _rate(row.tokens, row.first_seconds), "–", "–"))
            lines.append(
                (f"{row.contender}, a second pass", ways[row.way], _rate(row.tokens, row.second_seconds), "–", "–")
            )
        else:
            first, second = _times(row, rows[0].first_seconds), _times(row, rows[0].second_seconds)
            lines.append((row.contender, ways[row.way], _rate(row.tokens, row.first_seconds), f"**{first}**", second))
    return markdown(head, lines)


def memory_line(rows: Sequence[ColdRow]) -> str:
    """What a pass adds to the memory of ours, in words."""
    grown = median(rows[0].grown) / 2**20
    return f"Memory that a pass adds, its text and its answer included: {grown:,.0f} MiB."


def _rate(tokens: int, seconds: Sequence[float]) -> str:
    speed = Spread.of([tokens / each for each in seconds])
    return f"{speed.median:,.0f} ({speed.low:,.0f} – {speed.high:,.0f})"


def _times(peer: ColdRow, ours: Sequence[float]) -> str:
    ratio = Spread.of([theirs / mine for theirs, mine in zip(peer.first_seconds, ours, strict=True)])
    return f"{ratio.median:.1f} ({ratio.low:.1f} – {ratio.high:.1f})"
