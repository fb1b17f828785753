"""Several networks as one."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.errors import ConfigError
from fenestra.training.config import load_config
from fenestra.training.data.stream import Stream
from fenestra.training.job import begin, more, prepare, read, train, used_vectors, words_of
from fenestra.training.network.ensemble import merged
from fenestra.training.network.export import from_checkpoint
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.vectors.vectors import load_vectors
from tests.training.networks import small_network

CONFIGS = Path(__file__).parents[2] / "training/configs"
SAMPLE, RECURRENT = CONFIGS / "sample.toml", CONFIGS / "conll2003_teacher.toml"
SHAPES = [
    {"hidden": (16,)}, {"hidden": (16, 5)}, {"documents": True}, {"decoder": "transitions"}, {"ngram": 0},
    {"vectors": False}, {"word": 0, "lists": 0, "cluster": 0},
]  # fmt: skip


def networks_like(made, count):
    """Networks of one configuration with other weights, whose PAD has no vector."""
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = WindowTagger(made.config, made.lexicon, made.network.vectors)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
            network.pad[:, : network.vectors.width] = 0
            network.ngrams.weight[0] = 0
            network.topic_mean.copy_(made.network.topic_mean + 0.5)
            network.topic_scale.copy_(made.network.topic_scale * 3)
        found.append(network.eval())
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=map(str, SHAPES))
@pytest.mark.parametrize("count", [1, 3])
def test_its_logits_are_the_mean_of_theirs(shape, count):
    made = small_network(**shape)
    networks = networks_like(made, count)
    whole = merged(networks, made.config, made.lexicon).eval()
    documents = [[["Ada", "met", "Siemens", "in", "Munich", "."], ["Nemo", "met", "ADA"]], [["ada"]]]
    stream = Stream.read(documents, made.lexicon, made.network.vectors, made.config)
    with torch.inference_mode():
        for bag in stream.bags(2, 50):
            expected_NK = torch.stack([network(*bag) for network in networks]).mean(0)
            torch.testing.assert_close(whole(*bag), expected_NK, atol=1e-4, rtol=1e-4)
    if whole.crf is not None:
        steps = torch.stack([network.crf.transitions for network in networks]).mean(0)
        torch.testing.assert_close(whole.crf.transitions, steps)


def test_a_vector_of_pad_that_is_not_shared_is_refused():
    made = small_network()
    networks = networks_like(made, 2)
    with torch.no_grad():
        networks[1].pad[0, 0] = 1
    with pytest.raises(ValueError, match="the vector of PAD is not 0"):
        merged(networks, made.config, made.lexicon)


def test_a_wider_configuration_has_the_width_of_all():
    config = small_network(hidden=(16, 5)).config
    wide = config.widened(3)
    assert wide.hidden == (48, 15)
    assert wide.features.word == 3 * config.features.word
    assert config.widened(1) == config


SEVERAL = ["training.members=3", "training.epochs=2", "model.features.topic=true"]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return train(load_config(SAMPLE, SEVERAL), tmp_path_factory.mktemp("job") / "three")


def test_a_job_trains_several_and_writes_one_model(three):
    model = checkpoint.load(three)
    assert model.config == load_config(SAMPLE, SEVERAL).model.widened(3)
    report = json.loads((three / "report.json").read_text(encoding="utf-8"))
    assert len(report["epochs"]) == 2
    assert report["seconds"] > 2 * sum(epoch["seconds"] for epoch in report["epochs"])
    assert "The mean of 3 such networks, written as one 3 times as wide." in (three / "README.md").read_text("utf-8")
    assert "of the first of 3 networks" in (three / "report.html").read_text("utf-8")
    parts = from_checkpoint(model).output.weight.chunk(3, dim=1)
    assert not torch.equal(parts[0], parts[1])
    assert not torch.equal(parts[1], parts[2])
    assert not three.with_name("three.partial").exists()


def test_the_first_of_several_is_the_network_that_is_alone(three, tmp_path):
    """But for its PAD, which has no vector where there are several."""
    alone = train(load_config(SAMPLE, [*SEVERAL[1:], "model.context=0"]), tmp_path / "alone")
    several = train(load_config(SAMPLE, [*SEVERAL, "model.context=0"]), tmp_path / "several")
    one, many = (from_checkpoint(checkpoint.load(folder)) for folder in (alone, several))
    units = one.bias.numel()
    torch.testing.assert_close(many.output.weight[:, :units] * 3, one.output.weight, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_several_resume_to_the_same_weights(three, tmp_path, stop):
    config = load_config(SAMPLE, SEVERAL)
    seen = 0

    @contextmanager
    def interrupted(_work, _done):
        def watch(_epoch):
            nonlocal seen
            seen += 1
            if seen == stop:
                raise KeyboardInterrupt

        yield watch

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "out", observe=interrupted)
    train(config, tmp_path / "out", resume=True)
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (three, tmp_path / "out")]
    assert weights[0] == weights[1]


def test_all_of_them_see_standardised_topics(three):
    """As the first: a network that did not would have a mean of 0 and a scale of 1."""
    config = load_config(SAMPLE, SEVERAL)
    corpora = read(config)
    inputs = prepare(config, corpora, load_vectors(used_vectors(config), words_of(corpora)))
    first, _, _ = begin(config, inputs, torch.device("cpu"))
    second = more(config, inputs, 1, torch.device("cpu"))
    assert torch.equal(second.network.topic_mean, first.network.topic_mean)
    assert torch.equal(second.network.topic_scale, first.network.topic_scale)
    assert first.network.topic_mean.any()
    assert not torch.equal(second.network.project.weight, first.network.project.weight)


def test_networks_that_are_too_wide_as_one_are_refused_before_any_work():
    with pytest.raises(
        ConfigError, match=r"training\.members: 16 networks are too wide as one: model\.hidden: expected"
    ):
        load_config(SAMPLE, ["training.members=16", "model.hidden=[700]"])


def test_recurrent_models_are_not_averaged():
    with pytest.raises(ConfigError, match=r'training\.members: not with model\.kind = "recurrent"'):
        load_config(RECURRENT, ["training.members=2"])
