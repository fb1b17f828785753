"""Entities as a function of DuckDB's SQL; needs the extra ``duckdb``.

>>> import duckdb
>>> from fenestra.integrations.duckdb import register
>>> connection = duckdb.connect()
>>> tagger = register(connection)
>>> connection.sql("SELECT unnest(entities('It rained in London.')).label").fetchall()
[('LOC',)]
"""

from functools import partial
from pathlib import Path
from typing import Any

from fenestra.extras import missing
from fenestra.integrations.taggers import shared_tagger
from fenestra.model.columns import Unit, check_unit
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger

try:
    import duckdb
except ModuleNotFoundError as error:
    raise missing("duckdb", error) from error

TYPE = 'STRUCT("start" INTEGER, "end" INTEGER, label VARCHAR, score DOUBLE)[]'
"""Of the answer; null for a null."""


def register(
    connection: duckdb.DuckDBPyConnection,
    model: str | Path | Tagger = "english",
    name: str = "entities",
    *,
    words: bool = False,
    offsets: Unit = "codepoint",
) -> Tagger:
    """Make a function of SQL that takes a text and gives its entities: those of :meth:`Tagger.tag`, to the bit.

    DuckDB calls it with some thousand rows at a time, from as many threads as it works with. A connection may have
    several, each with a name, a model and a unit of its own; its cursors have them too.

    Args:
        connection: where to, or the module ``duckdb`` for its default connection.
        model: a bundled model, a checkpoint folder, or a tagger. A model that is named is opened once a process.
        name: of the function. ``connection.remove_function(name)`` takes it away.
        words: it takes sentences that are words already, ``VARCHAR[]``, and offsets count words.
        offsets: what those of texts count: ``codepoint``, as DuckDB's own functions of strings do; ``utf8`` (bytes),
            ``utf16``.

    Returns:
        The tagger that the function calls.

    Raises:
        InputError: there is no such model, or the name is empty.
        ValueError: ``offsets`` is none of these units.
        duckdb.Error: the connection has a function of that name.
    """
    if not name:
        raise InputError("name: expected that of a function, got an empty one")
    check_unit(offsets)
    tagger = shared_tagger(model)
    connection.create_function(
        name, partial(_entities, tagger, offsets), ["VARCHAR[]" if words else "VARCHAR"], TYPE,
        type="arrow", null_handling="special",
    )  # fmt: skip
    return tagger


def _entities(tagger: Tagger, offsets: Unit, texts: Any) -> Any:  # noqa: ANN401 - of pyarrow; DuckDB looks at these
    return tagger.tag_arrow(texts, offsets=offsets)
