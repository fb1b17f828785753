"""The job: all or nothing in its output, resumable whatever stops it, one trainer to a folder."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from fenestra.model import checkpoint
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import ConfigError, InputError, StorageError, TrainingDiverged
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config, publishable_config
from fenestra.training.fit.batches import Sampling
from fenestra.training.fit.calibrate import fit_calibration
from fenestra.training.fit.resume import STATE
from fenestra.training.job import begin, other_contexts, prepare, read, train, words_of
from fenestra.training.vectors.vectors import load_vectors
from tests.conftest import ROOT, SAMPLE

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


class Stopped(Exception):
    """Thrown by the observer, as if the process had died between two epochs."""


def stop_after(epochs):
    @contextmanager
    def observe(_work, done):
        seen = [done]

        def watch(_epoch):
            seen[0] += 1
            if seen[0] >= epochs:
                raise Stopped

        yield watch

    return observe


def weights(folder):
    return (folder / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def finished(quick_job, tmp_path_factory):
    return train(quick_job, tmp_path_factory.mktemp("job") / "done")


def test_the_output_is_a_checkpoint_with_everything_about_it(finished, quick_job):
    names = {path.name for path in finished.iterdir()}
    assert names >= {"manifest.json", "job.json", "report.json", "report.html", "README.md", "weights.safetensors"}
    job = json.loads((finished / "job.json").read_text())
    assert job["config"] == publishable_config(quick_job)
    assert set(job["corpora"]) == {"train", "dev", "test"}
    assert Tagger.load(finished).labels == quick_job.model.labels
    assert not finished.with_name("done.partial").exists()


def test_the_figures_in_the_report_are_those_of_the_model_on_disk(finished):
    from fenestra.training.data.corpus import read_corpus
    from fenestra.training.report.evaluation import measure

    report = json.loads((finished / "report.json").read_text())
    gold = read_corpus(ROOT / "data" / "sample" / "test.conll")
    again = measure(Tagger.load(finished), gold.sentences, frozenset())
    assert again.as_dict()["scores"] == report["scores"]["test"]["scores"]
    assert report["epochs"][report["best_epoch"] - 1]["dev_f1"] == pytest.approx(
        report["scores"]["dev"]["scores"]["micro"]["f1"]
    )


@pytest.mark.training
def test_the_report_holds_every_variant_of_dev_and_test(sample_model):
    from fenestra.training.data.corpus import read_corpus
    from fenestra.training.data.perturbations import vary
    from fenestra.training.report.evaluation import measure

    report = json.loads((sample_model / "report.json").read_text())
    assert list(report["variants"]) == ["dev", "test"]
    assert {tuple(found) for found in report["variants"].values()} == {
        ("lower", "upper", "typos", "unpunctuated", "alone")
    }
    gold = read_corpus(ROOT / "data" / "sample" / "test.conll").sentences
    for name, found in report["variants"]["test"].items():
        again = measure(Tagger.load(sample_model), vary(name, gold), frozenset())
        assert found["scores"] == pytest.approx(again.as_dict()["scores"]["micro"])
        assert found["sentences"] == again.sentences
        assert found["calibration_error"] == pytest.approx(again.reliability.expected_calibration_error)
        assert found["share_of_f1"] == pytest.approx(
            again.scores.micro.f1 / report["scores"]["test"]["scores"]["micro"]["f1"]
        )
    assert report["variants"]["test"]["lower"]["share_of_f1"] < 0.9


def test_weights_are_measured_as_they_are_stored(quick_job, tmp_path, monkeypatch):
    from fenestra.training import job

    measured = []

    def fit(tagger, _sentences, **_options):
        measured.append(tagger.log_probabilities([[SENTENCE]]))
        return Calibration()

    monkeypatch.setattr(job, "fit_calibration", fit)
    folder = train(replace(quick_job, model=replace(quick_job.model, weights="float16")), tmp_path / "out")
    stored_TK = Tagger.load(folder, device="cpu").log_probabilities([[SENTENCE]])
    assert np.array_equal(measured[0], stored_TK)
    assert np.ptp(stored_TK) > 0.1


def test_a_weight_that_float16_cannot_hold_is_refused_by_name(quick_job, tmp_path, monkeypatch):
    from fenestra.training import job

    def fit(progress, *_):
        with torch.no_grad():
            progress.network.output.weight[0, 0] = 1e5
        yield from ()

    monkeypatch.setattr(job, "fit", fit)
    with pytest.raises(TrainingDiverged, match=r"^output\.weight: holds 100000, which float16 cannot; try .*float32"):
        train(replace(quick_job, model=replace(quick_job.model, weights="float16")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_job_with_label_consistency_serves_what_it_evaluated(quick_job, finished, tmp_path, monkeypatch):
    """The same weights as without, and some numbers more; the figures are those of the tagger that uses them."""
    from fenestra.training import job
    from fenestra.training.data.corpus import read_corpus
    from fenestra.training.report.evaluation import measure

    def fit(*arguments, **options):
        """So short a training finds no entity, so that there is nothing to fit."""
        pairs = ((1.0,) * 17,) * 17
        return replace(fit_calibration(*arguments, **options), same_tag=5.0, same_label=7.0, tag_by_tag=pairs)

    monkeypatch.setattr(job, "fit_calibration", fit)
    folder = train(replace(quick_job, model=replace(quick_job.model, agreement=True)), tmp_path / "out")
    assert weights(folder) == weights(finished)
    tagger = Tagger.load(folder, device="cpu")
    before = Tagger.load(finished, device="cpu").calibration
    assert tagger.config.agreement
    assert (tagger.calibration.same_tag, tagger.calibration.same_label) == (5, 7)
    assert tagger.calibration.temperature == before.temperature
    assert not before.has_label_consistency
    report = json.loads((folder / "report.json").read_text())
    gold = read_corpus(ROOT / "data" / "sample" / "test.conll")
    again = measure(tagger, gold.sentences, frozenset())
    assert report["scores"]["test"]["scores"]["micro"] == pytest.approx(asdict(again.scores.micro))
    card = (folder / "README.md").read_text()
    assert "after the tokens of a word have heard of each other" in card
    assert "same_label 7.0000, and tag_by_tag for the 17 × 17 pairs of tags (config.json)." in card
    assert "same_label" not in (finished / "README.md").read_text()


def test_a_job_with_a_crf_serves_what_it_evaluated(quick_job, tmp_path):
    config = replace(
        quick_job,
        model=replace(quick_job.model, decoder="transitions"),
        training=replace(quick_job.training, loss="sentence"),
    )
    folder = train(config, tmp_path / "out")
    report = json.loads((folder / "report.json").read_text())
    assert report["epochs"][report["best_epoch"] - 1]["dev_f1"] == pytest.approx(
        report["scores"]["dev"]["scores"]["micro"]["f1"]
    )
    assert "learned scores of the transitions between them" in (folder / "README.md").read_text()
    tagger = Tagger.load(folder, device="cpu")
    assert safetensors.torch.load_file(folder / "weights.safetensors")["chain.step"].abs().max() > 0
    assert tagger.calibration.temperature != 1.0


def test_the_means_of_training_documents_have_mean_0_and_variance_1():
    config = load_config(SAMPLE, ["model.hidden=[32]", "threads=1", "model.features.topic=true"])
    corpora = read(config)
    inputs = prepare(config, corpora, load_vectors(config.vectors, words_of(corpora)))
    progress, train_stream, _ = begin(config, inputs, torch.device("cpu"))
    network = progress.network
    standard_PD = (train_stream.stream.topic_PD - network.topic_mean) * network.topic_scale
    width = standard_PD.shape[1]
    torch.testing.assert_close(standard_PD.mean(0), torch.zeros(width), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard_PD.std(0, correction=0), torch.ones(width), atol=1e-4, rtol=0)


def test_a_job_with_topics_serves_what_it_evaluated(tmp_path):
    overrides = ["model.hidden=[32]", "training.epochs=2", "threads=1", "model.features.topic=true"]
    folder = train(load_config(SAMPLE, overrides), tmp_path / "out")
    report = json.loads((folder / "report.json").read_text())
    assert report["epochs"][report["best_epoch"] - 1]["dev_f1"] == pytest.approx(
        report["scores"]["dev"]["scores"]["micro"]["f1"]
    )


AUGMENTED = ["augmentation.renamed=0.5", "augmentation.fragments=0.2", "augmentation.headlines=0.2",
             "augmentation.contexts=40", "augmentation.listed=0", "augmentation.small=0.5"]  # fmt: skip


@pytest.fixture
def with_contexts(tmp_path):
    file = tmp_path / "contexts.txt"
    file.write_text("At [LOC]\n[PER] again\n", encoding="utf-8")
    return [*AUGMENTED, f"augmentation.contexts_file={file}"]


def test_every_part_of_augmentation_has_a_switch_and_all_are_off_at_first(with_contexts):
    corpora = read(load_config(SAMPLE))
    assert other_contexts(load_config(SAMPLE), corpora) == []
    whole = len(corpora["train"].sentences)
    for switch, least in ((with_contexts[0], whole / 4), (with_contexts[1], 5), (with_contexts[2], 5)):
        assert len(other_contexts(load_config(SAMPLE, [switch, "augmentation.listed=0"]), corpora)) > least
    made = other_contexts(load_config(SAMPLE, [*with_contexts[3:5], with_contexts[6]]), corpora)
    assert len(made) == 40
    assert {made_one.words[0] for made_one in made if made_one.tags[0] == "O"} == {"At"}


def test_augmentation_depends_on_the_seed_alone(with_contexts):
    config = load_config(SAMPLE, with_contexts)
    corpora = read(config)
    made = other_contexts(config, corpora)
    assert made == other_contexts(config, corpora)
    assert made != other_contexts(replace(config, seed=2), corpora)
    small = [" ".join(sentence.words).islower() for sentence in made]
    assert 0.3 < sum(small) / len(small) < 0.7


def test_an_epoch_draws_its_share_of_what_is_made_and_all_of_the_corpora(with_contexts):
    made_of = [*with_contexts[3:5], with_contexts[6], "augmentation.share=0.5", "training.foreign=0.1"]
    config = load_config(SAMPLE, ["model.hidden=[8]", *made_of])
    corpora = read(config)
    inputs = prepare(config, corpora, load_vectors(config.vectors, words_of(corpora)))
    _, stream, _ = begin(config, inputs, torch.device("cpu"))
    assert stream.made == 40
    assert len(set(stream.stream.document_T.tolist())) >= 40
    drawn = [{s for run in stream.shuffled(random.Random(seed), Sampling(made=0.5)) for s in run} for seed in (1, 2)]
    first = stream.sentences - stream.made
    for sentences in drawn:
        assert sentences >= set(range(first))
        assert 10 <= len(sentences) - first <= 30
    assert drawn[0] != drawn[1]


def test_what_augmentation_reads_is_part_of_what_a_checkpoint_was_made_of(with_contexts, quick_job):
    corpora = read(quick_job)
    inputs = prepare(quick_job, corpora, load_vectors(quick_job.vectors, words_of(corpora)))
    assert "contexts" not in inputs.fingerprint(quick_job)
    with_file = replace(quick_job, augmentation=load_config(SAMPLE, with_contexts).augmentation)
    assert len(inputs.fingerprint(with_file)["contexts"]) == 64


def test_of_corpora_for_names_only_the_names_are_used(tmp_path):
    (tmp_path / "a.conll").write_text("Zyx\tB-ORG\nquux\tO\n\n" * 4, encoding="utf-8")
    config = load_config(
        SAMPLE, ["augmentation.renamed=1", "augmentation.listed=0", f"augmentation.names={tmp_path}/a.conll"]
    )
    corpora = read(config)
    words = {word for sentence in other_contexts(config, corpora) for word in sentence.words}
    assert "Zyx" in words
    assert "quux" not in words
    assert "Zyx" not in words_of(corpora)


def test_titles_are_taken_off_what_is_learnt_from_alone(tmp_path):
    (tmp_path / "a.conll").write_text("Mr.\tB-PER\nIto\tI-PER\nleft\tO\n", encoding="utf-8")
    files = [f"data.{split}={tmp_path / 'a.conll'}" for split in ("train", "dev")]
    for outside, tags in ((False, ("B-PER", "I-PER", "O")), (True, ("O", "B-PER", "O"))):
        corpora = read(load_config(SAMPLE, [*files, "data.test=[]", f"data.titles_outside={str(outside).lower()}"]))
        assert corpora["train"].sentences[0].tags == tags
        assert corpora["dev"].sentences[0].tags == ("B-PER", "I-PER", "O")


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_that_was_stopped_resumes_to_the_same_weights(stop, quick_job, finished, tmp_path):
    with pytest.raises(Stopped):
        train(quick_job, tmp_path / "out", observe=stop_after(stop))
    assert not (tmp_path / "out").exists()
    train(quick_job, tmp_path / "out", resume=True)
    assert weights(tmp_path / "out") == weights(finished)


def test_resuming_a_finished_run_changes_nothing(quick_job, finished):
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert train(quick_job, finished, resume=True) == finished
    assert before == {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert not finished.with_name("done.partial").exists()
    with pytest.raises(InputError, match=r"made by another job .*config\.seed: 1 → 2"):
        train(replace(quick_job, seed=2), finished, resume=True)


def test_a_run_may_be_resumed_by_another_spelling_of_its_path(tmp_path, monkeypatch):
    """The folder a configuration is found by is not part of the job; what is in the corpora is."""
    more = ["vectors.source=none", "model.features.vectors=false", "model.hidden=[8]", "training.epochs=2"]
    monkeypatch.chdir(ROOT)
    with pytest.raises(Stopped):
        train(load_config(SAMPLE.relative_to(ROOT), more), tmp_path / "out", observe=stop_after(1))
    train(load_config(SAMPLE, more), tmp_path / "out", resume=True)
    assert str(ROOT) not in (tmp_path / "out" / "job.json").read_text()


def test_an_output_that_is_taken_is_refused_and_left_alone(quick_job, finished, tmp_path):
    before = weights(finished)
    with pytest.raises(InputError, match="holds files already"):
        train(quick_job, finished)
    assert weights(finished) == before
    (tmp_path / "mine.txt").write_text("precious")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="holds files"):
            train(quick_job, tmp_path, **options)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_an_unfinished_run_is_not_thrown_away_unasked(quick_job, tmp_path):
    with pytest.raises(Stopped):
        train(quick_job, tmp_path / "out", observe=stop_after(1))
    with pytest.raises(InputError, match="an unfinished run is there; go on with --resume"):
        train(quick_job, tmp_path / "out")


def test_overwriting_puts_the_new_checkpoint_in_the_place_of_the_old(quick_job, tmp_path):
    train(quick_job, tmp_path / "out")
    before = weights(tmp_path / "out")
    train(replace(quick_job, seed=2), tmp_path / "out", overwrite=True)
    assert weights(tmp_path / "out") != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("when", ["while it is written", "while it is put in place"])
def test_a_disk_that_refuses_the_new_checkpoint_leaves_the_old_one(when, quick_job, tmp_path, monkeypatch):
    train(quick_job, tmp_path / "out")
    before = weights(tmp_path / "out")
    write, rename = checkpoint.write_durably, Path.rename

    def refuse_write(path, data):
        if path.name == "weights.safetensors":
            raise OSError(28, "No space left on device")
        write(path, data)

    def refuse_rename(path, target):
        if path.name == "checkpoint":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    if when == "while it is written":
        monkeypatch.setattr(checkpoint, "write_durably", refuse_write)
    else:
        monkeypatch.setattr(Path, "rename", refuse_rename)
    with pytest.raises(StorageError):
        train(replace(quick_job, seed=2), tmp_path / "out", overwrite=True)
    assert weights(tmp_path / "out") == before
    monkeypatch.undo()
    train(replace(quick_job, seed=2), tmp_path / "out", overwrite=True, resume=True)
    assert weights(tmp_path / "out") != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_old_checkpoint_that_was_moved_away_when_the_job_died_comes_back(quick_job, tmp_path):
    train(quick_job, tmp_path / "out")
    before = weights(tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out").rename(tmp_path / "out.partial" / "replaced")
    with pytest.raises(InputError, match="holds files already"):
        train(quick_job, tmp_path / "out")
    assert weights(tmp_path / "out") == before


def test_files_that_appear_in_the_output_meanwhile_are_not_deleted(quick_job, tmp_path):
    @contextmanager
    def observe(_work, _done):
        def watch(_epoch):
            (tmp_path / "out").mkdir(exist_ok=True)
            (tmp_path / "out" / "notes.txt").write_text("precious")

        yield watch

    with pytest.raises(InputError, match="not a checkpoint"):
        train(quick_job, tmp_path / "out", observe=observe)
    assert (tmp_path / "out" / "notes.txt").read_text() == "precious"


def test_a_finished_run_is_not_the_result_of_other_data(quick_job, tmp_path):
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nmet\tO\n\n" * 5)
    job = replace(quick_job, data=replace(quick_job.data, train=(str(tmp_path / "train.conll"),)))
    train(job, tmp_path / "out")
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nsaw\tO\n\n" * 5)
    with pytest.raises(InputError, match=r"made by another job .*corpora\.train"):
        train(job, tmp_path / "out", resume=True)


def test_contacts_are_not_written_into_the_checkpoint_if_they_are_to_be_forgotten(quick_job, tmp_path):
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nada@x.org\tO\n713-555-3989\tO\nwww.x.org\tO\n\n" * 5)
    data = replace(quick_job.data, train=(str(tmp_path / "train.conll"),))
    model = replace(quick_job.model, features=replace(quick_job.model.features, word=4))
    for forget in (False, True):
        training = replace(quick_job.training, forget_contacts=forget, epochs=1)
        train(replace(quick_job, data=data, model=model, training=training), tmp_path / f"out{forget}")
        words = json.loads((tmp_path / f"out{forget}" / "features.json").read_text())["word"]
        assert "ada" in words
        assert ({"ada@x.org", "713-555-3989", "www.x.org"} & set(words) == set()) is forget


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_corpus_without_an_entity_is_refused(split, quick_job, tmp_path):
    (tmp_path / "none.conll").write_text("it\tO\nrains\tO\n\n")
    with pytest.raises(InputError, match=f"data.{split}: holds no entity"):
        train(
            replace(quick_job, data=replace(quick_job.data, **{split: (str(tmp_path / "none.conll"),)})), tmp_path / "x"
        )


def test_a_second_trainer_is_refused(quick_job, tmp_path):
    work = tmp_path / "out.partial"
    work.mkdir()
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training job is writing there"):
            train(quick_job, tmp_path / "out")


def test_resuming_with_another_configuration_is_refused_with_the_difference(quick_job, tmp_path):
    with pytest.raises(Stopped):
        train(quick_job, tmp_path / "out", observe=stop_after(1))
    other = replace(quick_job, training=replace(quick_job.training, learning_rate=0.5))
    with pytest.raises(ConfigError, match=r"config\.training\.learning_rate: 0\.001 → 0\.5"):
        train(other, tmp_path / "out", resume=True)


def test_resuming_with_other_data_is_refused(quick_job, tmp_path):
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nmet\tO\n\n" * 5)
    data = replace(quick_job.data, train=(str(tmp_path / "train.conll"),))
    job = replace(quick_job, data=data)
    with pytest.raises(Stopped):
        train(job, tmp_path / "out", observe=stop_after(1))
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nsaw\tO\n\n" * 5)
    with pytest.raises(ConfigError, match=r"corpora\.train: \w+ → \w+"):
        train(job, tmp_path / "out", resume=True)


@pytest.mark.parametrize("number", [28, 13, 5], ids=["ENOSPC", "EACCES", "EIO"])
def test_a_disk_that_refuses_while_training_leaves_the_last_state(number, quick_job, finished, tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        train(quick_job, tmp_path / "out", observe=stop_after(1))
    state = (tmp_path / "out.partial" / STATE).read_bytes()
    fsync = os.fsync

    def refuse(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"state\.safetensors: .*; needed [\d,]+ bytes, free [\d,]+ bytes"):
        train(quick_job, tmp_path / "out", resume=True)
    assert (tmp_path / "out.partial" / STATE).read_bytes() == state
    monkeypatch.setattr(os, "fsync", fsync)
    train(quick_job, tmp_path / "out", resume=True)
    assert weights(tmp_path / "out") == weights(finished)


def command(tmp_path, *more):
    overrides = ["vectors.source=none", "model.features.vectors=false", "model.hidden=[32]", "threads=1",
                 "training.epochs=4", "model.features.ngram_buckets=200"]  # fmt: skip
    return [
        sys.executable,
        "-m",
        "fenestra",
        "train",
        str(SAMPLE),
        *overrides,
        "--output",
        str(tmp_path / "out"),
        *more,
    ]


def start(tmp_path, *more):
    return subprocess.Popen(command(tmp_path, *more), cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.training
def test_kill_9_at_random_moments_costs_nothing_but_time(tmp_path):
    """A run that is killed again and again ends with the weights of one that was left alone."""
    whole = tmp_path / "whole"
    subprocess.run(command(whole), cwd=ROOT, check=True, capture_output=True)
    killed, rng = tmp_path / "killed", random.Random(11)
    for _ in range(3):
        process = start(killed, "--resume")
        for line in process.stderr:
            if "epoch" in line:
                break
        time.sleep(rng.random())
        process.kill()
        process.communicate()
    subprocess.run(command(killed, "--resume"), cwd=ROOT, check=True, capture_output=True)
    assert weights(killed / "out") == weights(whole / "out")


@pytest.mark.training
def test_ctrl_c_keeps_the_last_epoch_and_ends_with_130(tmp_path):
    process = start(tmp_path)
    for line in process.stderr:
        if "epoch" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in rest
    assert (tmp_path / "out.partial" / STATE).exists()


@pytest.mark.training
def test_the_sample_model_learns(sample_model):
    """What a newcomer sees first: far better than the baseline, and it knows names it was not taught."""
    report = json.loads((sample_model / "report.json").read_text())
    assert report["scores"]["test"]["scores"]["micro"]["f1"] > report["baseline"]["test"]["micro"]["f1"] + 0.1
    assert report["epochs"][-1]["train_loss"] < report["epochs"][0]["train_loss"] / 3
    losses = [epoch["train_loss"] for epoch in report["epochs"]]
    quarters = [sum(losses[begin : begin + 5]) for begin in range(0, 20, 5)]  # the last epochs differ by little
    assert len(losses) == 20
    assert all(later < earlier for earlier, later in pairwise(quarters))
    assert all(torch.isfinite(w.float()).all() for w in safetensors.torch.load(weights(sample_model)).values())
    assert checkpoint.load(sample_model).calibration.temperature != 1.0
