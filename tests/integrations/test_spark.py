"""Spark, one machine with two cores: the entities of every text are those of the tagger, to the last bit."""

import os
import pickle
import shutil
import sys

import pytest

import fenestra

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("Spark needs Java, and there is none", allow_module_level=True)

from fenestra.integrations.spark import TYPE, entities, entities_of, with_entities  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark.*", "ignore:.*pandas.*:FutureWarning")


@pytest.fixture(scope="module")
def spark():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
            patch.setenv(name, sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = pyspark.sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "100")  # several for each worker
        session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
        session.sparkContext.setLogLevel("OFF")  # what fails on purpose is not worth a thousand lines
        yield session
        session.stop()


@pytest.fixture(scope="module")
def rows(texts):
    return [*texts, None, "", "😀", None]


@pytest.fixture(scope="module")
def expected(tagger, rows):
    return [None if text is None else [(e.start, e.end, e.label, e.score) for e in tagger(text)] for text in rows]


@pytest.fixture(scope="module")
def news(spark, rows):
    return spark.createDataFrame(list(enumerate(rows)), "id int, body string").repartition(2)


def entities_in(frame, column="entities"):
    rows = sorted(frame.collect(), key=lambda row: row.id)
    return [None if row[column] is None else [tuple(entity) for entity in row[column]] for row in rows]


@pytest.mark.usefixtures("spark")
def test_the_page_shows_what_happens(try_section):
    try_section("arrow.md", "Spark")


def test_a_column_has_the_entities_of_the_tagger(news, expected):
    found = news.withColumn("entities", entities("english")("body"))
    assert found.schema["entities"].dataType == TYPE
    assert entities_in(found) == expected


@pytest.mark.parametrize("method", ["mapInArrow", "mapInPandas"])
def test_batches_go_out_with_one_more_column(news, expected, method):
    if method == "mapInPandas":
        pytest.importorskip("pandas", reason="pandas is not installed")
    found = getattr(news, method)(entities_of("english", "body"), with_entities(news.schema))
    assert found.columns == ["id", "body", "entities"]
    assert entities_in(found) == expected
    assert news.columns == ["id", "body"]


def test_a_query_has_them_too(spark, news, rows, expected):
    spark.udf.register("entities", entities())
    query = """
        SELECT id, substring(body, e.start + 1, e.end - e.start) AS name
        FROM (SELECT id, body, explode(found) AS e FROM tagged)
    """
    news.createOrReplaceTempView("news")
    spark.sql("SELECT id, body, entities(body) AS found FROM news").createOrReplaceTempView("tagged")
    shown = sorted((row.id, row.name) for row in spark.sql(query).collect())
    names = [(place, rows[place][start:end]) for place, found in enumerate(expected) for start, end, *_ in found or ()]
    assert shown == sorted(names)


def test_a_tagger_goes_by_its_folder(news, tagger, expected):
    assert entities_in(news.withColumn("entities", entities(tagger)("body"))) == expected


def test_sentences_may_be_words(spark, tagger):
    sentences = [["It", "rained", "in", "London"], None, []]
    frame = spark.createDataFrame(list(enumerate(sentences)), "id int, body array<string>")
    (first,) = tagger.tag_tokens(sentences[:1])
    expected = [[(e.start, e.end, e.label, e.score) for e in first], None, []]
    assert entities_in(frame.withColumn("entities", entities()("body"))) == expected


def test_no_rows_have_no_entities(news):
    assert news.limit(0).withColumn("entities", entities()("body")).collect() == []


def test_a_process_opens_the_model_once(tagger, rows, expected, monkeypatch):
    """Here it is this process; a Python worker that is used for several tasks is one too."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    batches = [pa.RecordBatch.from_pydict({"body": rows[:50]}), pa.RecordBatch.from_pydict({"body": rows[50:]})]
    opened, load = [], type(tagger).load
    monkeypatch.setattr(type(tagger), "load", lambda *given, **options: opened.append(given) or load(*given, **options))
    for model in ("english", tagger, "english"):
        tag = pickle.loads(pickle.dumps(entities_of(model, "body")))
        found = [one for batch in tag(iter(batches)) for one in batch["entities"].to_pylist()]
        assert [one and [tuple(entity.values()) for entity in one] for one in found] == expected
    assert len(opened) <= 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "welsh"}, fenestra.InputError, "'welsh' is not a folder here"),
        ({"model": 3}, TypeError, "model: expected a name, a folder or a Tagger, got int"),
        ({"model": fenestra.Tagger(fenestra.load().checkpoint)}, fenestra.InputError, "was not loaded from a folder"),
        ({"offsets": "words"}, ValueError, "offsets: expected codepoint, utf8, utf16, got 'words'"),
    ],
)
def test_a_wrong_argument_is_named_before_the_job(arguments, error, message):
    for function in (entities, entities_of):
        with pytest.raises(error, match=message):
            function(**arguments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda news: news.withColumn("e", entities()("id")), "TypeError: expected texts or lists of words, got"),
        (lambda news: news.withColumn("e", entities("./nowhere")("body")), "CheckpointError: .*nowhere: not a checkpo"),
        (
            lambda news: news.mapInArrow(entities_of("english", "text"), with_entities(news.schema)),
            "InputError: column 'text': expected one of that name, got 0 among 'id', 'body'",
        ),
    ],
)
def test_what_is_wrong_in_a_worker_is_the_last_line_of_the_error(news, wrong, message):
    with pytest.raises(pyspark.errors.PythonException, match=message):
        wrong(news).collect()
