"""A result as HTML: what a notebook shows. The colours are those of the service's page (``tones.css``)."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_USUAL = ("PER", "LOC", "ORG", "MISC")  # these keep their colours whatever else a model knows
_TONES = (
    ("#fbe6b0", "#7a4f00"), ("#cdeadb", "#14603c"), ("#d5e3fa", "#274f93"), ("#eadcf7", "#653493"),
    ("#fbdbd5", "#93331d"), ("#cfeaee", "#115f69"), ("#f9dbea", "#8d2a5d"), ("#e4e7c4", "#545a0b"),
)  # fmt: skip
"""Paper and ink of each label."""


def joined(piece: str | Sequence[str]) -> str:
    """A part of a text, or of a sentence of words, as a string."""
    return piece if isinstance(piece, str) else " ".join(piece)


def draw(source: str | Sequence[str], entities: Iterable[Any]) -> str:
    """A text, or words, with the entities marked; everything that was tagged is escaped."""
    labels = [*_USUAL, *sorted({entity.label for entity in entities} - set(_USUAL))]
    pieces, before = [], 0
    for entity in entities:
        paper, ink = _TONES[labels.index(entity.label) % len(_TONES)]
        pieces += [
            escape(joined(source[before : entity.start])),
            f'<mark style="background:{paper};color:{ink};padding:.1em .3em;border-radius:.3em" '
            f'title="{entity.score:.2f}">{escape(entity.text)} <small>{escape(entity.label)}</small></mark>',
        ]
        before = entity.end
    pieces.append(escape(joined(source[before:])))
    between = "" if isinstance(source, str) else " "
    return f'<div style="white-space:pre-wrap;line-height:1.8">{between.join(pieces)}</div>'
