"""Whatever is wrong with what a user gives: exit code 2, one clear line, and nothing written.

Each case breaks one thing of a job that works. `fenestra data check` sees the same corpora.
"""

import gzip
import pickle

import pytest

from fenestra.cli.main import main

GOOD = "Ada\tB-PER\nmet\tO\nSiemens\tB-ORG\n\nKiel\tB-LOC\nis\tO\nsmall\tO\n\n"
JOB = """
threads = 1
[data]
train = ["train.conll"]
dev = ["dev.conll"]
[vectors]
source = "none"
[model]
labels = ["LOC", "ORG", "PER"]
hidden = [8]
[model.features]
vectors = false
word = 4
[training]
epochs = 2
"""


class Sentinel:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


BROKEN_CORPORA = {
    "no tag": ("Ada\tB-PER\nmet\n", "train.conll:2: "),
    "too many columns": ("Ada\tB-PER\nmet\tx\tO\n", "train.conll:2: "),
    "inside without begin": ("Ada\tB-PER\nmet\tO\nSiemens\tI-ORG\n\nKiel\tB-LOC\n", "train.conll:3: "),
    "label changes inside": ("Ada\tB-PER\nSiemens\tI-ORG\n\nKiel\tB-LOC\n", "train.conll:2: "),
    "unknown label": ("Ada\tB-PERSON\nmet\tO\n", "PERSON"),
    "not a tag": ("Ada\tB_PER\nmet\tO\n", "train.conll:1: "),
    "tag without label": ("Ada\tB-\nmet\tO\n", "train.conll:1: "),
    "bad byte": (b"Ada\tB-PER\nm\xe9t\tO\n", "train.conll:2: "),
    "nul bytes of utf-16": ("Ada\tB-PER\n".encode("utf-16"), "train.conll:1: "),
    "empty": ("", "train.conll: "),
    "only blank lines": ("\n\n\n", "train.conll: "),
    "only document marks": ("-DOCSTART-\tO\n\n", "train.conll: "),
    "a line of a megabyte": ("Ada\tB-PER\n" + "x" * 1_000_001 + "\tO\n", "train.conll:2: "),
    "truncated gzip": (gzip.compress(GOOD.encode() * 500)[:60], "train.conll:"),
    "no gzip behind its mark": (b"\x1f\x8bnothing", "train.conll:"),
    "a pickle": (pickle.dumps({"train": 1}), "train.conll:"),
    "a photograph": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "train.conll:"),
    "no such file": (None, "train.conll: "),
}

TOLERATED_CORPORA = {
    "windows line ends": GOOD.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + GOOD,
    "no last newline": GOOD.rstrip("\n"),
    "spaces for tabs": GOOD.replace("\t", "  "),
    "four columns": GOOD.replace("\t", " NN x "),
    "gzip": gzip.compress(GOOD.encode()),
    "IOB1": GOOD.replace("B-", "I-"),
    "BIOES": GOOD.replace("B-", "S-"),
}

BROKEN_JOBS = {
    "misspelt key": (["training.epoch=3"], "training.epoch"),
    "value out of range": (["training.input_dropout=1.5"], "training.input_dropout"),
    "wrong type": (["model.hidden=many"], "model.hidden"),
    "no such activation": (["model.activation=maxout"], "model.activation"),
    "no such split": (["data.train=conll2003:training"], "conll2003"),
    "corpus that was not fetched": (["data.train=conll2003:train"], "fenestra data fetch conll2003"),
    "no such vectors": (["model.features.vectors=true", "vectors.source=nowhere.txt"], "nowhere.txt"),
    "pickled vectors": (["model.features.vectors=true", "vectors.source=evil.kv"], "allow_pickle"),
    "vectors that are a pickle": (["model.features.vectors=true", "vectors.source=evil.bin"], "evil.bin"),
    "vectors with a word too few": (["model.features.vectors=true", "vectors.source=short.txt"], "short.txt"),
    "vectors that are not numbers": (["model.features.vectors=true", "vectors.source=nan.txt"], "nan.txt:2: "),
    "no such device": (["device=tpu"], "tpu"),
    "not an override": (["seed"], "section.key=value"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "train.conll").write_text(GOOD)
    (tmp_path / "dev.conll").write_text(GOOD.replace("Kiel", "Bonn"))
    (tmp_path / "job.toml").write_text(JOB)
    for name in ("evil.kv", "evil.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(Sentinel(tmp_path / "executed")))
    (tmp_path / "short.txt").write_text("2 3\nada 1 2 3\nkiel 1 2\n")
    (tmp_path / "nan.txt").write_text("ada 1 2 3\nkiel 1 nan 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FENESTRA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write(path, content):
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def refused(capsys, arguments, said):
    """Exit code 2, and one line on standard error that says what and where; nothing on standard output."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert said in lines[0]
    assert "Traceback" not in captured.err
    assert len(captured.err) < 4000
    return lines


@pytest.mark.parametrize("case", BROKEN_CORPORA)
def test_training_on_a_broken_corpus_is_refused_with_one_line_for_each_bad_one(case, folder, capsys):
    content, said = BROKEN_CORPORA[case]
    write(folder / "train.conll", content)
    before = {path.name for path in folder.iterdir()}
    lines = refused(capsys, ["train", "job.toml", "--output", "out"], said)
    assert len(lines) == {"a photograph": 11}.get(case, 1)
    assert all(line.startswith("fenestra: train.conll") or said in line for line in lines)
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize("case", [case for case in BROKEN_CORPORA if case != "unknown label"])
def test_data_check_finds_the_same(case, folder, capsys):
    content, said = BROKEN_CORPORA[case]
    write(folder / "train.conll", content)
    assert main(["data", "check", "train.conll"]) == 2
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


@pytest.mark.parametrize("case", TOLERATED_CORPORA)
def test_what_can_be_understood_is_read(case, folder):
    write(folder / "train.conll", TOLERATED_CORPORA[case])
    assert main(["data", "check", "train.conll"]) == 0
    assert main(["train", "job.toml", "--output", "out"]) == 0
    assert (folder / "out" / "manifest.json").exists()


@pytest.mark.parametrize("case", BROKEN_JOBS)
def test_a_broken_job_is_refused_in_one_line(case, folder, capsys):
    overrides, said = BROKEN_JOBS[case]
    assert len(refused(capsys, ["train", "job.toml", *overrides, "--output", "out"], said)) == 1
    assert not list(folder.glob("out*"))
    assert not (folder / "executed").exists()


def test_many_faults_are_listed_twenty_at_most(folder, capsys):
    write(folder / "train.conll", "Ada\tB-PER\n" + "met\n" * 500)
    lines = refused(capsys, ["train", "job.toml", "--output", "out"], "train.conll:2: ")
    assert len(lines) == 21
    assert lines[-1].endswith("… and 480 more")


def test_what_was_there_is_not_written_over(folder, capsys):
    assert main(["train", "job.toml", "--output", "out"]) == 0
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.is_file()}
    capsys.readouterr()
    refused(capsys, ["train", "job.toml", "seed=2", "--output", "out"], "holds files already")
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.is_file()} == before
