"""What cannot be tagged goes to a file of its own, with its place and why, and the rest goes on."""

import base64
import gzip
import json
import sys

import pytest

from fenestra.cli.tag import tag_files

FORK = "fork" if sys.platform == "linux" else None


@pytest.fixture
def left_out(tag, tmp_path):
    """Tag a file; gives the texts that were tagged and the bad lines."""

    def run(name, content, *words):
        path = tmp_path / name
        path.write_bytes(content)
        code, out, err = tag(path, "--bad-lines", tmp_path / "bad", *words)
        bad = [json.loads(line) for line in (tmp_path / "bad").read_text().splitlines()]
        assert code == (2 if bad else 0)
        count = f"{len(bad):,} bad line{'s' * (len(bad) != 1)} left out; they are in {tmp_path / 'bad'}"
        assert err == ([count] if bad else [])
        assert all(one.pop("path") == str(path) for one in bad)
        return out, bad

    return run


def texts(out):
    return [record.get("text") or record["tokens"] for record in map(json.loads, out.splitlines())]


LINES = [
    (b"{", "not JSON"),
    (b"[1]", "expected an object with either text or tokens"),
    (b"{}", "expected an object with either text or tokens"),
    (b'{"text": "a", "tokens": ["a"]}', "expected an object with either text or tokens"),
    (b'{"text": null}', "text: expected a string, got null"),
    (b'{"text": 7}', "text: expected a string"),
    (b'{"tokens": ["a", ""]}', "tokens: expected a list of words"),
    (b'{"text": "a", "text": "b"}', "is there twice"),
    (b'{"text": "a", "entities": []}', "has entities already"),
    (b'{"text": "a", "x": NaN}', "not JSON"),
    (b'{"text": "\\ud800"}', "half of a surrogate pair"),
    (b'{"text": "a\0"}', "byte 12 of the line is 0x00"),
]


@pytest.mark.parametrize(("line", "said"), LINES)
def test_an_object_that_is_none_is_left_out(left_out, line, said):
    out, (bad,) = left_out("a.jsonl", b'{"text": "Oslo"}\n' + line + b'\n{"text": "Paris"}\n')
    assert texts(out) == ["Oslo", "Paris"]
    assert bad["line"] == 2
    assert said in bad["error"]
    assert bad["raw"] == line.decode()


def test_bytes_that_are_no_text_are_kept_as_they_were(left_out):
    out, (bad,) = left_out("a.txt", b"Oslo\nZo\xeb left\nParis\n")
    assert texts(out) == ["Oslo", "Paris"]
    assert bad["line"] == 2
    assert base64.b64decode(bad["raw_base64"]) == b"Zo\xeb left"
    assert bad["error"] == "byte 3 of the line is 0xeb; expected text in UTF-8"


@pytest.mark.parametrize("unit", ["paragraph", "file"])
def test_a_text_of_several_lines_is_left_out_as_a_whole(left_out, unit):
    out, (bad,) = left_out("a.txt", b"Oslo\n\nAnna\nbad \xff\nBerg\n\nParis\n", "--unit", unit)
    assert texts(out) == (["Oslo", "Paris"] if unit == "paragraph" else [])
    assert bad["line"] == 4
    raw = base64.b64decode(bad["raw_base64"])
    assert raw.strip() == (b"Anna\nbad \xff\nBerg" if unit == "paragraph" else b"Oslo\n\nAnna\nbad \xff\nBerg\n\nParis")


def test_a_text_that_is_too_long_is_one_of_them(left_out):
    out, (bad,) = left_out("a.txt", b"Oslo\n" + b"x" * 99 + b"\nParis\n", "--max-line", 50)
    assert texts(out) == ["Oslo", "Paris"]
    assert bad == {"line": 2, "error": "a line of more than 50 bytes", "raw": None}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"bad\xff O", "byte 4 of the line is 0xff"),
        (b"\tO", "first column is empty"),
        (b"x" * 1_000_001, "longer than"),
    ],
)
def test_a_sentence_of_a_conll_file_with_a_bad_line_is_left_out(left_out, line, said):
    out, (bad,) = left_out("a.conll", b"Oslo O\n\nAnna O\n" + line + b"\nBerg O\n\nParis O\n")
    assert texts(out) == [["Oslo"], ["Paris"]]
    assert bad["line"] == 4
    assert said in bad["error"]


def test_a_word_that_conll_cannot_hold_is_one_of_them(left_out):
    content = b'{"tokens": ["Oslo"]}\n{"tokens": ["a\\tb"]}\n{"tokens": ["Paris"]}\n'
    out, (bad,) = left_out("a.jsonl", content, "--output-format", "conll")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["Oslo", "", "Paris", ""]
    assert bad["line"] == 2
    assert bad["error"] == "a word holds a tab or a line break, which conll output cannot"


def test_nothing_bad_is_an_empty_file(left_out, tmp_path):
    (tmp_path / "bad").write_text("of an earlier run\n")
    assert left_out("a.txt", b"Oslo\n")[1] == []


def test_files_that_cannot_be_read_are_among_them_and_the_others_go_on(tag, tmp_path):
    whole = gzip.compress("".join(f"Oslo {number}\n" for number in range(60_000)).encode())
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "b.txt").write_bytes("Oslo".encode("utf-16"))
    (folder / "c.parquet").write_bytes(b"none")
    (folder / "d.txt").symlink_to(tmp_path / "missing")
    (folder / "e.txt").write_text("Paris\n")
    code, out, err = tag(folder, "--bad-lines", tmp_path / "bad")
    bad = [json.loads(line) for line in (tmp_path / "bad").read_text().splitlines()]
    assert code == 2
    assert err == [f"4 bad lines left out; they are in {tmp_path / 'bad'}"]
    assert texts(out)[-1] == "Paris"
    assert [(one["path"].rpartition("/")[2], one["raw"]) for one in bad] == [
        ("a.txt.gz", None), ("b.txt", None), ("c.parquet", None), ("d.txt", None),
    ]  # fmt: skip
    assert bad[0]["line"] == len(texts(out))  # those before, and without the one of the last file
    assert "truncated or damaged gzip" in bad[0]["error"]
    assert [one["line"] for one in bad[1:]] == [None, None, None]


def test_without_the_option_the_first_one_ends_the_work(tag, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "Oslo"}\n{\n[\n')
    code, out, (line,) = tag(path)
    assert (code, texts(out)) == (2, ["Oslo"])
    assert line.startswith(f"{path}:2: not JSON")


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("where", ["file", "folder", "stream"])
def test_lines_are_counted_over_all_units_and_workers(english, tmp_path, where, capsysbinary):
    (tmp_path / "in").mkdir()
    lines = ["{" if number % 17 == 3 else json.dumps({"text": f"Oslo {number}"}) for number in range(400)]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "in" / name).write_text("\n".join(lines))
    results = []
    for workers in (1, 3):
        bad = tmp_path / f"bad{workers}"
        options = {"file": {"output": tmp_path / "out"}, "folder": {"output_folder": tmp_path / "folder"}, "stream": {}}
        left = tag_files(english, [str(tmp_path / "in")], bad_lines=bad, workers=workers, method=FORK, **options[where])
        found = [json.loads(line) for line in bad.read_text().splitlines()]
        assert left == len(found) == 48
        assert [one["line"] for one in found] == [number + 1 for number in range(400) if number % 17 == 3] * 2
        results.append((bad.read_bytes(), capsysbinary.readouterr().out))
    assert results[0] == results[1]


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_bad_line_is_the_one_that_is_named(english, tmp_path, workers, capsysbinary):
    path = tmp_path / "a.jsonl"
    lines = ["{" if number in (150, 151, 390) else json.dumps({"text": f"Oslo {number}"}) for number in range(400)]
    path.write_text("\n".join(lines))
    with pytest.raises(Exception, match=r"a\.jsonl:151: not JSON"):
        tag_files(english, [str(path)], workers=workers, method=FORK)
    assert capsysbinary.readouterr().out.count(b"\n") == 150
