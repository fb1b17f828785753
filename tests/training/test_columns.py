"""Files of one token a line as others write them: columns, comments, line ends, byte order marks, schemes, CoNLL-U."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import ConfigError, DataError
from fenestra.training.data import conll, schemes
from fenestra.training.data.conll import read_lines, split_lines
from fenestra.training.data.corpus import inspect_corpus, read_corpus
from fenestra.training.data.schemes import write_in
from fenestra.training.data.spans import Span, spans, touching

PER, LOC, ORG = "PER", "LOC", "ORG"


def write(folder: Path, content: str | bytes, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes, name: str = "a.conll", **reading) -> list[list[tuple[str, str]]]:
    """Word and tag of each token, by sentences."""
    found = read_corpus(write(folder, content, name), **reading)
    return [list(zip(sentence.words, sentence.tags, strict=True)) for sentence in found.sentences]


def complaint(folder: Path, content: str | bytes, name: str = "a.conll", **reading) -> list[str]:
    with pytest.raises(DataError) as raised:
        read_corpus(write(folder, content, name), **reading)
    return str(raised.value).replace(f"{folder}/", "").split("\n")


def notes(folder: Path, content: str | bytes, name: str = "a.conll", **reading) -> list[str]:
    return inspect_corpus(write(folder, content, name), **reading).notes


# ── line ends ──

ANNA = [[("Anna", "B-PER"), ("met", "O")], [("Oslo", "B-LOC")]]


@pytest.mark.parametrize(
    "content",
    [
        "Anna B-PER\rmet O\r\rOslo B-LOC\r\r",
        "Anna B-PER\rmet O\r\rOslo B-LOC",
        "Anna\tB-PER\r\nmet\tO\r\rOslo\tB-LOC\n",
        "Anna B-PER\nmet O\n\rOslo B-LOC\r",
        "Anna B-PER\r\r\nmet O\r\r\n\r\r\nOslo B-LOC\r\r\n",
        "\r\r\rAnna B-PER\rmet O\r\n\r\nOslo B-LOC\r\r\r\r",
        "\ufeffAnna B-PER\rmet O\r\rOslo B-LOC\r",
    ],
    ids=["CR", "CR, no last", "CRLF and CR", "LF and CR", "CRCRLF", "blank lines", "BOM and CR"],
)
def test_line_ends_of_any_system_part_lines(tmp_path, content):
    assert read(tmp_path, content) == ANNA


def test_a_file_of_carriage_returns_may_be_longer_than_a_line(tmp_path):
    found = read(tmp_path, "Anna B-PER\rmet O\r\r" * 80_000)
    assert len(found) == 80_000
    assert found[-1] == ANNA[0]


def test_problems_are_placed_by_lines_that_carriage_returns_end(tmp_path):
    assert complaint(tmp_path, "Anna B-PER\rmet O\r\rOslo B_LOC\r")[0].startswith("a.conll:4: 'B_LOC' is not a tag")


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
@pytest.mark.parametrize("blank", [" ", "\t"])
def test_other_signs_that_end_lines_elsewhere_are_refused_where_they_joined_two(tmp_path, sign, blank):
    """Never one token of three."""
    content = f"Anna{blank}B-PER{sign}met{blank}O{sign}{sign}Oslo{blank}B-LOC{sign}"
    (line,) = complaint(tmp_path, content)
    assert line == f"a.conll:1: holds U+{ord(sign):04X} as if it ended a line, expected line feeds"


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        ("O Anna\x85B-LOC Oslo\n", {"word_column": 1, "tag_column": 0}),
        ("B-PER\tAnna\u2028O\tmet\n", {"word_column": 1, "tag_column": 0}),
        ("Anna B-PER\n\x0c\nmet O\n", {}),
        ("Anna B-PER\x0c\nmet O\n", {}),
    ],
)
def test_they_are_refused_in_any_column_but_a_first_one_of_words(tmp_path, content, reading):
    assert "as if it ended a line" in complaint(tmp_path, content, **reading)[0]


def test_in_the_first_column_they_belong_to_the_word(tmp_path):
    assert read(tmp_path, "a\u2028b\tB-PER\n") == [[("a\u2028b", "B-PER")]]


@given(st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n"]), max_size=40))
def test_lines_are_parted_as_an_expression_parts_them(parts):
    data = b"".join(parts)
    expected = re.findall(rb"[^\r\n]*(?:\r*\n|\r)|[^\r\n]+", data)
    assert list(split_lines(io.BytesIO(data))) == expected


@given(st.lists(st.sampled_from([b"a", b"bc" * 4, b"\r", b"\n", b"\r\r\r"]), max_size=40), st.integers(4, 12))
def test_no_line_is_held_beyond_the_limit(parts, limit):
    data = b"".join(parts)
    before = conll.MAX_LINE
    conll.MAX_LINE = limit
    try:
        found = [line.rstrip(b"\r\n") for line in split_lines(io.BytesIO(data))]
        faults = [line.fault for line in read_lines(io.BytesIO(data))]
    finally:
        conll.MAX_LINE = before
    assert all(len(line) <= limit + 1 for line in found)
    assert [line for line in found if line] == [line[: limit + 1] for line in re.findall(rb"[^\r\n]+", data)]
    assert len(faults) == len(found)


# ── byte order marks ──


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("Anna B-PER\nmet O\n\n\ufeffOslo B-LOC\n", 4),
        ("Anna B-PER\n\ufeffmet O\n\nOslo B-LOC\n", 2),
        ("Anna B-PER\nmet O\n\ufeff\nOslo B-LOC\n", 3),
        ("Anna B-PER\nmet O\n\n\ufeff\ufeffOslo B-LOC\n", 4),
        ("\ufeffAnna B-PER\r\nmet O\r\n\r\n\ufeffOslo B-LOC\r\n", 4),
    ],
)
def test_a_byte_order_mark_inside_the_file_is_taken_off_with_a_remark(tmp_path, content, line):
    assert read(tmp_path, content) == ANNA
    assert notes(tmp_path, content) == [f"byte order marks inside the file taken off: line {line}"]


def test_a_mark_of_a_document_may_follow_a_byte_order_mark(tmp_path):
    assert len(read(tmp_path, "a O\n\n\ufeff-DOCSTART- O\n\nb O\n")) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_by_name_where_it_says_so(tmp_path, encoding):
    mark = b"" if encoding == "utf-16" else "\ufeff".encode(encoding)
    (line,) = complaint(tmp_path, mark + "Anna B-PER\nmet O\n".encode(encoding))
    assert "UTF-16" in line


# ── columns ──

GERMEVAL = """\
#\thttp://de.wikipedia.org/wiki/Anna [2010-01-10]
1\tAnna\tB-PER\tO
2\tmet\tO\tO

#\thttp://de.wikipedia.org/wiki/Oslo [2010-01-11]
1\tOslo\tB-LOC\tO
"""


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        ("1 Anna NNP I-NP B-PER\n2 met VBD I-VP O\n\n1 Oslo NNP I-NP B-LOC\n", {"word_column": 1}),
        ("1 Anna NNP I-NP B-PER\n2 met VBD I-VP O\n\n1 Oslo NNP I-NP B-LOC\n", {"word_column": "1"}),
        ("B-PER\tAnna\nO\tmet\n\nB-LOC\tOslo\n", {"word_column": -1, "tag_column": 0}),
        ("s1\tB-PER\tAnna\tx\ns1\tO\tmet\tx\n\ns1\tB-LOC\tOslo\tx\n", {"word_column": -2, "tag_column": 1}),
        (GERMEVAL, {"word_column": 1, "tag_column": 2}),
        ("id word ner x\n1 Anna B-PER x\n2 met O x\n\n1 Oslo B-LOC x\n", {"word_column": "word", "tag_column": "NER"}),
        (
            "# global.columns = ID FORM NER\n1\tAnna\tB-PER\n2\tmet\tO\n\n1\tOslo\tB-LOC\n",
            {"word_column": "form", "tag_column": "ner"},
        ),
    ],
    ids=["CoNLL-2003 with numbers", "as a string", "tag first", "from the end", "GermEval", "header", "global.columns"],
)
def test_any_column_holds_the_word_and_any_the_tag(tmp_path, content, reading):
    assert read(tmp_path, content, **reading) == ANNA


def test_a_job_and_an_override_set_columns(tmp_path):
    from fenestra.training.config import load_config

    (tmp_path / "job.toml").write_text(
        'data = {train = ["a"], dev = ["a"], word_column = 1, tag_column = "NE", scheme = "BILOU", format = "conllu"}\n'
        'model = {labels = ["PER"]}\n'
    )
    data = load_config(tmp_path / "job.toml", ["data.tag_column=-1"]).data
    assert (data.word_column, data.tag_column, data.scheme, data.format) == (1, -1, "BILOU", "conllu")


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"word_column": 5}, "a.conll:1: 2 columns, expected at least 6: the word is column 5, the tag column -1"),
        ({"tag_column": 2}, "a.conll:1: 2 columns, expected at least 3"),
        ({"word_column": "form"}, "a.conll: no column is called 'form' (data.word_column), expected an index"),
        ({"tag_column": "NE"}, "a.conll: no column is called 'NE' (data.tag_column), expected an index"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path, reading, said):
    assert complaint(tmp_path, "Anna B-PER\n", **reading)[0].startswith(said)


def test_a_name_is_looked_for_among_the_names_that_there_are(tmp_path):
    content = "# global.columns = ID FORM NER\n1\tAnna\tB-PER\n"
    assert "expected an index, or one of ID, FORM, NER" in complaint(tmp_path, content, tag_column="NE")[0]


def test_a_setting_that_is_none_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.scheme"):
        read(tmp_path, "a O\n", scheme="IOB3")


# ── comments ──


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        ("# sent_id = 1\n# text = Anna met Oslo\nAnna\tB-PER\nmet\tO\n\n# sent_id = 2\nOslo\tB-LOC\n", "1, 2, 6"),
        ("#\nAnna B-PER\nmet O\n\n# newpar\nOslo B-LOC\n", "1, 5"),
        ("Anna B-PER\n# in the middle of a sentence\nmet O\n\nOslo B-LOC\n", "2"),
        ("#id 7\nAnna B-PER\nmet O\n\n#\nOslo B-LOC\n", "1, 5"),
        ("Anna B-PER\nmet O\n\n# Oslo\nOslo B-LOC\n# the end", "4, 6"),
        ("#\thttp://x.org [2010]\nAnna\tB-PER\nmet\tO\n\nOslo\tB-LOC\n", "1"),
    ],
)
def test_comments_are_left_out(tmp_path, content, left_out):
    assert read(tmp_path, content) == ANNA
    (note,) = notes(tmp_path, content)
    assert re.fullmatch(rf"comments left out: lines? {left_out}", note)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("# O\n1 O\n", ["#", "1"]),
        ("# B-MISC\n1 I-MISC\n", ["#", "1"]),
        ("Anna B-PER\n# O\n", ["Anna", "#"]),
        ("#Oslo\tB-LOC\nis\tO\n", ["#Oslo", "is"]),
        ("##\tO\n#\tO\n", ["##", "#"]),
        ("# . O\nAnna NNP B-PER\n", ["#", "Anna"]),
        ("# O\n", ["#"]),
    ],
)
def test_a_token_that_begins_with_the_sign_stays_a_token(tmp_path, content, words):
    assert [[word for word, _ in sentence] for sentence in read(tmp_path, content)] == [words]
    assert notes(tmp_path, content) == []


def test_a_token_with_a_misspelt_tag_is_no_comment(tmp_path):
    assert complaint(tmp_path, "Anna\tB-PER\n#\tB_MISC\n")[0].startswith("a.conll:2: 'B_MISC' is not a tag")


def test_under_the_scheme_io_a_comment_is_what_has_no_tag_of_the_file(tmp_path):
    assert read(tmp_path, "# comment\nAnna PER\n# O\n# PER\n", scheme="IO") == [
        [("Anna", "B-PER"), ("#", "O"), ("#", "B-PER")]
    ]


def test_what_comments_begin_with_can_be_set(tmp_path):
    assert read(tmp_path, "% about O\nAnna B-PER\nmet O\n\n%\nOslo B-LOC\n", comments="%") == ANNA
    assert complaint(tmp_path, "# about\nAnna B-PER\n", comments="none")[0].startswith(
        "a.conll:1: 'about' is not a tag"
    )


def test_a_new_document_in_a_comment_begins_one(tmp_path):
    content = "# newdoc id = 1\nAnna\tO\n\nmet\tO\n\n# newdoc\nOslo\tO\n"
    found = inspect_corpus(write(tmp_path, content))
    assert found.documents == 2
    first, second, third = (sentence.document for sentence in found.sentences)
    assert first == second < third


# ── schemes ──

BOTH = ["B-PER", "I-PER", "I-PER", "O", "B-LOC"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-PER", "I-PER", "L-PER", "O", "U-LOC"], "BILOU"),
        (["B-PER", "M-PER", "E-PER", "O", "S-LOC"], "BMES"),
        (["B-PER", "M-PER", "E-PER", "O", "W-LOC"], "BMES"),
        (["B-PER", "I-PER", "E-PER", "O", "S-LOC"], "BIOES"),
        (["PER", "PER", "PER", "O", "LOC"], "IO"),
        (["I-PER", "I-PER", "I-PER", "O", "LOC"], "IO"),
        (["I-PER", "I-PER", "I-PER", "O", "I-LOC"], "IOB1"),
    ],
)
def test_schemes_are_read(tmp_path, tags, scheme):
    """By their prefixes, or by their name; labels without a prefix by their name only."""
    content = "".join(f"w{place} {tag}\n" for place, tag in enumerate(tags))
    for setting in {scheme, "auto"} - ({"auto"} if scheme == "IO" else set()):
        ((*found,),) = read(tmp_path, content, scheme=setting)
        assert [tag for _, tag in found] == BOTH
        assert inspect_corpus(tmp_path / "a.conll", scheme=setting).scheme == scheme


def test_a_file_of_single_tokens_in_bilou_is_one(tmp_path):
    assert read(tmp_path, "Anna U-PER\nmet O\n\nOslo U-LOC\n") == ANNA


@pytest.mark.parametrize(
    ("content", "scheme", "said"),
    [
        ("a L-PER\n", "BILOU", "1: 'L-PER' at the start of a sentence: no entity is open, expected B-PER first"),
        ("a B-PER\nb O\n", "BILOU", "1: 'B-PER' is not closed, expected I-PER or L-PER after it"),
        ("a B-PER\nb U-PER\n", "BILOU", "1: 'B-PER' is not closed, expected I-PER or L-PER after it"),
        ("a B-PER\nb M-PER\n", "BMES", "2: 'M-PER' is not closed, expected M-PER or E-PER after it"),
        ("a U-PER\n", "BIOES", "1: 'U-PER' in a file tagged BIOES, expected only O, B-LABEL, I-LABEL, E-LABEL and S-"),
        ("a S-PER\nb L-PER\n", "auto", "1: 'S-PER' in a file tagged BILOU, expected only O, B-LABEL, I-LABEL, L-LABEL"),
        ("a B-PER\n", "IO", "1: 'B-PER' in a file tagged IO, expected O, LABEL or I-LABEL"),
        ("a PER\n", "auto", "1: 'PER' is not a tag, expected O, B-LABEL or I-LABEL (in BIOES also E-LABEL, S-LABEL); "),
    ],
)
def test_tags_against_their_scheme_are_named(tmp_path, content, scheme, said):
    assert complaint(tmp_path, content, scheme=scheme)[0].startswith(f"a.conll:{said}")


def test_labels_without_a_prefix_are_refused_with_the_setting_that_reads_them(tmp_path):
    assert 'scheme = "IO" (--scheme IO)' in complaint(tmp_path, "Anna PER\nBerg PER\nmet O\n")[0]


@pytest.mark.parametrize(
    ("content", "tags"),
    [
        ("Anna B-PER\nBerg I-PER\n\nOslo I-LOC\n", ["B-PER", "I-PER", "B-LOC"]),
        ("a I-PER\nb I-LOC\n", ["B-PER", "B-LOC"]),
        ("a O\nb E-PER\nc B-PER\n", ["O", "B-PER", "B-PER"]),
        ("a B-PER\nb I-LOC\nc L-LOC\nd U-PER\n", ["B-PER", "B-LOC", "I-LOC", "B-PER"]),
        ("a M-PER\nb S-PER\n", ["B-PER", "B-PER"]),
    ],
)
def test_lenient_reads_as_conlleval_does(tmp_path, content, tags):
    found = read(tmp_path, content, scheme="lenient")
    assert [tag for sentence in found for _, tag in sentence] == tags
    assert any(
        note.startswith("tags of a broken sequence read as conlleval does: line")
        for note in notes(tmp_path, content, scheme="lenient")
    )


def test_the_refusal_of_a_broken_sequence_names_lenient_once(tmp_path):
    first, second = complaint(tmp_path, "Anna B-PER\n\nOslo I-LOC\n\nBonn I-LOC\n")
    assert first.startswith("a.conll:3: 'I-LOC' at the start of a sentence")
    assert 'scheme = "lenient" (--scheme lenient)' in first
    assert "lenient" not in second


def test_lenient_takes_no_tag_that_is_none(tmp_path):
    assert "is not a tag" in complaint(tmp_path, "a B_PER\n", scheme="lenient")[0]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([PER, LOC, ""])), max_size=8),
    st.sampled_from(["IOB2", "IOB1", "BIOES", "BILOU", "BMES"]),
)
def test_what_is_written_in_a_scheme_holds_its_spans(parts, scheme):
    drawn, length = [], 0
    for size, label in parts:
        if label:
            drawn.append(Span(length, length + size, label))
        length += size
    tags = write_in(drawn, length, scheme)
    assert schemes.read_spans(tags, scheme) == drawn
    assert list(schemes.transition_faults(tags, scheme)) == []
    assert spans([schemes.plain(tag, scheme) for tag in tags]) == drawn


def test_spans_that_io_would_join_are_counted():
    assert touching([Span(0, 1, PER), Span(1, 2, PER), Span(2, 3, LOC), Span(4, 5, LOC)]) == [Span(1, 2, PER)]


# ── CoNLL-U ──

CONLLU = """\
# newdoc id = a
# sent_id = 1
# text = Anna Berg lives du Nord.
1\tAnna\tanna\tPROPN\t_\t_\t3\tnsubj\t_\tNE=B-PER
2\tBerg\tberg\tPROPN\t_\t_\t1\tflat\t_\tNE=I-PER
3\tlives\tlive\tVERB\t_\t_\t0\troot\t_\t_
4-5\tdu\t_\t_\t_\t_\t_\t_\t_\t_
4\tde\tde\tADP\t_\t_\t6\tcase\t_\tNE=O
5\tle\tle\tDET\t_\t_\t6\tdet\t_\t_
5.1\tgone\tgo\tVERB\t_\t_\t_\t_\t0:x\tNE=B-MISC
6\tNord\tnord\tPROPN\t_\t_\t3\tobl\t_\tNE=B-LOC|SpaceAfter=No
7\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\tSpacesAfter=\\n

# newdoc
# sent_id = 2
1\t#\t#\tSYM\t_\t_\t0\troot\t_\tNE=B-LOC
"""
CONLLU_READ = [
    [
        ("Anna", "B-PER"), ("Berg", "I-PER"), ("lives", "O"), ("de", "O"), ("le", "O"), ("Nord", "B-LOC"), (".", "O"),
    ],
    [("#", "B-LOC")],
]  # fmt: skip


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz", "a.txt"])
def test_conll_u_is_told_by_its_name_or_its_columns(tmp_path, name):
    import gzip

    content = gzip.compress(CONLLU.encode()) if name.endswith(".gz") else CONLLU
    assert read(tmp_path, content, name) == CONLLU_READ
    found = inspect_corpus(tmp_path / name)
    assert (found.format, found.documents) == ("conllu", 2)
    assert found.notes[1] == "multi-word tokens and empty nodes left out: lines 7, 10"


@pytest.mark.parametrize("key", ["NE", "NER", "ner", "Entity", "NamedEntity", "Name"])
def test_the_key_of_the_tag_in_misc_is_found(tmp_path, key):
    assert read(tmp_path, CONLLU.replace("NE=", f"{key}="), "a.conllu") == CONLLU_READ


def test_a_key_is_passed_over_that_holds_no_tags(tmp_path):
    """As in GUM, whose Entity= brackets entities."""
    content = CONLLU.replace("NE=", "NER=").replace("SpacesAfter", "Entity=(person-1)|SpacesAfter")
    assert read(tmp_path, content, "a.conllu") == CONLLU_READ


@pytest.mark.parametrize(
    ("change", "reading"),
    [
        (("NE=", "My="), {"tag_column": "My"}),
        (("NE=", "NE="), {"tag_column": "NE"}),
        (("NE=", "NE="), {"word_column": "FORM", "tag_column": "NE"}),
    ],
)
def test_a_name_may_be_a_key_of_misc(tmp_path, change, reading):
    assert read(tmp_path, CONLLU.replace(*change), "a.conllu", **reading) == CONLLU_READ


def test_a_column_of_conll_u_may_hold_the_tag_and_empty_cells_are_outside(tmp_path):
    content = "1\tAnna\t_\t_\tB-PER\t_\t_\t_\t_\t_\n2\tmet\t_\t_\t_\t_\t_\t_\t_\t_\n\n" + (
        "1\tOslo\t_\t_\tB-LOC\t_\t_\t_\t_\t_\n"
    )
    for column in ("XPOS", "xpos", 4, "4", -6):
        assert read(tmp_path, content, "a.conllu", tag_column=column) == ANNA


def test_conll_u_plus_names_its_columns(tmp_path):
    content = "# global.columns = FORM ID NER\nAnna\t1\tB-PER\nmet\t2\tO\n\nOslo\t1\tB-LOC\n"
    assert read(tmp_path, content, "a.conllup", tag_column="NER") == ANNA
    assert read(tmp_path, content, "a.conllup") == ANNA


def test_tags_of_misc_may_be_of_any_scheme(tmp_path):
    content = CONLLU.replace("NE=B-LOC", "NE=S-LOC").replace("NE=I-PER", "NE=E-PER")
    assert read(tmp_path, content, "a.conllu") == CONLLU_READ


def test_conll_u_without_tags_says_where_they_were_looked_for(tmp_path):
    (line,) = complaint(tmp_path, "1\tAnna\t_\t_\t_\t_\t_\t_\t_\t_\n", "a.conllu")
    assert "no tag in MISC (NE=, NER=" in line
    assert "--tag-column" in line


def test_a_fault_behind_lines_that_were_left_out_is_placed_right(tmp_path):
    content = CONLLU.replace(
        "6\tNord\tnord\tPROPN\t_\t_\t3\tobl\t_\tNE=B-LOC", "6\tNord\tn\tX\t_\t_\t3\tobl\t_\tNE=I-LOC"
    )
    assert complaint(tmp_path, content, "a.conllu")[0].startswith("a.conllu:11: 'I-LOC' after 'O'")
