"""The component and the pipeline packages, in the real spaCy."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from email.parser import Parser
from pathlib import Path

import pytest

spacy = pytest.importorskip("spacy", reason="spaCy is not installed: make test-integrations INTEGRATIONS=spacy")

from spacy.tokens import DocBin, Span  # noqa: E402
from spacy.training import Example  # noqa: E402

from fenestra.cli.main import main  # noqa: E402
from fenestra.integrations import taggers  # noqa: E402
from fenestra.integrations.spacy.package import export  # noqa: E402
from fenestra.model.bundled import bundled_model  # noqa: E402
from fenestra.model.errors import CheckpointError, InputError  # noqa: E402

# spaCy's `package` leaves it to the interpreter to close what it writes.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:unclosed file.*/(__init__\.py|MANIFEST\.in|setup\.py|meta\.json|README\.md)':ResourceWarning"
)
TEXT = "Ada Lovelace moved from London to join Siemens in Munich."
FOUND = [("Ada Lovelace", "PER"), ("London", "LOC"), ("Siemens", "ORG"), ("Munich", "LOC")]


def pipeline(language="en", **config):
    nlp = spacy.blank(language)
    nlp.add_pipe("fenestra", config=config)
    return nlp


def entities(doc):
    return [(span.text, span.label_) for span in doc.ents]


def exact(doc):
    return [(span.start_char, span.end_char, span.label_, span._.score) for span in doc.ents]


@pytest.fixture(scope="module")
def nlp():
    return pipeline()


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(bundled_model("english"), tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return export(bundled_model("english"), tmp_path_factory.mktemp("export") / "en")


# ── what is found ──


def test_entities_are_those_of_the_tagger_with_their_scores(nlp, tagger, texts):
    aligned = 0
    for doc, found in zip(nlp.pipe(texts, batch_size=50), tagger.tag(texts), strict=True):
        borders = {token.idx for token in doc}, {token.idx + len(token) for token in doc}
        if all(e.start in borders[0] and e.end in borders[1] for e in found):
            aligned += len(found)
            assert exact(doc) == [(e.start, e.end, e.label, e.score) for e in found]
        assert len(doc.ents) == len(found)
    assert aligned > 500


def test_an_entity_within_a_token_of_spacy_takes_in_the_whole_token(nlp, tagger):
    text = "Visit New York!!!Now"
    (entity,) = tagger(text)
    (span,) = nlp(text).ents
    assert (entity.text, span.text) == ("New York", "New York!!!Now")
    assert (span.label_, span._.score) == (entity.label, entity.score)


def test_of_two_entities_in_one_token_the_likelier_is_kept(tagger):
    text = "Paris;Berlin"
    first, second = tagger(text)
    doc = pipeline(spans_key="ner")(text)
    (span,) = doc.ents
    assert span.text == text
    assert span._.score == max(first.score, second.score)
    assert [span.text for span in doc.spans["ner"]] == [text]


def test_of_two_entities_that_share_a_token_the_longer_is_kept_and_spans_have_both():
    doc = pipeline(spans_key="ner")("Ada Lovelace(London)")
    assert entities(doc) == [("Ada Lovelace(London", "PER")]
    assert [span.text for span in doc.spans["ner"]] == ["Ada Lovelace(London", "Lovelace(London"]


def test_one_document_gives_what_a_stream_gives(nlp, texts):
    some = texts[:40]
    assert [exact(nlp(text)) for text in some] == [exact(doc) for doc in nlp.pipe(some, batch_size=7)]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t ", "…", "😀"])
def test_a_text_without_words_has_no_entities_and_says_so(nlp, text):
    doc = nlp(text)
    assert doc.text == text
    assert not doc.ents
    assert doc.has_annotation("ENT_IOB")


def test_a_document_of_half_a_million_characters_is_tagged_whole(nlp, tagger):
    text = f"{TEXT} " * 9000
    assert len(text) > 500_000
    assert exact(nlp(text)) == [(e.start, e.end, e.label, e.score) for e in tagger(text)]


def test_a_document_that_was_tagged_before_is_the_same_after(nlp):
    doc = nlp(TEXT)
    assert exact(nlp.get_pipe("fenestra")(doc)) == exact(nlp(TEXT))


def test_threads_share_a_pipeline(nlp, texts):
    expected = [exact(nlp(text)) for text in texts[:64]]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: exact(nlp(text)), texts[:64])) == expected


def test_the_model_is_that_of_the_language_unless_named():
    assert entities(pipeline("ru")("Анна Иванова приехала из Москвы.")) == [("Анна Иванова", "PER"), ("Москвы", "LOC")]
    assert entities(pipeline("xx", model="english")(TEXT)) == FOUND
    with pytest.raises(InputError, match=r"^no bundled model reads 'de', but en, ru; name a model$"):
        pipeline("de")(TEXT)


# ── what becomes of it ──


def test_labels_are_renamed_dropped_and_kept():
    nlp = pipeline(label_map={"PER": "PERSON", "ORG": None})
    assert nlp.pipe_labels == {"fenestra": ["LOC", "PERSON"]}
    assert entities(nlp(TEXT)) == [("Ada Lovelace", "PERSON"), ("London", "LOC"), ("Munich", "LOC")]
    assert entities(pipeline(labels=["ORG"])(TEXT)) == [("Siemens", "ORG")]


@pytest.mark.parametrize("config", [{"labels": ["PERS"]}, {"label_map": {"PERS": "PERSON"}}])
def test_a_label_that_the_model_does_not_have_is_refused(config):
    with pytest.raises(InputError, match=r"^labels?(_map)?: the model has no label 'PERS', but LOC, ORG, PER$"):
        pipeline(**config)(TEXT)


def test_entities_below_a_score_are_dropped(nlp):
    _, *others = sorted(exact(nlp(TEXT)), key=lambda entity: entity[3])
    assert sorted(exact(pipeline(min_score=others[0][3])(TEXT)), key=lambda entity: entity[3]) == others
    with pytest.raises(InputError, match=r"^min_score 2.0: expected a number from 0 to 1$"):
        pipeline(min_score=2.0)
    with pytest.raises(InputError, match=r"^label_map: expected a name or null, got an empty one$"):
        pipeline(label_map={"PER": ""})


@pytest.mark.parametrize(("overwrite", "expected"), [(False, ("Lovelace moved", "EVENT")), (True, FOUND[0])])
def test_entities_that_are_there_stay_or_make_room(overwrite, expected):
    nlp = pipeline(overwrite=overwrite, spans_key="ner")
    nlp.add_pipe("entity_ruler", before="fenestra").add_patterns([{"label": "EVENT", "pattern": "Lovelace moved"}])
    doc = nlp(TEXT)
    assert entities(doc) == [expected, *FOUND[1:]]
    assert [(span.text, span.label_) for span in doc.spans["ner"]] == FOUND


def test_spans_alone_leave_the_entities_as_they_are():
    doc = pipeline(annotate_ents=False, spans_key="ner")(TEXT)
    assert not doc.ents
    assert [(span.text, span.label_) for span in doc.spans["ner"]] == FOUND
    assert all(0.5 < span._.score < 1 for span in doc.spans["ner"])
    with pytest.raises(InputError, match="entities would go nowhere"):
        pipeline(annotate_ents=False)


def test_scores_survive_in_a_docbin(nlp):
    data = DocBin(docs=[nlp(TEXT)], store_user_data=True).to_bytes()
    (doc,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert exact(doc) == exact(nlp(TEXT))


def test_several_models_stand_in_one_pipeline():
    nlp = pipeline(annotate_ents=False, spans_key="en")
    nlp.add_pipe("fenestra", "ru", config={"model": "russian", "annotate_ents": False, "spans_key": "ru"})
    doc = nlp("Ada Lovelace met Анна Иванова.")
    assert any(span.text == "Ada Lovelace" for span in doc.spans["en"])
    assert any(span.text == "Анна Иванова" for span in doc.spans["ru"])


# ── when it is opened, and where it goes ──


@pytest.fixture
def opened(monkeypatch):
    """The folders of models that are opened, in turn."""
    folders, load = [], taggers.Tagger.load

    def watched(folder, **options):
        folders.append(Path(folder))
        return load(folder, **options)

    monkeypatch.setattr(taggers.Tagger, "load", watched)
    taggers._open.cache_clear()
    return folders


def test_a_model_is_opened_when_the_first_document_comes_and_once(opened, checkpoint, tmp_path):
    pipeline(model=str(checkpoint)).to_disk(tmp_path / "saved")
    nlp = spacy.load(tmp_path / "saved")
    assert nlp.pipe_labels == {"fenestra": ["LOC", "ORG", "PER"]}
    assert opened == []
    docs = [*nlp.pipe([TEXT] * 3, batch_size=1), nlp(TEXT), spacy.load(tmp_path / "saved")(TEXT)]
    assert [entities(doc) for doc in docs] == [FOUND] * 5
    assert opened == [tmp_path / "saved" / "fenestra" / "model"]


def test_a_saved_pipeline_needs_nothing_of_the_machine_that_it_was_made_on(checkpoint, tmp_path):
    nlp = pipeline(model=str(checkpoint), label_map={"PER": "PERSON"})
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(checkpoint)
    shutil.move(tmp_path / "saved", tmp_path / "elsewhere")
    assert entities(spacy.load(tmp_path / "elsewhere")(TEXT)) == [("Ada Lovelace", "PERSON"), *FOUND[1:]]
    copied = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere" / "fenestra" / "model").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in bundled_model("english").iterdir()}


def test_a_pipeline_is_saved_over_itself_and_over_another(tmp_path):
    saved = tmp_path / "saved"
    pipeline("ru").to_disk(saved)
    pipeline("en").to_disk(saved)
    nlp = spacy.load(saved)
    nlp.to_disk(saved)
    assert entities(spacy.load(saved)(TEXT)) == entities(nlp(TEXT)) == FOUND


@pytest.mark.parametrize("file", ["weights.safetensors", "words.txt", "report.json"])
def test_a_damaged_model_is_refused_in_one_line(file, checkpoint, tmp_path):
    pipeline(model=str(checkpoint)).to_disk(tmp_path / "saved")
    path = tmp_path / "saved" / "fenestra" / "model" / file
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    nlp = spacy.load(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=rf"{file}: sha256 .+, expected ") as error:
        nlp(TEXT)
    assert "\n" not in str(error.value)


def test_a_model_that_is_missing_is_refused_when_the_pipeline_is_loaded(tmp_path):
    pipeline().to_disk(tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved" / "fenestra" / "model")
    with pytest.raises(CheckpointError, match=r"model: not a checkpoint: cannot read manifest.json"):
        spacy.load(tmp_path / "saved")


def test_a_pipeline_goes_through_bytes(checkpoint):
    nlp = pipeline(model=str(checkpoint), label_map={"ORG": None})
    data = nlp.to_bytes()
    shutil.rmtree(checkpoint)
    copy = pipeline(model=str(checkpoint), label_map={"ORG": None}).from_bytes(data)
    assert exact(copy(TEXT)) == exact(pipeline(label_map={"ORG": None})(TEXT))
    again = pipeline().from_bytes(copy.to_bytes())
    assert entities(again(TEXT)) == FOUND


def test_bytes_that_name_files_outside_of_the_folder_are_refused():
    nlp = pipeline()
    pipe = nlp.get_pipe("fenestra")
    content = spacy.util.srsly.msgpack_loads(pipe.to_bytes())
    content["model"]["../../outside"] = b""
    with pytest.raises(CheckpointError, match=r"'../../outside' is not a plain file name"):
        pipe.from_bytes(spacy.util.srsly.msgpack_dumps(content))


def test_a_component_is_pickled_without_what_it_opened(nlp):
    pipe = nlp.get_pipe("fenestra")
    data = pickle.dumps(pipe)
    assert len(data) < 2000
    assert exact(pickle.loads(data)(spacy.blank("en")(TEXT))) == exact(nlp(TEXT))


def test_another_pipeline_takes_the_component_over(nlp):
    other = spacy.blank("en")
    other.add_pipe("fenestra", source=nlp)
    assert exact(other(TEXT)) == exact(nlp(TEXT))


_PROCESSES = """
import multiprocessing, sys
import spacy

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    nlp = spacy.load(sys.argv[2])
    texts = open(sys.argv[3], encoding="utf-8").read().splitlines()
    if sys.argv[4] == "opened":
        nlp(texts[0])
    def exact(doc):
        return [(span.start_char, span.end_char, span.label_, span._.score) for span in doc.ents]
    found = [exact(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=20)]
    assert found == [exact(nlp(text)) for text in texts]
    print(sum(map(len, found)))
"""


@pytest.mark.parametrize(("start", "first"), [("fork", "opened"), ("fork", "unopened"), ("spawn", "opened")])
def test_two_processes_find_what_one_finds(start, first, nlp, texts, tmp_path):
    nlp.to_disk(tmp_path / "saved")
    some = [" ".join(text.split()) for text in texts[:100]]
    (tmp_path / "texts.txt").write_text("\n".join(some), encoding="utf-8")
    (tmp_path / "run.py").write_text(_PROCESSES, encoding="utf-8")
    arguments = ["run.py", start, "saved", "texts.txt", first]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(len(doc.ents) for doc in nlp.pipe(some)) > 50


# ── how it is measured ──


def counts(gold, found):
    return len(gold), len(found), len(gold & found)


def test_evaluate_gives_the_figures_that_counting_gives(nlp, tagger, texts):
    some = texts[:200]
    examples, gold, found = [], set(), set()
    for number, (text, its) in enumerate(zip(some, tagger.tag(some), strict=True)):
        kept = [(e.start, e.end, "LOC" if e.label == "ORG" else e.label) for e in its if e.score > 0.6]
        doc = nlp.make_doc(text)
        doc.set_ents([doc.char_span(*entity, alignment_mode="expand") for entity in kept], default="outside")
        examples.append(Example(nlp.make_doc(text), doc))
        gold |= {(number, span.start, span.end, span.label_) for span in doc.ents}
        found |= {(number, span.start, span.end, span.label_) for span in nlp(text).ents}
    scores = nlp.evaluate(examples)
    expected, predicted, right = counts(gold, found)
    assert scores["ents_p"] == pytest.approx(right / predicted)
    assert scores["ents_r"] == pytest.approx(right / expected)
    expected, predicted, right = counts({e for e in gold if e[3] == "LOC"}, {e for e in found if e[3] == "LOC"})
    assert scores["ents_per_type"]["LOC"]["f"] == pytest.approx(2 * right / (expected + predicted))


def test_spans_are_measured_too(nlp):
    spans = pipeline(annotate_ents=False, spans_key="ner")
    gold = spans(TEXT)
    gold.spans["ner"] = list(gold.spans["ner"])[:3]
    scores = spans.evaluate([Example(spans.make_doc(TEXT), gold)])
    assert (scores["spans_ner_p"], scores["spans_ner_r"]) == (0.75, 1.0)


def test_a_pipeline_that_is_initialised_for_training_keeps_its_model():
    trained = pipeline()
    trained.add_pipe("textcat_multilabel").add_label("good")
    trained.initialize(lambda: [Example.from_dict(trained.make_doc(TEXT), {"cats": {"good": 1.0}})])
    assert entities(trained(TEXT)) == FOUND


def test_spacy_evaluate_takes_a_docbin_that_data_convert_made(package, tmp_path, nlp):
    sample = Path(__file__).parents[2] / "data" / "sample" / "test.conll"
    pytest.importorskip("tomli_w", reason="`fenestra data convert` needs tomli_w")
    assert main(["data", "convert", str(sample), str(tmp_path / "test.spacy")]) == 0
    command = ["-m", "spacy", "evaluate", str(package.pipeline), str(tmp_path / "test.spacy")]
    subprocess.run([sys.executable, *command, "--output", str(tmp_path / "scores.json")], check=True)
    scores = json.loads((tmp_path / "scores.json").read_text())
    docs = list(DocBin().from_disk(tmp_path / "test.spacy").get_docs(nlp.vocab))
    gold = {(n, e.start_char, e.end_char) for n, doc in enumerate(docs) for e in doc.ents if e.label_ == "PER"}
    found = {(n, e.start_char, e.end_char) for n, d in enumerate(docs) for e in nlp(d.text).ents if e.label_ == "PER"}
    assert scores["ents_per_type"]["PER"]["f"] == pytest.approx(2 * len(gold & found) / (len(gold) + len(found)), 1e-3)
    assert scores["ents_per_type"]["PER"]["f"] > 0.8


# ── packages ──


def test_a_package_loads_by_its_name_where_it_is_installed(package, nlp, tmp_path):
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, *command, str(package.wheel)], check=True)
    code = f"import spacy, en_fenestra; nlp = spacy.load('en_fenestra'); print(nlp({TEXT!r}).ents)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{nlp(TEXT).ents}\n", done.stderr


def test_a_package_says_what_it_is_and_needs(package):
    with zipfile.ZipFile(package.wheel) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
        about = Parser().parsestr(wheel.read(metadata).decode())
    assert about["Name"].replace("_", "-") == "en-fenestra"
    assert any(needed.replace(" ", "") == "fenestra-ner[spacy]>=0.1.0" for needed in about.get_all("Requires-Dist"))
    meta = json.loads((package.pipeline / "meta.json").read_text())
    report = json.loads((bundled_model("english") / "report.json").read_text())["scores"]["test"]["scores"]
    assert meta["labels"] == {"fenestra": ["LOC", "ORG", "PER"]}
    assert meta["license"] == "CC BY-SA 4.0"
    assert meta["performance"]["ents_f"] == pytest.approx(report["micro"]["f1"])
    assert meta["performance"]["ents_per_type"]["ORG"]["p"] == pytest.approx(report["labels"]["ORG"]["precision"])
    assert meta["version"] == about["Version"]
    assert (package.pipeline / "README.md").read_bytes() == (bundled_model("english") / "README.md").read_bytes()


def test_the_command_of_the_page_writes_to_a_folder_beside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "spacy", "en/"]) == 0
    assert [path.name.split("-")[0] for path in sorted(tmp_path.glob("en/*"))] == ["en_fenestra", "en_fenestra"]


def test_the_command_writes_a_package_of_any_model(checkpoint, tmp_path, capsys):
    shutil.rmtree(tmp_path / "checkpoint")
    shutil.copytree(bundled_model("russian"), checkpoint)
    arguments = ["--model", str(checkpoint), "--name", "news", "--version", "1.2.3", "--rename", "PER=PERSON"]
    assert main(["export", "spacy", str(tmp_path / "out"), *arguments, "--rename", "LOC=O"]) == 0
    shown = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert Path(shown["wheel"]).name == "ru_news-1.2.3-py3-none-any.whl"
    nlp = spacy.load(shown["pipeline"])
    assert (nlp.meta["lang"], nlp.meta["name"]) == ("ru", "news")
    assert nlp.meta["performance"] == {}
    assert entities(nlp("Анна Иванова приехала из Москвы.")) == [("Анна Иванова", "PERSON")]
    assert str(checkpoint) not in (Path(shown["pipeline"]) / "config.cfg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["taken"], "taken: is taken; expected the name of a new folder"),
        (["new", "--name", "My Model"], "name 'My Model': expected small letters"),
        (["new", "--version", "one"], "version 'one': expected a version of a Python package, such as 1.0.0"),
        (["new", "--rename", "PERS=PERSON"], "label_map: the model has no label 'PERS', but LOC, ORG, PER"),
        (["new", "--rename", "PERS"], "expected LABEL=LABEL"),
    ],
)
def test_what_cannot_be_a_package_is_refused_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken", "file").touch()
    assert main(["export", "spacy", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


def test_the_extension_of_scores_is_there_when_a_pipeline_is_loaded(package):
    code = f"import spacy; spacy.load({str(package.pipeline)!r}); print(spacy.tokens.Span.has_extension('score'))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
    assert Span.has_extension("score")


def test_what_the_page_types_gives_what_it_shows(try_section):
    try_section("spacy.md", "As a component")
