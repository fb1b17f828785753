"""A corpus cut in two: whole documents, in order, nothing lost, nothing overwritten."""

import gzip
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import DataError, InputError, StorageError
from fenestra.training.data.corpus import read_corpus
from fenestra.training.data.split import Size, split_corpus
from tests.conftest import ROOT

PLAIN = "a O\nb B-X\n\nc O\n\nd O\n\ne O\n"
MARKED = "z O\n-DOCSTART- O\n\na O\nb B-X\n\nc O\n-DOCSTART- O\n\nd O\n"


def parts(folder, text, size, name="corpus.conll"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    found = split_corpus(folder / name, Size.parse(size), folder / "first", folder / "rest")
    return (folder / "first").read_text(), (folder / "rest").read_text(), [str(part) for part in found]


def test_sentences_where_no_documents_are_marked(tmp_path):
    first, rest, said = parts(tmp_path, PLAIN, "3")
    assert (first, rest) == ("a O\nb B-X\n\nc O\n\nd O\n\n", "e O\n\n")
    assert said == [f"{tmp_path / 'first'}: 3 sentences", f"{tmp_path / 'rest'}: 1 sentences"]


def test_documents_stay_whole_and_what_is_before_the_first_mark_is_one(tmp_path):
    first, rest, said = parts(tmp_path, MARKED, "2")
    assert first == "z O\n\n-DOCSTART- O\n\na O\nb B-X\n\nc O\n\n"
    assert rest == "-DOCSTART- O\n\nd O\n\n"
    assert said == [f"{tmp_path / 'first'}: 2 documents, 3 sentences", f"{tmp_path / 'rest'}: 1 documents, 1 sentences"]


@pytest.mark.parametrize(("share", "of_ten"), [("75%", 7), ("80%", 8), ("99.9%", 9), ("10%", 1), ("33.4%", 3)])
def test_a_share_is_rounded_down_exactly(share, of_ten):
    assert Size.parse(share).of(10) == of_ten


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "0%", "0.0%", "100%", "many", "", "%", "nan", "1/2", "1e9", "1_0", " 2", "１", "9" * 10]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is all there is to say
        Size.parse(text)


@given(
    st.lists(
        st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), min_size=1, max_size=3),
        min_size=2,
        max_size=6,
    ),
    st.data(),
)
def test_the_two_parts_are_the_whole_as_the_reader_sees_it(tmp_path_factory, documents, data):
    folder = tmp_path_factory.mktemp("split")
    lines = [
        line
        for document in documents
        for line in ["-DOCSTART- -X- O", "", *(x for words in document for x in [*(f"{w} NN O" for w in words), ""])]
    ]
    count = data.draw(st.integers(1, len(documents) - 1))
    first, rest, _ = parts(folder, "\n".join(lines), str(count))
    (folder / "again").write_text(first + rest)
    whole, again = (read_corpus(folder / name).sentences for name in ("corpus.conll", "again"))
    assert [(s.words, s.tags, s.document) for s in whole] == [(s.words, s.tags, s.document) for s in again]
    assert first.count("-DOCSTART-") == count


def test_gzip_windows_line_ends_and_a_mark_of_bytes_are_read(tmp_path):
    first, rest, _ = parts(tmp_path, gzip.compress(b"\xef\xbb\xbfa O\r\n\r\nb O\r\n"), "50%")
    assert (first, rest) == ("a O\n\n", "b O\n\n")


@pytest.mark.parametrize(("size", "taken"), [("4", "4"), ("9", "9"), ("10%", "0")])
def test_an_empty_part_is_refused(tmp_path, size, taken):
    with pytest.raises(
        InputError, match=f"has 4 sentences, no mark of a document; with {taken} in the first part one part is empty"
    ):
        parts(tmp_path, PLAIN, size)
    assert not (tmp_path / "first").exists()


@pytest.mark.parametrize("name", ["first", "rest"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: is taken"):
        parts(tmp_path, PLAIN, "1")
    assert (tmp_path / name).read_text() == "mine"


def test_the_two_files_are_two(tmp_path):
    (tmp_path / "corpus.conll").write_text(PLAIN)
    with pytest.raises(InputError, match="one: is taken"):
        split_corpus(tmp_path / "corpus.conll", Size.parse("1"), tmp_path / "one", tmp_path / "one")


def test_a_line_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"corpus\.conll:3: .*expected UTF-8"):
        parts(tmp_path, b"a O\n\n\xff O\n\nb O\n", "1")
    with pytest.raises(DataError, match="cannot be read"):
        split_corpus(tmp_path / "none", Size.parse("1"), tmp_path / "first", tmp_path / "rest")


def test_a_part_of_marks_alone_is_empty(tmp_path):
    with pytest.raises(InputError, match="has 3 documents; with 1 in the first part one part is empty"):
        parts(tmp_path, "-DOCSTART-\n\na O\n\n-DOCSTART-\n\n-DOCSTART-\n", "1")
    with pytest.raises(InputError, match="has 1 documents; with 0 in the first part"):
        parts(tmp_path, "-DOCSTART-\n\na O\n\nb O\n", "80%")


@pytest.mark.parametrize("broken", ["first", "rest"])
def test_a_disk_that_refuses_is_said_and_nothing_is_left(tmp_path, broken):
    (tmp_path / "corpus.conll").write_text(PLAIN)
    targets = [tmp_path / ("none/" + name if name == broken else name) for name in ("first", "rest")]
    with pytest.raises(StorageError, match=f"none/{broken}: cannot be written"):
        split_corpus(tmp_path / "corpus.conll", Size.parse("1"), *targets)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.conll"]


def test_a_disk_that_fills_up_leaves_nothing(tmp_path):
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
        "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "corpus.conll").write_text("word O\n\n" * 4000)
    ended = subprocess.run(
        [sys.executable, "-c", limited, "data", "split", "corpus.conll", "5%", "first", "rest"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "fenestra: rest: cannot be written (File too large)\n")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.conll"]


def test_documents_of_conll_u_stay_whole_and_comments_with_their_sentence(tmp_path):
    row = "1\t{}\t_\t_\t_\t_\t_\t_\t_\tNE=O\n\n"
    first, second = (f"# newdoc id = {n}\n# sent_id = {n}\n{row.format(n)}# sent_id = x\n{row.format(n)}" for n in "ab")
    path = tmp_path / "all.conllu"
    path.write_text(first + second)
    parts = split_corpus(path, Size.parse("1"), tmp_path / "1.conllu", tmp_path / "2.conllu")
    assert [(part.documents, part.sentences) for part in parts] == [(1, 2), (1, 2)]
    assert [part.path.read_text() for part in parts] == [first, second]


def test_a_corpus_of_another_format_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a", "label": []}\n')
    with pytest.raises(InputError, match="is doccano, expected one token a line; fenestra data convert"):
        split_corpus(path, Size.parse("1"), tmp_path / "1", tmp_path / "2")


DOCUMENTS = "\n".join(f"-DOCSTART-\tO\n\nw{number}a\tO\n\nw{number}b\tO\n" for number in range(30))


def shuffled(folder, seed):
    """The words of both parts of 30 documents of two sentences."""
    folder.mkdir()
    (folder / "corpus.conll").write_text(DOCUMENTS)
    parts = folder / "first", folder / "rest"
    found = split_corpus(folder / "corpus.conll", Size.parse("60%"), *parts, seed=seed)
    assert [part[1:] for part in found] == [(18, 36), (12, 24)]
    return [[line.split()[0] for line in part.read_text().splitlines() if line.startswith("w")] for part in parts]


def test_a_random_part_has_whole_documents_in_their_order(tmp_path):
    first, rest = shuffled(tmp_path / "a", seed=1)
    assert sorted(first + rest) == sorted(f"w{number}{letter}" for number in range(30) for letter in "ab")
    for words in (first, rest):
        numbers = [int(word[1:-1]) for word in words]
        assert numbers == sorted(numbers)
        assert numbers[::2] == numbers[1::2]
    assert first[-1] > "w17b"


def test_the_same_seed_chooses_the_same_and_another_one_others(tmp_path):
    one, same, other = (shuffled(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert one == same
    assert one != other
