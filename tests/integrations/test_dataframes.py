"""DuckDB, Polars and pandas: the entities of every text are those of the tagger, to the last bit."""

import io
import threading

import pytest

import fenestra

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

LOVELACE = "Ada Lovelace met Charles Babbage in London."
RAIN = "It rained in London."
UNITS = ("codepoint", "utf8", "utf16")


@pytest.fixture(scope="module")
def rows(texts):
    """Texts, some of them null or empty, in an order that is not theirs."""
    some = [*texts, None, "", None, "😀", *texts[::-3]]
    return [*some, None]


@pytest.fixture(scope="module")
def expected(tagger, rows):
    return [None if text is None else plain(tagger(text)) for text in rows]


def plain(entities):
    return [{"start": e.start, "end": e.end, "label": e.label, "score": e.score} for e in entities]


def counted(entities, text, unit):
    """The same with offsets in another unit."""

    def place(point):
        if unit == "codepoint":
            return point
        encoded = text[:point].encode("utf-16-le" if unit == "utf16" else "utf-8")
        return len(encoded) // (2 if unit == "utf16" else 1)

    return [{**e, "start": place(e["start"]), "end": place(e["end"])} for e in entities]


@pytest.mark.parametrize(
    ("heading", "needed"),
    [
        ("Columns: Arrow, DuckDB, Polars, Spark, pandas, Ray", "pyarrow"),
        ("DuckDB", "duckdb"),
        ("Polars", "polars"),
        ("pandas", "pandas"),
        ("Ray, and other pools of processes", "pyarrow"),
    ],
)
def test_the_page_shows_what_happens(try_section, heading, needed):
    pytest.importorskip(needed, reason=f"{needed} is not installed")
    try_section("arrow.md", heading)


class TestDuckDB:
    @pytest.fixture
    def duckdb(self):
        return pytest.importorskip("duckdb", reason="duckdb is not installed")

    @pytest.fixture
    def connection(self, duckdb):
        with duckdb.connect() as connection:
            yield connection

    @pytest.fixture
    def register(self, duckdb):
        from fenestra.integrations.duckdb import register

        return register

    def test_a_column_has_the_entities_of_the_tagger(self, connection, register, tagger, rows, expected):
        register(connection, tagger)
        news = pa.table({"id": range(len(rows)), "body": rows})  # noqa: F841 - the query names it
        found = connection.sql("SELECT entities(body) FROM news ORDER BY id").fetchall()
        assert [row[0] for row in found] == expected

    def test_a_large_table_is_tagged_in_several_threads(self, connection, register, tagger):
        register(connection, tagger)
        connection.execute("SET threads = 2")
        connection.execute(  # two row groups, each for one thread
            "CREATE TABLE news AS SELECT range AS id, CASE range % 4 WHEN 0 THEN NULL WHEN 1 THEN '' "
            "ELSE 'Ada Lovelace saw ' || range || ' ships in London.' END AS body FROM range(250_000)"
        )
        found = connection.sql("SELECT body, entities(body) AS e FROM news ORDER BY id").to_arrow_table()
        expected = tagger.tag_arrow(found.column("body"))
        assert found.column("e").to_pylist() == expected.to_pylist()
        assert found.column("e").null_count == 62_500

    def test_several_threads_may_each_have_a_cursor(self, connection, register, tagger, rows, expected):
        register(connection, tagger)
        connection.execute("CREATE TABLE news (id INTEGER, body VARCHAR)")
        connection.executemany("INSERT INTO news VALUES (?, ?)", list(enumerate(rows[:300])))
        found = {}

        def query(number):
            with connection.cursor() as cursor:
                found[number] = cursor.sql("SELECT entities(body) FROM news ORDER BY id").fetchall()

        threads = [threading.Thread(target=query, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[number] for number in range(4)] == [[(one,) for one in expected[:300]]] * 4

    def test_several_models_units_and_names_stand_side_by_side(self, connection, register, rows, expected):
        opened = register(connection)
        assert register(connection, "english", "in_bytes", offsets="utf8") is opened
        assert register(connection, "english", "in_units", offsets="utf16") is opened
        assert register(connection, "russian", "imena") is not opened
        news = pa.table({"id": range(len(rows)), "body": rows})  # noqa: F841 - the query names it
        found = connection.sql("SELECT entities(body), in_bytes(body), in_units(body) FROM news ORDER BY id").fetchall()
        for text, entities, row in zip(rows, expected, found, strict=True):
            shown = [None] * 3 if text is None else [counted(entities, text, unit) for unit in UNITS]
            assert list(row) == shown
        ((russian,),) = connection.sql("SELECT imena('Анна приехала в Москву.')").fetchall()
        assert russian == plain(fenestra.load("russian")("Анна приехала в Москву."))

    def test_sentences_may_be_words(self, connection, register, tagger):
        register(connection, tagger, words=True)
        found = connection.sql("SELECT entities(['It', 'rained', 'in', 'London']), entities(NULL), entities([])")
        assert found.fetchall() == [(plain(tagger.tag_tokens([["It", "rained", "in", "London"]])[0]), None, [])]

    @pytest.mark.parametrize("query", ["SELECT entities(body) FROM news", "SELECT entities(NULL::VARCHAR) FROM news"])
    def test_no_rows_have_no_entities(self, connection, register, tagger, query):
        register(connection, tagger)
        connection.execute("CREATE TABLE news (body VARCHAR)")
        assert connection.sql(query).fetchall() == []

    def test_the_type_is_the_one_that_arrow_has(self, connection, register, tagger):
        from fenestra.model.arrow import STRUCT

        register(connection, tagger)
        (kind,) = connection.sql("SELECT entities('')").to_arrow_table().schema.types
        assert kind.value_type == STRUCT

    def test_what_is_wrong_is_said_in_a_line(self, duckdb, connection, register, tagger):
        register(connection, tagger)
        register(connection, tagger, "of_words", words=True)
        errors = []
        for query in (
            "SELECT of_words(x) FROM (VALUES (['Ada', NULL])) AS t(x)",
            "SELECT of_words(x) FROM (VALUES (['Ada', ''])) AS t(x)",
        ):
            with pytest.raises(duckdb.InvalidInputException) as caught:
                connection.sql(query).fetchall()
            errors.append(str(caught.value))
        assert errors[0].endswith("InputError: row 0: a word is null")
        assert "row 0" in errors[1]
        assert all("\n" not in error and "Ada" not in error for error in errors)
        with pytest.raises(duckdb.BinderException, match="VARCHAR"):
            connection.sql("SELECT entities(1)")
        with pytest.raises(duckdb.NotImplementedException, match="'entities' is already created"):
            register(connection, tagger)
        connection.remove_function("entities")
        register(connection, tagger)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"model": "welsh"}, fenestra.InputError, "'welsh' is not a folder here"),
            ({"model": 3}, TypeError, "model: expected a name, a folder or a Tagger, got int"),
            ({"name": ""}, fenestra.InputError, "name: expected that of a function"),
            ({"offsets": "words"}, ValueError, "offsets: expected codepoint, utf8, utf16, got 'words'"),
        ],
    )
    def test_a_wrong_argument_is_named(self, connection, register, arguments, error, message):
        with pytest.raises(error, match=message):
            register(connection, **arguments)


class TestPolars:
    @pytest.fixture
    def polars(self):
        return pytest.importorskip("polars", reason="polars is not installed")

    @pytest.fixture
    def entities(self, polars):
        from fenestra.integrations.polars import entities

        return entities

    @pytest.fixture
    def news(self, polars, rows):
        return polars.DataFrame({"id": range(len(rows)), "body": rows})

    def test_a_column_has_the_entities_of_the_tagger(self, entities, tagger, news, expected):
        assert news.select(entities("body", tagger)).to_series().to_list() == expected

    @pytest.mark.parametrize("engine", ["in-memory", "streaming"])
    def test_a_lazy_frame_has_them_from_either_engine(self, polars, entities, tagger, news, expected, engine):
        chunks = polars.concat([news[:100], news[100:101], news[101:]], rechunk=False)
        query = chunks.lazy().with_columns(found=polars.col("body").fenestra.entities(tagger))
        assert query.collect_schema()["found"] == polars.List(
            polars.Struct({"start": polars.Int32, "end": polars.Int32, "label": polars.String, "score": polars.Float64})
        )
        assert query.collect(engine=engine)["found"].to_list() == expected
        some = query.filter(polars.col("found").list.len() > 1).collect(engine=engine)
        assert some["id"].to_list() == [place for place, one in enumerate(expected) if one and len(one) > 1]

    def test_the_streaming_engine_reads_a_file_batch_by_batch(self, polars, entities, tagger, news, expected, tmp_path):
        news.write_parquet(tmp_path / "news.parquet", row_group_size=50)
        query = polars.scan_parquet(tmp_path / "news.parquet").with_columns(found=entities("body", tagger))
        query.sink_parquet(tmp_path / "tagged.parquet", engine="streaming")
        assert polars.read_parquet(tmp_path / "tagged.parquet")["found"].to_list() == expected

    def test_categories_have_the_entities_of_their_texts(self, polars, entities, tagger, news, expected):
        texts = news["body"].drop_nulls().unique().to_list()
        for kind in (polars.Categorical, polars.Enum(texts)):
            found = news.select(entities(polars.col("body").cast(kind), tagger))
            assert found.to_series().to_list() == expected

    def test_sentences_may_be_words(self, polars, entities, tagger):
        sentences = [["It", "rained", "in", "London"], None, []]
        found = polars.DataFrame({"words": sentences}).select(entities("words", tagger)).to_series()
        assert found.to_list() == [plain(tagger.tag_tokens([sentences[0]])[0]), None, []]

    @pytest.mark.parametrize("unit", UNITS)
    def test_offsets_count_what_was_asked_for(self, entities, tagger, news, rows, expected, unit):
        found = news.select(entities("body", tagger, offsets=unit)).to_series().to_list()
        shown = [None if one is None else counted(one, text, unit) for text, one in zip(rows, expected, strict=True)]
        assert found == shown

    def test_what_has_no_texts_has_no_entities(self, polars, entities, tagger, news):
        assert news.clear().select(entities("body", tagger)).rows() == []
        for kind in (polars.Null, polars.String):
            nothing = polars.DataFrame({"body": [None, None]}, schema={"body": kind})
            assert nothing.select(entities("body", tagger)).rows() == [(None,), (None,)]

    def test_it_goes_by_groups_as_by_rows(self, polars, entities, tagger, news, expected):
        grouped = news.group_by(group=polars.col("id") % 7).agg("id", found=entities("body", tagger))
        found = grouped.explode("id", "found").sort("id")
        assert found["found"].to_list() == expected

    def test_it_keeps_the_name_of_its_column(self, entities, tagger, news):
        assert news.select(entities("body", tagger)).columns == ["body"]

    def test_a_model_that_is_named_is_opened_once(self, entities, news, expected, monkeypatch):
        from fenestra.model.tagger import Tagger

        entities("body")
        monkeypatch.setattr(Tagger, "load", None)
        assert news.select(entities("body")).to_series().to_list() == expected

    def test_a_plan_can_be_sent_to_another_process(self, polars, entities, tagger, news, expected):
        pytest.importorskip("cloudpickle", reason="cloudpickle, which Polars needs for it, is not installed")
        sent = news.lazy().with_columns(found=entities("body", tagger)).serialize()
        assert polars.LazyFrame.deserialize(io.BytesIO(sent)).collect()["found"].to_list() == expected

    def test_what_is_wrong_is_said_in_the_first_line(self, polars, entities, tagger, news):
        with pytest.raises(TypeError, match=r"^expected texts or lists of words, got an Arrow array of int64\n"):
            news.select(entities("id", tagger))
        words = polars.LazyFrame({"words": [["Ada", None]]})
        with pytest.raises(fenestra.InputError, match=r"^row 0: a word is null\n"):
            words.select(entities("words", tagger)).collect(engine="streaming")

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (("body", "welsh"), fenestra.InputError, "'welsh' is not a folder here"),
            (("body", 3), TypeError, "model: expected a name, a folder or a Tagger, got int"),
            ((["body"],), TypeError, "column: expected a name or an expression, got list"),
        ],
    )
    def test_a_wrong_argument_is_named_before_any_work(self, entities, arguments, error, message):
        with pytest.raises(error, match=message):
            entities(*arguments)
        with pytest.raises(ValueError, match="offsets: expected codepoint, utf8, utf16, got 'words'"):
            entities("body", offsets="words")


class TestPandas:
    def test_a_column_has_the_entities_of_the_tagger(self, tagger, rows, expected):
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        series = pandas.Series(rows, index=range(7, 7 + len(rows)), dtype="str")
        found = tagger.tag_arrow(series).to_pandas(types_mapper=pandas.ArrowDtype)
        assert [None if one is pandas.NA or one is None else one for one in found] == expected


class TestSharedTaggers:
    def test_another_checkpoint_in_the_folder_is_opened_anew(self, tagger, tmp_path):
        import shutil

        from fenestra.integrations.taggers import shared_tagger

        folder = tmp_path / "model"
        shutil.copytree(tagger.folder, folder)
        first = shared_tagger(folder)
        assert shared_tagger(str(folder)) is first
        shutil.rmtree(folder)
        shutil.copytree(fenestra.load("russian").folder, folder, copy_function=shutil.copyfile)
        assert shared_tagger(folder).version != first.version

    def test_threads_that_ask_at_once_share_one(self, tagger, tmp_path):
        import shutil

        from fenestra.integrations.taggers import shared_tagger

        shutil.copytree(tagger.folder, tmp_path / "model")
        found = []
        threads = [threading.Thread(target=lambda: found.append(shared_tagger(tmp_path / "model"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len({id(one) for one in found}) == 1

    def test_a_folder_without_a_checkpoint_is_named(self, tmp_path):
        from fenestra.integrations.taggers import shared_tagger

        with pytest.raises(fenestra.CheckpointError, match="not a checkpoint"):
            shared_tagger(tmp_path)
