"""Rows of Parquet files. Needs pyarrow, which the extra ``bulk`` brings."""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fenestra.cli.places import is_remote, open_bytes
from fenestra.model.errors import DataError

_MOST_ROWS = 10_000


def row_chunks(path: Path, size: int) -> Iterator[tuple[bytes, int, float]]:
    """Read a file in pieces of about ``size`` bytes: Arrow streams, how many rows each holds, and their share of all.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
        OSError: it is damaged further on.
    """
    if not find_spec("pyarrow"):
        way = "pip install 'fenestra-ner[bulk]', or in the source folder: pip install '.[bulk]'"
        raise DataError(f"{path}: Parquet needs pyarrow; install the extra: {way}")
    import pyarrow
    from pyarrow import parquet

    try:
        source = open_bytes(path) if is_remote(path) else path
        file = parquet.ParquetFile(source, memory_map=False, pre_buffer=False)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({_reason(error)})") from error
    with file:
        names = file.schema_arrow.names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DataError(f"{path}: the column {twice[:40]!r} is there twice")
        about = file.metadata
        row_bytes = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        rows = min(max(size * about.num_rows // max(row_bytes, 1), 1), _MOST_ROWS)
        try:
            for batch in file.iter_batches(batch_size=rows, use_threads=False):
                sink = pyarrow.BufferOutputStream()
                with pyarrow.ipc.new_stream(sink, batch.schema) as stream:
                    stream.write_batch(batch)
                yield sink.getvalue().to_pybytes(), batch.num_rows, batch.num_rows / about.num_rows
        except pyarrow.ArrowException as error:
            raise OSError(0, f"truncated or damaged Parquet file: {_reason(error)}") from error


def rows_of(data: bytes) -> Iterator[dict[str, Any] | str]:
    """The rows of a piece, as values that JSON has: times in ISO 8601, decimals and UUIDs as strings.

    Bytes stay what they are: JSON has none. A row with a value that Python cannot have comes as what is wrong with it.
    """
    if not data:
        return
    import pyarrow

    with pyarrow.ipc.open_stream(data) as stream:
        for batch in stream:
            columns = [_readable(column) for column in batch.columns]
            for row in range(batch.num_rows):
                name = ""
                try:
                    found = {}
                    for name, column in zip(batch.schema.names, columns, strict=True):
                        found[name] = _plain(column[row].as_py())
                except (ValueError, OverflowError, KeyError, pyarrow.ArrowException) as error:
                    yield f"{name[:40]}: {_reason(error)}"
                else:
                    yield found


def _readable(column: Any) -> Any:  # noqa: ANN401
    """A column; of nanoseconds, which Python's own times cannot have, times as text and durations as their number."""
    import pyarrow

    is_time = pyarrow.types.is_temporal(column.type) and not pyarrow.types.is_duration(column.type)
    if is_time and getattr(column.type, "unit", "") == "ns" and getattr(column.type, "tz", None) is None:
        texts = column.cast(pyarrow.string())
        return pyarrow.array([text.as_py() and text.as_py().replace(" ", "T") for text in texts], pyarrow.string())
    return column.cast(pyarrow.int64()) if column.type == pyarrow.duration("ns") else column


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | uuid.UUID | datetime.timedelta):
        return str(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, tuple):  # an entry of a map
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
