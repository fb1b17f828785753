"""Wherever a file is cut, its texts are those of the whole file."""

import io

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fenestra.cli.bulk import chunks, reading
from fenestra.cli.bulk.chunks import chunks_of
from fenestra.cli.bulk.reading import read
from fenestra.cli.bulk.texts import count_lines, texts
from fenestra.training.data import conll

LINES = [
    "a", "é東", " ", "\u00a0", "\t", "{}", '{"text": "x"}', "\ufeff", "\u2028", "x" * 30, "b O", "\tO",
    "-DOCSTART- too long a line", "-DOCSTART-", "-DOCSTART- O\tO", "x-DOCSTART-",
    "y" * 19, "y" * 20, "y" * 21, "-DOCSTART- O", "-DOCSTARTx", "  -DOCSTART-\tO",
]  # fmt: skip
ENDS = ["\n", "\n", "\n\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\r\r", "\r\r\n", "\n \t\n", "\n\u00a0\n", ""]
CONTENT = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)).map("".join), max_size=25).map("".join)
BYTES = st.one_of(
    CONTENT.map(str.encode),
    st.tuples(CONTENT, st.sampled_from([b"\xff", b"\0", b"\xe2\x82"]), CONTENT).map(
        lambda parts: parts[0].encode() + parts[1] + parts[2].encode()
    ),
)
KINDS = [("text", "line"), ("text", "paragraph"), ("text", "file"), ("jsonl", "line"), ("conll", "line")]


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, size):
        super().__init__(data)
        self.size = size

    def read1(self, size=-1):
        return super().read1(self.size)


def what_is_in(pieces, unit, limit=10_000):
    """What is in chunks: items, and what is none, each with its line in the file."""
    items, bad, lines = [], [], 0
    for chunk in pieces:
        told = []
        found = read(chunk, lambda fault, told=told: told.append(fault) or True, unit=unit, max_bytes=limit)
        items += [(item.content, lines + item.line if chunk.form != "conll" else 0) for item in found]
        bad += [(lines + fault.line, fault.error, fault.raw, fault.too_long) for fault in told]
        lines += chunk.lines
    return items, bad


@given(BYTES, st.sampled_from(KINDS), st.integers(1, 60), st.integers(1, 9))
@example(b"a\r\r\r\n\r\rb", ("text", "paragraph"), 1, 1)
@example(b"-DOCSTART-\n\na\n\nb\n\n-DOCSTART-\nc\n", ("conll", "line"), 3, 1)
@example("a\n\u00a0\nb".encode(), ("text", "paragraph"), 1, 2)
def test_a_file_that_is_cut_has_the_same_texts_at_the_same_lines(data, kind, size, trickle):
    form, unit = kind
    whole = what_is_in(chunks_of(io.BytesIO(data), form, unit=unit), unit)
    pieces = list(chunks_of(io.BytesIO(data), form, unit=unit, size=size))
    items, bad = what_is_in(pieces, unit)
    assert items == whole[0]
    if form != "conll" or b"\r\r" not in data:  # where a run of them falls apart, blank lines are counted otherwise
        assert bad == whole[1]
    assert b"".join(chunk.data for chunk in pieces) == data.removeprefix("\ufeff".encode())
    assert [chunk.last for chunk in pieces] == [False] * (len(pieces) - 1) + [True]
    assert list(chunks_of(Trickle(data, trickle), form, unit=unit, size=size)) == pieces


@given(BYTES, st.integers(1, 60), st.integers(1, 9))
@example(b"a\n-DOCSTART- O\xffa\n", 1, 9)
@example(b"-DOCSTART-\n" + b"x" * 30 + b"\n\na\na\na\nb\n\n", 1, 9)
@example(b"a\n-DOCSTART- too long a line\nb\n\nc\n", 1, 9)
@example(b"a\n-DOCSTART- 45678901\r\nb\n\nc\n", 1, 5)
def test_a_long_document_is_cut_where_it_would_end_in_the_whole_file(data, size, trickle):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MAX_LINE", 20)
        patch.setattr(conll, "MAX_LINE", 20)
        patch.setattr(chunks, "LONGEST_DOCUMENT", 3)
        patch.setattr(reading, "LONGEST_DOCUMENT", 3)
        whole, _ = what_is_in(chunks_of(io.BytesIO(data), "conll"), "line")
        for source in (io.BytesIO(data), Trickle(data, trickle)):
            assert what_is_in(chunks_of(source, "conll", size=size), "line")[0] == whole


def test_a_bad_mark_begins_a_document_all_the_same():
    data = b"-DOCSTART- O\n\na\n\n-DOCSTART- \xff\n\nb\n\nc\n"
    items, bad = what_is_in(chunks_of(io.BytesIO(data), "conll"), "line")
    assert [content for content, _ in items] == [[["-DOCSTART-"]], [["a"]], [["-DOCSTART-"]], [["b"], ["c"]]]
    assert [(line, raw) for line, _, raw, _ in bad] == [(5, b"-DOCSTART- \xff\n")]


@pytest.mark.parametrize(
    "data",
    [
        b"a O\n\nx" + b"-DOCSTART-" * 90_000 + b"\n\nb O\n",
        b"-DOCSTART-\n\n" + b"-DOCSTART- \xff\n\n" * 100_000,
        b"-DOCSTART-\n\n" + b"a \xff\n\n" * 400_000,
        b"-DOCSTART-\n\n" + b"x-DOCSTART- \xff\n\n" * 50_000,
        b"word O\n" * 100_000,
    ],
    ids=["many marks in a line", "bad marks", "bad sentences", "marks inside words", "no blank line"],
)
def test_a_file_of_whatever_is_cut_and_every_line_is_looked_at_a_few_times(data, monkeypatch):
    looked_at = [0]

    def count(function, size):
        def counted(*arguments):
            looked_at[0] += size(*arguments)
            return function(*arguments)

        return counted

    monkeypatch.setattr(chunks, "opens_document", count(chunks.opens_document, len))
    monkeypatch.setattr(chunks, "_after_blank", count(chunks._after_blank, lambda held, begin: len(held) - begin))
    monkeypatch.setattr(chunks, "_marks", count(chunks._marks, lambda held, begin, end: end - begin))
    source = Trickle(data, 16_384)
    assert b"".join(chunk.data for chunk in chunks_of(source, "conll", size=1000)) == data
    assert looked_at[0] < 12 * len(data)


def test_a_document_of_a_conll_file_is_in_one_chunk():
    data = b"a\n\nb\n\n" + b"-DOCSTART- O\n\n" + b"c O\n\n" * 50 + b"-DOCSTART- O\n\nd O\n"
    pieces = [chunk.data for chunk in chunks_of(io.BytesIO(data), "conll", size=8)]
    assert pieces[:2] == [b"a\n\nb\n\n", b"-DOCSTART- O\n\n" + b"c O\n\n" * 50]
    assert pieces[2:] == [b"-DOCSTART- O\n\nd O\n"]


@pytest.mark.parametrize(("form", "unit"), KINDS)
@pytest.mark.parametrize("size", [1, 40, 1000])
def test_what_is_too_long_is_not_held_and_the_rest_is_as_it_was(form, unit, size):
    """Chunks of a text of a million bytes stay small, and what follows it has its place."""
    break_ = {"line": b"\n", "paragraph": b"\n\n", "file": b"\n"}[unit]
    long = b"\n".join([b"word " * 20] * 9_000) if unit == "paragraph" else b"w " * 500_000
    if form == "jsonl":
        contents = [b'{"text": "a"}', long, b'{"text": "b"}']
    elif form == "conll":
        return
    else:
        contents = [b"a", long, b"b"]
    data = break_.join(contents)
    pieces = list(chunks_of(Trickle(data, 3000), form, unit=unit, size=size, max_bytes=100))
    assert max(len(chunk.data) for chunk in pieces) < 5000
    items, bad = what_is_in(pieces, unit, 100)
    if unit == "file":
        assert (items, bad) == ([], [(1, "a file of more than 100 bytes", None, True)])
        return
    last = count_lines(data)
    assert [line for _, line in items] == [1, last]
    assert bad == [(2 if unit == "line" else 3, f"a {unit} of more than 100 bytes", None, True)]


@settings(max_examples=400)
@given(
    BYTES,
    st.sampled_from(["line", "paragraph", "file"]),
    st.sampled_from([5, 20, 40]),
    st.integers(1, 60),
    st.integers(1, 9),
)
@example(b"        \n" + b"b " * 30 + b"Ada\n\nend", "paragraph", 40, 1, 7)
@example(b"a " * 15 + b"\r \n" + b"b " * 12 + b"Ada\n\nend\n", "paragraph", 40, 30, 9)
def test_whatever_is_too_long_no_text_is_cut_and_none_is_lost(data, unit, limit, size, trickle):
    """Where the limit is longer than a chunk, and where it is not; blank lines are none that are too long."""
    lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    assume(all(line.strip() or len(line.encode()) <= limit for line in lines))
    expected = [(text.content, text.number) for text in texts(io.BytesIO(data), "", unit, limit)]
    pieces = chunks_of(Trickle(data, trickle), "text", unit=unit, size=size, max_bytes=limit)
    items, _ = what_is_in(pieces, unit, limit)
    assert items == [(content, number) for content, number in expected if content is not None]


def test_a_conll_line_without_end_is_not_held():
    data = b"a O\n\n" + b"x" * 3_000_000 + b"\n\nb O\n"
    pieces = list(chunks_of(io.BytesIO(data), "conll", size=1000))
    assert max(len(chunk.data) for chunk in pieces) < 1_300_000
    items, bad = what_is_in(pieces, "line")
    assert [content for content, _ in items] == [[["a"]], [["b"]]]
    assert [line for line, *_ in bad] == [3]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_paragraph_that_is_too_long_ends_at_its_blank_line_wherever_blocks_end(cut):
    data = b"a\n\n" + b"word\n" * 99 + b"word\n \t\nb\n\nc\n"
    for unit_end in (b"\n", b"\r\n"):
        content = data.replace(b"\n", unit_end)
        pieces = chunks_of(Trickle(content, cut), "text", unit="paragraph", size=10, max_bytes=50)
        items, bad = what_is_in(pieces, "paragraph", 50)
        assert items == [("a", 1), ("b", 104), ("c", 106)]
        assert bad == [(3, "a paragraph of more than 50 bytes", None, True)]


@given(st.text(st.sampled_from("ab\r\n"), max_size=40))
def test_lines_are_counted_as_they_are_read(text):
    data = text.encode()
    pieces = list(chunks_of(io.BytesIO(data), "text"))
    assert count_lines(data) == len(what_is_in(pieces, "line")[0])


def test_reading_that_fails_gives_what_was_whole_before_it():
    class Broken(io.BytesIO):
        def read1(self, size=-1):
            data = super().read1(size)
            if not data:
                raise OSError(5, "no more")
            return data

    pieces = list(chunks_of(Broken(b"a\nb\nhalf"), "text", size=2))
    assert [chunk.data for chunk in pieces] == [b"a\n", b"b\n", b""]
    assert (pieces[-1].fault, pieces[-1].last) == ("no more", True)
    assert what_is_in(pieces, "line")[1] == [(3, "no more", None, False)]
