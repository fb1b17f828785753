"""From what the rounds measured to a table: medians, their spread, and ratios within a round."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contest.entrants import COLUMNAR, OURS
from benchmarks.contest.rounds import Row

_WAYS = {"raw": "raw text", "tokens": "tokens"}
_BATCHES = {"large": "all together", "single": "a sentence a call"}
_HEAD = (
    "", "from", "tokens/s", "min – max", "F1", "ours is … times as fast", "columnar is …", "first pass, tokens/s",
    "batch",
)  # fmt: skip


class Spread(NamedTuple):
    """The median of some rounds, and the ends."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value or more."""
        return cls(median(values), min(values), max(values))


def rates(row: Row) -> Spread:
    """Tokens a second."""
    return Spread.of([row.tokens / seconds for seconds in row.seconds])


def ratio(row: Row, rows: Iterable[Row], of: str = OURS) -> Spread | None:
    """How many times as fast ours is that is given the same in the same way, round by round.

    ``of`` names one of ours. None for ours itself, and where that one is not there.
    """
    if row.contender == OURS:
        return None
    same = [r for r in rows if (r.contender, r.way, r.batch, r.threads) == (of, row.way, row.batch, row.threads)]
    if not same or row.contender == of:
        return None
    (ours,) = same
    pairs = zip(row.seconds, ours.seconds, strict=True)
    return Spread.of([theirs / mine * ours.tokens / row.tokens for theirs, mine in pairs])


def render(figures: Mapping[str, Any], rows: Sequence[Row], calls: Sequence[Mapping[str, Any]]) -> str:
    """All tables, as Markdown."""
    parts = [
        f"{figures['corpus']}: {figures['documents']:,} documents, {figures['sentences']:,} sentences, "
        f"{figures['tokens']:,} tokens, {figures['copies']} times; {figures['rounds']} rounds; "
        f"{figures['machine']}, load {figures['load']:.2f} at the start"
    ]
    for threads, batch in dict.fromkeys((row.threads, row.batch) for row in rows):
        some = [row for row in rows if (row.threads, row.batch) == (threads, batch)]
        title = f"**{threads} thread{'s' if threads > 1 else ''}, {_BATCHES[batch]}**"
        parts.append(f"{title}\n\n" + markdown(_HEAD, [_cells(row, rows) for row in some]))
    if calls:
        head = ("one sentence of 20 tokens, ms", "from", "median", "p90", "p99", "calls")
        lines = [
            (call["contender"], _WAYS[call["way"]], *(f"{call[p]:.3f}" for p in ("p50", "p90", "p99")), call["calls"])
            for call in calls
        ]
        parts.append(markdown(head, lines))
    return "\n\n".join(parts)


def markdown(head: Sequence[object], lines: Iterable[Sequence[object]]) -> str:
    """A table whose first column is text and the others are ranged right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *lines))


def _cells(row: Row, rows: Sequence[Row]) -> list[str]:
    speed, times = rates(row), ratio(row, rows)
    first = Spread.of([row.first_tokens / seconds for seconds in row.first_seconds]) if row.first_seconds else None
    return [
        row.contender,
        _WAYS[row.way],
        f"{speed.median:,.0f}",
        f"{speed.low:,.0f} – {speed.high:,.0f}",
        f"{row.f1:.2f}",
        _written(times, lambda value: f"{value:.2f}"),
        _written(ratio(row, rows, COLUMNAR), lambda value: f"{value:.2f}"),
        _written(first, lambda value: f"{value:,.0f}"),
        _batch(row.settings),
    ]


def _written(spread: Spread | None, number: Callable[[float], str]) -> str:
    return f"{number(spread.median)} ({number(spread.low)} – {number(spread.high)})" if spread else "–"


def _batch(settings: Mapping[str, Any]) -> str:
    if not settings:
        return "–"
    return f"{settings['batch_size']}" + (f", {n} processes" if (n := settings["processes"]) > 1 else "")
