"""A result as HTML: what a notebook shows. The colours are those of the service's page (``tones.css``)."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fenestra.model.results import Result

_USUAL = ("PER", "LOC", "ORG", "MISC")  # these keep their colours whatever else a model knows
_TONES = (
    ("#fbe6b0", "#7a4f00"), ("#cdeadb", "#14603c"), ("#d5e3fa", "#274f93"), ("#eadcf7", "#653493"),
    ("#fbdbd5", "#93331d"), ("#cfeaee", "#115f69"), ("#f9dbea", "#8d2a5d"), ("#e4e7c4", "#545a0b"),
)  # fmt: skip
"""Paper and ink of each label."""


def draw(result: "Result") -> str:
    """The text of a result with its entities marked; everything that was tagged is escaped."""
    source = result.source
    labels = [*_USUAL, *sorted({entity.label for entity in result} - set(_USUAL))]
    pieces, before = [], 0
    for entity in sorted(result):  # whoever has sorted them by score still sees the text in order
        paper, ink = _TONES[labels.index(entity.label) % len(_TONES)]
        pieces += [
            escape(_between(source, before, entity.start)),
            f'<mark style="background:{paper};color:{ink};padding:.1em .3em;border-radius:.3em" '
            f'title="{entity.score:.2f}">{escape(entity.text)} <small>{escape(entity.label)}</small></mark>',
        ]
        before = entity.end
    pieces.append(escape(_between(source, before, len(source))))
    between = "" if isinstance(source, str) else " "
    return f'<div style="white-space:pre-wrap;line-height:1.8">{between.join(pieces)}</div>'


def _between(source: str | Sequence[str], start: int, end: int) -> str:
    piece = source[start:end]
    return piece if isinstance(piece, str) else " ".join(piece)
