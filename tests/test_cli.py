"""The command line as a person meets it: what it prints where, and how it ends."""

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch

from fenestra.cli import shell
from fenestra.cli.bench import percentile
from fenestra.cli.bulk import reading
from fenestra.cli.bulk.reading import Item
from fenestra.cli.bulk.tagging import batches
from fenestra.cli.main import main
from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model, bundled_models
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import RunError, StorageError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of, read_corpus
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.network.export import to_checkpoint
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.report.evaluation import known_entities, measure
from fenestra.training.report.predictions import predict
from fenestra.training.vectors.quantise import VectorTable

ROOT = Path(__file__).resolve().parents[1]
WORDS = "Ada Lovelace met Charles in Kiel . He left for New York".split()
CONLL = "-DOCSTART-\tO\n\nAda\tB-PER\nmet\tO\nCharles\tB-PER\n\nin\tO\nKiel\tB-LOC\n"
LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A checkpoint of random weights that finds something in most sentences."""
    config = ModelConfig(
        labels=("LOC", "PER"), context=1, hidden=(8,), features=FeatureConfig(vectors=False, word=8, case=4)
    )
    lexicon = build_lexicon(config.features, [], WORDS, 1)
    torch.manual_seed(2)
    network = WindowTagger(config, lexicon, VectorTable.pack(torch.zeros(0, 0), "float32"))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.7)
    path = tmp_path_factory.mktemp("models") / "small"
    checkpoint.save(to_checkpoint(config, lexicon, network, Calibration()), path)
    return path


@pytest.fixture(scope="session")
def tagger(folder):
    return Tagger.load(folder, device="cpu")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    """The developer's own FENESTRA_* variables are not part of the tests."""
    for name in [name for name in os.environ if name.upper().startswith("FENESTRA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def fenestra(capsys):
    """Run the command; gives the exit code, the lines of standard output and those of standard error."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


@pytest.fixture
def stdin(monkeypatch):
    """Put text on standard input."""

    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def process(*words, code=LAUNCH, **options):
    """Start the command as a process of its own."""
    command = [sys.executable, "-c", code, *map(str, words)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **{**streams, **options})


def finish(*words, **options):
    started = process(*words, **options)
    out, err = started.communicate(timeout=120)
    return started.returncode, out, err


class TestUsage:
    def test_alone_it_prints_its_help(self, fenestra):
        code, out, err = fenestra()
        assert code == 0
        assert out[0].startswith("usage: fenestra")
        assert not err

    def test_it_has_the_verbs_of_the_contract(self, fenestra):
        _, out, _ = fenestra("--help")
        listed = [line.split()[0] for line in out if line.startswith("    ") and line.split()]
        verbs = ["serve", "tag", "train", "tune", "evaluate", "compare", "data", "vectors", "bench", "mcp"]
        assert [word for word in listed if word in verbs] == verbs

    def test_every_verb_is_in_a_group_of_the_help(self, fenestra):
        _, out, _ = fenestra("--help")
        assert "use a model:" in out
        assert "more:" not in out, "name the new verb in _GROUPS of fenestra/cli/main.py"

    @pytest.mark.parametrize(
        "verb",
        [
            "serve",
            "tag",
            "bench",
            "mcp",
            "train",
            "tune",
            "evaluate",
            "compare",
            "data fetch",
            "data check",
            "vectors neighbours",
            "vectors train",
        ],
    )
    def test_every_verb_explains_itself_with_examples(self, fenestra, verb):
        code, out, _ = fenestra(*verb.split(), "--help")
        assert code == 0
        assert f"  fenestra {verb}" in "\n".join(out[out.index("examples:") :])

    @pytest.mark.parametrize("verb", ["data", "vectors"])
    def test_a_verb_of_verbs_alone_lists_them(self, fenestra, verb):
        code, out, _ = fenestra(verb)
        assert code == 0
        assert out[0].startswith(f"usage: fenestra {verb}")

    def test_the_version_is_printed(self, fenestra):
        code, (line,), _ = fenestra("--version")
        assert code == 0
        assert line == f"fenestra {shell.VERSION}"

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (["bogus"], "bogus"),
            (["tag", "--bogus", "x"], "--bogus"),
            (["tag"], "FILE"),
            (["tag", "x", "--output-format", "xml"], "--output-format"),
            (["tag", "x", "--threads", "0"], "--threads"),
            (["tag", "x", "-o", "no/such/folder/x"], "no/such/folder"),
            (["tag", "x", "-o", "."], "is a folder"),
            (["mcp", "--port", "70000"], "--port"),
            (["mcp", "--transport", "sse"], "--transport"),
            (["train", "job.toml"], "--output"),
            (["tune", "job.toml", "space.toml"], "--output"),
            (["tune", "job.toml", "--output", "x"], "SPACE.toml"),
            (["tune", "job.toml", "space.toml", "--output", "x", "--trials", "0"], "--trials"),
            (["evaluate", "x.conll"], "--model"),
            (["evaluate", "--model", "./m", "--rename", "GPE", "x.conll"], "LABEL=LABEL"),
            (
                ["evaluate", "--model", "./m", "--variants", "lower,shout", "x.conll"],
                "'shout', expected all, or some of lower",
            ),
            (["bench"], "FILE"),
            (["bench", "x", "stray"], "stray"),
            (["vectors", "neighbours", "x", "-n", "none"], "-n"),
            (["vectors", "train", "x.txt"], "--output"),
            (["vectors", "train", "x.txt", "--output", "x.bin", "--algorithm", "glove"], "--algorithm"),
        ],
    )
    def test_bad_usage_is_one_line_that_names_it(self, fenestra, words, named):
        code, out, err = fenestra(*words)
        assert code == 2
        assert not out
        (line,) = err
        assert line.startswith("fenestra: ")
        assert named in line
        assert line.endswith("--help")

    @pytest.mark.parametrize(
        ("words", "meant"),
        [
            (["trian"], "; did you mean train?"),
            (["data", "fethc"], "; did you mean fetch?"),
            (["tag", "x", "--outptu", "y"], "; --outptu: did you mean --output?"),
            (["train", "x", "--outptu=y"], "; --outptu: did you mean --output?"),
            (["tag", "x", "--output-format", "cnoll"], "; did you mean conll?"),
            (["tag", "x", "--model", "rusian"], "; did you mean russian?"),
            (["train", "training/configs/sample.toml", "--output", "x", "training.epohs=1"], "did you mean epochs?"),
            (["train", "training/configs/sample.toml", "--output", "x", "trianing.epochs=1"], "did you mean training?"),
            (["train", "training/configs/sample.toml", "--output", "x", "model.scheme=BOIES"], "did you mean BIOES?"),
            (["data", "fetch", "golve"], "; did you mean glove?"),
            (["tag", "data/sample/dev.conll", "--labels", "PRE"], "; did you mean PER?"),
        ],
    )
    def test_what_was_misspelt_is_guessed(self, fenestra, monkeypatch, words, meant):
        monkeypatch.chdir(ROOT)
        code, out, (line,) = fenestra(*words)
        assert (code, out) == (2, [])
        assert meant in line

    @pytest.mark.parametrize("words", [["bogus"], ["tag", "x", "--bogus"], ["data", "fetch", "wikipedia"]])
    def test_what_is_near_nothing_is_not_guessed(self, fenestra, words):
        assert "did you mean" not in fenestra(*words)[2][0]

    def test_help_needs_neither_torch_nor_the_training_extra(self):
        """It must be there at once, and on a serving install."""
        blocked = "torch", "numpy", "gensim", "seqeval", "optuna", "fastapi", "pydantic", "uvicorn"
        code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); {LAUNCH}"
        for verb in ("serve", "train", "tune", "evaluate"):
            status, out, err = finish(verb, "--help", code=code)
            assert (status, err) == (0, "")
            assert "examples:" in out

    @pytest.mark.parametrize(
        ("verb", "package", "extra", "make"),
        [
            ("serve", "fastapi", "serve", "serve"),
            ("serve", "uvicorn", "serve", "serve"),
            ("serve", "pydantic", "serve", "serve"),
            ("evaluate", "seqeval", "train", "install"),
            ("compare", "pydantic", "train", "install"),
            ("train", "torch", "train", "install"),
            ("train", "seqeval", "train", "install"),
            ("train", "pydantic", "train", "install"),
            ("tune", "optuna", "train", "install"),
            ("tune", "tomli_w", "train", "install"),
            ("data check", "pydantic", "train", "install"),
            ("vectors neighbours", "gensim", "train", "install"),
            ("vectors train", "gensim", "train", "install"),
        ],
    )
    def test_a_missing_extra_is_named_with_the_way_to_get_it(self, folder, verb, package, extra, make, tmp_path):
        """Before any work is done: a training does not end for want of what scores it."""
        code = f"import sys; sys.modules[{package!r}] = None; {LAUNCH}"
        words = {
            "serve": ["--port", "0"],
            "evaluate": ["--model", folder, "data/sample/dev.conll"],
            "compare": [folder, folder, "data/sample/dev.conll"],
            "train": ["training/configs/sample.toml", "--output", tmp_path / "new"],
            "tune": ["training/configs/sample.toml", "no_space.toml", "--output", tmp_path / "new"],
            "data check": ["data/sample/dev.conll", "--vectors", "bundled"],
            "vectors neighbours": ["munich", "--vectors", "gensim:glove-wiki-gigaword-100"],
            "vectors train": ["data/sample/train.conll", "--output", tmp_path / "own.bin"],
        }
        status, out, err = finish(*verb.split(), *words[verb], code=code)
        assert (status, out) == (2, "")
        way = f"pip install 'fenestra-ner[{extra}]', or in the source folder: make {make}"
        assert err == f"fenestra: {package} is not installed; run: {way}\n"

    def test_an_extra_that_no_verb_of_make_installs_is_named_as_pip_takes_it(self):
        status, out, err = finish("mcp", code=f"import sys; sys.modules['mcp'] = None; {LAUNCH}")
        assert (status, out) == (2, "")
        way = "pip install 'fenestra-ner[mcp]', or in the source folder: pip install '.[mcp]'"
        assert err == f"fenestra: mcp is not installed; run: {way}\n"

    def test_a_missing_tool_is_named_with_the_way_to_get_it(self, tmp_path):
        code = f"import sys; sys.modules['spacy'] = None; {LAUNCH}"
        status, out, err = finish("export", "spacy", tmp_path / "new", code=code)
        way = "pip install 'fenestra-ner[spacy]', or in the source folder: pip install '.[spacy]'"
        assert (status, out, err) == (2, "", f"fenestra: spacy is not installed; run: {way}\n")


class TestEndings:
    """How a verb ends, with a verb made for it."""

    @staticmethod
    def run(act, *words):
        parser, verbs = shell.new_parser("fenestra", "Test.", "  none")
        shell.add_verb(verbs, "act", lambda _: act(), "act", examples="  none")
        return shell.run(parser, [*words, "act"])

    @staticmethod
    def failing(error):
        def act():
            raise error

        return act

    def test_a_failed_run_is_one(self, capsys):
        assert self.run(self.failing(RunError("diverged"))) == 1
        assert capsys.readouterr().err == "fenestra: diverged\n"

    def test_a_full_disk_is_one(self, capsys):
        assert self.run(self.failing(StorageError("x: No space left"))) == 1
        assert "No space left" in capsys.readouterr().err

    def test_what_nobody_foresaw_is_one_line_and_no_traceback(self, capsys):
        assert self.run(self.failing(ZeroDivisionError("division\nby zero"))) == 1
        assert capsys.readouterr().err == (
            "fenestra: unexpected ZeroDivisionError: division by zero; fenestra --debug … shows where\n"
        )

    def test_debug_shows_where(self, capsys):
        assert self.run(self.failing(ZeroDivisionError("oh")), "--debug") == 1
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert err.endswith("fenestra: unexpected ZeroDivisionError: oh\n")

    def test_an_error_of_the_system_names_the_file(self, capsys):
        assert self.run(self.failing(PermissionError(13, "Permission denied", "a.txt"))) == 1
        assert capsys.readouterr().err == "fenestra: a.txt: Permission denied\n"

    def test_ctrl_c_is_130(self, capsys):
        before = signal.getsignal(signal.SIGINT)
        assert self.run(lambda: signal.raise_signal(signal.SIGINT)) == 130
        assert capsys.readouterr().err == "fenestra: interrupted\n"
        assert signal.getsignal(signal.SIGINT) == before

    def test_every_problem_has_its_line(self, capsys):
        assert shell.complain("a:1: x\nb:2: y", code=2) == 2
        assert capsys.readouterr().err == "fenestra: a:1: x\nfenestra: b:2: y\n"

    def test_a_second_ctrl_c_ends_the_process_at_once(self):
        """The first one may be busy saving for as long as it likes."""
        code = (
            "import time; from fenestra.cli import shell\n"
            "def act(_):\n"
            "    try: print('ready', flush=True); time.sleep(60)\n"
            "    finally: print('saving', flush=True); time.sleep(60)\n"
            "parser, verbs = shell.new_parser('x', 'x', 'x')\n"
            "shell.add_verb(verbs, 'act', act, 'act', examples='x')\n"
            "shell.run(parser, ['act'])"
        )
        started = process(code=code)
        for expected in ("ready\n", "saving\n"):
            assert started.stdout.readline() == expected
            started.send_signal(signal.SIGINT)
        started.communicate(timeout=10)
        assert started.returncode == -signal.SIGINT

    def test_a_reader_that_has_seen_enough_is_no_error(self, folder, tmp_path):
        (tmp_path / "long.txt").write_text("Ada met Charles in Kiel .\n" * 20_000)
        started = process("tag", "--model", folder, tmp_path / "long.txt")
        started.stdout.readline()
        started.stdout.close()
        assert started.stderr.read() == ""
        started.stderr.close()
        assert started.wait(60) == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_an_output_that_is_full_is_one_line(self, folder):
        with Path("/dev/full").open("w") as full:
            status, _, err = finish("tag", "--model", folder, "data/sample/README.md", stdout=full)
        assert status == 1
        assert [line for line in err.splitlines() if not line.startswith("tagged")] == [
            "fenestra: No space left on device"
        ]


class TestTag:
    TEXT = "Ada met Charles in Kiel .\n\nHe left for New York .\n"

    def test_text_gives_one_object_a_line_with_the_entities_of_the_service(self, fenestra, folder, tagger, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text(self.TEXT)
        code, out, err = fenestra("tag", "--model", folder, path)
        assert code == 0
        texts = self.TEXT.splitlines()
        assert [json.loads(line) for line in out] == [
            {"text": text, "entities": [{**e._asdict(), "score": round(e.score, 6)} for e in entities]}
            for text, entities in zip(texts, tagger.tag(texts), strict=True)
        ]
        assert any(json.loads(line)["entities"] for line in out)
        assert err[-1].startswith("tagged 3 texts, 12 tokens in ")

    def test_a_dash_is_standard_input(self, fenestra, folder, stdin):
        stdin(self.TEXT)
        code, out, _ = fenestra("tag", "--model", folder, "-")
        assert code == 0
        assert [json.loads(line)["text"] for line in out] == self.TEXT.splitlines()

    def test_files_are_tagged_in_their_order_wherever_they_stand(self, fenestra, folder, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.txt").write_text(f"{name}\n")
        code, out, _ = fenestra("tag", tmp_path / "b.txt", "--model", folder, tmp_path / "a.txt")
        assert code == 0
        assert [json.loads(line)["text"] for line in out] == ["b", "a"]

    def test_conll_gives_a_line_for_every_line(self, fenestra, folder, tmp_path):
        path = tmp_path / "a.conll"
        path.write_text(CONLL)
        code, out, _ = fenestra("tag", "--model", folder, "--output-format", "conll", path)
        assert code == 0
        assert [line.split("\t")[0] for line in out] == [line.split("\t")[0] for line in [*CONLL.splitlines(), ""]]
        assert out[0] == "-DOCSTART-\tO"
        assert {line.split("\t")[1] for line in out if line} <= {"O", "B-LOC", "I-LOC", "B-PER", "I-PER"}

    def test_a_document_is_tagged_as_in_training(self, fenestra, folder, tagger, tmp_path):
        path = ROOT / "data" / "sample" / "dev.conll"
        _, out, _ = fenestra("tag", "--model", folder, "--output-format", "conll", path)
        documents = documents_of(read_corpus(path).sentences)
        expected = [tag for answers in predict(tagger, documents) for answer in answers for tag in answer.tags]
        assert [line.split("\t")[1] for line in out if line and "DOCSTART" not in line] == expected

    def test_conll_becomes_an_object_for_every_sentence(self, fenestra, folder, tmp_path):
        path = tmp_path / "a.conll"
        path.write_text(CONLL)
        _, out, _ = fenestra("tag", "--model", folder, path)
        assert [json.loads(line)["tokens"] for line in out] == [["Ada", "met", "Charles"], ["in", "Kiel"]]

    def test_text_as_conll_falls_into_tokens_and_sentences(self, fenestra, folder, stdin):
        stdin("Ada met Charles. He left.\n\n")
        _, out, _ = fenestra("tag", "--model", folder, "-", "--output-format", "conll")
        assert [line.split("\t")[0] for line in out] == ["Ada", "met", "Charles", ".", "", "He", "left", ".", ""]

    def test_other_keys_of_an_object_are_kept(self, fenestra, folder, stdin, tagger):
        stdin('{"id": 7, "text": "Ada in Kiel", "x": [1.5, null]}\n\n{"tokens": ["Ada", "met"], "é": "\\u00fc"}\n')
        code, (first, second), _ = fenestra("tag", "--model", folder, "--input-format", "jsonl", "-")
        assert code == 0
        assert list(json.loads(first)) == ["id", "text", "x", "entities"]
        assert json.loads(second)["é"] == "ü"
        assert json.loads(second)["entities"] == [e._asdict() for e in tagger.tag_tokens([["Ada", "met"]])[0]]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "not JSON"),
            ("[1]", "either text or tokens"),
            ("{}", "either text or tokens"),
            ('{"text": "a", "tokens": ["a"]}', "either text or tokens"),
            ('{"text": 5}', "text: expected a string"),
            ('{"tokens": "Ada"}', "tokens: expected a list"),
            ('{"tokens": ["Ada", ""]}', "none of them empty"),
            ('{"text": "a\\ud800b"}', "surrogate"),
            ('{"text": "a", "x": NaN}', "not JSON"),
            ('{"text": "a", "x": 1e999}', "not JSON"),
            ('{"text": ' + "[" * 100_000, "not JSON"),
        ],
    )
    def test_a_bad_line_is_named_and_nothing_is_written(self, fenestra, folder, tmp_path, line, said):
        (tmp_path / "in.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
        (tmp_path / "out.jsonl").write_text("old")
        code, out, err = fenestra("tag", "--model", folder, tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl")
        assert (code, out) == (2, [])
        assert err[-1].startswith(f"fenestra: {tmp_path / 'in.jsonl'}:2: ")
        assert said in err[-1]
        assert len(err) == 1
        assert len(err[0]) < 500
        assert (tmp_path / "out.jsonl").read_text() == "old"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]

    def test_a_bad_byte_is_named_by_its_line(self, fenestra, folder, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"fine\nbad \xff\n")
        code, _, err = fenestra("tag", "--model", folder, tmp_path / "a.txt")
        assert code == 2
        assert err == [f"fenestra: {tmp_path / 'a.txt'}:2: byte 5 of the line is 0xff; expected text in UTF-8"]

    def test_a_word_that_conll_cannot_hold_is_refused(self, fenestra, folder, stdin):
        stdin('{"tokens": ["a\\tb"]}')
        code, _, err = fenestra("tag", "--model", folder, "-", "--input-format", "jsonl", "--output-format", "conll")
        assert code == 2
        assert err[0].startswith("fenestra: -:1: a word holds a tab")

    def test_gzip_marks_of_order_and_windows_line_ends_are_read(self, fenestra, folder, tmp_path):
        (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfAda\r\nKiel"))
        _, out, _ = fenestra("tag", "--model", folder, tmp_path / "a.txt.gz")
        assert [json.loads(line)["text"] for line in out] == ["Ada", "Kiel"]

    def test_nothing_in_is_nothing_out(self, fenestra, folder, stdin):
        stdin("")
        assert fenestra("tag", "--model", folder, "-")[:2] == (0, [])

    def test_a_missing_file_and_a_missing_model_are_named(self, fenestra, folder, tmp_path):
        code, _, (line,) = fenestra("tag", "--model", folder, tmp_path / "none.txt")
        assert code == 2
        assert "none.txt: cannot be read" in line
        code, _, (line,) = fenestra("tag", "--model", tmp_path / "none", "-")
        assert code == 2
        assert "not a checkpoint" in line

    @pytest.mark.parametrize("name", bundled_models())
    def test_a_bundled_model_is_named(self, fenestra, stdin, name):
        """It answers as the same model does by its folder."""
        answers = []
        for model in (name, bundled_model(name)):
            stdin("Ada Lovelace met Иван Петров.\n")
            answers.append(fenestra("tag", "--model", model, "-")[:2])
        assert answers[0] == answers[1]
        assert answers[0][0] == 0

    @pytest.mark.parametrize("verb", ["serve", "tag", "bench", "evaluate"])
    def test_a_model_that_is_neither_a_folder_nor_bundled_is_refused_in_one_line(self, fenestra, verb):
        code, out, (line,) = fenestra(verb, "--model", "klingon")
        assert (code, out) == (2, [])
        assert "--model: 'klingon' is not a folder here" in line
        assert all(name in line for name in bundled_models())

    def test_an_output_file_is_replaced_and_a_link_stays_one(self, fenestra, folder, tmp_path):
        (tmp_path / "a.txt").write_text("Ada\n")
        (tmp_path / "real").write_text("old")
        (tmp_path / "link").symlink_to("real")
        code, out, _ = fenestra("tag", "--model", folder, tmp_path / "a.txt", "-o", tmp_path / "link")
        assert (code, out) == (0, [])
        assert (tmp_path / "link").is_symlink()
        assert json.loads((tmp_path / "real").read_text())["text"] == "Ada"

    def test_a_device_as_output_is_written_to_and_not_replaced(self, fenestra, folder, stdin):
        stdin("Ada\n")
        assert fenestra("tag", "--model", folder, "-", "-o", "/dev/null")[0] == 0
        assert Path("/dev/null").is_char_device()

    def test_no_more_than_a_batch_is_read_ahead(self):
        """However long the input is, memory stays bounded."""
        read = 0

        def endless():
            nonlocal read
            while True:
                read += 1
                yield Item("x" * 1000, {}, 1)

        assert len(next(batches(endless()))) == 50
        assert read == 51

    def test_texts_and_documents_never_share_a_batch(self):
        mixed = [Item(content, {}, 0) for content in ("a", "b", [["c"]], "d")]
        assert [len(batch) for batch in batches(mixed)] == [2, 1, 1]

    def test_a_document_without_end_is_cut(self, monkeypatch):
        monkeypatch.setattr(reading, "LONGEST_DOCUMENT", 3)
        cut = list(reading.documents([["-DOCSTART-"], *[["a", "b"]] * 5]))
        assert cut == [[["-DOCSTART-"]], [["a", "b"]] * 2, [["a", "b"]] * 2, [["a", "b"]]]

    def test_utf8_goes_in_and_out_in_any_locale(self, folder, tmp_path):
        (tmp_path / "a.txt").write_text("Zoë → 東京\n", encoding="utf-8")
        environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        status, out, _ = finish("tag", "--model", folder, tmp_path / "a.txt", env=environment, encoding="utf-8")
        assert status == 0
        assert json.loads(out)["text"] == "Zoë → 東京"


class TestBench:
    def test_it_measures_and_writes_json(self, fenestra, folder, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL)
        code, out, _ = fenestra(
            "bench", "--model", folder, tmp_path / "a.conll", "--repeats", 2, "--json", tmp_path / "out.json"
        )
        assert code == 0
        assert any(line.startswith("from raw text") for line in out)
        figures = json.loads((tmp_path / "out.json").read_text())
        assert figures["words"]["tokens"] == figures["raw_text"]["tokens"] == 5
        for key in ("words", "raw_text"):
            rate = figures[key]["tokens_per_second"]
            assert 0 < rate["min"] <= rate["median"] <= rate["max"]
        latency = figures["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
        assert latency["sentences"] == 2

    def test_raw_text_is_split_for_the_second_question(self, fenestra, folder, tmp_path):
        (tmp_path / "a.txt").write_text("Ada met Charles. He left.\n\nKiel\n")
        assert fenestra("bench", "--model", folder, tmp_path / "a.txt", "--json", tmp_path / "out.json")[0] == 0
        figures = json.loads((tmp_path / "out.json").read_text())
        assert (figures["raw_text"]["texts"], figures["words"]["sentences"]) == (2, 3)
        assert figures["words"]["tokens"] == figures["raw_text"]["tokens"] == 8

    def test_a_file_without_text_is_refused(self, fenestra, folder, tmp_path):
        (tmp_path / "a.txt").write_text("\n\n")
        code, _, err = fenestra("bench", "--model", folder, tmp_path / "a.txt")
        assert code == 2
        assert err[-1].endswith("holds nothing to tag")

    @pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (90, 90), (99, 99), (100, 100)])
    def test_percentiles_are_values_that_occurred(self, percent, value):
        assert percentile(range(1, 101), percent) == value


class TestEvaluate:
    CORPUS = "data/sample/dev.conll"
    RENAME = ("--rename", "ORG=O", "--rename", "MISC=LOC")

    def test_it_prints_and_stores_the_figures_of_the_report(self, fenestra, folder, tagger, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        code, out, err = fenestra(
            "evaluate", "--model", folder, self.CORPUS, *self.RENAME, "--json", tmp_path / "out.json",
            "--seen", "data/sample/train.conll",
        )  # fmt: skip
        assert (code, err) == (0, [])
        rename = {"ORG": "O", "MISC": "LOC"}
        gold = read_corpus(Path(self.CORPUS), rename=rename).sentences
        known = known_entities(read_corpus(Path("data/sample/train.conll"), rename=rename).sentences)
        expected = measure(tagger, gold, known)
        stored = json.loads((tmp_path / "out.json").read_text())
        assert stored["scores"] == expected.as_dict()["scores"]
        assert stored["version"] == tagger.version
        (line,) = [line for line in out if line.startswith("all (micro)")]
        assert line.split()[-2:] == [f"{expected.scores.micro.f1:.2%}", str(expected.scores.micro.support)]
        assert any(line.startswith("unseen") for line in out)
        assert any(line.startswith("gold \\ predicted") for line in out)

    def test_it_prints_and_stores_thresholds(self, fenestra, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        _, out, _ = fenestra(
            "evaluate", "--model", folder, self.CORPUS, *self.RENAME, "--json", tmp_path / "out.json"
        )  # fmt: skip
        stored = json.loads((tmp_path / "out.json").read_text())
        start = out.index(next(line for line in out if line.startswith("score from")))
        assert [line.split()[0] for line in out[start : start + 9]] == [
            "score", "all", "0.50", "0.60", "0.70", "0.80", "0.90", "0.95", "0.99",
        ]  # fmt: skip
        assert out[start + 1].split()[1:4] == [
            f"{stored['scores']['micro'][key]:.2%}" for key in ("precision", "recall", "f1")
        ]
        assert [kept["threshold"] for kept in stored["thresholds"]] == [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
        assert stored["thresholds"][0]["scores"] == pytest.approx(stored["scores"]["micro"])
        assert any("Brier score" in line for line in out)
        assert stored["variants"] == {}

    @pytest.mark.parametrize(
        ("asked", "names"),
        [("all", ["lower", "upper", "typos", "unpunctuated", "alone"]), ("typos,lower,typos", ["typos", "lower"])],
    )
    def test_variants_are_a_table_of_their_own(self, fenestra, folder, tmp_path, monkeypatch, asked, names):
        monkeypatch.chdir(ROOT)
        words = ["evaluate", "--model", folder, self.CORPUS, *self.RENAME, "--variants", asked]
        code, out, err = fenestra(*words, "--json", tmp_path / "out.json")
        assert (code, err) == (0, [])
        stored = json.loads((tmp_path / "out.json").read_text())
        start = out.index(next(line for line in out if line.startswith("variant")))
        rows = [line.split() for line in out[start + 1 :]]
        error = stored["reliability"]["expected_calibration_error"]
        assert rows[0][-2:] == ["100.00%", f"{error:.4f}"]
        assert [row[0] for row in rows[1:]] == list(stored["variants"]) == names
        for row in rows[1:]:
            found = stored["variants"][row[0]]
            shares = [found["scores"][key] for key in ("precision", "recall", "f1")]
            printed = [f"{share:.2%}" for share in (*shares, found["share_of_f1"])]
            assert row[1:] == [*printed, f"{found['calibration_error']:.4f}"]
            assert found["scores"]["support"] == stored["scores"]["micro"]["support"]
        assert fenestra(*words)[1] == out  # the same typing errors again

    def test_the_help_names_every_variant(self, fenestra):
        from fenestra.training.data.perturbations import VARIANTS

        _, out, _ = fenestra("evaluate", "--help")
        assert ", ".join(VARIANTS) in " ".join(" ".join(out).split())

    def test_a_label_that_the_model_lacks_is_named_by_its_line(self, fenestra, folder, monkeypatch):
        monkeypatch.chdir(ROOT)
        code, out, err = fenestra("evaluate", "--model", folder, self.CORPUS)
        assert (code, out) == (2, [])
        assert len(err) == 2
        assert all(line.startswith(f"fenestra: {self.CORPUS}:") for line in err)
        assert "'MISC'" in err[0] + err[1]

    def test_several_files_are_measured_together(self, fenestra, folder, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.conll").write_text(CONLL)
        _, out, _ = fenestra("evaluate", "--model", folder, tmp_path / "a.conll", tmp_path / "b.conll")
        assert any("of 10 tokens in 4 sentences" in line for line in out)


class TestData:
    def test_a_sound_corpus_is_described(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL)
        code, out, err = fenestra("data", "check", tmp_path / "a.conll")
        assert (code, err) == (0, [])
        assert "2 sentences, 5 tokens" in out[0]

    def test_a_broken_one_is_refused_by_line(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text("Ada\tB-PER\nKiel\tLOC\n")
        code, out, (line,) = fenestra("data", "check", tmp_path / "a.conll")
        assert code == 2
        assert line == "fenestra: the corpus has errors, which the report lists: 1"
        assert sum(line.startswith(f"{tmp_path / 'a.conll'}:2: ") for line in out) == 1

    def test_a_corpus_is_cut_in_two(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL.replace("-DOCSTART-\tO\n\n", ""))
        whole, first, rest = (tmp_path / name for name in ("a.conll", "first.conll", "rest.conll"))
        assert fenestra("data", "split", whole, "50%", first, rest) == (
            0,
            [f"{first}: 1 sentences", f"{rest}: 1 sentences"],
            [],
        )
        code, _, (line,) = fenestra("data", "split", whole, "50%", first, rest)
        assert (code, line) == (2, f"fenestra: {first}: is taken; each part needs a new file")

    def test_a_seed_is_of_the_choice_at_random(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text("".join(f"w{number}\tO\n\n" for number in range(20)))
        files = [tmp_path / name for name in ("a.conll", "first.conll", "rest.conll")]
        code, _, (line,) = fenestra("data", "split", files[0], "50%", *files[1:], "--seed", 3)
        assert (code, "expected --shuffle" in line) == (2, True)
        assert fenestra("data", "split", files[0], "50%", *files[1:], "--shuffle", "--seed", 3)[0] == 0
        assert files[1].read_text() != "".join(f"w{number}\tO\n\n" for number in range(10))

    def test_a_size_that_is_none_is_bad_usage(self, fenestra, tmp_path):
        code, _, (line,) = fenestra("data", "split", tmp_path / "a", "half", tmp_path / "b", tmp_path / "c")
        assert code == 2
        assert "expected a number such as 110 or a share such as 80%, got 'half'" in line

    def test_json_holds_the_same(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL)
        _, out, _ = fenestra("data", "check", "--json", "--labels", "PER,LOC", tmp_path / "a.conll")
        assert json.loads("\n".join(out))["ok"] is True

    def test_labels_may_have_blanks_between_and_none_is_empty(self, fenestra, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL)
        assert fenestra("data", "check", tmp_path / "a.conll", "--labels", "PER, LOC")[0] == 0
        code, _, (line,) = fenestra("data", "check", tmp_path / "a.conll", "--labels", "PER,,LOC")
        assert (code, "'PER,,LOC', expected labels with commas between" in line) == (2, True)

    def test_an_unknown_name_lists_those_there_are(self, fenestra):
        code, _, (line,) = fenestra("data", "fetch", "nonsense")
        assert code == 2
        assert "conll2003" in line


class TestVectors:
    def test_neighbours_are_there_before_anything_was_fetched(self, fenestra, tmp_path, monkeypatch):
        monkeypatch.setenv("FENESTRA_CACHE", str(tmp_path))
        code, out, (line,) = fenestra("vectors", "neighbours", "munich", "-n", 3)
        assert (code, len(out)) == (0, 3)
        assert line.endswith("to get it: fenestra data fetch glove")

    @pytest.mark.parametrize("word", ["kiel", "KIEL", "Kiel"])
    def test_a_word_is_found_in_other_letters(self, fenestra, tmp_path, word):
        (tmp_path / "v.txt").write_text("Kiel 1 0\nOslo 1 0.1\n")
        assert fenestra("vectors", "neighbours", word, "--vectors", tmp_path / "v.txt")[:2] == (0, ["Oslo\t0.9950"])

    def test_neighbours_come_nearest_first(self, fenestra, tmp_path):
        (tmp_path / "v.txt").write_text("kiel 1 0\nlübeck 0.9 0.1\nbread 0 1\n", encoding="utf-8")
        code, out, _ = fenestra("vectors", "neighbours", "Kiel", "--vectors", tmp_path / "v.txt", "-n", 2)
        assert code == 0
        assert out == ["lübeck\t0.9939", "bread\t0.0000"]

    def test_an_unknown_word_is_named(self, fenestra, tmp_path):
        (tmp_path / "v.txt").write_text("kiel 1 0\nbread 0 1\n")
        code, _, (line,) = fenestra("vectors", "neighbours", "xyzzy", "--vectors", tmp_path / "v.txt")
        assert code == 2
        assert "xyzzy" in line


JOB = """
[data]
train = ["a.conll"]
dev = ["a.conll"]
[vectors]
source = "none"
[model]
labels = ["LOC", "PER"]
hidden = [4]
[model.features]
word = 4
[training]
epochs = 2
warmup_steps = 0
"""


class TestTrain:
    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "a.conll").write_text(CONLL)
        (tmp_path / "job.toml").write_text(JOB)
        return tmp_path / "job.toml"

    @pytest.mark.training
    def test_a_job_writes_a_checkpoint_that_tags(self, fenestra, job, tmp_path, stdin):
        output = tmp_path / "out"
        code, out, err = fenestra("train", job, "--output", output, "training.epochs=3", "threads=1")
        assert code == 0
        assert [line.split()[1] for line in err if line.startswith("epoch")] == ["1/3", "2/3", "3/3"]
        assert out[0].startswith("dev F1 ")
        assert out[1:] == [f"checkpoint: {output}", f"report: {output / 'report.html'}"]
        assert {"README.md", "report.html", "report.json", "manifest.json"} <= {p.name for p in output.iterdir()}
        assert list((output / "tensorboard").iterdir())
        stdin("Ada met Charles")
        assert fenestra("tag", "--model", output, "-")[0] == 0
        code, _, (line,) = fenestra("train", job, "--output", output)
        assert code == 2
        assert str(output) in line

    def test_a_misspelt_field_stops_it_before_any_work(self, fenestra, job, tmp_path):
        code, _, err = fenestra("train", job, "--output", tmp_path / "out", "training.epoch=3")
        assert (code, err) == (2, ["fenestra: training.epoch: unknown field; did you mean epochs?"])
        assert not (tmp_path / "out").exists()

    def test_ctrl_c_says_how_to_go_on(self, fenestra, job, tmp_path, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("fenestra.training.job.train", interrupted)
        code, _, err = fenestra("train", job, "--output", tmp_path / "out")
        assert code == 130
        assert err[0].endswith(f"--output {tmp_path / 'out'} --resume")


class TestServe:
    def test_a_port_that_is_taken_is_named(self, fenestra, folder):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, out, err = fenestra("serve", "--model", folder, "--port", port)
        assert (code, out) == (2, [])
        (line,) = err
        assert f"port {port}" in line

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (["--port", "x"], "FENESTRA_PORT"),
            (["--port", "70000"], "FENESTRA_PORT"),
            (["--device", "tpu"], "FENESTRA_DEVICE"),
        ],
    )
    def test_a_bad_setting_is_named(self, fenestra, folder, words, named):
        code, _, (line,) = fenestra("serve", "--model", folder, *words)
        assert code == 2
        assert named in line

    def test_a_folder_that_is_no_checkpoint_is_named(self, fenestra, tmp_path):
        code, _, (line,) = fenestra("serve", "--model", tmp_path)
        assert code == 2
        assert f"{tmp_path}: not a checkpoint" in line

    def test_an_unknown_host_is_named(self, fenestra, folder):
        code, _, (line,) = fenestra("serve", "--model", folder, "--host", "999.999.999.999")
        assert code == 2
        assert "999.999.999.999" in line

    def test_it_answers_until_sigterm_and_ends_well(self, folder):
        started = process("serve", "--model", folder, "--port", 0)
        try:
            said = next(message for line in started.stderr if "http://" in (message := json.loads(line)["message"]))
            url = said.split()[0]
            assert wait_for(f"{url}/livez") == {"status": "alive"}
            request = urllib.request.Request(
                f"{url}/tag", b'{"text": "Ada in Kiel"}', {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer)["model"]["name"] == "small"
            started.send_signal(signal.SIGTERM)
            _, rest = started.communicate(timeout=20)
            assert started.returncode == 0
            assert "Traceback" not in rest
        finally:
            started.kill()
            started.communicate()

    def test_a_damaged_model_ends_it_with_two(self, folder, tmp_path):
        copy = tmp_path / "damaged"
        copy.mkdir()
        for path in folder.iterdir():
            data = path.read_bytes()
            (copy / path.name).write_bytes(data if path.suffix != ".safetensors" else data[:-1] + b"?")
        status, out, err = finish("serve", "--model", copy, "--port", 0)
        assert (status, out) == (2, "")
        assert "sha256" in err
        assert "Traceback" not in err


def wait_for(url):
    """Ask until there is an answer."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} never answered")
