"""A recurrent model as a teacher: marginals, its folder, what refuses it, and a job that learns from it."""

import json
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from fenestra.cli.main import main
from fenestra.model import checkpoint
from fenestra.model.config import ModelConfig, RecurrentConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import marginals as served_marginals
from fenestra.model.errors import CheckpointError, ConfigError
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.config import load_config, parse_config
from fenestra.training.fit.distillation import load_teachers, teacher_probabilities
from fenestra.training.fit.recurrent_teacher import RecurrentTeacher, marginals
from fenestra.training.job import train
from fenestra.training.network.crf import LinearChainCRF
from fenestra.training.network.export import load_recurrent, recurrent_arrays
from tests.conftest import SAMPLE
from tests.training.networks import small_network
from tests.training.recurrent_networks import small_recurrent
from tests.training.test_distillation import SENTENCES

DOCUMENTS = [[["Ada", "met", "Siemens", "in", "Munich", "."], ["Yes", "."]], [["MUNICH"]]]


def teacher_of(model, temperature=1.0):
    arrays = recurrent_arrays(model.config, model.lexicon, model.network, Calibration(temperature))
    return RecurrentTeacher(arrays, model.network, "cpu")


@pytest.fixture
def folder(tmp_path):
    model = small_recurrent()
    arrays = recurrent_arrays(model.config, model.lexicon, model.network, Calibration(1.5, 0.8, 0.1, 0.3))
    checkpoint.save_arrays(arrays, tmp_path / "teacher", {"README.md": "x"})
    return tmp_path / "teacher"


@pytest.fixture(scope="module")
def job():
    """The sample job with a recurrent model in place of its window."""
    overrides = [
        'model.kind="recurrent"', "model.context=0", 'model.activation="tanh"', "model.hidden=[16]",
        'model.decoder="transitions"', 'training.loss="sentence"', "training.epochs=2", "threads=1",
        "vectors.source=none", "model.features.vectors=false", "model.features.ngram_buckets=200",
    ]  # fmt: skip
    return load_config(SAMPLE, overrides)


@pytest.fixture(scope="module")
def trained(job, tmp_path_factory):
    return train(job, tmp_path_factory.mktemp("recurrent") / "teacher")


def test_marginals_are_those_of_all_paths():
    """Against every path of three short sentences, one by one."""
    torch.manual_seed(4)
    tags, scheme, temperature, lengths = tag_set(("PER",), "BIOES"), "BIOES", 1.7, [3, 1, 2]
    crf, logits_TK = LinearChainCRF(tags, scheme), torch.randn(6, 5)
    with torch.no_grad():
        for part in crf.parameters():
            part.normal_()
    start_K, transitions_KK, end_K = (part.double() for part in crf.masked(1 / temperature))
    expected, begin = [], 0
    for length in lengths:
        z_LK = logits_TK[begin : begin + length].double() / temperature
        total, sums_LK = 0.0, torch.zeros(length, len(tags), dtype=torch.float64)
        for path in product(range(len(tags)), repeat=length):
            score = start_K[path[0]] + end_K[path[-1]] + sum(z_LK[t, k] for t, k in enumerate(path))
            score = score + sum(transitions_KK[a, b] for a, b in pairwise(path))
            weight = score.exp().detach()
            total += weight
            for t, k in enumerate(path):
                sums_LK[t, k] += weight
        expected.append(sums_LK / total)
        begin += length
    found = marginals(logits_TK, torch.tensor(lengths), crf, temperature)
    torch.testing.assert_close(found.double(), torch.cat(expected), atol=1e-6, rtol=1e-5)


def test_marginals_are_those_of_the_tagger():
    """The forward-backward algorithm of the decoder shares no code with the derivative here."""
    model, temperature = small_recurrent(), 1.3
    teacher = teacher_of(model, temperature)
    log_TK = (teacher.logits(DOCUMENTS) / temperature).log_softmax(dim=1).numpy()
    columns = np.zeros(len(log_TK), np.int64)
    expected, _ = served_marginals(log_TK, [6, 2, 1], columns, model.network.crf.scores(temperature))
    found = teacher.log_probabilities(DOCUMENTS)
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)


def test_without_a_crf_probabilities_are_a_softmax_with_its_temperature():
    teacher = teacher_of(small_recurrent(decoder="softmax"), 2.0)
    expected = (teacher.logits(DOCUMENTS) / 2).log_softmax(dim=1).numpy()
    np.testing.assert_allclose(teacher.log_probabilities(DOCUMENTS), expected)


def test_sentences_beside_it_do_not_change_the_marginals_of_one():
    teacher = teacher_of(small_recurrent())
    together = teacher.log_probabilities(DOCUMENTS)
    alone = np.concatenate([teacher.log_probabilities([document]) for document in DOCUMENTS])
    np.testing.assert_allclose(np.exp(alone), np.exp(together), atol=1e-5)
    assert teacher.log_probabilities([]).shape == (0, 7)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
def test_a_saved_teacher_says_the_same_bit_for_bit(storage, decoder, tmp_path):
    model = small_recurrent(storage=storage, decoder=decoder, hidden=(5, 4))
    before = teacher_of(model, 1.5)
    arrays = recurrent_arrays(model.config, model.lexicon, model.network, before.calibration)
    checkpoint.save_arrays(arrays, tmp_path / "teacher")
    after = RecurrentTeacher.load(tmp_path / "teacher", "cpu")
    assert (after.log_probabilities(DOCUMENTS) == before.log_probabilities(DOCUMENTS)).all()
    assert after.config == model.config
    assert len(after.version) == 12


def test_weights_may_be_stored_in_half_the_room(tmp_path):
    model = small_recurrent()
    config = replace(model.config, weights="float16")
    checkpoint.save_arrays(recurrent_arrays(config, model.lexicon, model.network, Calibration()), tmp_path / "teacher")
    _, network = load_recurrent(tmp_path / "teacher")
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight, model.network.get_parameter(name).half().float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("output.bias"), "output.bias is missing"),
        (lambda arrays: arrays.update(extra=np.zeros(1, np.float32)), "extra is not a part of such a network"),
        (lambda arrays: arrays.update({"output.bias": np.zeros(9, np.float32)}), "output.bias is of shape"),
        (lambda arrays: arrays["output.bias"].fill(np.nan), "output.bias holds a value that is not finite"),
        (
            lambda arrays: arrays.update({"output.bias": np.zeros(7, np.float16)}),
            "output.bias holds numbers of float16",
        ),
    ],
)
def test_a_damaged_teacher_is_refused_by_name(change, message, tmp_path):
    model = small_recurrent()
    arrays = recurrent_arrays(model.config, model.lexicon, model.network, Calibration())
    change(arrays.arrays)
    checkpoint.save_arrays(arrays, tmp_path / "teacher")
    with pytest.raises(CheckpointError, match=f"teacher: .*{message}"):
        RecurrentTeacher.load(tmp_path / "teacher", "cpu")


def test_an_altered_file_is_noticed(folder):
    (folder / "words.txt").write_bytes((folder / "words.txt").read_bytes().swapcase())
    with pytest.raises(CheckpointError, match=r"words\.txt"):
        RecurrentTeacher.load(folder, "cpu")


def test_a_window_model_is_no_recurrent_teacher(tmp_path):
    checkpoint.save(small_network().checkpoint(), tmp_path / "window")
    with pytest.raises(CheckpointError, match="expected a recurrent model"):
        RecurrentTeacher.load(tmp_path / "window", "cpu")


def test_what_tags_refuses_a_teacher_in_one_line(folder, capsys):
    with pytest.raises(CheckpointError, match="teacher: a recurrent model, which teaches others") as refusal:
        Tagger.load(folder)
    assert main(["tag", "--model", str(folder), str(folder / "README.md")]) == 2
    assert capsys.readouterr().err == f"fenestra: {refusal.value}\n"


def test_the_configuration_of_a_window_model_is_written_as_it_always_was():
    values = ModelConfig(labels=("PER",)).to_json()
    assert not {"kind", "recurrent"} & set(values)
    assert ModelConfig.from_json(values) == ModelConfig(labels=("PER",))


def test_the_configuration_of_a_recurrent_model_is_read_back():
    config = small_recurrent(sequence=9).config
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"kind": "transformer"}, {}, "model.kind: "),
        ({"recurrent": {"sequence": 9}}, {}, r"model\.recurrent: expected no such section without"),
        ({"kind": "recurrent"}, {}, r"model\.context: expected 0"),
        ({"kind": "recurrent", "context": 0, "activation": "relu"}, {}, r"model\.activation: expected tanh"),
        ({"kind": "recurrent", "context": 0, "agreement": True}, {}, r"model\.agreement: expected false"),
        ({"kind": "recurrent", "context": 0, "recurrent": {"filter_width": 4}}, {}, r"filter_width: expected an odd"),
        ({"kind": "recurrent", "context": 0, "recurrent": {"filters": 0}}, {}, r"recurrent\.filters: expected 1 to"),
        ({"kind": "recurrent", "context": 0, "recurrent": {"sequence": -1}}, {}, r"recurrent\.sequence: expected 0"),
        ({"kind": "recurrent", "context": 0, "recurrent": {"units": 3}}, {}, r"model\.recurrent\.units: unknown"),
        ({"kind": "recurrent", "context": 0}, {"precision": "bfloat16"}, r"training\.precision: not with model\.kind"),
        ({"kind": "recurrent", "context": 0}, {"join_sentences": 0.1}, r"training\.join_sentences: not with"),
        ({}, {"word_dropout": 0.1}, r'training\.word_dropout: not with model\.kind = "window"'),
    ],
)
def test_settings_that_do_not_fit_the_kind_are_refused(model, training, message):
    job = {"data": {"train": ["a"], "dev": ["b"]}, "model": {"labels": ["A"], **model}, "training": training}
    with pytest.raises(ConfigError, match=message):
        parse_config(job)


@pytest.mark.parametrize("field", ["character", "filters", "filter_width", "sequence"])
def test_a_stored_configuration_cannot_ask_for_any_amount_of_memory(field):
    values = small_recurrent().config.to_json()
    values["recurrent"] = {**values["recurrent"], field: 10**9 + 1}
    with pytest.raises(ConfigError, match=f"recurrent.{field}"):
        ModelConfig.from_json(values)


def test_teachers_of_both_kinds_are_averaged(folder, tmp_path):
    window = small_network(documents=True)
    checkpoint.save(window.checkpoint(), tmp_path / "window")
    teachers = load_teachers([str(folder), str(tmp_path / "window")], window.config, "cpu")
    found = teacher_probabilities(teachers, SENTENCES)
    alone = [teacher_probabilities([teacher], SENTENCES).float() for teacher in teachers]
    torch.testing.assert_close(found.float(), (alone[0] + alone[1]) / 2, atol=1e-3, rtol=0)
    assert not torch.allclose(*alone)


@pytest.mark.parametrize("change", [{"labels": ("LOC", "PER")}, {"scheme": "BIOES"}])
def test_a_teacher_of_other_tags_is_refused(folder, change):
    with pytest.raises(ConfigError, match=r"training\.teachers: .*teacher"):
        load_teachers([str(folder)], replace(small_network().config, **change), "cpu")


def test_a_job_makes_a_teacher_and_another_learns_from_it(job, trained, quick_job, tmp_path, capsys):
    report = json.loads((trained / "report.json").read_text())
    card = (trained / "README.md").read_text()
    assert report["config"]["model"]["kind"] == "recurrent"
    assert set(report["scores"]) == set(report["variants"]) == {"dev", "test"}
    assert report["epochs"][-1]["dev_loss"] < report["epochs"][0]["dev_loss"]
    assert "an LSTM of 16 units in either direction that reads one sentence in one go" in card
    assert "fenestra serve --model" not in card
    config = replace(
        quick_job,
        data=replace(quick_job.data, unlabelled=quick_job.data.dev),
        training=replace(quick_job.training, teachers=(str(trained),), unlabelled_sentences=1.0),
    )
    pupil = train(config, tmp_path / "pupil")
    assert json.loads((pupil / "job.json").read_text())["teachers"] == [RecurrentTeacher.load(trained, "cpu").version]
    assert Tagger.load(pupil).config == quick_job.model
    capsys.readouterr()


def test_evaluate_measures_a_teacher_as_its_job_did(trained, capsys):
    scores = json.loads((trained / "report.json").read_text())["scores"]["test"]["scores"]["micro"]
    corpus = str(SAMPLE.parents[2] / "data" / "sample" / "test.conll")
    assert main(["evaluate", "--model", str(trained), "--device", "cpu", corpus]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("all (micro)")]
    assert f"{100 * scores['f1']:.2f}" in line


def test_the_same_seed_gives_the_same_teacher(job, trained, tmp_path):
    again = train(job, tmp_path / "again")
    assert (again / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_a_stopped_job_goes_on_to_the_same_weights(job, trained, tmp_path):
    from contextlib import contextmanager

    class Stop(Exception):
        pass

    @contextmanager
    def stop_after_one(_work, _done):
        def watch(_epoch):
            raise Stop

        yield watch

    with pytest.raises(Stop):
        train(job, tmp_path / "stopped", observe=stop_after_one)
    resumed = train(job, tmp_path / "stopped", resume=True)
    assert (resumed / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_sequences_of_a_document_are_cut_elsewhere_in_each_epoch(job, tmp_path):
    """And every sentence comes once in an epoch."""
    from fenestra.training.fit.batches import Sampling
    from fenestra.training.fit.loop import seed_epoch
    from fenestra.training.job import begin, prepare, read, used_vectors, words_of
    from fenestra.training.vectors.vectors import load_vectors

    config = replace(job, model=replace(job.model, recurrent=RecurrentConfig(sequence=60)))
    corpora = read(config)
    inputs = prepare(config, corpora, load_vectors(used_vectors(config), words_of(corpora)))
    _, stream, _ = begin(config, inputs, torch.device("cpu"))
    plans = [stream.shuffled(seed_epoch(1, number), Sampling()) for number in (1, 2)]
    for runs in plans:
        assert sorted(s for run in runs for s in run) == list(range(len(corpora["train"].sentences)))
        assert max(map(len, runs)) > 1
    assert {tuple(run) for run in plans[0]} != {tuple(run) for run in plans[1]}
    batch = next(stream.batches(plans[0], 300, seed_epoch(1, 1)))
    assert batch.length_S.sum() == batch.sequence_R.sum() == len(batch.gold_N)
    assert len(batch.length_S) > len(batch.sequence_R)
