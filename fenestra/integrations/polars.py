"""Entities as an expression of Polars; needs the extra ``polars``.

>>> import polars
>>> from fenestra.integrations.polars import entities
>>> news = polars.LazyFrame({"body": ["It rained in London."]})
>>> news.select(found=entities("body").list.first().struct.field("label")).collect().item()
'LOC'

When this module is imported, every expression has the same as a method: ``polars.col("body").fenestra.entities()``.
"""

from functools import partial
from pathlib import Path

from fenestra.extras import missing
from fenestra.integrations.taggers import shared_tagger
from fenestra.model.columns import Unit, check_unit
from fenestra.model.tagger import Tagger

try:
    import polars
except ModuleNotFoundError as error:
    raise missing("polars", error) from error

ENTITY = polars.Struct({"start": polars.Int32, "end": polars.Int32, "label": polars.String, "score": polars.Float64})
TYPE = polars.List(ENTITY)
"""Of the answer; null for a null."""


def entities(
    column: str | polars.Expr, model: str | Path | Tagger = "english", *, offsets: Unit = "codepoint"
) -> polars.Expr:
    """The entities of each text of a column, or of each list of words: those of :meth:`Tagger.tag`, to the bit.

    As every expression, it keeps the name of its column until it is given another one. It may run lazily, on a part of
    the rows at a time, and in several threads.

    Args:
        column: its name, or an expression. Texts are ``String``, ``Categorical`` or ``Enum``; of a categorical, each
            text is tagged once.
        model: a bundled model, a checkpoint folder, or a tagger. A model that is named is opened once a process.
        offsets: what those of texts count: ``codepoint``, as ``str.slice`` does; ``utf8`` (bytes), ``utf16``.

    Raises:
        TypeError: ``column`` is neither.
        InputError: there is no such model.
        ValueError: ``offsets`` is none of these units.
    """
    if not isinstance(column, str | polars.Expr):
        raise TypeError(f"column: expected a name or an expression, got {type(column).__name__}")
    check_unit(offsets)
    tag = partial(_entities, shared_tagger(model), offsets)
    expression = polars.col(column) if isinstance(column, str) else column
    return expression.map_batches(tag, return_dtype=TYPE, is_elementwise=True)


@polars.api.register_expr_namespace("fenestra")
class Namespace:
    """What expressions of Polars have under ``.fenestra``."""

    def __init__(self, expression: polars.Expr) -> None:
        self._expression = expression

    def entities(self, model: str | Path | Tagger = "english", *, offsets: Unit = "codepoint") -> polars.Expr:
        """As :func:`entities`."""
        return entities(self._expression, model, offsets=offsets)


def _entities(tagger: Tagger, offsets: Unit, texts: polars.Series) -> polars.Series:
    return polars.Series(texts.name, tagger.tag_arrow(texts, offsets=offsets), TYPE)
