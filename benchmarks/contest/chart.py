"""Tokens a second as bars, one a contender; a line across the end of a bar spans the slowest and the fastest round.

A picture by itself, with colours of its own for light and for dark; otherwise as those of ``training/report/plots.py``.
"""

from collections.abc import Sequence
from html import escape

from benchmarks.contest.rounds import Row
from benchmarks.contest.table import rates
from fenestra.training.report.plots import nice_ticks

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.head{font-weight:600}.tick{fill:#777}.grid{stroke:#ddd}"
    ".bar{fill:#9ab}.ours{fill:#2266aa}.spread{stroke:#333;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.tick{fill:#999}.grid{stroke:#444}.bar{fill:#678}.ours{fill:#59d}"
    ".spread{stroke:#ddd}}"
)
_LEFT, _WIDTH, _RIGHT, _BAR, _HEAD = 190, 460, 80, 20, 30
_BATCHES = {"large": "all together", "single": "a sentence a call"}


def bars(rows: Sequence[Row], title: str) -> str:
    """Draw the rows, those of equal threads and batch under one heading, all to one scale.

    Args:
        rows: one or more, each of one round or more.
        title: said to those who cannot see the picture.
    """
    ticks = nice_ticks(0, max(rates(row).high for row in rows))
    parts, y = [], 8
    for threads, batch in dict.fromkeys((row.threads, row.batch) for row in rows):
        heading = f"{threads} thread{'s' if threads > 1 else ''}, {_BATCHES[batch]}"
        parts.append(_text("head", 8, y + 16, heading, "start"))
        y += _HEAD
        for row in rows:
            if (row.threads, row.batch) == (threads, batch):
                parts.append(_bar(row, y, ticks[-1]))
                y += _BAR
        y += 8
    grid = "".join(f'<path class="grid" d="M{_x(t, ticks[-1]):.1f} 8V{y}"/>' for t in ticks)
    axis = "".join(_text("tick", _x(tick, ticks[-1]), y + 16, f"{tick:,.0f}") for tick in ticks)
    width, height = _LEFT + _WIDTH + _RIGHT, y + 42
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"{grid}{''.join(parts)}{axis}{_text('tick', _LEFT + _WIDTH / 2, y + 34, 'tokens a second')}</svg>\n"
    )


def _bar(row: Row, y: int, most: float) -> str:
    speed, middle = rates(row), y + _BAR / 2
    label = f"{row.contender}, {'raw text' if row.way == 'raw' else 'tokens'}"
    low, end, high = (_x(value, most) for value in (speed.low, speed.median, speed.high))
    return (
        _text("", _LEFT - 8, middle + 4, label, "end")
        + f'<rect class="bar{" ours" * row.contender.startswith("ours")}" x="{_LEFT}" y="{y + 3}" '
        f'width="{end - _LEFT:.1f}" height="{_BAR - 6}"/>'
        f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>'
        + _text("", high + 6, middle + 4, f"{speed.median:,.0f}", "start")
    )


def _x(value: float, most: float) -> float:
    return _LEFT + value / most * _WIDTH


def _text(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
