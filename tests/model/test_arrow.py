"""Arrow in, Arrow out: the entities that :meth:`Tagger.tag` finds, whatever kind of array the texts come in."""

import subprocess
import sys
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger
from tests.model.conftest import ENGINES, small_model
from tests.model.test_columns import TEXTS, WORD, encoded

pa = pytest.importorskip("pyarrow", reason="tag_arrow needs pyarrow")

MODEL = small_model(documents=True)
TAGGER = Tagger(MODEL, device="cpu")
ENTITIES = pa.list_(
    pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("score", pa.float64())])
)
PLAIN = [text.encode("utf-8", "replace").decode() for text in TEXTS]
TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(PLAIN)
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
TEXT_TYPES = [*STRINGS, pa.dictionary(pa.int16(), pa.string()), pa.dictionary(pa.int32(), pa.string())]
INNER = [*STRINGS, pa.dictionary(pa.int16(), pa.string())]
LISTS = [make(inner) for make in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view) for inner in INNER]


@pytest.fixture(scope="module", autouse=True, params=ENGINES)
def engine(request):
    """Every test with the kernel, and with the reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "TAGGER", Tagger(MODEL, device="cpu", engine=request.param))
        yield request.param


def plain(result):
    """Entities as Arrow tells them."""
    return [{"start": e.start, "end": e.end, "label": e.label, "score": e.score} for e in result]


def tagged(texts):
    return [None if text is None else plain(TAGGER(text)) for text in texts]


def tagged_words(sentences):
    return [None if words is None else plain(TAGGER.tag_tokens([words])[0]) for words in sentences]


# ── arrays ──


@given(st.lists(TEXT, max_size=8), st.sampled_from(TEXT_TYPES), st.integers(0, 8))
def test_texts_are_tagged_as_tag_does_to_the_bit_and_nulls_stay(texts, kind, first):
    found = TAGGER.tag_arrow(pa.array(texts, kind).slice(first))
    found.validate(full=True)
    assert found.type == ENTITIES
    assert found.to_pylist() == tagged(texts[first:])


@given(st.lists(st.none() | st.lists(WORD, max_size=6), max_size=6), st.sampled_from(LISTS), st.integers(0, 6))
def test_sentences_are_tagged_as_tag_tokens_does_to_the_bit_and_nulls_stay(sentences, kind, first):
    found = TAGGER.tag_arrow(pa.array(sentences, kind).slice(first))
    found.validate(full=True)
    assert found.type == ENTITIES
    assert found.to_pylist() == tagged_words(sentences[first:])


def test_sentences_of_one_length_are_tagged_too():
    found = TAGGER.tag_arrow(pa.array([["Ada", "met"], None, ["Munich", "."]], pa.list_(pa.string(), 2)))
    assert found.to_pylist() == tagged_words([["Ada", "met"], None, ["Munich", "."]])


def test_what_lies_behind_a_null_is_not_looked_at():
    """An array may hold anything there, so also what could not be read."""
    data, valid = pa.py_buffer(b"Ada\xff\xffmet"), pa.py_buffer(bytes([0b101]))
    texts = pa.Array.from_buffers(pa.string(), 3, [valid, pa.py_buffer(np.array([0, 3, 5, 8], np.int32)), data])
    assert TAGGER.tag_arrow(texts).to_pylist() == tagged(["Ada", None, "met"])
    words = pa.array(["Ada", "", None, "met"])
    mask = pa.array([False, True, False])
    sentences = pa.ListArray.from_arrays(pa.array([0, 1, 3, 4], pa.int32()), words, mask=mask)
    assert TAGGER.tag_arrow(sentences).to_pylist() == tagged_words([["Ada"], None, ["met"]])


@pytest.mark.parametrize("unit", ["codepoint", "utf8", "utf16"])
@given(st.lists(TEXT, max_size=6))
def test_offsets_count_what_is_asked_for(unit, texts):
    found = TAGGER.tag_arrow(pa.array(texts, pa.string()), offsets=unit).to_pylist()
    for text, entities in zip(texts, found, strict=True):
        if text is not None:
            part = encoded(text, unit)
            assert [part(e["start"], e["end"]) for e in entities] == [entity.text for entity in TAGGER(text)]


def test_nothing_and_nulls_have_no_entities():
    for kind in [*TEXT_TYPES, *LISTS, pa.null()]:
        assert TAGGER.tag_arrow(pa.array([], kind)).to_pylist() == []
        assert TAGGER.tag_arrow(pa.array([None, None], kind)).to_pylist() == [None, None]
        assert TAGGER.tag_arrow(pa.array([], kind)).type == ENTITIES
    assert TAGGER.tag_arrow(pa.array([[], None], pa.list_(pa.null()))).to_pylist() == [[], None]


@given(st.lists(TEXT, max_size=9), st.lists(st.integers(0, 4), max_size=4), st.sampled_from(TEXT_TYPES))
def test_chunks_stay_chunks(texts, sizes, kind):
    edges = [0, *(min(edge, len(texts)) for edge in accumulate(sizes)), len(texts)]
    chunks = [pa.array(texts[a:b], kind) for a, b in pairwise(edges)]
    found = TAGGER.tag_arrow(pa.chunked_array(chunks))
    assert [len(chunk) for chunk in found.iterchunks()] == [len(chunk) for chunk in chunks]
    assert found.to_pylist() == tagged(texts)


def test_an_array_without_chunks_has_an_answer_of_the_right_type():
    found = TAGGER.tag_arrow(pa.chunked_array([], pa.string()))
    assert (found.type, len(found)) == (ENTITIES, 0)


@pytest.fixture
def pieces(monkeypatch):
    """What the tagger is given together."""
    given, work = [], TAGGER.columns_work

    def noted(pieces, *, offsets):
        some = list(pieces)
        given.extend(list(piece) for piece in some)
        return work(iter(some), offsets=offsets)

    monkeypatch.setattr(TAGGER, "columns_work", noted)
    return given


@pytest.mark.parametrize("row", ["", "a", [], ["a"]], ids=repr)
def test_many_small_rows_are_tagged_a_few_thousand_at_a_time(row, pieces):
    found = TAGGER.tag_arrow(pa.array([row] * 20_000, pa.string() if isinstance(row, str) else pa.list_(pa.string())))
    assert len(found) == sum(map(len, pieces)) == 20_000
    assert max(map(len, pieces)) <= TAGGER._engine.piece


def test_a_text_that_repeats_in_a_dictionary_is_tagged_once(pieces):
    """A dictionary larger than its array is not."""
    texts = ["Ada met Siemens", None, "Munich"] * 500
    array = pa.array(texts).dictionary_encode()
    assert TAGGER.tag_arrow(array).to_pylist() == tagged(["Ada met Siemens", None, "Munich"]) * 500
    assert pieces == [["Ada met Siemens", "Munich"]]
    pieces.clear()
    assert TAGGER.tag_arrow(array.slice(2, 1)).to_pylist() == tagged(["Munich"])
    assert pieces == [["Munich"]]


def test_a_null_among_the_values_of_a_dictionary_is_a_null():
    for kind in STRINGS:
        values = pa.array([None, "Ada met Siemens"], kind)
        array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0, 1]), values)
        assert TAGGER.tag_arrow(array).to_pylist() == tagged([None, "Ada met Siemens", None, None, "Ada met Siemens"])


def test_batches_of_any_size_have_the_same_answer(monkeypatch):
    texts = PLAIN * 3 + [None] + ["Ada met Siemens in Munich. " * 40]
    words = [["Ada", "met", "Siemens"], None, [], ["Munich"] * 50] * 5
    expected = TAGGER.tag_arrow(pa.array(texts)), TAGGER.tag_arrow(pa.array(words))
    for piece in (1, 7, 100):
        monkeypatch.setattr(TAGGER._engine, "piece", piece)
        assert (TAGGER.tag_arrow(pa.array(texts)), TAGGER.tag_arrow(pa.array(words))) == expected


# ── what other libraries hand over ──


class OneArray:
    """What has an array, by the PyCapsule interface alone."""

    def __init__(self, array):
        self._array = array

    def __arrow_c_array__(self, requested_schema=None):
        return self._array.__arrow_c_array__(requested_schema)


class Stream:
    """What has a stream of arrays or of record batches."""

    def __init__(self, chunks):
        self._chunks = chunks

    def __arrow_c_stream__(self, requested_schema=None):
        return self._chunks.__arrow_c_stream__(requested_schema)


def test_what_exports_an_array_is_taken():
    array = pa.array(PLAIN)
    found = TAGGER.tag_arrow(OneArray(array))
    assert isinstance(found, pa.Array)
    assert found == TAGGER.tag_arrow(array)


def test_what_exports_a_stream_of_arrays_is_taken_in_chunks():
    chunks = pa.chunked_array([PLAIN[:3], PLAIN[3:]])
    found = TAGGER.tag_arrow(Stream(chunks))
    assert isinstance(found, pa.ChunkedArray)
    assert found == TAGGER.tag_arrow(chunks)


def test_a_list_is_taken_as_an_array_of_what_it_holds():
    assert TAGGER.tag_arrow([*PLAIN, None]).to_pylist() == tagged([*PLAIN, None])
    assert TAGGER.tag_arrow([["Ada", "met"], None]).to_pylist() == tagged_words([["Ada", "met"], None])


# ── tables and streams ──


def test_a_table_and_a_record_batch_get_a_column():
    table = pa.table({"id": range(len(PLAIN)), "text": PLAIN})
    found = TAGGER.tag_arrow(table, column="text")
    assert isinstance(found, pa.Table)
    assert found.drop_columns("entities") == table
    assert found["entities"].to_pylist() == tagged(PLAIN)
    batch = table.to_batches()[0].slice(2)
    found = TAGGER.tag_arrow(batch, column="text")
    assert isinstance(found, pa.RecordBatch)
    assert found["entities"].to_pylist() == tagged(PLAIN[2:])


def test_a_stream_is_read_no_further_than_it_is_asked_for():
    read = []

    def batches():
        for number in range(100):
            read.append(number)
            yield pa.record_batch({"n": [number], "text": [f"Ada met Siemens {number}"]})

    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    found = TAGGER.tag_arrow(pa.RecordBatchReader.from_batches(schema, batches()), column="text")
    assert isinstance(found, pa.RecordBatchReader)
    assert found.schema == schema.append(pa.field("entities", ENTITIES))
    assert read == []
    for number in range(3):
        batch = found.read_next_batch()
        assert batch["n"].to_pylist() == [number]
        assert batch["entities"].to_pylist() == tagged([f"Ada met Siemens {number}"])
    assert read == [0, 1, 2]


def test_what_exports_a_stream_of_record_batches_is_tagged_as_a_stream():
    table = pa.table({"text": PLAIN})
    found = TAGGER.tag_arrow(Stream(table), column="text")
    assert isinstance(found, pa.RecordBatchReader)
    assert found.read_all() == TAGGER.tag_arrow(table, column="text")


# ── what is refused ──


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pa.array([1, 2]), "expected texts or lists of words, got an Arrow array of int64"),
        (pa.array([b"Ada"]), "got an Arrow array of binary"),
        (pa.array([[1]]), "got an Arrow array of list<item: int64>"),
        (pa.array([[["Ada"]]]), "got an Arrow array of list<item: list<item: string>>"),
        (pa.array([{"text": "Ada"}]), "got an Arrow array of struct<text: string>"),
        (pa.array([1, 1]).dictionary_encode(), "got an Arrow array of dictionary"),
        (pa.chunked_array([], pa.int8()), "got an Arrow array of int8"),
        (pa.table({"text": ["Ada"]}), "got Table; of a table, name the column"),
        (pa.record_batch({"text": ["Ada"]}), "got RecordBatch; of a table, name the column"),
        (
            Stream(pa.table({"text": ["Ada"]})),
            "got an Arrow array of struct<text: string>; of a table, name the column",
        ),
        (pa.scalar("Ada"), "expected an Arrow array of texts or of lists of words, got StringScalar"),
        ("Ada", "expected an Arrow array of texts or of lists of words, got str"),
        (b"Ada", "got bytes"),
        (None, "expected an Arrow array"),
        (3, "expected an Arrow array"),
        (["Ada", 3], "expected an Arrow array"),
    ],
)
def test_what_holds_no_texts_is_refused(data, message):
    with pytest.raises(TypeError, match=message):
        TAGGER.tag_arrow(data)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (pa.table({"text": ["Ada"]}), InputError, "column 'body': expected one of that name, got 0 among 'text'"),
        (pa.Table.from_arrays([["a"], ["b"]], ["body", "body"]), InputError, "got 2 among 'body', 'body'"),
        (pa.table({"body": ["a"], "entities": [1]}), InputError, "column 'entities': the entities go there"),
        (pa.table({"body": [1]}), TypeError, "got an Arrow array of int64"),
        (Stream(pa.table({"body": [1]})), TypeError, "got an Arrow array of int64"),
        (Stream(pa.chunked_array([["Ada"]])), TypeError, "expected a table, a record batch or a stream of these"),
        (pa.array(["Ada"]), TypeError, "expected a table, a record batch or a stream of these, got StringArray"),
        (["Ada"], TypeError, "expected a table, a record batch or a stream of these, got list"),
    ],
)
def test_a_table_without_such_a_column_is_refused_at_once(data, error, message):
    with pytest.raises(error, match=message):
        TAGGER.tag_arrow(data, column="body")


def test_a_unit_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match="offsets: expected codepoint, utf8, utf16, got 'bytes'"):
        TAGGER.tag_arrow(pa.array(["Ada"]), offsets="bytes")


def strings_of(*texts):
    """An array of any bytes, which claims that they are UTF-8."""
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))])


@pytest.mark.parametrize(
    ("data", "row", "what"),
    [
        (strings_of(b"Ada", b"M\xff"), 1, "not UTF-8"),
        (strings_of(b"Ada", b"M\xc3", b"\xbcnchen"), 2, "not UTF-8"),
        (pa.chunked_array([pa.array(["a", None, "b"]), strings_of(b"Ada", b"\xff")]), 4, "not UTF-8"),
        (pa.array([["Ada"], None, ["met", None]]), 2, "a word is null"),
        (pa.array([None, ["Ada"], ["met", ""], ["in"]]), 2, "a sentence holds an empty word"),
        (pa.array([["Ada"]] * 9000 + [None, ["met", ""]]), 9001, "a sentence holds an empty word"),
        (pa.chunked_array([pa.array([["Ada"], []]), pa.array([[], ["", "a"]])]), 3, "a sentence holds an empty word"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(data, row, what):
    with pytest.raises(InputError, match=f"row {row}: {what}"):
        TAGGER.tag_arrow(data)


def test_the_rows_of_a_stream_are_counted_from_its_beginning():
    batches = [pa.record_batch({"words": [["Ada"], ["met"]]}), pa.record_batch({"words": [["in"], [""]]})]
    reader = TAGGER.tag_arrow(pa.RecordBatchReader.from_batches(batches[0].schema, batches), column="words")
    with pytest.raises(InputError, match="row 3: a sentence holds an empty word"):
        reader.read_all()


def test_without_pyarrow_the_error_says_what_to_install():
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import fenestra\n"
        "tagger = fenestra.load('english')\n"
        "assert len(tagger.columns(['Ada Lovelace met Siemens.']).item_M)\n"
        "try:\n    tagger.tag_arrow(['Ada'])\n"
        "except ImportError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    way = "pip install 'fenestra-ner[arrow]', or in the source folder: pip install '.[arrow]'"
    assert found.stdout == f"tag_arrow needs pyarrow, which is not installed: {way}\n"
