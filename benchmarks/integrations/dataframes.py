"""What DuckDB and Polars cost beside a plain call of ``tag_arrow``: ``python -m benchmarks.integrations.dataframes``.

40,000 texts of 20 words that do not repeat, in CPU seconds of the whole process, each way by turns on a tagger that has
just been opened; the least of some passes. What each way gives is compared with what ``tagger.tag`` does. Prints rows
(:mod:`benchmarks.integrations.rows`).
"""

import argparse
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb
import polars
import pyarrow as pa

import fenestra
from benchmarks.integrations.costs import timed
from benchmarks.integrations.rows import Row, lines_of, some_texts
from fenestra.integrations.duckdb import register
from fenestra.integrations.polars import entities

Way = Callable[[fenestra.Tagger, Any], Any]
QUERY = "SELECT entities(body) FROM news"


def plain(tagger: fenestra.Tagger, texts: pa.Array) -> pa.Array:
    """An array in, an array out."""
    return tagger.tag_arrow(texts)


def in_duckdb(tagger: fenestra.Tagger, texts: pa.Array) -> pa.ChunkedArray:
    """As a function of SQL."""
    news = pa.table({"body": texts})  # noqa: F841 - the query names it
    with duckdb.connect() as connection:
        register(connection, tagger)
        return connection.sql(QUERY).to_arrow_table().column(0)


def in_polars(tagger: fenestra.Tagger, texts: pa.Array, engine: str = "in-memory") -> pa.Array:
    """As an expression."""
    frame = polars.DataFrame({"body": texts}).lazy()
    return frame.select(entities("body", tagger)).collect(engine=engine).to_series().to_arrow()


WAYS: dict[str, Way] = {
    "plain": plain,
    "duckdb": in_duckdb,
    "polars": in_polars,
    "polars, streaming": partial(in_polars, engine="streaming"),
}


def seconds(way: Way, texts: pa.Array) -> tuple[float, Any]:
    """CPU time of one call, and what it gives."""
    tagger = fenestra.load("english", threads=1)
    return timed(lambda: way(tagger, texts))


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=40_000)
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    texts, tagger = some_texts(options.texts), fenestra.load("english", threads=1)
    expected = [[(e.start, e.end, e.label, e.score) for e in found] for found in tagger.tag(texts)]
    least, equal = dict.fromkeys(WAYS, math.inf), {}
    for _ in range(options.passes):
        for name, way in WAYS.items():
            took, found = seconds(way, pa.array(texts))
            least[name] = min(least[name], took)
            equal[name] = [[tuple(entity.values()) for entity in one] for one in found.to_pylist()] == expected
    print(", ".join(f"{name} {time:.2f} s" for name, time in least.items()))
    called = {
        "duckdb": ("DuckDB", duckdb.__version__, "`SELECT entities(body)`"),
        "polars": ("Polars", polars.__version__, "`entities(\"body\")`"),
        "polars, streaming": ("Polars", polars.__version__, "`entities(\"body\")`, streaming engine"),
    }  # fmt: skip
    for name, (client, version, what) in called.items():
        lines = lines_of(f"fenestra/integrations/{client.lower()}.py")
        cost = f"{least[name] / least['plain'] - 1:+.1%} CPU beside `tag_arrow`"
        print(Row(client, version, what, len(texts), equal[name], cost, lines))


if __name__ == "__main__":
    main()
