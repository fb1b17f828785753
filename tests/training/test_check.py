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
