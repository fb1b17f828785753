"""Entities as a column of Spark; needs the extra ``spark``, and Fenestra wherever Python workers run.

    from fenestra.integrations.spark import entities

    frame.withColumn("found", entities()("body"))
    spark.udf.register("entities", entities("russian"))        # for SQL

:func:`entities_of` is what ``DataFrame.mapInArrow`` and ``DataFrame.mapInPandas`` take. Each Python worker opens the
model once, and computes on one thread: Spark has a worker for each core.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fenestra.extras import missing
from fenestra.integrations.taggers import shared_tagger
from fenestra.model.bundled import find_model
from fenestra.model.columns import Unit, check_unit
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger

try:
    import pyarrow
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import ArrayType, DoubleType, IntegerType, StringType, StructType
except ModuleNotFoundError as error:
    raise missing("spark", error) from error

from fenestra.model.arrow import ENTITIES  # which needs pyarrow, too

_ENTITY = StructType().add("start", IntegerType()).add("end", IntegerType()).add("label", StringType())
TYPE = ArrayType(_ENTITY.add("score", DoubleType()))
"""Of the answer; null for a null."""
Batches = Iterator[Any]
"""Of record batches, or of data frames of pandas."""


def entities(model: str | Path | Tagger = "english", *, offsets: Unit = "codepoint") -> Callable[..., Any]:
    """A function of columns that gives the entities of each text, or of each list of words.

    They are those of :meth:`Tagger.tag`, to the bit.

    Args:
        model: a bundled model, or a checkpoint folder that every worker sees under this path; of a tagger, that is the
            folder that it was loaded from.
        offsets: what those of texts count: ``codepoint``, as ``substring`` does; ``utf8`` (bytes), ``utf16``.

    Raises:
        InputError: there is no bundled model of that name, or the tagger was not loaded from a folder.
        ValueError: ``offsets`` is none of these units.
    """
    named = _named(model, offsets)

    def entities(texts: pyarrow.Array) -> pyarrow.Array:
        return shared_tagger(named, threads=1).tag_arrow(texts, offsets=offsets)

    column_function: Callable[..., Any] = arrow_udf(entities, TYPE)
    return column_function


def entities_of(
    model: str | Path | Tagger = "english", column: str = "text", *, offsets: Unit = "codepoint"
) -> Callable[[Batches], Batches]:
    """What ``mapInArrow`` and ``mapInPandas`` take: batches go out with one more column, ``entities``.

    :func:`with_entities` is the schema to go with it. Arguments and errors are as of :func:`entities`; the texts are
    in ``column``.
    """
    return partial(_tag_batches, _named(model, offsets), column, offsets)


def with_entities(schema: StructType) -> StructType:
    """The schema of a frame, which stays as it is, with the column ``entities`` besides."""
    return StructType([*schema.fields]).add(ENTITIES, TYPE)


def _named(model: str | Path | Tagger, offsets: Unit) -> str | Path:
    """What a worker opens; says what is wrong before a job begins."""
    check_unit(offsets)
    if isinstance(model, Tagger):
        if model.folder is None:
            raise InputError("model: this tagger was not loaded from a folder, which workers could open")
        return model.folder.absolute()
    if not isinstance(model, str | Path):
        raise TypeError(f"model: expected a name, a folder or a Tagger, got {type(model).__name__}")
    find_model(str(model))
    return model


def _tag_batches(model: str | Path, column: str, offsets: Unit, batches: Batches) -> Batches:
    tagger = shared_tagger(model, threads=1)
    for batch in batches:
        if isinstance(batch, pyarrow.RecordBatch):
            yield tagger.tag_arrow(batch, column=column, offsets=offsets)
        else:
            texts = pyarrow.array(batch[column], from_pandas=True)
            yield batch.assign(**{ENTITIES: tagger.tag_arrow(texts, offsets=offsets).to_pylist()})
