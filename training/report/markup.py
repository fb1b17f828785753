"""The building blocks of report pages: a frame with its style, cards, tables. No page needs another file.

``report.html`` beside this module holds the frame. What is called text is escaped here; what is called HTML is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

_FRAME = Path(__file__).with_name("report.html")


def frame(*, title: str, name: str, summary: str, body: str) -> str:
    """A whole page: title, heading and summary are text, the body is HTML."""
    entries = {"title": escape(title), "name": escape(name), "summary": escape(summary), "body": body}
    return Template(_FRAME.read_text(encoding="utf-8")).substitute(entries)


def tiles(figures: Iterable[tuple[str, str, str]]) -> str:
    """A row of large figures: value, name, and a further line; all text."""
    return "".join(
        f'<div class="tile"><span>{escape(what)}</span><b>{escape(value)}</b><span>{escape(more)}</span></div>'
        for value, what, more in figures
    )


def card(title: str, body: str) -> str:
    """A titled box around some HTML."""
    return f'<div class="card"><h3>{escape(title)}</h3>{body}</div>'


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names and texts of nested values.

    >>> flatten({"model": {"hidden": [300, 100], "context": 2}})
    [('model.hidden', '300, 100'), ('model.context', '2')]
    """
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            found.append((f"{prefix}{key}", f"{value:.6g}"))
        elif isinstance(value, list | tuple | Mapping):
            found.append((f"{prefix}{key}", ", ".join(map(str, value)) or "none"))
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found


def pairs(fields: Iterable[tuple[str, str]]) -> str:
    """A table of field names and values, as :func:`flatten` gives them."""
    rows = [("", [f"<code>{escape(name)}</code>", escape(text)]) for name, text in fields]
    return table(("field", "value"), rows, numbers=0)


def table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], *, numbers: int) -> str:
    """Lay out cells that are HTML already; the last ``numbers`` columns are right-aligned."""
    left = len(head) - numbers

    def cells(kind: str, texts: Sequence[str]) -> str:
        styled = (f' class="{"n" if place >= left else "wrap"}"' for place in range(len(texts)))
        return "".join(f"<{kind}{style}>{text}</{kind}>" for style, text in zip(styled, texts, strict=True))

    body = "".join(f'<tr class="{style}">{cells("td", texts)}</tr>' for style, texts in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def duration(seconds: float) -> str:
    """Seconds, or minutes, or hours and minutes.

    >>> duration(61), duration(600), duration(9000)
    ('61 s', '10 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
