"""A corpus written in another format and read back has the same spans; what cannot be written is refused."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import round_trips
from fenestra.cli import corpora as command
from fenestra.cli.main import main
from fenestra.model.errors import DataError, InputError
from fenestra.training.config import FormatName, ReadingConfig, ReadScheme
from fenestra.training.data.alignment import Output, TaggedSentence, text_of
from fenestra.training.data.convert import convert_corpus
from fenestra.training.data.corpus import inspect_corpus, read_corpus
from fenestra.training.data.formats import FORMATS, detect_format, target_format
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.raw_sentences import RawSentence
from tests.conftest import ROOT

SAMPLE = ROOT / "data" / "sample" / "test.conll"
HERE = [name for name in FORMATS if name != "spacy" or find_spec("spacy")]
"""Formats that are installed."""
MARKED = """\
-DOCSTART- O

Anna B-PER
Berg I-PER
met O

Tom B-PER
Oslo B-LOC

-DOCSTART- O

# O
"AT&T" B-ORG
🙂 O
Åse B-PER
"""


def write(folder: Path, content: str, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return path


def name_of(form: str) -> str:
    return f"x{(*FORMATS[form].suffixes, '')[0]}"


def test_every_format_is_named_in_the_settings_on_the_command_line_and_in_the_documents():
    names = get_args(FormatName)
    assert set(FORMATS) == set(names)
    assert names == command.FORMATS
    assert list(command._READING) == list(ReadingConfig.__dataclass_fields__)
    assert set(round_trips.READERS) == set(names)
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in names if f"\n| `{name}` |" not in page] == []
    assert [name for name in get_args(ReadScheme)[1:] if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("form", HERE)
def test_what_is_written_in_a_format_is_read_back(tmp_path, form):
    source = write(tmp_path, MARKED)
    done = convert_corpus(source, tmp_path / name_of(form), to=form)
    assert (done.texts, done.labels) == (2, {"LOC": 1, "ORG": 1, "PER": 3})
    before, after = inspect_corpus(source), inspect_corpus(done.path, format=form)
    assert after.problems == []
    if after.texts:
        texts = round_trips.texts_in(before)
        assert [(text.text, sorted(text.annotations)) for text in after.texts] == [
            (text.text, sorted(text.annotations)) for text in texts
        ]
    else:
        assert [s[:2] for s in after.sentences] == [s[:2] for s in before.sentences]
        assert [s.document for s in after.sentences] == [0, 0, 2]


@pytest.mark.parametrize("form", [name for name in HERE if name != "brat"])
def test_from_every_format_to_every_other_the_spans_stay(tmp_path, form):
    first = convert_corpus(SAMPLE, tmp_path / name_of(form), to=form)
    expected = read_corpus(SAMPLE).label_counts()
    assert first.labels == expected
    for other in ("conll", "doccano", "label-studio", "hf-parquet"):
        again = convert_corpus(first.path, tmp_path / f"{other}{name_of(other)}", to=other, format=form)
        assert again.labels == expected
        assert read_corpus(again.path, format=other).label_counts() == expected


@pytest.mark.parametrize("form", [name for name in HERE if FORMATS[name].has_tokens and name != "spacy"])
@pytest.mark.parametrize("scheme", ["IOB2", "IOB1", "BIOES", "BILOU", "BMES"])
def test_tags_can_be_written_in_any_scheme(tmp_path, form, scheme):
    done = convert_corpus(SAMPLE, tmp_path / name_of(form), to=form, to_scheme=scheme)
    assert [s[:2] for s in read_corpus(done.path).sentences] == [s[:2] for s in read_corpus(SAMPLE).sentences]


def test_entities_that_the_scheme_io_joins_are_counted(tmp_path):
    done = convert_corpus(write(tmp_path, "a B-PER\nb B-PER\nc B-LOC\n"), tmp_path / "x.conll", to_scheme="IO")
    assert done.notes == ("entities joined to the one before, of the same label, which IO cannot part: 1",)


def test_between_formats_of_texts_nothing_changes_but_how_they_are_written(tmp_path):
    record = {"text": "  Osloer\t Zeitung \n", "label": [[2, 6, "LOC"], [0, 17, "ORG"], [2, 8, "ORG"]]}
    source = write(tmp_path, json.dumps(record), "x.jsonl")
    done = convert_corpus(source, tmp_path / "y.prodigy.jsonl")
    assert done.labels == {"LOC": 1, "ORG": 2}
    assert any("do not fall on token borders" in note for note in done.notes)
    again = inspect_corpus(done.path)
    assert again.texts[0].text == record["text"]
    assert [list(span) for span in again.texts[0].annotations] == record["label"]


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=5), min_size=1, max_size=5
        ),
        min_size=1,
        max_size=3,
    ),
    st.data(),
)
def test_words_of_a_document_keep_their_spans_as_a_text(sentences, data):
    tags = [data.draw(st.lists(st.sampled_from(["O", "B-X"]), min_size=len(w), max_size=len(w))) for w in sentences]
    given_ = [Sentence(tuple(w), tuple(t), 0, 1) for w, t in zip(sentences, tags, strict=True)]
    spaces = [data.draw(st.lists(st.booleans(), min_size=len(w), max_size=len(w))) for w in sentences]
    text = text_of(given_, [RawSentence(0, 1, list(w), [], spaces=s) for w, s in zip(sentences, spaces, strict=True)])
    assert text.sentences is not None
    assert [[token.text for token in sentence] for sentence in text.sentences] == sentences
    assert all(text.text[t.start : t.end] == t.text for sentence in text.sentences for t in sentence)
    named = [w for ws, ts in zip(sentences, tags, strict=True) for w, t in zip(ws, ts, strict=True) if t != "O"]
    assert [text.text[span.start : span.end] for span in text.annotations] == named
    assert text.text == text.text.strip(" ")


def test_conll_u_keeps_where_no_space_stands(tmp_path):
    source = write(tmp_path, json.dumps({"text": "Anna, Tom.", "label": [[0, 4, "PER"]]}), "x.jsonl")
    middle = convert_corpus(source, tmp_path / "x.conllu").path
    assert "# text = Anna, Tom.\n1\tAnna\t_\t_\t_\t_\t_\t_\t_\tNE=B-PER|SpaceAfter=No\n" in middle.read_text()
    again = convert_corpus(middle, tmp_path / "y.doccano.jsonl").path
    assert json.loads(again.read_text()) == {"text": "Anna, Tom.", "label": [[0, 4, "PER"]]}


# ── what a new file is ──


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.conll", "conll"), ("a.iob2", "conll"), ("a.conllu", "conllu"), ("a.doccano.jsonl", "doccano"),
        ("a.prodigy.jsonl", "prodigy"), ("a.hf-jsonl.jsonl.gz", "hf-jsonl"), ("a.parquet", "hf-parquet"),
        ("a.label-studio.json", "label-studio"), ("a.spacy", "spacy"), ("brat", "brat"), ("a.CONLLU", "conllu"),
    ],
)  # fmt: skip
def test_the_name_of_a_new_file_tells_its_format(name, form):
    assert target_format(Path(name)) == form


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.jsonl", ".jsonl may be doccano, prodigy, jsonl, spacy-json, hf-jsonl; name one: --to doccano|prodigy|"),
        ("a.json", ".json may be spacy-json, label-studio, hf-jsonl"),
        ("a.xml", "no format ends in .xml; name one: --to conll|conllu"),
    ],
)
def test_a_name_that_does_not_tell_is_refused_with_what_it_may_be(tmp_path, name, said):
    with pytest.raises(InputError, match=r"name one: --to") as raised:
        convert_corpus(SAMPLE, tmp_path / name)
    assert said in str(raised.value)


def test_a_target_that_is_there_is_not_replaced(tmp_path):
    source = write(tmp_path, "a B-X\n")
    (tmp_path / "folder").mkdir()
    for name, form in (("a.conll", "conll"), ("folder", "brat"), ("folder", "conll")):
        with pytest.raises(InputError, match="is taken"):
            convert_corpus(source, tmp_path / name, to=form)
    assert source.read_text() == "a B-X\n"


def test_entities_of_a_label_that_cannot_be_written_as_a_tag_are_left_out_aloud(tmp_path):
    done = convert_corpus(write(tmp_path, "a B-O\nb I-O\nc B-X\n\nd B-O\n"), tmp_path / "x.jsonl", to="doccano")
    assert done.labels == {"X": 1}
    (note,) = done.notes
    assert note.startswith("a label is called 'O' (2 entities)")


@pytest.mark.parametrize("name", ["x.conll", "x.parquet", "brat"])
def test_a_target_in_a_folder_that_is_not_there_is_refused(tmp_path, name):
    source = write(tmp_path, "a B-X\n")
    with pytest.raises(InputError, match=r"nowhere/.*: there is no folder .*nowhere$"):
        convert_corpus(source, tmp_path / "nowhere" / name, to="brat" if name == "brat" else None)


def test_a_target_may_be_gzipped(tmp_path):
    path = convert_corpus(SAMPLE, tmp_path / "x.conll.gz").path
    assert gzip.decompress(path.read_bytes()).startswith(b"-DOCSTART-\tO\n\n")


def test_nothing_is_left_of_a_conversion_that_fails(tmp_path):
    source = write(tmp_path, json.dumps({"tokens": ["a\tb"], "ner_tags": ["B-X"]}), "x.jsonl")
    with pytest.raises(DataError, match="cannot be written to a file of columns"):
        convert_corpus(source, tmp_path / "y.conll")
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


@pytest.mark.parametrize("word", ["a\tb", "a\nb", "a\rb", " a", "a ", " ", "\ufeffa", "-DOCSTART-"])
@pytest.mark.parametrize("form", ["conll", "conllu"])
def test_a_word_that_would_not_read_back_is_refused(word, form):
    output = Output([], [[TaggedSentence([word], ["O"], [True])]])
    with pytest.raises(DataError, match="cannot be written"):
        FORMATS[form].write(output)


def test_a_damaged_source_is_named_by_line(tmp_path):
    source = write(tmp_path, "a B-X\n\nb I-X\n")
    with pytest.raises(DataError, match=r"a\.conll:2: .*|a\.conll:3: 'I-X' at the start of a sentence"):
        convert_corpus(source, tmp_path / "y.conllu")


def test_names_of_classes_stand_in_the_features_of_a_table(tmp_path):
    from pyarrow import parquet

    path = convert_corpus(SAMPLE, tmp_path / "x.parquet").path
    features = json.loads(parquet.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert features["ner_tags"]["feature"]["names"][:3] == ["O", "B-LOC", "I-LOC"]
    assert detect_format(path) == "hf-parquet"


# ── the command ──


def test_the_command_converts_and_says_what_it_did(tmp_path, capsys):
    record = {"text": "the Osloer Zeitung", "label": [[4, 8, "LOC"]]}
    source = write(tmp_path, json.dumps(record), "x.jsonl")
    assert main(["data", "convert", str(source), str(tmp_path / "y.conll")]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path}/y.conll: 1 text, conll\n  entities: LOC 1\n"
    assert "spans that do not fall on token borders: 1 of 1; " in told.err
    assert (tmp_path / "y.conll").read_text() == "the\tO\nOsloer\tB-LOC\nZeitung\tO\n\n"


def test_flags_win_over_what_a_file_looks_like(tmp_path, capsys):
    source = write(tmp_path, "1\tAnna\tB-PER\n2\tmet\tO\n", "x.conllu")
    arguments = ["data", "convert", str(source), str(tmp_path / "y.jsonl"), "--from", "conll", "--word-column", "1"]
    assert main([*arguments, "--to", "hf-jsonl", "--to-scheme", "BIOES"]) == 0
    assert json.loads((tmp_path / "y.jsonl").read_text()) == {"tokens": ["Anna", "met"], "ner_tags": ["S-PER", "O"]}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("a B_X\n", [], "a.conll:1: 'B_X' is not a tag"),
        ("a B-X\n" + "b B_X\n" * 30, [], "a.conll:2: 'B_X' is not a tag"),
        ("a B-X\n", ["--from", "xml"], "argument --from: invalid choice: 'xml'"),
        ("a B-X\n", ["--word-column", "form"], "no column is called 'form'"),
        ("a B-X\n", ["--from", "label-studio"], "a.conll"),
    ],
)
def test_the_command_refuses_with_code_2_and_at_most_twenty_lines(tmp_path, capsys, content, options, said):
    source = write(tmp_path, content)
    assert main(["data", "convert", str(source), str(tmp_path / "y.conllu"), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[0]
    assert len(lines) <= 21
    assert not (tmp_path / "y.conllu").exists()


def test_a_model_is_measured_on_any_format(tmp_path, capsys):
    path = convert_corpus(SAMPLE, tmp_path / "x.prodigy.jsonl").path
    evaluate = ["evaluate", "--model", "english", "--rename", "MISC=O"]
    measured = []
    for file in (SAMPLE, path):
        assert main([*evaluate, "--json", str(tmp_path / "o.json"), str(file)]) == 0
        measured.append(json.loads((tmp_path / "o.json").read_text())["scores"]["micro"]["support"])
    assert measured == [151, 151]
    capsys.readouterr()
