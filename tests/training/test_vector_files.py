"""Vector files as people have them: words with blanks, first lines of another file, marks, line ends, compression."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from importlib import import_module

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fenestra.cli.main import main
from fenestra.model.errors import DataError
from fenestra.training.config import VectorsConfig
from fenestra.training.vectors.formats import load_file
from fenestra.training.vectors.vectors import load_vectors

WORDS = ["the", "Paris", "été", "東京", "u.s."]
TABLE = np.random.default_rng(3).normal(size=(len(WORDS), 6)).astype(np.float32)
BLANKS = ["New York", "NEW YORK", "New Yor", "Москва река", "U. S. A.", "10 000", " leading", "trailing "]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def binary(words, table, *, ends_lines=False, header=None) -> bytes:
    """word2vec's binary format, as gensim writes it, or with line ends as word2vec.c does."""
    v, d = header or table.shape
    rows = (
        (word if isinstance(word, bytes) else word.encode()) + b" " + row.astype("<f4").tobytes() + b"\n" * ends_lines
        for word, row in zip(words, table, strict=True)
    )
    return b"%d %d\n" % (v, d) + b"".join(rows)


def as_text(words, table, *, header=False, between=" ", end="\n") -> str:
    first = f"{len(words)}{between}{table.shape[1]}{end}" * header
    return first + "".join(
        between.join([w, *map(repr, map(float, row))]) + end for w, row in zip(words, table, strict=True)
    )


def refusal(path, **settings) -> str:
    with pytest.raises(DataError) as raised:
        load_file(path, **settings)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def loaded(path, **settings):
    found = load_vectors(VectorsConfig(source=str(path), **settings))
    return found.words, found.vectors_VD.tolist()


# ── text: where the word ends ──

GLOVE = ". . .1 .2 .3\nat name@domain.com .1 .2 .5\nthe .1 .2 .4\nto name@domain.com .1 .2 .6\nOslo .7 .8 .9\n"


@pytest.mark.parametrize("first", ["", "5 3\n"])
def test_rows_whose_word_has_blanks_are_kept_and_counted(tmp_path, caplog, first):
    words, numbers = loaded(write(tmp_path / "glove.txt", first + GLOVE))
    assert words == [". .", "at name@domain.com", "the", "to name@domain.com", "Oslo"]
    assert np.allclose(numbers[1], [0.1, 0.2, 0.5])
    assert np.allclose(numbers[-1], [0.7, 0.8, 0.9])
    (line,) = caplog.messages
    assert "words that hold a blank: 3" in line
    assert f"'. .', line {2 if first else 1}" in line


@pytest.mark.parametrize(
    "word",
    [". . .", "at name@domain.com", "• name@domain.com", "in mylot.com", "1 1/2", "at Room 101", "a\tb", "x\u00a0y z"],
)
def test_the_last_columns_are_the_numbers_whatever_the_word(tmp_path, word):
    path = write(tmp_path / "v.txt", f"the 1 2 3\n{word} 4 5 6\nof 7 8 9\n")
    assert loaded(path) == (["the", word, "of"], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def test_a_word_of_no_break_spaces_is_a_word(tmp_path, caplog):
    assert loaded(write(tmp_path / "v.txt", "\u00a0 1 2\n\u3000 3 4\n"))[0] == ["\u00a0", "\u3000"]
    assert not caplog.messages


def test_a_row_without_a_word_is_left_out_and_counted(tmp_path, caplog):
    assert loaded(write(tmp_path / "v.txt", "a 1 2\n 3 4\nb 5 6\n"))[0] == ["a", "b"]
    assert "nothing but blanks, and were left out: 1" in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a 1 2\nb 3 4 5\n", ":2: a word with 3 numbers, expected 2 as in line 1"),
        ("a 1 2\nb 3 4 5 6\nc 1 2\n", ":2: a word with 4 numbers, expected 2"),
        ("a 1\nb 1 2\nc 3 4\n", ":1: a word with 1 numbers, expected 2 as most lines have"),
        ("3 4\na 1 2\nb 3 4\nc 5 6\n", ":2: a word with 2 numbers, expected 4 as the first line says"),
        ("a 0,1 0,2\nb 0,3 0,4\n", ":1: a word with 0 numbers, expected at least 1; with decimal points, not commas"),
        ("2 2\na 0,1 0,2\nb 0,3 0,4\n", ":2: could not convert string to float: '0,1'; expected a decimal point"),
        ("a 1 2\nb 1_0 2\n", ":2: could not convert string to float: '1_0'"),
        ("a 1 2\nb 1 -inf\n", ":2: number 2 of 'b' is -inf"),
        ("a 1 2\nb NaN 1\n", ":2: number 1 of 'b' is NaN"),
        ("a 1 2\nb 1e300 -1e300\n", ":2: number 1 of 'b' is 1e300"),
        ("a 1 2\nb １ 2\n", ":2: could not convert string to float"),
        ("a,1,2\nb,3,4\n", ":1: a word with 0 numbers"),
        ("2 3\n", ":1: the file ends after 0 words, expected 2"),
        ("3 2\na 1 2\nb 1 2\n", ":3: the file ends after 2 words, expected 3"),
        ("2 2\na 1 2\nb 1 2\nc 1 2\n", ":4: the file ends after 3 words, expected 2"),
        ("2 0\na\nb\n", ":1: vectors of 0 numbers"),
        ("\n\n\n", ":1: a word with 0 numbers"),
        ("a 1 2\rb 1 2\r", ": its lines end with CR alone"),
        ("a 1 2\n".encode("utf-16"), ": UTF-16, expected UTF-8"),
        ("<!DOCTYPE html>\n<title>404</title>\n", ":1: a word with 0 numbers"),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else_is_refused_by_its_line(tmp_path, content, said):
    assert said in refusal(write(tmp_path / "v.txt", content))


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("between", [" ", "\t", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\t\r\n"])
def test_separators_and_line_ends_do_not_matter(tmp_path, header, between, end):
    content = as_text(WORDS, TABLE, header=header, between=between, end=end)
    for name in ("v.txt", "v.dat"):
        words, numbers = loaded(write(tmp_path / name, content))
        assert words == WORDS
        np.testing.assert_array_equal(np.array(numbers, np.float32), TABLE)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n \t\n"])
def test_the_end_of_the_file_may_be_blank(tmp_path, end):
    assert loaded(write(tmp_path / "v.txt", f"a 1 2\nb 3 4{end}"))[0] == ["a", "b"]


@pytest.mark.parametrize("content", ["a 1 2\nb 3 4\n", "2 2\na 1 2\nb 3 4\n", binary(["a", "b"], TABLE[:2])])
def test_a_byte_order_mark_is_taken_off_with_a_remark(tmp_path, caplog, content):
    data = content if isinstance(content, bytes) else content.encode()
    assert loaded(write(tmp_path / "v", b"\xef\xbb\xbf" + data))[0] == ["a", "b"]
    assert "byte order mark" in caplog.text
    assert loaded(write(tmp_path / "w", gzip.compress(b"\xef\xbb\xbf" + data)))[0] == ["a", "b"]


def test_words_that_occur_again_are_counted(tmp_path, caplog):
    assert loaded(write(tmp_path / "v.txt", "a 1\nb 2\na 3\na 4\n")) == (["a", "b"], [[1], [2]])
    assert "occur again; the first vector of each counts: 2 ('a', line 3)" in caplog.text


def test_remarks_stand_on_standard_error_of_the_command(tmp_path, capsys, caplog):
    write(tmp_path / "v.txt", "\ufeffcat 1 2\nNew York 2 1\ndog 1 1\n")
    assert main(["vectors", "neighbours", "cat", "--vectors", str(tmp_path / "v.txt")]) == 0
    assert capsys.readouterr().out.startswith("dog\t")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


ODD_WORDS = st.lists(
    st.text(st.characters(exclude_characters="\t\n\v\f\r ", exclude_categories=["Cs", "Nd"]), min_size=1, max_size=5),
    max_size=4,
).map(lambda parts: " ".join(["w", *parts]))


@given(st.lists(ODD_WORDS, min_size=1, max_size=8, unique=True), st.booleans(), st.integers(1, 4))
def test_any_words_with_blanks_come_back(tmp_path_factory, words, header, width):
    assume(not any(part.lower().strip("+-") in ("nan", "inf") for word in words for part in word.split(" ")))
    table = np.random.default_rng(len(words)).normal(size=(len(words) + 20, width)).astype(np.float32)
    words = [*words, *(f"plain{number}" for number in range(20))]
    path = write(tmp_path_factory.getbasetemp() / "odd.vec", as_text(words, table, header=header))
    found, numbers = loaded(path, format="word2vec-text" if header else "glove")
    assert found == words
    np.testing.assert_array_equal(np.array(numbers, np.float32), table)


# ── word2vec's binary format ──


@pytest.mark.parametrize("ends_lines", [False, True])
@pytest.mark.parametrize("word", BLANKS)
@pytest.mark.parametrize("place", [0, 2, len(WORDS)])
def test_a_blank_inside_a_word_is_refused_and_never_read_as_a_number(tmp_path, ends_lines, word, place):
    table = np.random.default_rng(5).normal(size=(len(WORDS) + 1, 50)).astype(np.float32)
    words = [*WORDS[:place], word, *WORDS[place:]]
    message = refusal(write(tmp_path / "v.bin", binary(words, table, ends_lines=ends_lines)))
    assert "a word with a blank inside" in message


def test_round_numbers_hide_no_blank(tmp_path):
    """Out of step they look like small ones, and their bytes like letters."""
    table = np.array([[0.1, 0.2, 0.3]] * 3, np.float32)
    for word in BLANKS:
        refusal(write(tmp_path / "v.bin", binary(["a", word, "b"], table)))


@pytest.mark.parametrize("ends_lines", [False, True])
@pytest.mark.parametrize(("more", "wider"), [(1, 0), (-1, 0), (0, 1), (0, -1), (10, 0), (-4, 0), (0, 3), (1, -1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_first_line_of_another_file_is_refused(tmp_path, ends_lines, more, wider, pack):
    header = (len(WORDS) + more, TABLE.shape[1] + wider)
    data = binary(WORDS, TABLE, ends_lines=ends_lines, header=header)
    refusal(write(tmp_path / "v.bin", pack(data)), form="word2vec")


@pytest.mark.parametrize("ends_lines", [False, True])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n"])
def test_what_the_two_programs_write_is_read(tmp_path, ends_lines, tail):
    words, numbers = loaded(write(tmp_path / "v.bin", binary(WORDS, TABLE, ends_lines=ends_lines) + tail))
    assert words == WORDS
    np.testing.assert_array_equal(np.array(numbers, np.float32), TABLE)


def test_large_numbers_that_can_be_true_are_read(tmp_path):
    table = np.array([[1e9, 1e-30], [0, -3e7]], np.float32)
    assert loaded(write(tmp_path / "v.bin", binary(["a", "b"], table)))[0] == ["a", "b"]


@given(st.data())
def test_every_cut_and_every_byte_more_is_refused(tmp_path_factory, data):
    whole = binary(WORDS, TABLE)
    path = tmp_path_factory.getbasetemp() / "cut.bin"
    refusal(write(path, whole[: data.draw(st.integers(8, len(whole) - 1))]), form="word2vec")
    refusal(write(path, whole + data.draw(st.binary(min_size=1, max_size=9).filter(bytes.strip))), form="word2vec")


LATIN = ["the", "caf\xe9".encode("latin-1"), "naïve", b"\xff\xfe"]


@pytest.mark.parametrize("ends_lines", [False, True])
def test_a_word_that_is_not_utf8_is_named_skipped_or_replaced(tmp_path, caplog, ends_lines):
    path = write(tmp_path / "v.bin", binary(LATIN, TABLE[:4], ends_lines=ends_lines))
    message = refusal(path)
    assert "word 2 of 4, 'caf\ufffd': byte 4 is 0xe9, expected UTF-8" in message
    assert 'vectors.not_utf8 = "skip" or "replace"' in message
    words, numbers = loaded(path, not_utf8="skip")
    assert (words, numbers) == (["the", "naïve"], TABLE[[0, 2]].tolist())
    assert "are not UTF-8, and were left out: 2 ('caf\ufffd', word 2 of 4)" in caplog.text
    assert loaded(path, not_utf8="replace")[0] == ["the", "caf\ufffd", "naïve", "\ufffd\ufffd"]


@pytest.mark.parametrize("header", [b"", b"4 2\n"])
def test_a_word_of_a_text_file_that_is_not_utf8_likewise(tmp_path, header):
    path = write(
        tmp_path / "v.vec", header + b"".join(b"%s 1 2\n" % (w.encode() if isinstance(w, str) else w) for w in LATIN)
    )
    assert f":{2 + bool(header)}: byte 4 of the line is 0xe9, expected UTF-8; vectors.not_utf8" in refusal(path)
    assert loaded(path, not_utf8="skip")[0] == ["the", "naïve"]
    assert loaded(path, not_utf8="replace")[0] == ["the", "caf\ufffd", "naïve", "\ufffd\ufffd"]


# ── compression, and what holds no words ──


def zipped(data: bytes, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("v",):
            archive.writestr(name, data)
    return stream.getvalue()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}
FORMS = {
    "v.vec": as_text(WORDS, TABLE, header=True).encode(),
    "v.txt": as_text(WORDS, TABLE).encode(),
    "v.bin": binary(WORDS, TABLE),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", FORMS)
def test_each_format_is_read_compressed_whatever_its_name(tmp_path, packer, name):
    data = PACKERS[packer](FORMS[name])
    for path in (write(tmp_path / f"{name}.{packer}", data), write(tmp_path / "unnamed", data)):
        words, numbers = loaded(path)
        assert words == WORDS
        np.testing.assert_array_equal(np.array(numbers, np.float32), TABLE)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_compressed_file_that_is_cut_is_refused(tmp_path, packer, name, share):
    data = PACKERS[packer](FORMS[name])
    refusal(write(tmp_path / f"{name}.{packer}", data[: int(share * len(data))]))


def test_an_archive_of_several_files_names_them(tmp_path):
    message = refusal(write(tmp_path / "glove.zip", zipped(b"a 1\n", "glove.50d.txt", "glove.100d.txt")))
    assert "a zip archive of glove.50d.txt, glove.100d.txt; expected one file in it" in message


def test_numpy_files_hold_no_words(tmp_path):
    np.save(tmp_path / "v.npy", TABLE)
    np.savez(tmp_path / "v.npz", TABLE)
    np.savez(tmp_path / "w.npz", words=WORDS, vectors=TABLE)
    assert "a NumPy array, which holds no words" in refusal(tmp_path / "v.npy")
    assert "a NumPy array, which holds no words" in refusal(tmp_path / "v.npz")
    assert "words.npy, vectors.npy" in refusal(tmp_path / "w.npz")


def test_zstd_is_read_or_says_what_it_needs(tmp_path, monkeypatch):
    zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    path = write(tmp_path / "v.vec.zst", zstd.compress(FORMS["v.vec"]))
    assert loaded(path)[0] == WORDS
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "zstd, which before Python 3.14 needs an extra" in refusal(path)
