"""Every shell command that a document or the help shows runs as it is written (tests/sandbox.py says how)."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fenestra.app import label_map, server
from fenestra.cli.main import _parser, main
from fenestra.model import checkpoint
from fenestra.model.engine import cores
from fenestra.model.tagger import Tagger
from fenestra.training import job, sources
from fenestra.training.data.corpus import read_corpus
from fenestra.training.fit.score import from_counts
from fenestra.training.learn import learn as learning
from fenestra.training.learn.figures import Change, Elsewhere, Figures
from fenestra.training.sources.cache import describe
from fenestra.training.sources.catalogue import find
from fenestra.training.sources.vector_sets import write_vector_set
from fenestra.training.tune import tune
from tests.conftest import ROOT, SAMPLE
from tests.pages import examples_of, scripts
from tests.sandbox import Sandbox
from tests.test_docs import DOCUMENTS
from tests.test_docs_pages import SESSIONS

CARDS = sorted(ROOT.glob("data/models/*/README.md"))
EXCEPTIONS = {
    "fenestra tag --engine ray": "of a cluster, or of Ray, which is not installed everywhere; see tests/integrations",
    "ln -s english-1 /models/english": "at the root of the operator's machine",
    "ln -sT english-2 /models/.next": "at the root of the operator's machine",
    'eval "$(fenestra completion zsh)"': "for another shell than the one that runs these; see tests/test_completion.py",
    "pip install en/*.whl": "of the wheel that spaCy, which is not installed here, makes; see tests/integrations",
}
"""Commands that do not run here, by their beginning, and why. What stands behind one in its block does not either."""
PAGES = [path for path in [*DOCUMENTS, *CARDS] if path.stem not in SESSIONS]  # tests/test_docs_pages.py runs the others
SCRIPTS = {path: scripts(path.read_text(encoding="utf-8")) for path in PAGES}
EXAMPLES = list(examples_of(_parser()))


def excepted(script):
    """The script up to its first command that is an exception."""
    ends = [place for beginning in EXCEPTIONS if (place := script.find(beginning)) >= 0]
    return script[: min(ends)] if ends else script


@pytest.fixture(scope="module")
def own(tmp_path_factory, quick_job):
    """What readers have of their own: corpora of every format, texts, jobs, models; and a cache of what was fetched."""
    folder = tmp_path_factory.mktemp("own")
    put_corpora(folder)
    put_texts(folder)
    for name in ("job.toml", "JOB.toml", "runs/search/best.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'extends = "{SAMPLE}"\n', "utf-8")
    (folder / "space.toml").write_text("[training]\nlearning_rate = {low = 1e-4, high = 1e-2, log = true}\n", "utf-8")
    model = job.train(replace(quick_job, training=replace(quick_job.training, epochs=1)), folder / "MODEL")
    for name in (
        "DIR",
        "runs/sample",
        "runs/before",
        "runs/after",
        "runs/corrected",
        "runs/news",
        "runs/conll2003-1",
        "runs/label-studio/project-7/model",
    ):
        shutil.copytree(model, folder / name)
    fetched(folder)
    return folder


def put_corpora(folder):
    """The sample under the names, and in the formats, that commands have for a corpus."""
    lines = re.sub(r"[BI]-MISC", "O", (ROOT / "data" / "sample" / "train.conll").read_text("utf-8"))
    documents = 2 * lines.split("-DOCSTART-\tO\n")[1:]
    for name, count in {"corpus": 120, "train": 6, "dev": 3, "test": 3, "gum": 3, "bc5cdr": 3}.items():
        text = "".join(f"-DOCSTART-\tO\n{document}" for document in documents[:count])
        (folder / f"{name}.conll").write_text(text.replace("-LOC", "-GPE") if name == "gum" else text, "utf-8")
    dev = folder / "dev.conll"
    rows = [line.partition("\t") for line in dev.read_text("utf-8").splitlines() if "DOCS" not in line]
    (folder / "germeval.tsv").write_text(
        "\n".join(f"1\t{word}\t{tag}" if word else "" for word, _, tag in rows), "utf-8"
    )
    formats = {"export.jsonl": "doccano", "project-1.json": "label-studio", "brat": "brat", "train.conllu": "conllu"}
    for name, form in formats.items():
        assert main(["data", "convert", str(dev), str(folder / name), "--to", form]) == 0
    named = {name for card in CARDS for name in re.findall(r"\S+\.conll", card.read_text("utf-8"))}
    named |= {f"CORPORA/ncbi_disease/{part}.conll" for part in ("train", "dev")}
    named |= {f"CORPORA/bc5cdr/{part}.conll" for part in ("train", "dev", "test")}
    named |= {"CORPORA/wikineural_ru/dev.conll.gz", "CORPORA/wikineural_ru/test.conll.gz"}  # by its first bytes, plain
    named |= {"CORPORA/factrueval2016/first98.conll"}
    for name in named:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(dev, folder / name)


def put_texts(folder):
    """Texts under the names that commands have for them."""
    text = "Ada Lovelace met Charles Babbage in London.\n"
    for name in ("notes.txt", "letter.txt", "TEXT.txt", "news.txt", "abstracts.txt", "FILE", "corpus/a.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text * 6, "utf-8")
    (folder / "mail.txt").write_text(text, "utf-8")
    shutil.copy(folder / "test.conll", folder / "probe.conll")
    (folder / "corrections.jsonl").write_text(
        json.dumps({"text": "Ask Ramp.", "entities": [{"start": 4, "end": 8, "label": "ORG"}]}) + "\n", "utf-8"
    )
    (folder / "mail.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("docs.jsonl", "texts.jsonl"):
        (folder / name).write_text(json.dumps({"text": text}) + "\n", "utf-8")
    (folder / "my.txt").write_text("Ada 1 0\nGrace 1 0.1\nKiel 0 1\n", "utf-8")


def fetched(folder):
    """A cache in which every set that can be fetched is there, small."""
    for name in sources.available():
        place = folder / ".cache" / name
        place.mkdir(parents=True)
        if find(name).kind == "corpus":
            for split in ("train", "dev", "test"):
                shutil.copy(folder / "dev.conll", place / f"{split}.conll")
        elif find(name).kind == "vectors":
            write_vector_set(place, ["munich", "cologne", "ada"], np.eye(3, 4, dtype=np.float32))
        describe(find(name), place)


@pytest.fixture(scope="module")
def url():
    """A real service of both models."""
    code = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "FENESTRA_MODELS": "english,russian", "FENESTRA_START_WAIT_SECONDS": "60"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = None
    try:
        for line in process.stderr:
            found = re.search(r"http://(127\.0\.0\.1:\d+)", line) or found
            if "startup complete" in line:
                break
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@cache
def loaded(folder):
    """A model, loaded once, with little room for frequent words."""
    return Tagger(checkpoint.load(folder), folder=folder, device="cpu", threads=1, cache_mb=8)


@pytest.fixture(scope="module", autouse=True)
def _unloaded_in_the_end():
    yield
    loaded.cache_clear()


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch, own):
    """What takes long or stays is done as far as its arguments and settings go."""

    def serve(settings):
        labels = {name: checkpoint.read_config(folder).labels for name, folder in settings.served}
        label_map.check_setting(settings.label_map, labels)
        return 0

    def train(config, output, **_):
        shutil.copytree(own / "MODEL", output, dirs_exist_ok=True)
        return output

    def search(config, space, output, **_):
        assert space.study.trials
        output.mkdir(parents=True, exist_ok=True)
        shutil.copy(own / "job.toml", output / tune.BEST)
        return {"best": {"values": {}, "dev_f1": 0.5, "by_seed": [], "number": 1}, "trials": [1]}

    def learn(corrections, source, output, *, bound, **_):
        assert read_corpus(corrections).sentences
        shutil.copytree(own / "MODEL", output, dirs_exist_ok=True)
        same = Change(from_counts(1, 1, 1), from_counts(1, 1, 1))
        return Figures(1, Tagger.load(source).labels, same, None, Elsewhere(0, 0.0, bound))

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(tune, "tune", search)
    monkeypatch.setattr(learning, "learn", learn)
    monkeypatch.setattr(sources, "fetch", lambda name, force=False: own / ".cache" / find(name).name)
    monkeypatch.setattr(cores, "usable_cores", lambda: 1)  # nothing is forked beside a service
    monkeypatch.setattr(Tagger, "load", lambda folder, **_: loaded(Path(folder).resolve()))


@pytest.mark.parametrize(
    "document", [path for path, found in SCRIPTS.items() if found], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_commands_of_a_document_run_as_they_are_written(document, tmp_path, own, request):
    """One after the other, in one folder, as someone would who follows the page."""
    shown = [(line, excepted(script)) for line, script in SCRIPTS[document]]
    needed = [tool for tool in ("curl", "openssl", "make") if any(tool in script for _, script in shown)]
    if missing := [tool for tool in needed if not shutil.which(tool)]:
        pytest.skip(f"{missing[0]} is not installed")
    url = request.getfixturevalue("url") if "curl" in needed else ""
    place = Sandbox(tmp_path, own, url, document.parent if document in CARDS else None)
    for line, script in shown:
        if document != ROOT / "README.md":  # whose reader has nothing yet
            place.give(script)
        said = place.run(script)
        assert not said, f"{document}:{line}\n{said}"


def test_every_example_of_the_help_runs_as_it_is_written(tmp_path, own):
    failed = []
    for number, example in enumerate(EXAMPLES):
        (tmp_path / str(number)).mkdir()
        place = Sandbox(tmp_path / str(number), own, "")
        script = excepted(f"{example}\n")
        place.give(script)
        failed.append(place.run(script))
    assert not any(failed), "\n".join(filter(None, failed))


@pytest.mark.parametrize(
    "script",
    [
        "fenestra tag --bogus notes.txt",
        "fenestra tag nothing.txt",
        "fenestra serve --model nothing",
        "FENESTRA_PROT=1 fenestra serve",
        "fenestra train training/configs/sample.toml training.epohs=1 --output runs/x",
        "fenestra data fetch golve",
        "fenestra mcp --bogus",
        "python -m benchmarks.nothing",
        "python -m benchmarks.stages --bogus",
        "make nothing",
        "pip install '.[nothing]'",
        "docker compose -f nothing.yaml up",
        "kubectl apply -f nothing.yaml",
        "kubectl apply -k nothing",
        "nothing",
        "fenestra tag nothing.txt | cat",
    ],
)
def test_a_command_that_does_not_run_would_be_noticed(script, tmp_path, own):
    assert Sandbox(tmp_path, own, "").run(f"{script}\n")


def test_every_exception_is_still_needed():
    shown = [*(block.script for found in SCRIPTS.values() for block in found), *EXAMPLES]
    assert [beginning for beginning in EXCEPTIONS if not any(beginning in script for script in shown)] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_commands_within_a_text_exist(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    strange = []
    for command in re.findall(r"`fenestra ([^`]+)`", text):
        parser = _parser()
        for word in command.split():
            choices = next((action.choices for action in parser._actions if action.nargs == "A..."), None)
            if choices is None or word not in choices:
                break
            parser = choices[word]
        options = re.findall(r"(?<!\S)--?[a-z][\w-]*", command)
        strange += [f"{command}: {option}" for option in options if option not in parser._option_string_actions]
    assert strange == []
