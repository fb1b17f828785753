"""Learning from corrections: what is replayed, what is measured, and what is written."""

import json
from collections import Counter
from random import Random

import pytest
import torch

from fenestra.cli.main import main
from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model
from fenestra.model.errors import DataError
from fenestra.model.tagger import Tagger
from fenestra.training import job
from fenestra.training.config import VectorsConfig
from fenestra.training.data.contexts import Contexts
from fenestra.training.data.inspection import Sentence
from fenestra.training.fit.batches import Sampling
from fenestra.training.fit.loop import score_stream
from fenestra.training.learn import job as learning_job
from fenestra.training.learn import learn as learning
from fenestra.training.learn.figures import points_lost, score_of, spans_of
from fenestra.training.learn.job import Lesson, write_job
from fenestra.training.learn.learn import Forgot, documents, folds, learn
from fenestra.training.learn.replay import replay
from fenestra.training.vectors.vectors import load_vectors
from tests.training.networks import small_network

TEXTS = [
    {"text": f"{who} met Siemens in Munich.", "entities": [{"start": 0, "end": len(who), "label": "PER"}]}
    for who in ("Ada", "Lovelace", "Ito", "Kofi", "Ines", "Omar", "Rosa", "Lars")
]


@pytest.fixture(scope="module")
def english():
    return checkpoint.load(bundled_model())


@pytest.fixture(params=["softmax", "transitions"])
def source(request, tmp_path):
    folder = tmp_path / "start"
    checkpoint.save(small_network(decoder=request.param, tame=True, documents=True).checkpoint(), folder)
    return folder


@pytest.fixture
def corrections(tmp_path):
    path = tmp_path / "corrections.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    return path


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(learning_job, "UPDATES", 4)
    monkeypatch.setattr("fenestra.training.learn.replay.MOST_TOKENS", 600)


def sentences(*words, tags=None):
    return [Sentence(tuple(w.split()), tuple(tags or ["O"] * len(w.split())), n, n) for n, w in enumerate(words)]


def test_replayed_text_is_drawn_by_the_seed_and_has_no_tags(english):
    one, same, other = (replay(english, None, Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert {tag for sentence in one.learnt + one.asked for tag in sentence.tags} == {"O"}
    assert not {s.words for s in one.learnt} & {s.words for s in one.asked}
    assert sum(len(s.words) for s in one.learnt) <= 600


def test_text_of_the_user_is_replayed_first_and_some_of_it_is_asked(english, tmp_path):
    (tmp_path / "own.txt").write_text("".join(f"Parcel {n} is late again .\n" for n in range(40)))
    found = replay(english, tmp_path / "own.txt", Random(1))
    assert all(s.words[0] == "Parcel" for s in found.learnt[:35])
    assert len(found.asked) == 5
    assert len(found.learnt) > 35


def test_a_model_without_a_language_of_ours_replays_nothing():
    start = small_network().checkpoint()
    found = replay(start, None, Random(1))  # English without the lists that short texts need: the sample alone
    assert found.learnt
    assert {word for s in found.asked for word in s.words} > {"."}


def test_points_are_lost_where_the_old_model_was_sure(english):
    old = Tagger(english)

    class Blind:
        """Finds nothing."""

        labels, config = old.labels, old.config

        def tag_documents(self, some):
            return [[old.tag_tokens([["."]])[0] for _ in document] for document in some]

    text = sentences("Ada Lovelace lived in London .", "He met Charles Babbage in Paris .")
    assert points_lost(old, old, text) == 0
    assert points_lost(old, Blind(), text) > 80
    assert points_lost(old, Blind(), []) is None


def test_each_text_is_held_out_once():
    some = [s._replace(document=n // 2) for n, s in enumerate(sentences(*"abcdefghij"))]
    parts = list(folds(some, 2, seed=1))
    asked = [s for _, held in parts for s in held]
    assert sorted(asked) == sorted(some)
    for others, held in parts:
        assert not {s.document for s in others} & {s.document for s in held}
    assert documents(some) == 5


def test_corrections_have_their_share_of_a_batch(english, tmp_path):
    given, text = sentences("Ask Ramp .", tags=["O", "B-ORG", "O"]), sentences(*["It is late again ."] * 2_000)
    config = write_job(tmp_path, english, bundled_model(), english.config.labels, Lesson(given, text, text[:5]), 1)
    gold = config.training.repeats * 3 * 4  # three words, and three copies with other names
    assert gold / (gold + 10_000) == pytest.approx(0.12, abs=0.02)
    assert config.data.unlabelled == ("replay.conll",)


def test_a_model_learns_and_says_from_what(source, corrections, tmp_path):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    steps = []
    figures = learn(corrections, source, tmp_path / "new", force=True, tell=steps.append)
    assert steps == ["held out, 1 of 2", "held out, 2 of 2", "learning", "checking"]
    assert before == {path.name: path.read_bytes() for path in source.iterdir()}
    assert figures.corrections == 8
    assert figures.held_out is not None
    assert figures.elsewhere.texts > 0
    assert json.loads((tmp_path / "new" / "learned.json").read_text()) == json.loads(json.dumps(figures.to_json()))
    card = (tmp_path / "new" / "README.md").read_text()
    assert "from 8 corrected texts and the model start" in card
    assert str(tmp_path) not in (tmp_path / "new" / "job.json").read_text() + card
    new = Tagger.load(tmp_path / "new")
    assert new.version != Tagger.load(source).version
    assert not list(tmp_path.glob("*.partial"))


def test_the_same_seed_makes_the_same_model(source, corrections, tmp_path):
    for name in ("one", "two"):
        learn(corrections, source, tmp_path / name, force=True, seed=3)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_a_new_label_is_learnt(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_job, "UPDATES", 30)
    monkeypatch.setattr(learning_job, "_RATE", 0.05)
    checkpoint.save(small_network(tame=True).checkpoint(), tmp_path / "start")
    path = tmp_path / "corrections.jsonl"
    path.write_text('{"text": "Ada met munich .", "entities": [{"start": 0, "end": 3, "label": "DRUG"}]}\n' * 2)
    figures = learn(path, tmp_path / "start", tmp_path / "new", force=True)
    assert figures.labels == ("LOC", "ORG", "PER", "DRUG")
    assert figures.held_out is None  # too few
    assert figures.learned.after.f1 > figures.learned.before.f1


def test_texts_without_any_name_are_corrections_too(source, tmp_path):
    path = tmp_path / "corrections.jsonl"
    path.write_text('{"text": "Ada met Munich .", "entities": []}\n')
    learn(path, source, tmp_path / "new", force=True)
    assert Tagger.load(tmp_path / "new").labels == ("LOC", "ORG", "PER")


def test_what_forgot_too_much_is_not_written(source, corrections, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "points_lost", lambda *_: 0.75)
    with pytest.raises(Forgot, match=r"lost 0\.75 F1 points") as caught:
        learn(corrections, source, tmp_path / "new")
    assert caught.value.figures.elsewhere.lost == 0.75
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_the_command_shows_what_it_cost_and_its_code_says_if_it_was_too_much(
    source, corrections, tmp_path, monkeypatch, capsys
):
    command = ["learn", str(corrections), "--from", str(source), "-o", str(tmp_path / "new")]
    monkeypatch.setattr(learning, "points_lost", lambda *_: 0.75)
    assert main([*command, "--json", str(tmp_path / "figures.json")]) == 2
    said = capsys.readouterr()
    assert "elsewhere: 0.75 F1 points lost" in said.out
    assert "nothing is written" in said.err
    assert json.loads((tmp_path / "figures.json").read_text())["elsewhere"]["lost"] == 0.75
    assert main([*command, "--bound", "1"]) == 0
    assert "checkpoint: " in capsys.readouterr().out
    assert main(command) == 2  # it is there
    assert "holds files already" in capsys.readouterr().err


def test_empty_corrections_are_one_clear_line(source, tmp_path):
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"none\.jsonl"):
        learn(tmp_path / "none.jsonl", source, tmp_path / "new")


def test_where_there_is_no_text_to_ask_nobody_says_that_nothing_was_lost(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fenestra.training.learn.replay._SAMPLE_LANGUAGE", "xx")  # as for a Spanish model
    path = tmp_path / "corrections.jsonl"
    path.write_text("".join(json.dumps(text).replace("Siemens", "Quibberly") + "\n" for text in TEXTS))
    assert main(["learn", str(path), "--from", str(source), "-o", str(tmp_path / "new")]) == 0
    assert "elsewhere: unknown: no text to ask" in capsys.readouterr().out
    assert json.loads((tmp_path / "new" / "learned.json").read_text())["elsewhere"]["lost"] is None
    assert "Nobody knows what it lost elsewhere" in (tmp_path / "new" / "README.md").read_text()


@pytest.mark.parametrize("language", ["en", "xx"])
def test_no_text_of_a_correction_stands_in_the_new_model(source, tmp_path, monkeypatch, language):
    monkeypatch.setattr("fenestra.training.learn.replay._SAMPLE_LANGUAGE", language)
    path = tmp_path / "corrections.jsonl"
    path.write_text("".join(json.dumps(text).replace("Siemens", "Quibberly") + "\n" for text in TEXTS))
    learn(path, source, tmp_path / "new", force=True)
    for file in (tmp_path / "new").iterdir():
        assert b"Quibberly" not in file.read_bytes(), file.name
        assert b"Lovelace" not in file.read_bytes(), file.name


def test_remarks_quote_texts_and_are_not_for_the_log_of_a_service(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fenestra.cli.learn._end_with_input", lambda: None)
    path = tmp_path / "corrections.jsonl"
    path.write_text('{"text": "Ada met Quibberly .", "entities": [{"start": 8, "end": 12, "label": "PER"}]}\n')
    command = ["learn", str(path), "--from", str(source), "--force", "-o"]
    assert main([*command, str(tmp_path / "one")]) == 0
    assert "do not fall on token borders" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "two"), "--attached"]) == 0
    assert "Quib" not in capsys.readouterr().err


def test_scores_count_entities(english):
    tagger = Tagger(english)
    text = sentences("Ada Lovelace lived in London .", tags=["B-PER", "I-PER", "O", "O", "B-ORG", "O"])
    found = score_of(tagger, text)
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert len(spans_of(tagger, text)[0]) == 2


def test_the_network_before_the_first_update_is_the_teacher(english, tmp_path):
    """Where nothing else pulls, the gradient of its own targets is next to nothing."""
    given, text = sentences("Ask Ramp .", tags=["O", "B-ORG", "O"]), sentences("Ada lived in London .", "It is late .")
    config = write_job(tmp_path, english, bundled_model(), english.config.labels, Lesson(given, text, text), 1)
    corpora = job.read(config)
    inputs = job.prepare(config, corpora, load_vectors(VectorsConfig(source="none")))
    progress, stream, _ = job.begin(config, inputs, torch.device("cpu"))
    logits_TK = score_stream(progress.network.eval(), stream, torch.device("cpu"))[-len(stream.teacher_TK) :]
    torch.testing.assert_close(stream.teacher_TK.float(), logits_TK.softmax(dim=1), atol=1e-3, rtol=0)
    runs = stream.shuffled(Random(1), Sampling(repeats=5))
    drawn = Counter(sentence for run in runs for sentence in run)
    assert [drawn[n] for n in range(stream.labelled)] == [5] * stream.labelled
    assert [drawn[n] for n in range(stream.labelled, stream.sentences)] == [1, 1]


def test_the_kinds_that_contexts_ask_for_are_those_that_they_do_not_list(tmp_path):
    (tmp_path / "c.txt").write_text("# [ignored]\nrole = nurse\n[PER] is a [role] in [city] .\n")
    assert Contexts.kinds(tmp_path / "c.txt") == {"city"}
