"""Errors and remarks about corpora, each for itself and next to one another."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from fenestra.model.errors import DataError
from fenestra.training.data.check import check_corpus
from fenestra.training.vectors.vectors import WordVectors

SENTENCE = "Ada B-PER\nmet O\nher O\nold O\nfriend O\n\n"


def write(folder: Path, content: str | bytes, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def remarks(folder: Path, content: str | bytes) -> list[str]:
    found = check_corpus([write(folder, content)])
    assert found.ok
    return list(found.files[0].remarks)


def test_a_clean_file_has_nothing_but_counts(tmp_path):
    found = check_corpus([write(tmp_path, SENTENCE)])
    assert found.ok
    assert found.errors == ""
    assert str(found).replace(f"{tmp_path}/", "") == (
        "a.conll: 1 sentences, 5 tokens, 2 columns, IOB2\n"
        "  entities: PER 1; 1.00 tokens long on average, 1 at most\n"
        "no errors"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbfa B-PER\n", ["begins with a byte order mark"]),
        (b"a B-PER\r\n\r\nb O\n", ["Windows line ends (CRLF) in lines 1, 2"]),
        (b"a B-PER \nb O\t\n \n", ["spaces or tabs at the end of lines 1, 2, 3"]),
        (b"a B-PER\nb O", ["no line break at the end of the file"]),
        (b"-DOCSTART- O\n\na B-PER\n", ["1 -DOCSTART- lines, taken as document boundaries"]),
        (b"a I-PER\n", ["tagged IOB1, converted to IOB2"]),
        (b"a S-PER\n", ["tagged BIOES, converted to IOB2"]),
        (b"a B-X\n" + b"b O\n" * 200, ["more than 200 tokens in the sentence at line 1"]),
        (b"a B-X\n" + b"b O\n" * 199, []),
        (
            b"Jordan B-PER\n\nJordan B-LOC\n\nJordan B-PER\n\n, B-PER\n\n, B-LOC\n",
            ["1 words occur under more than one label (Jordan: PER 2, LOC 1)"],
        ),
        (
            b"Jordan B-PER\n\n" * 9 + b"Jordan B-LOC\n\n" + b"May B-PER\n\nMay B-MISC\n\n" * 2,
            ["2 words occur under more than one label (May: PER 2, MISC 2; Jordan: PER 9, LOC 1)"],
        ),
    ],
)
def test_what_is_odd_is_remarked_on_and_no_error(tmp_path, content, expected):
    assert remarks(tmp_path, content) == expected


def test_remarks_read_through_gzip(tmp_path):
    assert remarks(tmp_path, gzip.compress(b"a B-PER\r\n")) == ["Windows line ends (CRLF) in line 1"]


def test_many_lines_are_counted_and_not_listed(tmp_path):
    (remark,) = remarks(tmp_path, b"a B-PER\r\n\r\n" * 500)
    assert remark == "Windows line ends (CRLF) in lines 1, 2, 3, 4, 5 and 995 more"


def test_errors_are_all_in_the_data_and_the_first_twenty_in_the_text(tmp_path):
    found = check_corpus([write(tmp_path, "a B-X\n\n" + "b I-X\n\n" * 30)])
    assert not found.ok
    assert len(found.as_dict()["files"][0]["errors"]) == 30
    assert found.as_dict()["files"][0]["errors"][0]["line"] == 3
    assert found.errors.count("\n") == 20
    assert str(found).endswith("… and 10 more\nerrors: 30")


def test_the_result_is_json(tmp_path):
    path = write(tmp_path, SENTENCE * 2)
    found = check_corpus([path], against=[write(tmp_path, "a O\nbroken\n", "b.conll")])
    read = json.loads(json.dumps(found.as_dict()))
    assert read["ok"] is False
    assert [entry["path"] for entry in read["files"]] == [str(tmp_path / "b.conll"), str(path)]
    assert read["files"][1]["entity_lengths"] == {"1": 2}
    assert read["files"][1]["coverage"] is None


def test_errors_name_their_file(tmp_path):
    paths = [write(tmp_path, "broken\n", "1.conll"), write(tmp_path, "x y\n", "2.conll")]
    lines = check_corpus(paths).errors.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:1" for path in paths]


def test_repeated_sentences_are_counted_and_placed(tmp_path):
    path = write(tmp_path, SENTENCE + "short O\n\nshort O\n\n" + SENTENCE + SENTENCE.replace("B-PER", "B-LOC"))
    found = check_corpus([path]).files[0].duplicates
    assert (found.count, found.conflicting) == (2, 1)
    assert str(found) == f"2, 1 of them with other tags: {path}:1 ↔ {path}:11, {path}:1 ↔ {path}:17"


def test_sentences_that_files_share_are_found(tmp_path):
    paths = [
        write(tmp_path, SENTENCE, "1"),
        write(tmp_path, "other O\n\n" + SENTENCE, "2"),
        write(tmp_path, "x O\n", "3"),
    ]
    (overlap,) = check_corpus(paths).overlaps
    assert [str(place) for place in overlap.duplicates.first[0]] == [f"{paths[0]}:1", f"{paths[1]}:3"]
    assert f"{paths[0]} and {paths[1]} share sentences: 1" in str(check_corpus(paths))


def test_entities_that_training_never_saw_are_counted_by_label(tmp_path):
    train = write(tmp_path, "Ada B-PER\nLovelace I-PER\n\nOslo B-LOC\n", "train")
    test = write(tmp_path, "Ada B-PER\n\nOslo B-LOC\n\nAda B-PER\nLovelace I-PER\n\nOslo B-PER\n", "test")
    (unseen,) = check_corpus([test], against=[train]).unseen
    assert (unseen.unseen, unseen.entities) == (2, 4)
    assert unseen.by_label == {"LOC": (0, 1), "PER": (2, 3)}
    assert str(unseen) == f"{test}: 50.0% of 4 entities are new (LOC 0.0%, PER 66.7%)"


def test_nothing_is_new_where_there_are_no_entities(tmp_path):
    (unseen,) = check_corpus([write(tmp_path, "a O\n", "b")], against=[write(tmp_path, "a O\n")]).unseen
    assert unseen.as_dict()["share"] == 0
    assert str(unseen).endswith("0.0% of 0 entities are new")


def test_coverage_is_measured_if_there_are_vectors(tmp_path):
    vectors = WordVectors("v", ["ada", "met"], np.zeros((2, 3), dtype=np.float32), "")
    found = check_corpus([write(tmp_path, SENTENCE)], vectors=vectors)
    assert found.files[0].coverage is not None
    assert found.files[0].coverage.tokens == (1, 1, 3)
    assert "tokens: 40.0% of 5 have a vector" in str(found)
    assert found.as_dict()["files"][0]["coverage"]["tokens"]["missing"] == 3


def test_labels_that_may_not_occur_are_errors(tmp_path):
    assert "unknown label 'PER'" in check_corpus([write(tmp_path, SENTENCE)], labels=["LOC"]).errors


def test_a_cut_gzip_file_is_an_error_among_others(tmp_path):
    data = gzip.compress("".join(f"w{n} O\n" for n in range(9000)).encode())
    found = check_corpus([write(tmp_path, data[:-20])])
    assert "truncated or damaged gzip" in found.errors


def test_a_line_longer_than_a_line_may_be_is_counted_once(tmp_path):
    found = check_corpus([write(tmp_path, b"a O\n" + b"x" * 2_500_000 + b"\r\nb O \n")])
    assert found.files[0].remarks[:2] == (
        "Windows line ends (CRLF) in line 2",
        "spaces or tabs at the end of line 3",
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        check_corpus([tmp_path / "missing"])


def test_a_file_without_an_entity_is_remarked_on_and_has_no_scheme(tmp_path):
    """It can be read, but a job that has nothing else is refused."""
    (remark,) = remarks(tmp_path, "it\tO\nrains\tO\n\n")
    assert remark.startswith("holds no entity")


# ── slips ──


def slip(folder: Path, content: str, **reading) -> list[str]:
    return list(check_corpus([write(folder, content)], **reading).files[0].remarks)


@pytest.mark.parametrize(
    "content",
    [
        "1 EU NNP I-NP B-ORG\n2 rejects VBZ I-VP O\n",
        "0 a B-X\n1 b O\n2 c O\n\n0 d O\n1 e O\n",
        "1 a B-X\n2 b O\n\n3 c O\n4 d O\n",
        "1. a B-X\n2. b O\n",
        "1-1 a B-X\n1-2 b O\n\n2-1 c O\n2-2 d O\n",
    ],
    ids=["in each sentence", "from 0", "through the file", "with a period", "with the sentence"],
)
def test_a_first_column_that_counts_is_remarked_on(tmp_path, content):
    assert any("the column of the word counts 1, 2, 3" in remark for remark in slip(tmp_path, content))
    assert not any("counts" in remark for remark in slip(tmp_path, content, word_column=1))


@pytest.mark.parametrize(
    "content",
    ["1 B-X\n2 O\n", "1 x B-X\n", "in x O\n1996 x B-X\n1 x O\n", "7 x B-X\n9 x O\n11 x O\n", "1 x B-X\n1 x O\n1 x O\n"],
)
def test_numbers_among_words_do_not_count(tmp_path, content):
    assert not any("counts" in remark for remark in slip(tmp_path, content))


@pytest.mark.parametrize(
    "content", ["Anna B-PER\nBerg B-PER\nmet O\n", "a B-X\nb B-X\nc B-X\n\nd B-Y\n", "a U-X\nb U-X\n", "a S-X\nb S-X\n"]
)
def test_every_token_tagged_as_a_begin_is_remarked_on(tmp_path, content):
    assert any("was every token tagged B-?" in remark for remark in slip(tmp_path, content))


@pytest.mark.parametrize(
    "content", ["a B-X\nb I-X\nc B-X\n", "a B-X\n\nb B-X\n", "a B-X\nb B-Y\n", "a B-X\nb O\nc B-X\n"]
)
def test_entities_that_may_be_apart_are_not(tmp_path, content):
    assert not any("B-?" in remark for remark in slip(tmp_path, content))


@pytest.mark.parametrize("label", ["O", "o", "0", "NONE", "outside"])
def test_a_label_that_names_what_is_outside_is_remarked_on(tmp_path, label):
    (remark,) = [r for r in slip(tmp_path, f"a B-{label}\nb O\n\nc B-PER\n") if "is called" in r]
    assert remark.startswith(f"a label is called {label!r} (1 entity)")
    assert ("its entities are left out" in remark) == (label == "O")


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (("PER", "per"), "PER 1, per 1"),
        (("Loc", "LOC"), "LOC 1, Loc 1"),
        (("ORG", "Org", "org"), "ORG 1, Org 1, org 1"),
    ],
)
def test_labels_that_differ_in_case_only_are_remarked_on(tmp_path, labels, shown):
    content = "".join(f"a B-{label}\n\n" for label in labels)
    assert f"labels that differ in case only: {shown}" in slip(tmp_path, content)


def test_labels_of_scheme_io_are_compared_too(tmp_path):
    assert "labels that differ in case only: PER 1, Per 1" in slip(tmp_path, "a PER\nb Per\n", scheme="IO")


@pytest.mark.parametrize(
    "content",
    [
        "Mr. B-PER\nBerg I-PER\n\nGen. O\nKerr B-PER\n",
        "Dr B-PERSON\nBerg I-PERSON\n\nMrs. O\nKerr B-PERSON\n",
        "Господин B-PER\nПетров I-PER\n\nпроф. O\nГенерал O\nКирин B-PER\n",
        "Frau B-PER\nBerg I-PER\n\nHerr O\nKerr B-PER\n",
    ],
)
def test_titles_inside_and_before_persons_are_remarked_on(tmp_path, content):
    (remark,) = [r for r in slip(tmp_path, content) if r.startswith("titles")]
    assert remark.startswith("titles are inside of 1 person (")
    assert ") and before 1 (" in remark


@pytest.mark.parametrize(
    "content",
    [
        "Mr. B-PER\nBerg I-PER\n\nDr. B-PER\nKerr I-PER\n",
        "Mr. O\nBerg B-PER\n\nDr. O\nKerr B-PER\n",
        "Gen. B-ORG\nMotors I-ORG\n\nMr. O\nKerr B-PER\n",
        "Judge B-PER\n\nMr. O\nKerr B-PER\n",
    ],
)
def test_titles_that_are_always_on_one_side_are_not(tmp_path, content):
    assert not any("titles" in remark for remark in slip(tmp_path, content))


def test_what_reading_took_off_is_a_remark(tmp_path):
    assert "byte order marks inside the file taken off: line 4" in slip(tmp_path, "a B-X\nb O\n\n\ufeffc O\n")
    assert "old Mac line ends (CR) in lines 1, 2" in slip(tmp_path, "a B-X\rb O\r")


def test_a_corpus_of_another_format_is_checked_alike(tmp_path):
    record = {"text": "Mr. Berg met Gen. Kerr.", "label": [[0, 8, "PER"], [18, 22, "per"]]}
    path = write(tmp_path, json.dumps(record) + "\n", "a.jsonl")
    found = check_corpus([path]).files[0]
    assert (found.format, found.columns, found.sentences) == ("doccano", 0, 1)
    assert str(found).startswith(f"{path}: 1 sentences, 6 tokens, doccano, IOB2\n")
    assert "labels that differ in case only: PER 1, per 1" in found.remarks
