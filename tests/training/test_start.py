"""Training that begins with the weights of a trained model."""

import json
from dataclasses import replace

import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import ConfigError, InputError
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.config import load_config, parse_config, publishable_config
from fenestra.training.job import train
from fenestra.training.network.rows import Windows, look_up
from fenestra.training.network.start import begun, calibration_for, load_start
from tests.training.networks import small_network

TEXT = "Ada\tB-PER\nmet\tO\nSiemens\tB-ORG\n.\tO\n\nin\tO\nMunich\tB-LOC\n\n" * 4


@pytest.fixture(params=["softmax", "transitions"])
def start(request, tmp_path):
    checkpoint.save(small_network(documents=True, decoder=request.param, tame=True).checkpoint(), tmp_path / "start")
    return tmp_path / "start"


def logits(network):
    rows = look_up(network_lexicon(network), ["Ada", "met", "Munich"])
    none = torch.zeros(3, 5, dtype=torch.int64)
    windows = Windows(
        torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 0], [1, 2, 3, 0, 0]]), none,
        torch.zeros(1, network.vectors.width), torch.zeros(3, dtype=torch.int64),
    )  # fmt: skip
    return network.eval()(rows, windows)


def network_lexicon(network):
    return network.lexicon


def both(start, labels):
    model = load_start(f"checkpoint:{start}", replace(checkpoint.load(start).config, labels=labels))
    networks = []
    for config in (model.config, replace(model.config, labels=labels)):
        network = begun(model, config)
        network.lexicon = model.lexicon
        networks.append(network)
    return model, *networks


def test_new_labels_change_no_score_of_the_others(start):
    labels = ("GOD", "LOC", "ORG", "PER")
    model, narrow, wide = both(start, labels)
    tags = tag_set(labels, model.config.scheme)
    columns = [tags.index(tag) for tag in tag_set(model.config.labels, model.config.scheme)]
    before, after = logits(narrow), logits(wide)
    torch.testing.assert_close(after[:, columns], before, rtol=0, atol=0)
    new = [column for column in range(len(tags)) if column not in columns]
    assert new
    assert (after[:, new].max(dim=1).values < before.max(dim=1).values).all()
    if wide.crf:
        assert torch.equal(wide.crf.transitions[columns][:, columns], narrow.crf.transitions)


def test_labels_in_another_order_keep_what_they_mean(start):
    model, narrow, other = both(start, ("PER", "ORG", "LOC"))
    before, after = (tag_set(labels, model.config.scheme) for labels in (model.config.labels, ("PER", "ORG", "LOC")))
    assert before != after
    columns = [after.index(tag) for tag in before]
    torch.testing.assert_close(logits(other)[:, columns], logits(narrow), rtol=0, atol=0)
    if other.crf:
        assert torch.equal(other.crf.transitions[columns][:, columns], narrow.crf.transitions)
        assert torch.equal(other.crf.end[columns], narrow.crf.end)


def test_a_model_with_very_many_new_labels_can_be_loaded(tmp_path):
    start = small_network(agreement=True, scheme="BIOES").checkpoint(
        Calibration(same_tag=0.5, tag_by_tag=((0.25,) * 13,) * 13)
    )
    many = replace(start.config, labels=(*start.config.labels, *(f"L{number}" for number in range(80))))
    found = calibration_for(start, many)
    assert (found.same_tag, found.tag_by_tag) == (0.5, ())


def test_what_is_known_of_pairs_of_tags_stays_theirs_when_there_are_more(tmp_path):
    network = small_network(agreement=True, scheme="IO")
    rows = tuple(tuple(float(10 * row + column) for column in range(4)) for row in range(4))
    checkpoint.save(network.checkpoint(Calibration(1.5, same_tag=0.5, tag_by_tag=rows)), tmp_path / "start")
    model = checkpoint.load(tmp_path / "start")
    assert model.config.labels == ("LOC", "ORG", "PER")
    wider = replace(model.config, labels=("GOD", "LOC", "ORG", "PER"))
    found = calibration_for(model, wider)
    assert found.tag_by_tag[2] == (10, 0, 11, 12, 13)
    assert found.tag_by_tag[1] == (0, 0, 0, 0, 0)
    assert replace(found, tag_by_tag=rows) == model.calibration == calibration_for(model, model.config)


def test_a_start_that_does_not_fit_is_refused(start):
    config = checkpoint.load(start).config
    with pytest.raises(ConfigError, match=r"model: expected as in config\.json"):
        load_start(f"checkpoint:{start}", replace(config, hidden=(7,)))
    with pytest.raises(ConfigError, match=r"model\.labels: training\.start has PER besides"):
        load_start(f"checkpoint:{start}", replace(config, labels=("LOC", "ORG")))
    with pytest.raises(InputError, match="no model 'klingon' is bundled"):
        load_start("bundled:klingon", config)


def job(start, tmp_path, **training):
    (tmp_path / "train.conll").write_text(TEXT + "Ada\tB-GOD\n\n", encoding="utf-8")
    model = checkpoint.load(start).config.to_json() | {"labels": ["GOD", "LOC", "ORG", "PER"]}
    loss = "sentence" if model["decoder"] == "transitions" else "cross_entropy"
    return {
        "data": {"root": str(tmp_path), "train": ["train.conll"], "dev": ["train.conll"]},
        "model": model,
        "training": {"start": f"checkpoint:{start}", "epochs": 2, "keep": "last", "loss": loss, **training},
        "threads": 1,
    }


@pytest.mark.training
def test_a_job_goes_on_from_the_weights(start, tmp_path):
    config = parse_config(job(start, tmp_path))
    before, made = checkpoint.load(start), train(config, tmp_path / "made")
    after = checkpoint.load(made)
    assert after.config.labels == ("GOD", "LOC", "ORG", "PER")
    assert after.calibration == before.calibration
    assert dict(after.lexicon.vector_rows) == dict(before.lexicon.vector_rows)
    old, new = (m.parameters.to_arrays("float32") for m in (before, after))
    assert (old["vectors.codes"] == new["vectors.codes"]).all()
    moved = abs(old["project.weight"] - new["project.weight"]).max()
    assert 0 < moved < 0.2  # an untrained network would be as far away as its weights are large, 0.5 and more
    assert Tagger.load(made).labels == ("GOD", "LOC", "ORG", "PER")
    written = json.loads((made / "job.json").read_text())
    assert written["start"] == before.version
    assert written["config"]["training"]["start"] == "checkpoint:start"


def test_the_folder_of_the_start_counts_from_the_configuration_file(start, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    text = "\n".join((
        '[data]\ntrain = ["a"]\ndev = ["b"]', '[model]\nlabels = ["PER"]', '[training]\nstart = "checkpoint:m"',
    ))  # fmt: skip
    (folder / "job.toml").write_text(text, encoding="utf-8")
    config = load_config(folder / "job.toml")
    assert config.training.start == f"checkpoint:{folder / 'm'}"
    assert publishable_config(config)["training"]["start"] == "checkpoint:m"


RECURRENT = {"labels": ["PER"], "kind": "recurrent", "context": 0}


@pytest.mark.parametrize(
    ("field", "change"),
    [("training.members", {"training": {"start": "bundled", "members": 2}}),
     ("training.start", {"training": {"start": "bundled"}, "model": RECURRENT}),
     ("training.start", {"training": {"start": "glove"}}), ("training.start", {"training": {"start": "checkpoint:"}})],
)  # fmt: skip
def test_what_cannot_begin_with_other_weights_is_refused(field, change):
    base = {"data": {"train": ["a"], "dev": ["b"]}, "model": {"labels": ["PER"]}}
    with pytest.raises(ConfigError, match=field.replace(".", r"\.")):
        parse_config({**base, **change})
