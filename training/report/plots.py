"""The report's pictures as SVG, drawn here in a few lines each.

Plain shapes with class names and no colours: the page's style sheet colours them, so they are as readable in the
dark as in the light, stay sharp at any size, and the same numbers always give the same bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

_WIDTH, _HEIGHT = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 16, 42


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name, its values from x = 1 on, and the style sheet's class for it."""

    name: str
    values: Sequence[float]
    style: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The coordinates of a picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: int = _WIDTH
    height: int = _HEIGHT

    def x(self, value: float) -> float:
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)


def line_chart(title: str, lines: Sequence[Line], *, x_label: str, mark: int | None = None) -> str:
    """Draw curves over the whole numbers from 1.

    Args:
        title: for screen readers.
        lines: of equal length, one value or more.
        x_label: what is counted.
        mark: a number to draw a dashed upright line at.
    """
    count = len(lines[0].values)
    ticks = nice_ticks(min(min(line.values) for line in lines), max(max(line.values) for line in lines))
    frame = _Frame(1, max(count, 2), ticks[0], ticks[-1])
    parts = [_horizontal_grid(frame, ticks), _whole_numbers(frame, count), _axis_title(frame, x_label)]
    if mark is not None:
        parts.append(f'<path class="mark" d="M{frame.x(mark):.1f} {_TOP}V{frame.height - _BOTTOM}"/>')
    for line in lines:
        places = [(frame.x(number), frame.y(value)) for number, value in enumerate(line.values, start=1)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
        if count == 1:  # a line of one point shows nothing
            parts.append(_dot(line.style, *places[0]))
    return _svg(title, parts, frame.width, frame.height)


def heat_map(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix: a cell is the darker, the larger its share of its row.

    Args:
        title: for screen readers.
        labels: of rows (gold) and columns (predicted).
        counts: K × K.
    """
    cell, margin, head = 68, 90, 40
    side = cell * len(labels)
    parts = [_text("axis", margin + side / 2, 14, "predicted"), _text("axis", 4, head - 6, "gold", "start")]
    for row, (label, numbers) in enumerate(zip(labels, counts, strict=True)):
        y, total, name = head + row * cell, sum(numbers) or 1, _short(label)
        parts.append(_text("tick", margin - 8, y + cell / 2 + 4, name, "end"))
        parts.append(_text("tick", margin + (row + 0.5) * cell, head - 8, name))
        parts += [_cell(margin + column * cell, y, cell - 3, n, n / total) for column, n in enumerate(numbers)]
    return _svg(title, parts, margin + side + 8, head + side + 8)


def reliability_chart(title: str, bins: Sequence[tuple[float, float, int, float | None, float | None]]) -> str:
    """Draw how often entities of a score are right, and how many there are, beside the diagonal they should be on.

    Args:
        title: for screen readers.
        bins: low, high, count, mean score, accuracy of each; the last two are None where the count is 0.
    """
    frame = _Frame(0, 1, 0, 1, width=420, height=340)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    parts = [_horizontal_grid(frame, ticks, percent=True), _axis_title(frame, "score of the entity")]
    parts += [_x_tick(frame, tick, f"{tick:.0%}") for tick in ticks]
    largest = max((count for _, _, count, _, _ in bins), default=0)
    for low, high, count, mean, accuracy in bins:
        if mean is not None and accuracy is not None:
            parts.append(_bar(frame, low, high, accuracy, math.sqrt(count / largest), f"{count:,} entities"))
            parts.append(_dot("second", frame.x(mean), frame.y(accuracy)))
            parts.append(_text("tick", frame.x((low + high) / 2), frame.y(accuracy) - 7, f"{count:,}"))
    parts.append(f'<path class="mark" d="M{frame.x(0):.1f} {frame.y(0):.1f}L{frame.x(1):.1f} {frame.y(1):.1f}"/>')
    return _svg(title, parts, frame.width, frame.height)


def search_chart(title: str, trials: Sequence[tuple[float | None, bool]], *, x_label: str) -> str:
    """Draw the scores of trials, a dot each, and the best so far as a line.

    The axis ends as far below the median of the complete trials as twice the best is above it; lower trials are drawn
    at that end. One very poor trial would otherwise flatten all others.

    Args:
        title: for screen readers.
        trials: score of each, None for a failed one, and whether it is complete; one complete or more.
        x_label: what is counted.
    """
    ticks = _score_ticks([score for score, whole in trials if whole and score is not None])
    frame = _Frame(1, max(len(trials), 2), ticks[0], ticks[-1])
    parts = [_horizontal_grid(frame, ticks), _whole_numbers(frame, len(trials)), _axis_title(frame, x_label)]
    best = -math.inf
    steps: list[str] = []
    for number, (score, whole) in enumerate(trials, start=1):
        if score is None:
            continue
        y = frame.y(min(max(score, ticks[0]), ticks[-1]))
        parts.append(_dot("first" if whole else "third", frame.x(number), y))
        if whole and score > best:
            best = score
            steps.append(f"H{frame.x(number):.1f}V{y:.1f}" if steps else f"M{frame.x(number):.1f} {y:.1f}")
    parts.append(f'<path class="line second" d="{"".join(steps)}H{frame.x(len(trials)):.1f}"/>')
    return _svg(title, parts, frame.width, frame.height)


def scatter_chart(
    title: str,
    dots: Sequence[tuple[float, float]],
    ticks: Sequence[tuple[float, str]],
    *,
    x_label: str,
) -> str:
    """Draw scores over the values that led to them, the best one highlighted; low scores as in :func:`search_chart`.

    Args:
        title: for screen readers.
        dots: value and score of each; one or more.
        ticks: places on the axis of values and what is written there; the first and the last are its ends.
        x_label: what the values are of.
    """
    scores = _score_ticks([score for _, score in dots])
    (low, _), (high, _) = ticks[0], ticks[-1]
    margin = (high - low) * 0.08 or 1.0
    frame = _Frame(low - margin, high + margin, scores[0], scores[-1], width=420, height=240)
    parts = [_horizontal_grid(frame, scores), _axis_title(frame, x_label)]
    parts += [_x_tick(frame, place, label) for place, label in ticks]
    best = max(range(len(dots)), key=lambda place: dots[place][1])
    for place, (value, score) in enumerate(dots):
        y = frame.y(min(max(score, scores[0]), scores[-1]))
        parts.append(_dot("second" if place == best else "first", frame.x(value), y))
    return _svg(title, parts, frame.width, frame.height)


def bar_chart(title: str, shares: Mapping[str, float]) -> str:
    """Draw shares as bars that lie below each other.

    Args:
        title: for screen readers.
        shares: in [0, 1], by name.
    """
    row, margin, length, width = 28, 200, 260, 520
    largest = max(shares.values())
    parts = []
    for place, (name, share) in enumerate(shares.items()):
        y, size = 8 + place * row, length * share / largest
        parts.append(_text("tick", margin - 8, y + 14, _short(name, 30), "end"))
        parts.append(f'<rect class="bar" x="{margin}" y="{y}" width="{size:.1f}" height="{row - 8}" rx="3"/>')
        parts.append(_text("tick", margin + size + 6, y + 14, f"{share:.0%}", "start"))
    return _svg(title, parts, width, 16 + row * len(shares))


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that enclose an interval.

    >>> nice_ticks(0.013, 0.094)
    [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    digits = max(0, 2 - math.floor(math.log10(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, digits) for number in range(first, max(last, first + 1) + 1)]


def _score_ticks(scores: Sequence[float]) -> list[float]:
    """An axis that ends as far below the median as twice the best is above it."""
    middle, best = median(scores), max(scores)
    return nice_ticks(max(min(scores), middle - 2 * (best - middle)), best)


def _cell(x: float, y: float, size: int, number: int, share: float) -> str:
    """A cell of a heat map. The square root makes a few per cent of errors visible beside the large diagonal."""
    opacity, strong = 0.03 + 0.95 * math.sqrt(share), " strong" if share > 0.3 else ""
    middle = x + size / 2
    return (
        f'<rect class="heat" x="{x}" y="{y}" width="{size}" height="{size}" rx="4" fill-opacity="{opacity:.3f}"/>'
        + _text(f"count{strong}", middle, y + size / 2, f"{number:,}")
        + _text(f"share{strong}", middle, y + size / 2 + 15, f"{share:.1%}")
    )


def _bar(frame: _Frame, low: float, high: float, value: float, weight: float, hint: str) -> str:
    x, y = frame.x(low) + 2, frame.y(value)
    width, height = frame.x(high) - frame.x(low) - 4, frame.y(0) - y
    return (
        f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill-opacity="{0.25 + 0.65 * weight:.2f}"><title>{escape(hint)}, right {value:.1%}</title></rect>'
    )


def _horizontal_grid(frame: _Frame, ticks: Sequence[float], *, percent: bool = False) -> str:
    lines = []
    for tick in ticks:
        y = frame.y(tick)
        lines.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{frame.width - _RIGHT}"/>')
        lines.append(_text("tick", _LEFT - 8, y + 4, f"{tick:.0%}" if percent else f"{tick:g}", "end"))
    return "".join(lines)


def _whole_numbers(frame: _Frame, count: int) -> str:
    step = max(1, math.ceil(count / 10))
    return "".join(_x_tick(frame, number, str(number)) for number in range(1, count + 1, step))


def _x_tick(frame: _Frame, value: float, label: str) -> str:
    return _text("tick", frame.x(value), frame.height - _BOTTOM + 18, label)


def _axis_title(frame: _Frame, text: str) -> str:
    return _text("axis", (_LEFT + frame.width - _RIGHT) / 2, frame.height - 6, text)


def _dot(style: str, x: float, y: float) -> str:
    return f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _text(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(label: str, most: int = 11) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"


def _svg(title: str, parts: Sequence[str], width: int, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
