"""Which files are tagged, how they are compressed, and where the result of each goes."""

import bz2
import datetime
import decimal
import gzip
import importlib
import json
import lzma
import os
import sys
from functools import partial
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from fenestra.cli.bulk.inputs import Input, find_inputs, guess_format, output_paths
from fenestra.model.errors import InputError

zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
CHECKED = {zstd.CompressionParameter.checksum_flag: 1}  # as the command zstd does
PACKERS = {
    ".gz": gzip.compress,
    ".zst": partial(zstd.compress, options=CHECKED),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
CONTENTS = {
    "a.txt": "Anna Berg lives in Oslo.\nTom Kerr left.\n",
    "b.jsonl": '{"text": "Tom Kerr left Paris.", "id": 7}\n{"tokens": ["Oslo"]}\n',
    "c.conll": "-DOCSTART- O\n\nAnna O\nBerg O\n\nOslo O\n",
}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def texts(text):
    return [record.get("text") or record["tokens"] for record in records(text)]


def table(path, columns, **options):
    parquet.write_table(pyarrow.table(columns), path, **options)
    return path


# ── formats ──


@pytest.mark.parametrize("end", PACKERS)
@pytest.mark.parametrize("name", CONTENTS)
def test_compressed_files_are_read_as_what_they_hold(tag, tmp_path, name, end):
    plain = tag(write(tmp_path / name, CONTENTS[name]))
    packed = tag(write(tmp_path / f"{name}{end}", PACKERS[end](CONTENTS[name].encode())))
    assert packed == plain
    assert plain[0] == 0
    assert plain[1].count("\n") == 2


def test_zstd_of_several_frames_is_read(tag, tmp_path):
    data = zstd.compress(b"Oslo\n") + zstd.compress(b"Paris\n")
    assert texts(tag(write(tmp_path / "a.txt.zst", data))[1]) == ["Oslo", "Paris"]


@pytest.mark.parametrize("end", PACKERS)
@pytest.mark.parametrize("how", ["cut", "garbled"])
def test_a_damaged_file_is_named(tag, tmp_path, end, how):
    data = PACKERS[end]("".join(f"Oslo {number}\n" for number in range(50_000)).encode())
    data = data[: len(data) // 2] if how == "cut" else data[:100] + b"\xaa" * 50 + data[150:]
    path = write(tmp_path / f"a.txt{end}", data)
    code, _, err = tag(path, "-o", tmp_path / "out")
    assert code == 2
    assert err[-1].startswith(f"{path}:")
    assert "truncated or damaged" in err[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_rows_of_parquet_are_objects_in_their_order(tag, tmp_path, rows):
    columns = {
        "id": list(range(25)),
        "text": [f"Tom Kerr left Oslo {number}." for number in range(25)],
        "day": [datetime.date(2024, 2, 3)] * 25,
        "price": [decimal.Decimal("1.50")] * 25,
        "tags": [["a", None]] * 25,
        "at": [datetime.datetime(2024, 2, 3, 4, 5)] * 25,
        "none": [None] * 25,
    }
    path = table(tmp_path / "a.parquet", columns, row_group_size=rows)
    code, out, err = tag(path)
    assert (code, err) == (0, [])
    read = records(out)
    assert [record["id"] for record in read] == list(range(25))
    assert [entity["text"] for entity in read[3]["entities"]] == ["Tom Kerr", "Oslo"]
    assert (read[0]["day"], read[0]["price"], read[0]["tags"]) == ("2024-02-03", "1.50", ["a", None])
    assert (read[0]["at"], read[0]["none"]) == ("2024-02-03T04:05:00", None)


def test_parquet_with_words_and_conll_output(tag, tmp_path):
    path = table(tmp_path / "a.parquet", {"tokens": [["Anna", "Berg"], ["Oslo"]]})
    code, out, _ = tag(path, "--output-format", "conll")
    assert (code, [line.split("\t")[0] for line in out.splitlines()]) == (0, ["Anna", "Berg", "", "Oslo", ""])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["Oslo", None]}, ":2: text: expected a string, got null"),
        ({"body": ["Oslo"]}, ":1: expected an object with either text or tokens"),
        ({"text": ["Oslo"], "tokens": [["Oslo"]]}, ":1: expected an object with either text or tokens"),
        ({"text": ["Oslo"], "entities": [1]}, ":1: has entities already"),
        ({"text": ["Oslo"], "raw": [b"\xff"]}, ":1: raw: b'\\xff', which JSON cannot hold"),
        ({"text": ["Oslo"], "x": [float("nan")]}, ":1: x: nan, which JSON cannot hold"),
    ],
)
def test_a_row_that_is_no_text_is_named(tag, tmp_path, columns, said):
    path = table(tmp_path / "a.parquet", columns)
    code, _, err = tag(path)
    assert code == 2
    assert err[0].startswith(f"{path}{said}")


def test_a_long_row_is_left_out(tag, tmp_path):
    path = table(tmp_path / "a.parquet", {"text": ["Oslo", "x" * 300, "Paris"]})
    code, out, err = tag(path, "--max-line", 200)
    assert (code, texts(out)) == (2, ["Oslo", "Paris"])
    assert err == [f"{path}:2: a row of more than 200 bytes, left out; --max-line sets the limit"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"x" * 50 + b"PAR1", gzip.compress(b"PAR1", mtime=0)])
def test_what_is_no_parquet_is_refused(tag, tmp_path, content):
    path = write(tmp_path / "a.parquet", content)
    code, _, (line,) = tag(path)
    assert code == 2
    assert line.startswith(f"{path}: cannot be read as Parquet (")
    assert len(line) < 500


def test_an_empty_parquet_file_has_no_rows(tag, tmp_path):
    path = table(tmp_path / "a.parquet", {"text": pyarrow.array([], pyarrow.string())})
    assert tag(path)[:2] == (0, "")


def test_without_pyarrow_its_extra_is_named(tag, tmp_path, monkeypatch):
    path = table(tmp_path / "a.parquet", {"text": ["Oslo"]})
    monkeypatch.setattr("fenestra.cli.bulk.parquet.find_spec", lambda _: None)
    way = "pip install 'fenestra-ner[bulk]', or in the source folder: pip install '.[bulk]'"
    assert tag(path)[2] == [f"{path}: Parquet needs pyarrow; install the extra: {way}"]


def test_times_of_nanoseconds_are_text_and_what_python_cannot_have_is_a_bad_row(tag, tmp_path):
    kinds = {
        "at": pyarrow.timestamp("ns"),
        "day": pyarrow.time64("ns"),
        "took": pyarrow.duration("ns"),
        "us": pyarrow.timestamp("us"),
    }
    columns = {
        "text": pyarrow.array(["Oslo", "Ada"]),
        **{name: pyarrow.array([1, 2], kind) for name, kind in kinds.items()},
    }
    columns["far"] = pyarrow.array([1, 10**18], pyarrow.timestamp("us"))
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    _, line, err = tag(tmp_path / "a.parquet", "--bad-lines", tmp_path / "bad")
    record = json.loads(line)
    assert record["at"] == "1970-01-01T00:00:00.000000001"
    assert (record["day"], record["took"], record["us"]) == ("00:00:00.000000001", 1, "1970-01-01T00:00:00.000001")
    assert "1 bad line left out" in err[-1]
    (bad,) = records((tmp_path / "bad").read_text())
    assert (bad["line"], bad["error"].partition(":")[0]) == (2, "far")


def test_a_column_that_is_there_twice_is_refused(tag, tmp_path):
    arrays = [pyarrow.array(["Oslo"]), pyarrow.array([1]), pyarrow.array([2])]
    parquet.write_table(pyarrow.Table.from_arrays(arrays, names=["text", "k", "k"]), tmp_path / "a.parquet")
    assert tag(tmp_path / "a.parquet")[2] == [f"{tmp_path / 'a.parquet'}: the column 'k' is there twice"]


def test_parquet_is_not_read_from_a_pipe(tag):
    assert tag("-", "--input-format", "parquet")[2] == ["-: Parquet is read from a file only, not from a pipe"]


def test_the_name_says_the_format_however_it_is_compressed():
    assert [guess_format(name) for name in ("a.JSONL.gz", "b.conll.zst", "c.parquet", "d", "e.txt.xz", "f.gz")] == [
        "jsonl", "conll", "parquet", "text", "text", "text",
    ]  # fmt: skip


# ── folders ──


def test_a_folder_is_all_its_files_in_the_order_of_their_names(tag, tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a.txt", "c.jsonl", ".hidden.txt", ".git/x.txt", "b/.x"):
        write(tmp_path / "in" / name, '{"text": "c"}' if name == "c.jsonl" else name)
    code, out, _ = tag(tmp_path / "in")
    assert (code, texts(out)) == (0, ["a.txt", "c", "b/1.txt", "b/2.txt"])


def test_links_to_folders_are_not_followed_and_loops_do_no_harm(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo")
    write(tmp_path / "other" / "b.txt", "Paris")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in" / "self")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "file.txt").symlink_to(tmp_path / "other" / "b.txt")
    names = [found.name for found in find_inputs([str(tmp_path / "in")], None)]
    assert names == [str(tmp_path / "in" / name) for name in ("a.txt", "file.txt", "self")]
    code, _, err = tag(tmp_path / "in")
    assert code == 2
    assert err[0].startswith(f"{tmp_path / 'in' / 'self'}: cannot be read (")


def test_a_link_to_a_folder_that_is_named_is_read(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert texts(tag(tmp_path / "link")[1]) == ["Oslo"]


def test_pipes_and_sockets_in_a_folder_are_passed_by(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert texts(tag(tmp_path / "in")[1]) == ["Oslo"]


@pytest.mark.parametrize("content", [[], [".hidden"], ["sub/.hidden"]])
def test_a_folder_without_files_is_refused(tag, tmp_path, content):
    (tmp_path / "in").mkdir()
    for name in content:
        write(tmp_path / "in" / name, "x")
    assert tag(tmp_path / "in")[0::2] == (2, [f"{tmp_path / 'in'}: a folder without files to tag"])


def test_names_that_are_no_utf8_are_read_and_written(tag, tmp_path):
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)  # noqa: PTH102 - the name is bytes
    with open(folder + b"/\xff\xe9.txt", "wb") as file:  # noqa: PTH123
        file.write(b"Oslo\nbad \xff\n")
    out, bad = tmp_path / "out", tmp_path / "bad"
    code, _, err = tag(tmp_path / "in", "--output-folder", out, "--bad-lines", bad)
    assert (code, len(err)) == (2, 1)
    assert os.listdir(os.fsencode(out)) == [b"\xff\xe9.txt.jsonl"]  # noqa: PTH208
    (record,) = records(bad.read_text())
    assert record["path"].endswith("/\udcff\udce9.txt")
    code, _, (line,) = tag(tmp_path / "in", "-o", tmp_path / "one")
    assert code == 2
    assert "byte 5 of the line is 0xff" in line


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read anything")
def test_what_may_not_be_read_is_named(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo").chmod(0)
    assert "denied" in tag(tmp_path / "in")[2][0]
    (tmp_path / "in").chmod(0)
    assert "denied" in tag(tmp_path / "in")[2][0]
    (tmp_path / "in").chmod(0o700)


def test_the_same_file_twice_is_tagged_twice(tag, tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n")
    assert texts(tag(path, path)[1]) == ["Oslo", "Oslo"]


# ── output folders ──


def test_a_folder_has_a_result_for_each_input_at_its_place(tag, tmp_path):
    for name, content in CONTENTS.items():
        write(tmp_path / "in" / "sub" / name, content)
    write(tmp_path / "in" / "b.jsonl.gz", gzip.compress(CONTENTS["b.jsonl"].encode()))
    write(tmp_path / "in" / "empty.txt", "")
    single = write(tmp_path / "single.txt", "Oslo\n")
    code, out, err = tag(tmp_path / "in", single, "--output-folder", tmp_path / "new" / "out")
    assert (code, out, err) == (0, "", [])
    written = {
        path.relative_to(tmp_path / "new" / "out").as_posix(): path.read_text()
        for path in (tmp_path / "new" / "out").rglob("*")
        if path.is_file()
    }
    assert sorted(written) == [
        "b.jsonl", "empty.txt.jsonl", "single.txt.jsonl", "sub/a.txt.jsonl", "sub/b.jsonl", "sub/c.conll.jsonl",
    ]  # fmt: skip
    assert written["empty.txt.jsonl"] == ""
    for name in ("a.txt", "b.jsonl", "c.conll"):
        result = f"sub/{name}" if name.endswith(".jsonl") else f"sub/{name}.jsonl"
        assert written[result] == tag(tmp_path / "in" / "sub" / name)[1]


@pytest.mark.parametrize("names", [["x/a.txt", "y/a.txt"], ["x/a.txt", "x/a.txt.gz"], ["x/a.txt", "x/a.txt"]])
def test_two_results_of_one_name_are_refused_before_the_work(tag, tmp_path, names):
    for name in names:
        write(tmp_path / name, "Oslo\n")
    code, _, (line,) = tag(*(tmp_path / name for name in names), "--output-folder", tmp_path / "out")
    assert code == 2
    assert line.startswith(f"{tmp_path / 'out' / 'a.txt.jsonl'}: {tmp_path / names[0]}")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_inside_the_input_folder_is_no_input(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo\n")
    for _ in range(2):
        assert tag(tmp_path / "in", "--output-folder", tmp_path / "in" / "out")[0] == 0
        found = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "in").rglob("*.*"))
        assert found == ["in/a.txt", "in/out/a.txt.jsonl"]


def test_an_output_folder_that_is_the_input_folder_is_refused(tag, tmp_path):
    write(tmp_path / "in" / "a.txt", "Oslo\n")
    code, _, (line,) = tag(tmp_path / "in", "--output-folder", tmp_path / "in")
    assert (code, line) == (2, f"--output-folder {tmp_path / 'in'}: is an input folder; expected another one")


def test_no_input_is_written_over(tag, tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "Oslo"}\n')
    code, _, (line,) = tag(path, "--output-folder", tmp_path)
    assert code == 2
    assert line == f"{path}: is input and output; expected another file to write to"
    code, _, (line,) = tag(path, "-o", tmp_path / "out", "--bad-lines", path)
    assert line == f"{path}: is input and output; expected another file to write to"
    assert path.read_text() == '{"text": "Oslo"}\n'


def test_options_that_do_not_go_together_are_refused(tag, tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n")
    assert "expected one of them" in tag(path, "-o", tmp_path / "x", "--output-folder", tmp_path / "y")[2][0]
    assert "standard input has no name" in tag("-", "--output-folder", tmp_path / "y")[2][0]
    assert "is a file, expected a folder" in tag(path, "--output-folder", path)[2][0]
    assert "results go there already" in tag(path, "-o", tmp_path / "x", "--bad-lines", tmp_path / "x")[2][0]
    assert "whole number" in tag(path, "--workers", 0)[2][0]


def test_a_result_that_was_there_keeps_its_mode(tag, tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n")
    out = write(tmp_path / "out" / "a.txt.jsonl", "old")
    out.chmod(0o600)
    assert tag(path, "--output-folder", tmp_path / "out")[0] == 0
    assert texts(out.read_text()) == ["Oslo"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_output_paths_tell_both_inputs():
    given = [Input("x/a.txt", "text", "a.txt"), Input("y/a.txt", "text", "a.txt")]
    with pytest.raises(InputError, match=r"x/a\.txt and y/a\.txt would both be written"):
        output_paths(given, Path("out"), "jsonl")
