"""Arrow in, Arrow out: texts as columns of ``pyarrow``, their entities as lists of structures.

The bytes of an array are read where they lie, a few thousand tokens at a time, and entities are arrays of numbers until
the end; so there is no Python object for a text or an entity. Nulls are left out and stay null.

Y rows of an array that are items, or all of them · S sentences · M entities
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fenestra.model.columns import Columns
from fenestra.model.errors import InputError
from fenestra.model.text.joined import BadText, Joined, Texts, Words, cut

try:
    import pyarrow as pa
    from pyarrow import compute
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    way = "pip install 'fenestra-ner[arrow]', or in the source folder: pip install '.[arrow]'"
    raise ImportError(f"tag_arrow needs pyarrow, which is not installed: {way}") from error

ENTITIES = "entities"
"""The name of the column that tables get."""
STRUCT = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("score", pa.float64())])
TYPE = pa.list_(STRUCT)
"""Of the answer."""
_BYTES = 6  # of a token, about, with the space

_IS_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_IS_LIST = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip

Array = Any
"""Of pyarrow, which has no types."""
Tag = Callable[[Array, int], Array]
"""Tags an array; the number is that of its first row."""
Find = Callable[[Iterator[Joined]], Columns]
"""Finds the entities of joined texts or words."""


def opened(data: Any) -> Any:  # noqa: ANN401
    """An array or a chunked array of what holds one.

    Raises:
        TypeError: it holds none.
    """
    if isinstance(data, pa.Array | pa.ChunkedArray):
        return data
    try:
        if not isinstance(data, str | bytes | pa.Table | pa.RecordBatch | pa.RecordBatchReader | pa.Scalar):
            streams = hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__arrow_c_array__")
            return pa.chunked_array(data) if streams else pa.array(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise TypeError(f"expected an Arrow array of texts or of lists of words: {error}") from error
    hint = "; of a table, name the column" * isinstance(data, pa.Table | pa.RecordBatch | pa.RecordBatchReader)
    raise TypeError(f"expected an Arrow array of texts or of lists of words, got {type(data).__name__}{hint}")


def apply(tag: Tag, data: Any) -> Any:  # noqa: ANN401
    """Tag an array, or every chunk of one."""
    if isinstance(data, pa.ChunkedArray):
        return pa.chunked_array(list(_in_turn(tag, data.iterchunks())) or [tag(pa.array([], data.type), 0)], TYPE)
    return tag(data, 0)


def extend(tag: Tag, data: Any, column: str) -> Any:  # noqa: ANN401
    """Tag a column of a table, a record batch or a stream of these; what comes back has one column more.

    Raises:
        TypeError: it is nothing of the kind.
        InputError: it has no such column, or two of that name, or ``entities`` already.
    """
    if not isinstance(data, pa.Table | pa.RecordBatch):
        data = _reader(data)
    schema = data.schema
    if len(found := schema.get_all_field_indices(column)) != 1:
        have = ", ".join(map(repr, schema.names))
        raise InputError(f"column {column!r}: expected one of that name, got {len(found)} among {have}")
    if ENTITIES in schema.names:
        raise InputError(f"column {ENTITIES!r}: the entities go there, and there is one of that name")
    if isinstance(data, pa.Table | pa.RecordBatch):
        return data.append_column(ENTITIES, apply(tag, data.column(found[0])))
    check(schema.field(found[0]).type)
    given, kept = tee(data)
    made = _in_turn(tag, (batch.column(found[0]) for batch in given))
    batches = (batch.append_column(ENTITIES, entities) for batch, entities in zip(kept, made, strict=True))
    return pa.RecordBatchReader.from_batches(schema.append(pa.field(ENTITIES, TYPE)), batches)


def tag(array: Array, first: int, piece: int, find: Find) -> Array:
    """Tag an array whose first row is number ``first`` of what was given, ``piece`` tokens at a time, about.

    Raises:
        TypeError: these are neither texts nor lists of words.
        InputError: a word is null or empty, or a text is not UTF-8.
    """
    check(array.type)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        if len(array.dictionary) <= len(array):  # each text once
            return tag(array.dictionary, 0, piece, find).take(array.indices)
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), TYPE)
    row_Y = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)) if array.null_count else None
    name = partial(_row, first=first, row_Y=row_Y)
    found = find(_sentences(array, piece, name) if _is_list(array.type) else _texts(array, piece, name))
    return to_arrow(found, len(array), row_Y)


def check(kind: Any) -> None:  # noqa: ANN401
    """Refuse a type that is neither that of texts nor of lists of words; raises TypeError."""
    inner = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    inner = inner.value_type if _is_list(inner) else inner
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    if not (any(test(inner) for test in _IS_TEXT) or pa.types.is_null(inner)):
        of_table = "; of a table, name the column" * pa.types.is_struct(kind)
        raise TypeError(f"expected texts or lists of words, got an Arrow array of {kind}{of_table}")


def to_arrow(found: Columns, rows: int, row_Y: NDArray[np.int64] | None = None) -> Array:
    """Entities as an array of lists, one a row; ``row_Y`` is the row of each item, where some rows are null."""
    item_M = found.item_M if row_Y is None else row_Y[found.item_M]
    until_Y = np.concatenate([np.zeros(1, np.int64), np.bincount(item_M, minlength=rows).cumsum()])
    labels = pa.DictionaryArray.from_arrays(found.label_M, pa.array(found.labels, pa.string())).dictionary_decode()
    columns = [pa.array(found.start_M), pa.array(found.end_M), labels, pa.array(found.score_M)]
    mask = None
    if row_Y is not None:
        null_Y = np.ones(rows, np.bool_)
        null_Y[row_Y] = False
        mask = pa.array(null_Y)
    struct = pa.StructArray.from_arrays(columns, fields=list(STRUCT))
    return pa.ListArray.from_arrays(pa.array(until_Y, pa.int32()), struct, type=TYPE, mask=mask)


def _reader(data: Any) -> Any:  # noqa: ANN401
    """A stream of record batches."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise TypeError(f"expected a table, a record batch or a stream of these: {error}") from error
    raise TypeError(f"expected a table, a record batch or a stream of these, got {type(data).__name__}")


def _in_turn(tag: Tag, arrays: Iterable[Array]) -> Iterator[Array]:
    """Tag arrays that follow each other."""
    first = 0
    for array in arrays:
        yield tag(array, first)
        first += len(array)


def _texts(array: Array, piece: int, name: Callable[[int], str]) -> Iterator[Texts]:
    """The texts of an array, some thousand tokens at a time; nulls are left out."""
    data, edges = _bytes(array.cast(pa.large_string()).drop_null())
    each = np.arange(1, len(edges))  # of nothing there may not be any number either
    for first, end in cut(edges[1:] - edges[0] + _BYTES * each, piece * _BYTES):
        try:
            yield Texts.of_utf8(data[edges[first] : edges[end]], edges[first + 1 : end + 1] - edges[first])
        except BadText as error:
            raise InputError(f"{name(first + error.place)}: {error}") from error


def _sentences(array: Array, piece: int, name: Callable[[int], str]) -> Iterator[Words]:
    """The lists of words of an array, some thousand words at a time; nulls are left out."""
    length_S = compute.list_value_length(array).drop_null().to_numpy().astype(np.int64)
    words, word_S = array.flatten().cast(pa.large_string()), np.concatenate([np.zeros(1, np.int64), length_S.cumsum()])
    if words.null_count:
        null = int(words.is_null().to_numpy(zero_copy_only=False).argmax())
        raise InputError(f"{name(int(word_S.searchsorted(null, side='right')) - 1)}: a word is null")
    data, edges = _bytes(words)
    for first, end in cut(word_S[1:] + np.arange(1, len(word_S)), piece):
        here = edges[word_S[first] : word_S[end] + 1]
        try:
            yield Words.of_utf8(data[here[0] : here[-1]], here[1:] - here[0], length_S[first:end])
        except BadText as error:
            place = int(word_S.searchsorted(word_S[first] + error.place, side="right")) - 1
            raise InputError(f"{name(place)}: {error}") from error


def _bytes(strings: Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of ``large_string`` without nulls, and where each begins in them; then where the last one ends."""
    _, offsets, data = strings.buffers()
    if not len(strings):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    edges = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), edges


def _row(item: int, first: int, row_Y: NDArray[np.int64] | None) -> str:
    """The row of an item, in words."""
    return f"row {first + (item if row_Y is None else int(row_Y[item]))}"


def _is_list(kind: Any) -> bool:  # noqa: ANN401
    return any(test(kind) for test in _IS_LIST)
