"""Entities as columns: what :meth:`Tagger.tag` finds, without an object for any of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.columns import Columns
from fenestra.model.errors import InputError
from fenestra.model.progress import Progress
from fenestra.model.tagger import Tagger
from fenestra.model.text.joined import BadText, Texts, Words, cut
from tests.model.conftest import ENGINES, small_model

MODEL = small_model(documents=True)
TAGGER = Tagger(MODEL, device="cpu")
TEXTS = [
    "Ada Lovelace met Siemens in Munich. She stayed.", "", " \n\t", "Иван Петров живёт в Санкт-Петербурге.",
    "🙂 Ada 👩‍👩‍👧 в Zu\u0308rich \U0001f1fa\U0001f1f8 met", "阿达·洛芙莱斯 met 慕尼黑", "أدا met ميونخ", "x" * 300,
    "lone \ud800 met \udfff Ada",
]  # fmt: skip
WORD = st.text(min_size=1, max_size=12) | st.sampled_from(["Ada", "met", "Munich", "in", "Siemens", "🙂", "x" * 70])
ITEM = st.text(max_size=60) | st.sampled_from(TEXTS) | st.lists(WORD, max_size=8)


@pytest.fixture(scope="module", autouse=True, params=ENGINES)
def engine(request):
    """Every test with the kernel, and with the reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "TAGGER", Tagger(MODEL, device="cpu", engine=request.param))
        yield request.param


def rows(columns, items):
    """The entities of each item, in plain values."""
    found = [[] for _ in range(items)]
    *numbers, labels = columns
    for item, start, end, label, score in zip(*(array.tolist() for array in numbers), strict=True):
        found[item].append((start, end, labels[label], score))
    return found


def tagged(items, tagger=None):
    """The same by ``tag``, one item after the other."""
    tagger = tagger or TAGGER
    results = [(tagger.tag if isinstance(item, str) else tagger.tag_tokens)([item])[0] for item in items]
    return [[(e.start, e.end, e.label, e.score) for e in result] for result in results]


@given(st.lists(ITEM, max_size=8))
def test_columns_hold_what_is_tagged_to_the_bit(items):
    assert rows(TAGGER.columns(items), len(items)) == tagged(items)


def test_columns_are_arrays_of_these_numbers():
    columns = TAGGER.columns(TEXTS)
    assert [array.dtype.name for array in columns[:-1]] == ["int64", "int32", "int32", "int32", "float64"]
    assert len({len(array) for array in columns[:-1]}) == 1
    assert len(columns.item_M) > 3
    assert columns.labels == TAGGER.labels


def test_nothing_has_columns_without_rows():
    for nothing in ([], [""], [[]], ["", [], " "]):
        assert [len(array) for array in TAGGER.columns(nothing)[:-1]] == [0] * 5


def encoded(text, unit):
    """A text in which one place is one unit."""
    wide = {"codepoint": "utf-32-le", "utf16": "utf-16-le", "utf8": "utf-8"}[unit]
    size = {"codepoint": 4, "utf16": 2, "utf8": 1}[unit]
    whole = text.encode(wide, "surrogatepass")
    return lambda start, end: whole[size * start : size * end].decode(wide, "surrogatepass")


@pytest.mark.parametrize("unit", ["codepoint", "utf8", "utf16"])
@given(st.lists(st.text(max_size=60) | st.sampled_from(TEXTS), max_size=6))
def test_offsets_count_what_is_asked_for(unit, texts):
    columns = TAGGER.columns(texts, offsets=unit)
    for text, result, found in zip(texts, TAGGER.tag(texts), rows(columns, len(texts)), strict=True):
        part = encoded(text, unit)
        assert [part(start, end) for start, end, *_ in found] == [entity.text for entity in result]


def test_offsets_of_words_count_words_in_every_unit():
    words = ["🙂", "Ada", "Lovelace", "met", "Siemens"]
    for unit in ("utf8", "utf16"):
        assert rows(TAGGER.columns([words, "🙂 Ada"], offsets=unit), 2)[0] == tagged([words])[0]


def test_a_unit_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match="offsets: expected codepoint, utf8, utf16, got 'bytes'"):
        TAGGER.columns(["Ada"], offsets="bytes")


@pytest.mark.parametrize("wrong", ["Ada", b"Ada", None, 3, [None], [b"Ada"], [["Ada", 3]]])
def test_what_is_no_text_is_refused(wrong):
    with pytest.raises(TypeError, match="expected"):
        TAGGER.columns(wrong)


def test_an_empty_word_is_refused():
    with pytest.raises(InputError, match="empty word"):
        TAGGER.columns([["Ada", ""]])


def test_many_items_are_columns_over_many_batches():
    items = [f"Ada met Siemens {n} in Munich." for n in range(3000)] + [["Ada", "met"]] * 2000 + ["Munich"]
    done, work = 0, TAGGER.columns_work(items)
    try:
        while True:
            assert isinstance(next(work), Progress)
            done += 1
    except StopIteration as end:
        columns = end.value
    assert done > 20
    sample = [0, 1499, 2999, 3000, 4999, 5000]
    found = rows(columns, len(items))
    assert [found[n] for n in sample] == tagged([items[n] for n in sample])


def test_texts_end_to_end_are_what_they_were():
    texts = Texts.of(TEXTS)
    assert len(texts) == len(TEXTS)
    assert list(texts) == TEXTS
    data = [text.encode("utf-8", "replace").decode() for text in TEXTS]
    raw = np.frombuffer("".join(data).encode(), np.uint8)
    ends = np.cumsum([len(text.encode()) for text in data])
    assert list(Texts.of_utf8(raw, ends)) == data


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        ([b"Ada", b"\xff", b"x"], 1),
        ([b"Ada", b"M\xc3", b"\xbcnchen"], 2),  # a character that two texts share
        ([b"", b"\xe2\x82", b""], 1),
        ([b"\xed\xa0\x80"], 0),  # a lone surrogate
        ([b"ok", b"", b"\x80"], 2),
    ],
)
def test_what_is_no_utf8_is_refused_by_its_place(texts, place):
    ends = np.cumsum([len(text) for text in texts])
    with pytest.raises(BadText, match="not UTF-8") as caught:
        Texts.of_utf8(np.frombuffer(b"".join(texts), np.uint8), ends)
    assert caught.value.place == place


def test_words_end_to_end_are_what_they_were():
    raw, ends = np.frombuffer("AdaмётX".encode(), np.uint8), np.array([3, 9, 10])
    words = Words.of_utf8(raw, ends, np.array([2, 0, 1]))
    assert list(words) == [[["Ada", "мёт"]], [[]], [["X"]]]
    with pytest.raises(BadText, match="empty word") as caught:
        Words.of_utf8(raw, np.array([3, 3, 10]), np.array([3]))
    assert caught.value.place == 1


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 12))
def test_neighbours_are_cut_into_parts_that_are_full(sizes, most):
    ends = np.cumsum(np.array(sizes, np.int64))
    parts = list(cut(ends, most))
    assert [n for begin, end in parts for n in range(begin, end)] == list(range(len(sizes)))
    assert all(sum(sizes[begin:end]) <= most or end == begin + 1 for begin, end in parts)
    assert all(sum(sizes[a : b + 1]) > most for (a, b) in parts[:-1])


def test_columns_of_several_batches_stand_end_to_end():
    one, two = TAGGER.columns(TEXTS[:4]), TAGGER.columns(TEXTS[4:])
    both = Columns.end_to_end([one, two], [4, len(TEXTS) - 4], TAGGER.labels)
    assert rows(both, len(TEXTS)) == rows(TAGGER.columns(TEXTS), len(TEXTS))
    assert both.until(len(TEXTS)).tolist() == np.cumsum([*map(len, rows(both, len(TEXTS)))]).tolist()
