"""Spark over many texts: ``python -m benchmarks.integrations.spark``; needs Java.

40,000 texts of 20 words that do not repeat, in eight partitions on two cores of this machine. Spark's own processes
cost far more than the entities, so there is nothing to compare with. Prints rows (:mod:`benchmarks.integrations.rows`).
"""

import argparse
import os
import sys
from typing import Any

import pyspark
from pyspark.sql import DataFrame, SparkSession

import fenestra
from benchmarks.integrations.rows import Row, lines_of, some_texts
from fenestra.integrations.spark import entities, entities_of, with_entities


def entities_in(frame: DataFrame) -> list[list[tuple[Any, ...]]]:
    """Of all rows, in order."""
    rows = sorted(frame.select("id", "entities").collect(), key=lambda row: row.id)
    return [[tuple(entity) for entity in row.entities] for row in rows]


def main() -> None:
    """Run and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=40_000)
    texts = some_texts(parser.parse_args().texts)
    expected = [[(e.start, e.end, e.label, e.score) for e in found] for found in fenestra.load().tag(texts)]
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    news = spark.createDataFrame(list(enumerate(texts)), "id int, body string").repartition(8)
    tag = entities_of("english", "body")
    ways = {
        "`entities()(\"body\")`": news.withColumn("entities", entities()("body")),
        "`mapInArrow(entities_of(…))`": news.mapInArrow(tag, with_entities(news.schema)),
        "`mapInPandas(entities_of(…))`": news.mapInPandas(tag, with_entities(news.schema)),
    }  # fmt: skip
    lines = lines_of("fenestra/integrations/spark.py")
    for what, frame in ways.items():
        print(Row("Spark", pyspark.__version__, what, len(texts), entities_in(frame) == expected, "-", lines))
    spark.stop()


if __name__ == "__main__":
    main()
