"""What people give `fenestra tag`: what one text is, which entities they want, files of every shape, long lines."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import stat
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fenestra.cli.bulk.reading import items
from fenestra.cli.bulk.texts import texts
from fenestra.cli.main import main
from fenestra.cli.output import opened
from fenestra.cli.tag import tag_files
from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model
from fenestra.model.errors import DataError, StorageError
from fenestra.model.tagger import Tagger
from fenestra.model.text.language import language
from fenestra.training.compressed import decompressed
from fenestra.training.data.conll import iter_conll_words

LETTER = "Anna Berg lives in Oslo.\nShe met Tom Kerr.\n\nLater Tom Kerr left Paris.\n"
LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def english():
    return Tagger.load(bundled_model(), device="cpu", threads=1)


@pytest.fixture
def tag(english, monkeypatch, capsys):
    """Run the command; gives the exit code, the lines of standard output and those of standard error."""
    monkeypatch.setattr(Tagger, "load", lambda *_, **__: english)

    def run(*words):
        code = main(["tag", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out.split("\n")[:-1], [line for line in err.splitlines() if not line.startswith("tagged ")]

    return run


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(data if isinstance(data, bytes) else data.encode()))
        )

    return give


@pytest.fixture
def refused(tag):
    """Run the command, which has to refuse: gives its one line."""

    def run(*words):
        code, _, err = tag(*words)
        assert code == 2
        (line,) = err
        assert len(line) < 500
        return line.removeprefix("fenestra: ")

    return run


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def records(lines):
    return [json.loads(line) for line in lines]


def entities_of(lines):
    return [entity for record in records(lines) for entity in record["entities"]]


def found(record, key="entities"):
    """The entities of an object as text/LABEL; their offsets index its text."""
    text = record["text"]
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in record[key])
    return [f"{entity['text']}/{entity['label']}" for entity in record[key]]


def process(*words, data=b"", **options):
    """Run the command as a process of its own."""
    command = [sys.executable, "-c", LAUNCH, "tag", *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False, **options)


# ── what one text is ──


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", LETTER.splitlines()),
        ("paragraph", ["Anna Berg lives in Oslo.\nShe met Tom Kerr.", "Later Tom Kerr left Paris."]),
        ("file", [LETTER]),
    ],
)
def test_a_text_is_a_line_a_paragraph_or_a_file(tag, english, tmp_path, unit, expected):
    code, out, err = tag(write(tmp_path / "a.txt", LETTER), "--unit", unit)
    assert (code, err) == (0, [])
    assert [record["text"] for record in records(out)] == expected
    assert [found(record) for record in records(out)] == [
        [f"{e.text}/{e.label}" for e in result] for result in english.tag(expected)
    ]


def test_the_whole_text_is_the_context_of_its_words(english, tmp_path):
    """A text of a unit is given to the tagger as one, so that what it says of a word counts in all of it."""
    given = []

    class Asked(Tagger):
        def tag(self, texts, **options):
            given.extend(texts)
            return super().tag(texts, **options)

    asked = Asked.load(bundled_model(), device="cpu", threads=1)
    tag_files(asked, [str(write(tmp_path / "a.txt", LETTER))], unit="file", output=tmp_path / "out")
    assert given == [LETTER]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_line_ends_of_every_kind_part_lines_and_offsets_index_the_text(tag, tmp_path, end, unit):
    content = LETTER.replace("\n", end)
    code, out, _ = tag(write(tmp_path / "a.txt", content), "--unit", unit)
    assert code == 0
    read = records(out)
    assert len(read) == {"line": 4, "paragraph": 2, "file": 1}[unit]
    assert list(chain.from_iterable(map(found, read))) == [
        "Anna Berg/PER", "Oslo/LOC", "Tom Kerr/PER", "Tom Kerr/PER", "Paris/LOC",
    ]  # fmt: skip
    if unit == "file":
        assert read[0]["text"] == (content.replace("\r", "\n") if end == "\r" else content)
        assert len(read[0]["text"]) == len(content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("\n\n", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("\n \t\n\na\nb\n\n\n\nc", ["a\nb", "c"]),
        ("a\n\u00a0\nb\n", ["a", "b"]),
        ("a\r\n\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\n\nb", ["a", "b"]),
    ],
)
def test_paragraphs_end_at_blank_lines(content, expected):
    read = texts(io.BytesIO(content.encode()), "-", "paragraph", 1000)
    assert [text.content for text in read] == expected


def test_paragraphs_are_named_by_their_first_line():
    read = texts(io.BytesIO(b"\n\na\nb\n\nc\n"), "-", "paragraph", 1000)
    assert [text.number for text in read] == [3, 6]


def test_line_ends_are_found_wherever_the_blocks_of_a_pipe_end():
    """CR and LF of one line end may come apart."""

    class Trickle(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(1)

    for content in ("a\r\nb\rc\n\nd\r\r\ne\r", "\ufeffü\r\n\r\nü", "\r\r\r\n", "\ufeff", "x"):
        whole = list(texts(io.BytesIO(content.encode()), "-", "line", 1000))
        assert list(texts(Trickle(content.encode()), "-", "line", 1000)) == whole
    assert [text.content for text in texts(Trickle(b"a\r\nb\rc\n\nd\r\r\ne\r"), "-", "line", 99)] == [*"abc", "", *"de"]


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", '{"text": "a"}\n'), ("a.conll", "a\tO\n")])
@pytest.mark.parametrize("unit", ["paragraph", "file"])
def test_a_unit_for_a_file_that_parts_its_texts_itself_is_refused(refused, tmp_path, name, content, unit):
    line = refused(write(tmp_path / "a.txt", "a\n"), write(tmp_path / name, content), "--unit", unit)
    assert line.startswith(f"--unit {unit}: {tmp_path / name} is read as ")


def test_an_unknown_unit_is_refused(refused, tmp_path):
    assert "--unit" in refused(write(tmp_path / "a.txt", "a"), "--unit", "page")


# ── which entities ──


def test_labels_and_a_least_score_choose(tag, tmp_path):
    path = write(tmp_path / "a.txt", LETTER)
    everything = entities_of(tag(path)[1])
    for labels, least in [("PER", 0), ("LOC, PER", 0), ("PER,LOC,ORG", 0.95), ("ORG", 0)]:
        _, out, _ = tag(path, "--labels", labels, "--min-score", least)
        expected = [e for e in everything if e["label"] in labels and e["score"] >= least]
        assert entities_of(out) == expected


def test_conll_output_has_o_where_an_entity_was_not_wanted(tag, tmp_path):
    for content, name in [
        ("Anna Berg met Tom Kerr in Oslo .\n", "a.txt"),
        ("Anna\nBerg\nmet\nTom\nKerr\nin\nOslo\n.\n", "a.conll"),
    ]:
        _, out, _ = tag(write(tmp_path / name, content), "--labels", "LOC", "--output-format", "conll")
        assert [line.split("\t")[1] for line in out if line] == ["O"] * 6 + ["B-LOC", "O"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--labels", "PERSON", "--labels: 'PERSON' is unknown to this model; it knows LOC, ORG, PER"),
        ("--labels", "PER,per", "'per' is unknown"),
        ("--labels", "", "expected labels with commas between"),
        ("--labels", "PER,", "expected labels with commas between"),
        ("--min-score", "1.01", "from 0 to 1"),
        ("--min-score", "-0.1", "from 0 to 1"),
        ("--min-score", "nan", "from 0 to 1"),
        ("--min-score", "0,5", "from 0 to 1"),
        ("--min-score", "high", "from 0 to 1"),
        ("--max-line", "0", "whole number of bytes"),
        ("--max-line", "1e6", "whole number of bytes"),
        ("--max-line", "-5", "whole number of bytes"),
        ("--max-line", "9" * 5000, "whole number of bytes"),
        ("--entities-key", "text", "another key than those of the input"),
        ("--entities-key", "tokens", "another key than those of the input"),
        ("--entities-key", "", "another key than those of the input"),
    ],
)
def test_a_value_that_means_nothing_is_refused(refused, tmp_path, option, value, said):
    assert said in refused(write(tmp_path / "a.txt", "a\n"), f"{option}={value}")


# ── long lines ──


def test_a_json_line_of_a_megabyte_and_a_half_is_tagged(tag, tmp_path):
    long = "Anna Berg met Tom Kerr in Oslo . " * 46_000
    lines = [json.dumps({"text": text}) for text in ("Tom Kerr left Paris.", long, "Anna Berg left.")]
    assert len(lines[1]) > 1_500_000
    code, out, err = tag(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert (code, err) == (0, [])
    assert [len(record["entities"]) for record in records(out)] == [2, 3 * 46_000, 1]


@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_the_limit_moves_and_the_other_texts_go_on(tag, tmp_path, unit, name):
    if name == "a.jsonl" and unit != "line":
        return
    wrap = (lambda text: json.dumps({"text": text})) if name == "a.jsonl" else str
    break_ = "\n" if unit == "line" else "\n\n"
    contents = ["Anna Berg", "x" * 300, "Oslo"]
    paths = [write(tmp_path / name, break_.join(map(wrap, contents)))]
    if unit == "file":
        paths = [write(tmp_path / f"{number}.txt", text) for number, text in enumerate(contents)]
    code, out, err = tag(*paths, "--unit", unit, "--max-line", 200)
    assert code == 2
    assert [record["text"] for record in records(out)] == ["Anna Berg", "Oslo"]
    place = f"{paths[-1] if unit != 'file' else paths[1]}:{ {'line': 2, 'paragraph': 3, 'file': 1}[unit] }"
    assert err == [f"fenestra: {place}: a {unit} of more than 200 bytes, left out; --max-line sets the limit"]
    code, out, err = tag(*paths, "--unit", unit, "--max-line", 400)
    assert (code, len(out), err) == (0, 3, [])


def test_a_file_is_written_with_the_lines_that_are_short_enough(tag, tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n" + "x" * 99 + "\nParis")
    code, _, err = tag(path, "-o", tmp_path / "out", "--max-line", 50)
    assert (code, len(err)) == (2, 1)
    assert [record["text"] for record in records((tmp_path / "out").read_text().splitlines())] == ["Oslo", "Paris"]


def test_a_line_without_end_is_not_held(english, tmp_path):
    read = 0

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            nonlocal read
            read += 1
            data = b"x" * len(buffer) if read < 200 else b"\nOslo\n" if read == 200 else b""
            buffer[: len(data)] = data
            return len(data)

    stream = io.BufferedReader(Endless(), 1 << 16)
    assert [text.content for text in texts(stream, "-", "line", 100)] == [None, "Oslo"]


def test_the_help_names_every_option(capsys):
    assert main(["tag", "--help"]) == 0
    help_ = " ".join(capsys.readouterr().out.split())
    for word in (
        "--unit",
        "--max-line",
        "default: 10000000",
        "--labels",
        "--min-score",
        "--entities-key",
        "gzip, bzip2",
    ):
        assert word in help_


# ── gold entities in the input ──

GOLD = '{"text": "Anna Berg lives in Oslo.", "entities": [{"start": 0, "end": 9, "label": "NAME"}]}\n'


@pytest.mark.parametrize("value", ["[]", "null", '[[0, 9, "PER"]]', '"x"'])
def test_entities_that_are_there_are_not_written_over(refused, tmp_path, value):
    path = write(tmp_path / "a.jsonl", '{"text": "Oslo"}\n{"text": "Oslo", "entities": ' + value + "}\n")
    line = refused(path, "-o", tmp_path / "out")
    assert line.startswith(f"{path}:2: has entities already; --entities-key NAME")
    assert not (tmp_path / "out").exists()


def test_tokens_with_gold_entities_are_refused_too(refused, tmp_path):
    assert "--entities-key" in refused(write(tmp_path / "a.jsonl", '{"tokens": ["Oslo"], "entities": []}'))


def test_another_key_keeps_them(tag, tmp_path):
    code, out, _ = tag(write(tmp_path / "a.jsonl", GOLD), "--entities-key", "predicted")
    (record,) = records(out)
    assert code == 0
    assert list(record) == ["text", "entities", "predicted"]
    assert record["entities"] == json.loads(GOLD)["entities"]
    assert found(record, "predicted") == ["Anna Berg/PER", "Oslo/LOC"]


def test_a_key_for_output_without_keys_is_refused(refused, tmp_path):
    line = refused(write(tmp_path / "a.jsonl", GOLD), "--entities-key", "predicted", "--output-format", "conll")
    assert line.startswith("--entities-key: conll output has no keys")


def test_the_key_is_written_over_when_it_is_named(tag, tmp_path):
    _, out, _ = tag(write(tmp_path / "a.jsonl", GOLD), "--entities-key", "entities")
    assert found(records(out)[0]) == ["Anna Berg/PER", "Oslo/LOC"]


def test_conll_output_writes_over_nothing(tag, tmp_path):
    assert tag(write(tmp_path / "a.jsonl", GOLD), "--output-format", "conll")[0] == 0


# ── files to write ──


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o444])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_keeps_its_mode(english, tmp_path, mode, link):
    out = write(tmp_path / "out", "old")
    out.chmod(mode)
    given = tmp_path / "link" if link else out
    if link:
        given.symlink_to(out)
    source = write(tmp_path / "a.txt", "Oslo\n")
    if os.access(out, os.W_OK):
        tag_files(english, [str(source)], output=given)
        assert json.loads(out.read_text())["text"] == "Oslo"
    else:
        with pytest.raises(StorageError, match="denied"):
            tag_files(english, [str(source)], output=given)
        assert out.read_text() == "old"
    assert stat.S_IMODE(out.stat().st_mode) == mode
    assert given.is_symlink() == link
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"a.txt", "out", given.name})


def test_a_draft_can_be_read_by_nobody_else_before(tmp_path):
    out = write(tmp_path / "out", "old")
    out.chmod(0o600)
    with opened(out) as stream:
        stream.write("secret")
        stream.flush()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 2


def test_a_new_file_has_the_mode_of_all_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        with opened(tmp_path / "out") as stream:
            stream.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(tmp_path):
    out = write(tmp_path / "out", "old")
    os.chown(out, 1234, 4321)
    out.chmod(0o640)
    with opened(out) as stream:
        stream.write("new")
    status = out.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), out.read_text()) == (1234, 4321, 0o640, "new")


def test_a_draft_left_by_a_process_that_was_killed_is_in_nobodys_way(tmp_path):
    write(tmp_path / f".out.{os.getpid()}", "half")
    with opened(tmp_path / "out") as stream:
        stream.write("whole")
    assert (tmp_path / "out").read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_fifo_is_written_to_and_stays_one(english, tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()))
    reader.start()
    tag_files(english, [str(write(tmp_path / "a.txt", "Oslo\n"))], output=fifo)
    reader.join(10)
    assert json.loads(read[0])["text"] == "Oslo"
    assert fifo.is_fifo()


def test_a_fifo_is_read(english, tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(gzip.compress(b"Oslo\n")))
    writer.start()
    tag_files(english, [str(fifo)], output=tmp_path / "out")
    writer.join(10)
    assert json.loads((tmp_path / "out").read_text())["text"] == "Oslo"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_its_name(tmp_path, name):
    source = write(tmp_path / "a.txt", "Oslo\n")
    assert json.loads(process(source, "-o", name).stdout)["text"] == "Oslo"
    with (tmp_path / "all").open("ab") as kept:  # as >> in a shell
        kept.write(b"kept\n")
        kept.flush()
        command = [sys.executable, "-c", LAUNCH, "tag", str(source), "-o", name]
        assert subprocess.run(command, stdout=kept, stderr=subprocess.DEVNULL, timeout=120, check=False).returncode == 0
    first, second = (tmp_path / "all").read_text().splitlines()
    assert (first, json.loads(second)["text"]) == ("kept", "Oslo")


def test_input_is_not_written_over(refused, tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    for output in (path, tmp_path / "link", tmp_path / "hard"):
        assert refused(path, "-o", output) == f"{output}: is input and output; expected another file to write to"
    assert path.read_text() == "Oslo\n"
    other = write(tmp_path / "b.txt", "Oslo\n")
    assert "is input and output" in refused(other, path, "-o", path)


def test_input_is_not_appended_to_for_ever(tmp_path):
    path = write(tmp_path / "a.txt", "Oslo\n")
    with path.open("ab") as again:
        command = [sys.executable, "-c", LAUNCH, "tag", str(path)]
        done = subprocess.run(command, stdout=again, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 2
    assert b"is input and output" in done.stderr
    with path.open("rb") as source:
        done = subprocess.run(
            [*command[:-1], "-", "-o", path], stdin=source, capture_output=True, timeout=120, check=False
        )
    assert done.returncode == 2
    assert path.read_text() == "Oslo\n"


# ── words that a CoNLL file cannot hold ──


HELD = [
    ["#", "1"], ["#Oslo"], ["\u00a0", "Bob"], ["New York", "x"], ["\u2028"], ["a\u0085b"], ["\x0b"], ["é", "東京"],
    ["-DOCSTART", "-"], ["O"], ["''", '"'], ["1", "_"], ["Bob", "\u00a0"],
]  # fmt: skip
NOT_HELD = [
    [" ", "Bob"], ["-DOCSTART-"], ["-DOCSTART-", "Bob"], ["Bob", "-DOCSTART-"], ["a\tb"], ["a\nb"], ["a\rb"], ["Bob "],
    [" Bob"], ["  "], ["\ufeffBob", "x"], ["x" * 1_000_001], ["Bob", "\t"],
]  # fmt: skip


@pytest.mark.parametrize("tokens", [*HELD, *NOT_HELD])
def test_what_conll_output_holds_reads_back_as_the_same_words_or_is_refused(tag, tmp_path, tokens):
    path = write(tmp_path / "a.jsonl", '{"tokens": ["fine"]}\n' + json.dumps({"tokens": tokens}) + "\n")
    code, _, err = tag(path, "--output-format", "conll", "-o", tmp_path / "out")
    if tokens in HELD:
        assert code == 0
        with (tmp_path / "out").open("rb") as stream:
            assert list(iter_conll_words(stream, "out")) == [["fine"], tokens]
    else:
        assert code == 2
        (line,) = err
        assert line.startswith(f"fenestra: {path}:2: ")
        assert len(line) < 300
        assert not (tmp_path / "out").exists()


def test_what_looks_like_a_comment_reads_back_or_is_refused(tag, tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"tokens": ["# text = x", "1-2"]}))
    if tag(path, "--output-format", "conll", "-o", tmp_path / "out")[0] == 0:
        with (tmp_path / "out").open("rb") as stream:
            assert list(iter_conll_words(stream, "out")) == [["# text = x", "1-2"]]
    else:
        assert not (tmp_path / "out").exists()


def test_sentences_of_conll_output_end_as_the_language_of_the_model_says(english, tmp_path):
    model = checkpoint.load(bundled_model())
    russian = Tagger(replace(model, lexicon=replace(model.lexicon, language=language("ru"))), device="cpu", threads=1)
    path = write(tmp_path / "a.txt", "Петров приехал в г. Казань.\n")
    for tagger, expected in [(english, 2), (russian, 1)]:
        tag_files(tagger, [str(path)], output_format="conll", output=tmp_path / "out")
        assert (tmp_path / "out").read_text().count("\n\n") == expected


def test_documents_of_a_conll_file_stay_apart(tag, tmp_path):
    path = write(tmp_path / "a.conll", "-DOCSTART- -X- O\n\nOslo O\n\n-DOCSTART- -X- O\n\nParis O\n")
    code, out, _ = tag(path, "--output-format", "conll")
    assert code == 0
    assert [line.split("\t")[0] for line in out] == ["-DOCSTART-", "", "Oslo", "", "-DOCSTART-", "", "Paris", ""]


@pytest.mark.parametrize("tokens", [[""], ["a", ""], [1], [None], [["a"]], "ab"])
def test_what_is_no_list_of_words_is_refused(refused, tmp_path, tokens):
    path = write(tmp_path / "a.jsonl", json.dumps({"tokens": tokens}))
    assert refused(path) == f"{path}:1: tokens: expected a list of words, none of them empty"


# ── compressed input, marks, and bytes that are no text ──


def zipped(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", data)
    return stream.getvalue()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "none": bytes}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", ["text", "jsonl", "conll"])
def test_standard_input_may_be_compressed(tag, stdin, packer, form):
    content = {"text": "Oslo\n", "jsonl": '{"text": "Oslo"}\n', "conll": "Oslo\tO\n"}[form]
    stdin(PACKERS[packer](content.encode()))
    code, out, _ = tag("-", "--input-format", form)
    assert code == 0
    assert json.loads(out[0]).get("text", "Oslo") == "Oslo"
    assert not sys.stdin.buffer.closed


@pytest.mark.parametrize("packer", [*PACKERS, "zip"])
def test_a_pipe_may_give_the_first_bytes_one_by_one(packer, tmp_path):
    data = (PACKERS | {"zip": zipped})[packer](b"Oslo\nParis\n")
    command = [sys.executable, "-c", LAUNCH, "tag", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        for place in range(8):
            os.write(started.stdin.fileno(), data[place : place + 1])
        out, err = started.communicate(data[8:], timeout=120)
    if packer == "zip":
        assert started.returncode == 2
        assert b"fenestra: -: a zip archive on a pipe cannot be read" in err
    else:
        assert [json.loads(line)["text"] for line in out.splitlines()] == ["Oslo", "Paris"]


@pytest.mark.parametrize("packer", [*PACKERS, "zip"])
@pytest.mark.parametrize("name", ["a.jsonl", "b.txt"])
def test_files_may_be_compressed_whatever_they_are_called(tag, tmp_path, packer, name):
    content = b'{"text": "Oslo"}\n' if name == "a.jsonl" else b"Oslo\n"
    data = (PACKERS | {"zip": zipped})[packer](content)
    for path in (tmp_path / f"{name}.{packer}", tmp_path / name):
        if packer == "none" and path.suffix == ".none":
            continue
        code, out, _ = tag(write(path, data))
        assert (code, json.loads(out[0])["text"]) == (0, "Oslo")


@pytest.mark.parametrize("packer", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("form", ["text", "jsonl", "conll"])
def test_a_compressed_stream_that_is_cut_is_named(refused, stdin, packer, form):
    data = PACKERS[packer]("".join(f"{'{'}{number}\n" for number in range(9000)).encode())
    stdin(data[:20] if form == "jsonl" else data[: len(data) // 2])
    line = refused("-", "--input-format", form)
    assert line.startswith("-:")
    assert "truncated or damaged" in line


def test_an_office_document_is_not_read_as_text(refused, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("[Content_Types].xml", "word/document.xml"):
            archive.writestr(name, "<xml/>")
    assert "a zip archive of [Content_Types].xml, word/document.xml" in refused(
        write(tmp_path / "a.docx", stream.getvalue())
    )


@pytest.mark.parametrize("form", ["text", "jsonl", "conll"])
def test_a_byte_order_mark_at_the_start_is_taken_off(tag, stdin, form):
    content = {"text": "Oslo\n", "jsonl": '{"text": "Oslo"}\n', "conll": "Oslo\tO\n"}[form]
    stdin("\ufeff" + content)
    code, out, _ = tag("-", "--input-format", form)
    assert (code, json.loads(out[0]).get("text", "Oslo")) == (0, "Oslo")
    if form == "conll":
        assert json.loads(out[0])["tokens"] == ["Oslo"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fine\nbad \xff\n", ":2: byte 5 of the line is 0xff"),
        (b"fine\rbad \xff\r", ":2: byte 5 of the line is 0xff"),
        ("Zoë\n".encode("latin-1"), ":1: byte 3 of the line is 0xeb"),
        (b"a\n\xed\xa0\x80\n", ":2: byte 1 of the line is 0xed"),
        (b"fine\ncut \xe2\x82", ":2: byte 5 of the line is 0xe2"),
        (b"fine\nO\0s\0l\0o\0\n", ":2: byte 2 of the line is 0x00"),
        (b"O\0s\0l\0o\xff\n", ":1: byte 2 of the line is 0x00"),
        ("Oslo\n".encode("utf-16"), ": UTF-16, expected UTF-8"),
        ("Oslo\n".encode("utf-16-be"), ":1: byte 1 of the line is 0x00"),
        (b"\x89PNG\r\n\x1a\n\0\0", ":1: byte 1 of the line is 0x89"),
    ],
)
@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_bytes_that_are_no_text_are_named_by_their_place(refused, tmp_path, content, said, unit):
    path = write(tmp_path / "a.txt", content)
    assert refused(path, "--unit", unit).startswith(f"{path}{said}")


NOTHING = {
    "none": b"",
    "mark": b"\xef\xbb\xbf",
    "gz": gzip.compress(b""),
    "xz": lzma.compress(b""),
    "bz2": bz2.compress(b""),
}


@pytest.mark.parametrize("data", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("form", ["text", "jsonl", "conll"])
def test_nothing_in_is_nothing_out(tag, stdin, data, form):
    stdin(data)
    assert tag("-", "--input-format", form) == (0, [], [])


def test_an_empty_file_as_one_text_is_one_empty_text(tag, tmp_path):
    paths = [write(tmp_path / "a.txt", ""), write(tmp_path / "b.txt", "Oslo")]
    _, out, _ = tag(*paths, "--unit", "file")
    assert [record["text"] for record in records(out)] == ["", "Oslo"]


def test_a_text_that_is_too_long_is_refused_where_nobody_is_told(english, tmp_path):
    with pytest.raises(DataError, match=r"a\.txt:1: a line of more than 3 bytes"):
        tag_files(english, [str(write(tmp_path / "a.txt", "Oslo\n"))], max_bytes=3, output=Path(tmp_path / "out"))


# ── properties of the reader ──

ODD_TEXT = st.text(st.sampled_from(["a", "é", "東", " ", "\t", "\r", "\n", "\u2028", "\ufeff"]), max_size=60)


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, size):
        super().__init__(data)
        self.size = size

    def read1(self, size=-1):
        return super().read1(self.size)


@given(ODD_TEXT, st.integers(1, 9))
def test_lines_are_what_their_definition_says(content, size):
    data = content.encode()
    *ended, last = re.split("\r{0,2}\n|\r", content.removeprefix("\ufeff"))
    for stream in (io.BytesIO(data), Trickle(data, size)):
        read = list(texts(stream, "-", "line", 10_000))
        assert [text.content for text in read] == [*ended, *[last] * bool(last)]
        assert [text.number for text in read] == list(range(1, len(read) + 1))


@given(ODD_TEXT, st.integers(1, 9))
def test_a_file_is_all_that_is_in_it(content, size):
    (text,) = texts(Trickle(content.encode(), size), "-", "file", 10_000)
    whole = content.removeprefix("\ufeff")
    assert len(text.content) == len(whole)
    assert text.content.replace("\r", "\n") == whole.replace("\r", "\n")
    assert not re.search("\r(?!\r?\n)", text.content)


@given(ODD_TEXT, st.integers(1, 9), st.integers(1, 30), st.sampled_from(["line", "paragraph", "file"]))
def test_a_limit_leaves_out_what_is_longer_and_changes_nothing_else(content, size, limit, unit):
    data = content.encode()
    lines = texts(io.BytesIO(data), "-", "line", limit)
    assume(unit != "paragraph" or all(text.content is not None for text in lines))  # one of blanks would be a text
    whole = list(texts(io.BytesIO(data), "-", unit, 10_000))
    short = list(texts(Trickle(data, size), "-", unit, limit))
    assert [text.number for text in short] == [text.number for text in whole]
    for text, full in zip(short, whole, strict=True):
        if text.content is None:
            assert len(full.content.encode()) + 3 > limit
        else:
            assert text.content == full.content
            assert len(text.content.encode()) <= limit


@given(
    st.binary(max_size=80), st.sampled_from(["text", "jsonl", "conll"]), st.sampled_from(["line", "paragraph", "file"])
)
def test_any_bytes_are_read_or_refused_with_their_place(data, form, unit):
    said, lines = "in", [0]
    try:
        lines = [item.line for item in items(decompressed(io.BytesIO(data), "in"), "in", form, unit=unit)]
    except DataError as error:
        said = str(error)
    assert said.startswith("in")
    assert len(said) < 300
    assert all(0 <= line <= len(data) + 1 for line in lines)


def test_many_lines_of_cr_alone_and_runs_of_cr_are_read_in_blocks():
    content = ("Oslo\r" * 50_000 + "\r" * 200_000 + "Paris").encode()
    read = [text.content for text in texts(io.BytesIO(content), "-", "line", 100)]
    assert (read.count("Oslo"), read.count(""), read[-1]) == (50_000, 200_000, "Paris")


@pytest.mark.parametrize("line", ['{"text": "a", "text": "b"}', '{"text": "a", "id": {"x": 1, "x": 2}}'])
def test_a_key_that_is_there_twice_is_refused(refused, tmp_path, line):
    assert "is there twice" in refused(write(tmp_path / "a.jsonl", line))


def test_closed_streams_end_in_good_order(tmp_path):
    source = write(tmp_path / "a.txt", "Oslo\n")
    shell = f'exec "$0" -c "{LAUNCH}" tag "$@"'
    for words, closed, code in [
        (["-"], "<&-", 2),
        ([source], ">&-", 0),
        ([source, "-o", tmp_path / "out"], ">&- 2>&-", 0),
    ]:
        done = subprocess.run(
            ["sh", "-c", f"{shell} {closed}", sys.executable, *map(str, words)],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
    assert json.loads((tmp_path / "out").read_text())["text"] == "Oslo"


def test_the_memory_for_words_changes_nothing_and_coarser_numbers_change_scores_a_little(tmp_path):
    text = write(tmp_path / "a.txt", "Ada Lovelace met Charles Babbage in London.\nShe lives in Oslo.\n")

    def lines(*options):
        command = [sys.executable, "-c", LAUNCH, "tag", str(text), "--workers", "1", *options]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    usual = lines()
    assert lines("--cache-mb", "0.1") == usual
    for line, coarse in zip(map(json.loads, usual), map(json.loads, lines("--cache-numbers", "int8")), strict=True):
        for entity, other in zip(line["entities"], coarse["entities"], strict=True):
            assert {**entity, "score": 0} == {**other, "score": 0}
            assert entity["score"] == pytest.approx(other["score"], abs=0.1)


def test_auto_is_what_is_done_without_a_number_of_workers(tag, tmp_path):
    path = write(tmp_path / "a.txt", "Ada met Ito.\n")
    assert tag(path, "--workers", "auto") == tag(path)


def test_standard_input_is_no_file_of_that_name_and_no_output_is_written_to_one(tag, stdin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "-", "x\n")
    stdin(b"Ada met Ito.\n")
    assert tag("-")[0] == 0
    assert "- is standard output" in tag("-", "-o", "-")[2][-1]


RUSSIAN = "Анна Соколова переехала из Казани во Владивосток."


def test_texts_in_another_script_are_tagged_and_said_in_one_line(tag, tmp_path):
    path = write(tmp_path / "a.txt", f"{RUSSIAN}\nTom Kerr met Анна in Oslo.\n{RUSSIAN}\n")
    code, out, (line,) = tag(path)
    assert (code, len(out)) == (0, 3)
    assert line == (
        "fenestra: 2 texts are mostly Cyrillic, and this model reads Latin script (en); --model russian reads Cyrillic"
    )


def test_a_document_of_words_in_another_script_is_said_too(tag, tmp_path):
    words = "\n".join(f"{word}\tO" for word in RUSSIAN.split())
    assert tag(write(tmp_path / "a.conll", words))[2] == [
        "fenestra: 1 text is mostly Cyrillic, and this model reads Latin script (en); --model russian reads Cyrillic"
    ]


def test_texts_that_fit_are_not_spoken_of(tag, tmp_path):
    assert tag(write(tmp_path / "a.txt", LETTER))[2] == []
