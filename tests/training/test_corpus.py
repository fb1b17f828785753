"""Corpora of every scheme are read alike, and every fault is named by path and line."""

import gzip
import hashlib
import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from fenestra.model.errors import ConfigError, DataError
from fenestra.training import sources
from fenestra.training.config import DataConfig
from fenestra.training.data.conll import write_conll
from fenestra.training.data.corpus import (
    detect_scheme,
    find_corpus,
    inspect_corpus,
    join_corpora,
    read_corpora,
    read_corpus,
)
from fenestra.training.data.spans import Span, spans, write_tags

LABELS = ("LOC", "PER")
ADVICE = '; scheme = "lenient" (--scheme lenient) reads such tags as conlleval does'
"""Behind the first tag of a file that its scheme does not allow."""
WORDS = st.text(st.characters(exclude_characters=" \t\r\n\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=6)


def write(folder: Path, content: str | bytes, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One folder for all examples of a property: making one for each would take most of the time."""
    return tmp_path_factory.mktemp("corpora")


def read(folder: Path, content: str | bytes, **settings):
    return read_corpus(write(folder, content), **settings)


def refusal(path: Path) -> str:
    """What a file is refused with, empty if it is read; anything but DataError fails the test."""
    try:
        read_corpus(path)
    except DataError as error:
        return str(error)
    return ""


def complaint(folder: Path, content: str | bytes, **settings) -> list[str]:
    """The lines of the message, without the folder."""
    with pytest.raises(DataError) as raised:
        read(folder, content, **settings)
    return str(raised.value).replace(f"{folder}/", "").split("\n")


@st.composite
def tagged_sentences(draw):
    """A sentence and spans in it that do not overlap, some of them touching."""
    words = draw(st.lists(WORDS.filter(lambda word: word != "-DOCSTART-"), min_size=1, max_size=8))
    edges = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)))
    drawn = [Span(start, end, draw(st.sampled_from(LABELS))) for start, end in pairwise(edges) if draw(st.booleans())]
    return words, drawn


def iob1(found, length):
    """An oracle: B only where an entity of the same label has just ended."""
    tags = ["O"] * length
    for start, end, label in found:
        tags[start:end] = [f"I-{label}"] * (end - start)
        if (start, label) in {(span.end, span.label) for span in found}:
            tags[start] = f"B-{label}"
    return tags


WRITERS = {
    "IOB1": iob1,
    "IOB2": lambda found, length: write_tags(found, length, "IOB2"),
    "BIOES": lambda found, length: write_tags(found, length, "BIOES"),
}


@pytest.mark.parametrize("scheme", sorted(WRITERS))
@pytest.mark.parametrize("named", [True, False])
@given(sentences=st.lists(tagged_sentences(), min_size=1, max_size=5))
def test_what_is_written_in_any_scheme_is_read_back(folder, scheme, named, sentences):
    stream = io.StringIO(newline="")
    tags = [WRITERS[scheme](found, len(words)) for words, found in sentences]
    write_conll(stream, [words for words, _ in sentences], tags)
    path = write(folder, stream.getvalue())
    found = read_corpus(path, scheme=scheme if named else "auto")
    assert [(list(s.words), spans(s.tags)) for s in found.sentences] == [(words, named) for words, named in sentences]
    assert [list(s.tags) for s in found.sentences] == [WRITERS["IOB2"](n, len(w)) for w, n in sentences]


@given(st.one_of(st.binary(max_size=400), st.text("OBIES-PER \t\n\r", max_size=200).map(str.encode)))
def test_no_bytes_raise_anything_but_data_error(folder, data):
    path = write(folder, data)
    lines = refusal(path).split("\n")
    assert all(line.startswith((str(path), "… and")) for line in lines if line)
    assert len(lines) <= 21


@given(st.binary(min_size=1, max_size=60), st.integers(0, 200))
def test_no_damage_to_a_gzip_file_raises_anything_but_data_error(folder, noise, place):
    data = bytearray(gzip.compress(b"Ada B-PER\nmet O\n" * 40))
    place %= len(data)
    data[place : place + len(noise)] = noise
    path = write(folder, bytes(data), "a.conll.gz")
    message = refusal(path)
    assert not message or message.startswith(str(path))


def test_entities_are_counted_as_seqeval_counts_them(tmp_path):
    content = "a I-PER\nb I-PER\nc B-PER\n\nd I-LOC\ne I-PER\n\nf O\n"
    found = read(tmp_path, content, scheme="IOB1")
    pairs = [entity for s in found.sentences for entity in get_entities(list(s.tags))]
    assert found.label_counts() == {"LOC": 1, "PER": 3}
    assert len(pairs) == 4
    assert found.tokens == 6
    assert list(found.words()) == list("abcdef")


def test_the_word_is_the_first_column_and_the_tag_the_last(tmp_path):
    found = read(tmp_path, "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n")
    assert found.sentences[0][:2] == (("EU", "rejects"), ("B-ORG", "O"))


def test_documents_and_lines_are_numbered(tmp_path):
    content = "-DOCSTART- -X- O\n\na x O\n\nb x O\n\n-DOCSTART- -X- O\n-DOCSTART- -X- O\nc x O\n"
    first, second, third = read(tmp_path, content).sentences
    assert [first.line, second.line, third.line] == [3, 5, 9]
    assert first.document == second.document < third.document


def test_without_document_lines_every_sentence_is_a_document(tmp_path):
    assert [s.document for s in read(tmp_path, "a O\n\nb O\n").sentences] == [0, 1]
    assert [s.document for s in read(tmp_path, "a O\n\nb O\n\n-DOCSTART- O\n\nc O\n\nd O\n").sentences] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfAda\tB-PER\nmet\tO\n",
        b"Ada\tB-PER\r\nmet\tO\r\n\r\n",
        b"Ada\tB-PER\nmet\tO",
        b"Ada\tB-PER \nmet\tO\t\n \t \n",
        b"\n\n\nAda   B-PER\nmet O\n\n\n",
        gzip.compress(b"Ada\tB-PER\nmet\tO\n"),
    ],
    ids=["BOM", "CRLF", "no last newline", "trailing blanks", "blank lines", "gzip"],
)
def test_harmless_oddities_change_nothing(tmp_path, content):
    assert [s[:2] for s in read(tmp_path, content).sentences] == [(("Ada", "met"), ("B-PER", "O"))]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "a x O\nb O\n",
            ["a.conll:2: 2 columns, expected 3 as in line 1"],
        ),
        (
            "a\nb O\nc\n",
            [
                "a.conll:1: 1 column, expected at least 2: the word first, the tag last",
                "a.conll:3: 1 column, expected 2 as in line 2",
            ],
        ),
        (
            "\tO\n",
            ["a.conll:1: the first column is empty, expected a word"],
        ),
        (
            "a B_PER\n",
            ["a.conll:1: 'B_PER' is not a tag, expected O, B-LABEL or I-LABEL (in BIOES also E-LABEL, S-LABEL)"],
        ),
        (
            "a B-PER\n\nb O\nc I-PER\n",
            ["a.conll:4: 'I-PER' after 'O': no entity is open, expected B-PER first" + ADVICE],
        ),
        (
            "a B-PER\n\nb I-PER\n",
            ["a.conll:3: 'I-PER' at the start of a sentence: no entity is open, expected B-PER first" + ADVICE],
        ),
        (
            "a B-PER\nb I-LOC\n",
            ["a.conll:2: 'I-LOC' after 'B-PER': the label changes inside an entity, expected B-LOC first" + ADVICE],
        ),
        (
            b"a O\nb\xe9 O\n\xff\xfe O\n",
            [
                "a.conll:2: byte 2 of the line is 0xe9; expected UTF-8",
                "a.conll:3: byte 1 of the line is 0xff; expected UTF-8",
            ],
        ),
        ("", ["a.conll: holds no sentence; expected a word and its tag on each line"]),
        ("\n-DOCSTART- O\n\n", ["a.conll: holds no sentence; expected a word and its tag on each line"]),
        (
            b"a O\n" + b"x" * 1_500_000 + b" O\nb O\n",
            ["a.conll:2: line longer than 1,000,000 bytes; expected one token and its tag"],
        ),
    ],
)
def test_a_fault_is_named_by_its_line_with_what_was_expected(tmp_path, content, expected):
    assert complaint(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("scheme", "content", "expected"),
    [
        ("IOB2", "a I-PER\n", "a.conll:1: 'I-PER' at the start of a sentence: no entity is open, expected B-PER first"),
        ("IOB2", "a S-PER\n", "a.conll:1: 'S-PER' in a file tagged IOB2, expected only O, B-LABEL and I-LABEL"),
        (
            "IOB1",
            "a O\nb B-PER\n",
            "a.conll:2: 'B-PER' after 'O' in a file tagged IOB1, expected B- only after its own label",
        ),
        (
            "BIOES",
            "a B-PER\nb O\n",
            "a.conll:1: 'B-PER' is not closed, expected I-PER or E-PER after it",
        ),
        (
            "BIOES",
            "a B-PER\nb I-PER\n",
            "a.conll:2: 'I-PER' is not closed, expected I-PER or E-PER after it",
        ),
        ("BIOES", "a O\nb E-PER\n", "a.conll:2: 'E-PER' after 'O': no entity is open, expected B-PER first"),
    ],
)
def test_tags_are_held_against_the_scheme(tmp_path, scheme, content, expected):
    assert complaint(tmp_path, content, scheme=scheme) == [expected + ADVICE]


def test_only_the_first_twenty_problems_are_listed(tmp_path):
    lines = complaint(tmp_path, "word tag\n" * 1020)
    assert len(lines) == 21
    assert lines[0].startswith("a.conll:1:")
    assert lines[-1] == "… and 1,000 more"


def test_problems_are_listed_in_the_order_of_the_lines(tmp_path):
    lines = complaint(tmp_path, "a I-X\nb B-Y\n\nbad\n\nc I-X\n", labels=["X"])
    assert [int(line.split(":")[1]) for line in lines] == [1, 2, 4, 6]


def test_nothing_is_said_of_the_order_of_tags_around_a_line_that_could_not_be_read(tmp_path):
    assert len(complaint(tmp_path, "a B-PER\nbroken\nb I-PER\n")) == 1


def test_messages_quote_little_and_nothing_a_terminal_obeys(tmp_path):
    (line,) = complaint(tmp_path, f"a \x1b[31m{'x' * 5000}\n")
    assert "\x1b" not in line
    assert len(line) < 250


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
def test_a_truncated_gzip_file_is_named(tmp_path, cut):
    data = gzip.compress("".join(f"word{n} O\n" for n in range(20_000)).encode())
    assert "truncated or damaged gzip file" in complaint(tmp_path, data[: int(len(data) * cut)])[-1]


@pytest.mark.parametrize("name", ["missing.conll", "."])
def test_a_missing_file_and_a_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read"):
        read_corpus(tmp_path / name)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["I-PER", "B-PER"], "IOB1"),
        (["O", "O"], "IOB1"),
        (["B-PER", "I-PER"], "IOB2"),
        (["I-PER", "B-LOC"], "IOB2"),
        (["I-PER", "O", "S-LOC"], "BIOES"),
        (["B-PER", "E-PER"], "BIOES"),
    ],
)
def test_the_scheme_shows_in_the_tags(tags, scheme):
    assert detect_scheme([tags]) == scheme


def test_unknown_labels_are_errors_once_a_label(tmp_path):
    advice = "data.rename of a job, or evaluate --rename LABEL=O, leaves one out"
    lines = complaint(tmp_path, "a B-GPE\nb B-GPE\nc B-LOC\nd B-DATE\n", labels=["LOC", "PER"])
    assert lines == [
        f"a.conll:1: unknown label 'GPE' (2 entities of this label), expected LOC, PER; {advice}",
        f"a.conll:4: unknown label 'DATE' (1 entity of this label), expected LOC, PER; {advice}",
    ]


def test_labels_are_renamed_or_dropped_and_entities_that_touch_stay_apart(tmp_path):
    content = "a I-GPE\nb I-LOC\nc I-DATE\n"
    found = read(tmp_path, content, scheme="IOB1", labels=["LOC"], rename={"GPE": "LOC", "DATE": "O"})
    assert found.sentences[0].tags == ("B-LOC", "B-LOC", "O")


def test_a_label_called_o_is_noted_unless_it_is_renamed(tmp_path):
    content = "a B-O\nb B-PER\n"
    found = read(tmp_path, content)
    assert found.sentences[0].tags == ("O", "B-PER")
    assert ["called 'O' (1 entity)" in note for note in found.notes] == [True]
    assert read(tmp_path, content, rename={"O": "O"}).notes == ()
    assert read(tmp_path, content, rename={"O": "LOC"}).sentences[0].tags == ("B-LOC", "B-PER")


def test_a_label_cannot_be_renamed_to_one_the_model_does_not_have(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.rename: GPE → PLACE, expected O or one of LOC"):
        read(tmp_path, "a O\n", labels=["LOC"], rename={"GPE": "PLACE"})


@pytest.mark.parametrize(
    ("content", "words", "tags"),
    [
        ("@ada O\nwent O\n", ["went"], ["O"]),
        ("hi O\n@ O\nada B-PER\n, O\n", ["hi", ","], ["O", "O"]),
        ("@ada B-PER\nlovelace I-PER\n", ["lovelace"], ["B-PER"]),
        ("at O\n@ O\n", ["at", "@"], ["O", "O"]),
        ("a B-PER\n@b I-PER\nc I-PER\n", ["a", "c"], ["B-PER", "I-PER"]),
        ("me@x.org O\n", ["me@x.org"], ["O"]),
    ],
)
def test_user_names_are_left_out_and_entities_shrink(tmp_path, content, words, tags):
    found = read(tmp_path, content, drop_mentions=True)
    assert [(list(s.words), list(s.tags)) for s in found.sentences] == [(words, tags)]


def test_a_sentence_of_user_names_only_vanishes(tmp_path):
    assert read(tmp_path, "@a O\n\nb O\n", drop_mentions=True).tokens == 1


def test_user_names_can_be_left_out_of_one_corpus_only(tmp_path):
    """Corpora disagree on whether they are persons; a model that is to learn from both needs one opinion."""
    for name in ("marked.conll", "plain.conll"):
        (tmp_path / name).write_text("@ada O\nwent O\n")
    names = ("marked.conll", "plain.conll")
    data = DataConfig(train=names, dev=names, root=str(tmp_path), drop_mentions=("marked.conll",))
    assert [s.words for s in read_corpora(names, data, None).sentences] == [("went",), ("@ada", "went")]


def test_the_digest_is_that_of_the_file(tmp_path):
    content = b"a O\n"
    assert read(tmp_path, content).sha256 == hashlib.sha256(content).hexdigest()


def test_joined_corpora_keep_their_documents_apart_and_their_digest_depends_on_all(tmp_path):
    write(tmp_path, "a O\n\n-DOCSTART- O\n\nb O\n", "1.conll")
    write(tmp_path, "c O\n", "2.conll")
    data = DataConfig(train=("1.conll", "2.conll"), dev=("1.conll",), root=str(tmp_path))
    found = read_corpora(data.train, data, None)
    assert [s.document for s in found.sentences] == [0, 1, 2]
    assert found.name == "1.conll + 2.conll"
    singles = [read_corpora((name,), data, None) for name in data.train]
    assert singles[0].sha256 == read_corpus(tmp_path / "1.conll").sha256
    assert len({found.sha256, *(single.sha256 for single in singles)}) == 3
    assert join_corpora("x", singles[::-1]).sha256 != found.sha256


def test_a_fetched_corpus_is_found_by_name_and_split(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "cached", lambda name: tmp_path)
    path = write(tmp_path, "a O\n", "train.conll")
    assert find_corpus("conll2003:train", Path("/elsewhere")) == path
    with pytest.raises(DataError, match="conll2003:tset: no such split; expected one of train"):
        find_corpus("conll2003:tset", Path())


def test_a_corpus_that_is_not_fetched_says_how_to(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="run: fenestra data fetch conll2003"):
        find_corpus("conll2003:train", Path())


def test_other_names_are_files_from_the_root_on(tmp_path):
    assert find_corpus("sub/a:b.conll", tmp_path) == tmp_path / "sub/a:b.conll"


def test_inspection_goes_on_behind_faults(tmp_path):
    found = inspect_corpus(write(tmp_path, "a B-PER\nb\n\nc B-LOC\nd I-PER\n\ne O\n"))
    assert [problem.line for problem in found.problems] == [2, 5]
    assert [s.words for s in found.sentences] == [("e",)]
    assert (found.scheme, found.columns) == ("IOB2", 2)


def test_a_corpus_does_not_change(tmp_path):
    found = read(tmp_path, "a O\n")
    with pytest.raises(AttributeError):
        found.name = "other"
