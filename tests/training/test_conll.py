"""CoNLL-style files are read as a stream, and written one line per token."""

import bz2
import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import DataError
from fenestra.training.compressed import open_file
from fenestra.training.data import conll
from fenestra.training.data.conll import MAX_LINE, columns, iter_conll_words, read_lines, write_conll

WORDS = st.text(st.characters(exclude_characters=" \t\r\n\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=8)
SENTENCES = st.lists(st.lists(WORDS.filter(lambda word: word != conll.DOCSTART), min_size=1, max_size=6), max_size=5)


def words_of(data: bytes) -> list[list[str]]:
    return list(iter_conll_words(io.BytesIO(data), "in.conll"))


@given(SENTENCES)
def test_words_that_are_written_are_read_back(sentences):
    stream = io.StringIO(newline="")
    write_conll(stream, sentences, [["O"] * len(words) for words in sentences])
    assert words_of(stream.getvalue().encode()) == sentences


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_their_line(data):
    try:
        words_of(data)
    except DataError as error:
        message = str(error)
    else:
        message = "in.conll:"
    assert message.startswith("in.conll:")


def test_one_column_is_enough_to_read_words():
    assert words_of(b"Ada\nLovelace\n\nmet NN O\nher\tO") == [["Ada", "Lovelace"], ["met", "her"]]


def test_a_document_line_is_a_sentence_of_its_own_so_that_every_line_has_one_in_the_output():
    sentences = words_of(b"a\n-DOCSTART- -X- O\nb\n\n-DOCSTART-\n\nc\n")
    assert sentences == [["a"], ["-DOCSTART-"], ["b"], ["-DOCSTART-"], ["c"]]
    stream = io.StringIO()
    write_conll(stream, sentences, [["B-LOC"]] * 5)
    assert stream.getvalue().startswith("a\tB-LOC\n\n-DOCSTART-\tO\n\nb\tB-LOC\n\n")


def test_sentences_come_while_the_stream_is_still_open():
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:
            self.turn = not getattr(self, "turn", False)
            return b"word O\n" if self.turn else b"\n"

    sentences = iter_conll_words(Endless(), "endless")
    assert [next(sentences), next(sentences)] == [["word"], ["word"]]


def test_tags_may_be_computed_while_they_are_written():
    stream = io.StringIO()
    write_conll(stream, iter([["a", "b"], ["c"]]), (tags for tags in [["O", "B-X"], ["O"]]))
    assert stream.getvalue() == "a\tO\nb\tB-X\n\nc\tO\n\n"


def test_a_tag_too_few_is_an_error_and_not_a_shorter_file():
    with pytest.raises(ValueError, match="shorter"):
        write_conll(io.StringIO(), [["a", "b"]], [["O"]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a O\n\xff O\n", "in.conll:2: byte 1 of the line is 0xff; expected UTF-8"),
        (b"a O\n\n\tO\n", "in.conll:3: the first column is empty; expected a word"),
        (b"a O\n" + b"x" * (MAX_LINE + 5) + b"\nb O\n", "in.conll:2: line longer than 1,000,000 bytes"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(data, message):
    with pytest.raises(DataError) as raised:
        words_of(data)
    assert str(raised.value).startswith(message)
    assert len(str(raised.value)) < 200


def test_reading_goes_on_behind_a_line_that_is_too_long():
    lines = list(read_lines(io.BytesIO(b"x" * (3 * MAX_LINE) + b"\nb O\n")))
    assert [(line.number, line.text) for line in lines] == [(1, ""), (2, "b O")]


def test_a_line_of_just_the_longest_length_is_read():
    line = b"x" * (MAX_LINE - 1) + b"\n"
    assert [found.fault for found in read_lines(io.BytesIO(line + b"y"))] == ["", ""]


def test_byte_order_mark_and_windows_line_ends_leave_no_trace():
    assert words_of(b"\xef\xbb\xbfa\tO\r\n\r\nb\tO\r\n") == [["a"], ["b"]]


def test_a_byte_order_mark_behind_the_first_line_belongs_to_its_word():
    """There it is no mark of the file: a word of the input must come back as it was."""
    assert words_of("a\tO\n\ufeffb\tO\n\n\ufeffc\tO\n".encode()) == [["a", "\ufeffb"], ["\ufeffc"]]
    assert [line.text for line in read_lines(io.BytesIO("\ufeff\ufeffa\n\ufeffb".encode()))] == ["\ufeffa", "\ufeffb"]


def test_white_space_other_than_tabs_and_spaces_belongs_to_the_word():
    assert columns("a\u00a0b\u2028c O") == ["a\u00a0b\u2028c", "O"]


def test_gzip_is_told_by_its_first_bytes_and_not_by_the_name(tmp_path: Path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(gzip.compress(b"a O\n"))
    with open_file(path) as stream:
        assert [line.text for line in read_lines(stream)] == ["a O"]


def test_a_text_that_begins_like_bzip2_is_a_text(tmp_path: Path):
    path = tmp_path / "corpus.conll"
    for content in (b"BZh O\n", b"BZh9 O\n"):
        path.write_bytes(content)
        with open_file(path) as stream:
            assert stream.read() == content
        path.write_bytes(bz2.compress(content))
        with open_file(path) as stream:
            assert stream.read() == content


def test_a_cut_gzip_file_ends_in_a_line_that_says_so(tmp_path: Path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"a O\n" * 50_000)[:-40])
    with open_file(path) as stream:
        last = list(read_lines(stream))[-1]
    assert "truncated or damaged gzip" in last.fault


def test_an_empty_file_has_no_lines(tmp_path: Path):
    path = tmp_path / "empty"
    path.touch()
    with open_file(path) as stream:
        assert list(read_lines(stream)) == []


def test_a_byte_order_mark_is_dropped_where_the_file_begins_and_nowhere_else():
    """Later in a file the same bytes are a character, U+FEFF, and a word may begin with it."""
    assert words_of("\ufeffAda O\n\ufeffmet O\n".encode()) == [["Ada", "\ufeffmet"]]


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"cannot be read \("):
        open_file(tmp_path / name)


def test_a_gzipped_pipe_is_read_like_a_gzipped_file(tmp_path):
    """A pipe can be opened only once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(b"Ada\tB-PER\n\n")))
    writer.start()
    with open_file(pipe) as stream:
        assert list(iter_conll_words(stream, "pipe")) == [["Ada"]]
    writer.join()
