"""The whole road with nothing replaced: the bundled model behind the real server, and the sample model on disk."""

import json
import re
import subprocess
import sys
import time
import unicodedata
import urllib.request

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score

from fenestra.cli.main import main
from fenestra.model.bundled import bundled_models
from fenestra.model.tagger import Tagger
from fenestra.training.data.lexicon import is_contact
from fenestra.training.report.report import render_card
from tests.conftest import ROOT

SENTENCE = "Ada Lovelace moved from London to join Siemens in Munich."
LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def service():
    """`fenestra serve` with the bundled model, as `make serve` starts it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, "serve", "--port", "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    url = next(found.group() for line in process.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


def post(url, body):
    request = urllib.request.Request(
        f"{url}/tag", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_first_request_of_the_readme_finds_the_four_entities(service):
    answer = post(service, {"text": SENTENCE})
    found = [(e["start"], e["end"], e["label"], e["text"]) for e in answer["results"][0]["entities"]]
    assert found == [
        (0, 12, "PER", "Ada Lovelace"), (24, 30, "LOC", "London"),
        (39, 46, "ORG", "Siemens"), (50, 56, "LOC", "Munich"),
    ]  # fmt: skip
    shown = re.search(r"```json\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = json.loads(shown.group(1))
    for entity, documented in zip(answer["results"][0]["entities"], shown["results"][0]["entities"], strict=True):
        assert entity == {**documented, "score": pytest.approx(documented["score"], abs=1e-3)}
    assert shown["model"] == answer["model"]


AWKWARD = {
    "russian": "Иван Петров живёт в Москве и работает в Siemens.",
    "empty": "",
    "one word": "London",
    "a hundred thousand characters": ("Ada Lovelace met Siemens in Munich. " * 2800)[:100_000],
    "one word of a hundred thousand characters": "A" * 100_000,
    "a hundred thousand words of one character": "a " * 50_000,
    "emoji": "🙂 Ada Lovelace 👩‍👩‍👧‍👦 flew to London 🇬🇧 with 👍🏽 Tom.",
    "combining marks": unicodedata.normalize("NFD", "Zoë Müller flew from Zürich to São Paulo."),
    "astral letters": "𝓐𝓭𝓪 met Tom in London 𝔸𝔹.",
    "right to left": "שלום London مرحبا Munich",
    "controls": "Ada\x00Lovelace\x07 in\u200bLondon\u202e Munich\ufeff",
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("unit", ["codepoint", "utf16", "utf8"])
def test_offsets_cut_the_very_text_in_every_unit(case, unit, service):
    text = AWKWARD[case]
    answer = post(service, {"text": text, "offsets": unit, "details": True})["results"][0]
    encoding, width = {"codepoint": ("utf-32-le", 4), "utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}[unit]
    raw = text.encode(encoding)
    for piece in (*answer["entities"], *answer["tokens"]):
        assert raw[piece["start"] * width : piece["end"] * width].decode(encoding) == piece["text"] != ""
    if case in ("emoji", "combining marks", "astral letters"):
        assert answer["entities"]


@pytest.fixture(params=bundled_models())
def bundled(request):
    """The folder of each bundled model."""
    return bundled_models()[request.param]


def read_report(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_bundled_model_is_small_loads_and_says_what_it_is(bundled):
    assert sum(path.stat().st_size for path in bundled.rglob("*")) <= 26_000_000
    assert Tagger.load(bundled).labels == ("LOC", "ORG", "PER")
    card, report = (bundled / "README.md").read_text(encoding="utf-8"), read_report(bundled)
    data = report["config"]["data"]
    vectors = report["vectors"]["licence"].partition(" ")[0]
    names = [name.replace("_", "\\_") for name in (vectors, *data["train"], *data["dev"], *data["test"])]
    for promise in ("The weights are licensed", "bad at", *names):
        assert promise in card


def test_nothing_in_a_bundled_model_tells_of_the_machine_that_made_it(bundled):
    for path in bundled.iterdir():
        if path.suffix in (".json", ".html", ".md") and path.name != "features.json":
            assert not re.search(r"/(home|work|tmp|root|Users|mnt|srv)/", path.read_text(encoding="utf-8")), path.name


def test_nobodys_address_is_in_a_bundled_model(bundled):
    words = json.loads((bundled / "features.json").read_text(encoding="utf-8"))["word"]
    assert [word for word in words if is_contact(word)] == []


def test_a_bundled_card_is_what_its_report_says(bundled):
    """A card that drifts from its report has to be made anew, with the next training: it is part of the version.

    How to load a model is the interface of the day it was made; it says nothing of the model.
    """

    def without_loading(card):
        return re.sub(r"## How to load it\n.*?\n(?=## |\Z)", "", card, flags=re.DOTALL)

    stored = (bundled / "README.md").read_text(encoding="utf-8")
    assert without_loading(render_card(read_report(bundled))) == without_loading(stored) != stored


@pytest.mark.training
def test_evaluate_tag_and_seqeval_agree_to_the_last_digit(sample_model, tmp_path):
    """What `fenestra tag` writes, scored by seqeval alone, is what `fenestra evaluate` says."""
    gold_file, tagged, scores = (
        ROOT / "data" / "sample" / "test.conll",
        tmp_path / "out.conll",
        tmp_path / "scores.json",
    )
    arguments = ["--model", str(sample_model), str(gold_file)]
    assert main(["tag", "--input-format", "conll", "--output-format", "conll", *arguments, "-o", str(tagged)]) == 0
    assert main(["evaluate", *arguments, "--json", str(scores)]) == 0

    def read(path):
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")]
        words, tags = [], [[]]
        for cells in lines:
            if len(cells) == 2:
                words.append(cells[0])
                tags[-1].append(cells[1])
            elif tags[-1]:
                tags.append([])
        return words, [sentence for sentence in tags if sentence]

    (gold_words, gold), (words, predicted) = read(gold_file), read(tagged)
    assert words == gold_words
    assert len(predicted) == len(gold)
    micro = json.loads(scores.read_text())["scores"]["micro"]
    assert micro["precision"] == precision_score(gold, predicted)
    assert micro["recall"] == recall_score(gold, predicted)
    assert micro["f1"] == f1_score(gold, predicted)


@pytest.mark.training
def test_the_trained_model_serves_what_it_learnt(sample_model):
    """Train, load, tag: the road a newcomer takes."""
    found = Tagger.load(sample_model).tag(["Ada Lovelace moved to Germany."])[0]
    assert ("LOC", "Germany") in [(entity.label, entity.text) for entity in found]


def test_a_model_is_measured_again_by_the_command_of_its_card(tmp_path, monkeypatch):
    """With the labels renamed and the mentions dropped as its job did, which the checkpoint remembers."""
    corpus = "@\tO\nada\tO\nAda\tB-PERSON\nin\tO\nKiel\tB-GPE\n\nit\tO\nrains\tO\n\n"
    for name in ("train.conll", "dev.conll"):
        (tmp_path / name).write_text(corpus)
    (tmp_path / "job.toml").write_text(
        '[data]\ntrain = ["train.conll"]\ndev = ["dev.conll"]\ndrop_mentions = true\n'
        'rename = {PERSON = "PER", GPE = "LOC"}\n[model]\nlabels = ["LOC", "PER"]\nhidden = [8]\n'
        '[model.features]\nvectors = false\nword = 4\n[vectors]\nsource = "none"\n'
        "[training]\nepochs = 2\nmin_count = 1\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["train", "job.toml", "--output", "out"]) == 0
    assert "fenestra evaluate --model MODEL --as-trained dev.conll" in (tmp_path / "out" / "README.md").read_text()
    assert main(["evaluate", "--model", "out", "--as-trained", "dev.conll", "--json", "scores.json"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert json.loads((tmp_path / "scores.json").read_text())["scores"] == report["scores"]["dev"]["scores"]
    assert report["corpora"]["dev"]["tokens"] == 5
