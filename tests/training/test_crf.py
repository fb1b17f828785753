"""The scores of transitions: what is learned, what is not, and what a checkpoint and a tagger make of them."""

import numpy as np
import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.decode.crf import FORBIDDEN
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set, transitions
from fenestra.training.network.crf import LinearChainCRF, transition_scores
from tests.training.networks import small_network

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


def test_an_untrained_crf_only_forbids_what_the_scheme_forbids():
    tags = tag_set(("LOC", "PER"), "BIOES")
    scores = LinearChainCRF(tags, "BIOES").scores(1.0)
    for score, legal in zip(scores, transitions(tags, "BIOES"), strict=True):
        assert (score == np.where(legal, 0.0, FORBIDDEN)).all()


def test_an_illegal_transition_is_not_learned_and_not_divided_by_the_temperature():
    """Whatever number stands where a transition is illegal, it is not used and gets no gradient."""
    tags = tag_set(("PER",), "IOB2")
    crf = LinearChainCRF(tags, "IOB2")
    with torch.no_grad():
        for part in crf.parameters():
            part.fill_(6.0)
    start_K, transitions_KK, end_K = crf.scores(3.0)
    assert start_K.tolist() == [2.0, 2.0, FORBIDDEN]
    assert transitions_KK.tolist() == [[2.0, 2.0, FORBIDDEN], [2.0] * 3, [2.0] * 3]
    assert end_K.tolist() == [2.0] * 3
    start_K, transitions_KK, _ = crf.masked(0.5)
    (start_K.exp().sum() + transitions_KK.exp().sum()).backward()
    assert crf.start.grad[2] == crf.transitions.grad[0, 2] == 0
    assert (crf.transitions.grad[1:] > 0).all()


def test_a_model_without_a_crf_has_no_transition_scores_and_no_weights_of_them():
    network = small_network().network
    assert network.crf is None
    assert transition_scores(network.crf, 1.0) is None
    assert [name for name in network.state_dict() if "crf" in name] == []


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_a_saved_crf_tags_the_same_bit_for_bit(scheme, tmp_path):
    model = small_network(scheme=scheme, decoder="transitions")
    checkpoint.save(model.checkpoint(), tmp_path / "saved")
    before, after = Tagger(model.checkpoint(), device="cpu"), Tagger.load(tmp_path / "saved", device="cpu")
    assert after.config.decoder == "transitions"
    assert before.tag_tokens([SENTENCE]) == after.tag_tokens([SENTENCE])


def test_a_checkpoint_keeps_the_names_of_weights_that_earlier_versions_gave(tmp_path):
    """The checkpoint folder is a contract; the names inside of training are not."""
    from safetensors.torch import load_file

    model = small_network(decoder="transitions", documents=True, hidden=(16, 8))
    checkpoint.save(model.checkpoint(), tmp_path / "saved")
    weights = load_file(tmp_path / "saved" / "weights.safetensors")
    fields = {f"fields.{name}.weight" for name in model.config.features.widths()}
    assert set(weights) == fields | {
        "pad", "bias", "elsewhere", "topic", "topic_mean", "topic_scale", "vectors.codes", "vectors.scale",
        "ngrams.weight", "project.weight", "rest.0.weight", "rest.0.bias", "output.weight", "output.bias",
        "chain.start", "chain.step", "chain.end",
    }  # fmt: skip
    assert torch.equal(weights["chain.step"], model.network.crf.transitions)
    assert torch.equal(weights["chain.start"], model.network.crf.start)
    assert torch.equal(weights["chain.end"], model.network.crf.end)


def test_a_tagger_follows_the_learned_transitions():
    """Where B-PER scores high after every tag, the windows have no influence."""
    model = small_network(decoder="transitions")
    column = tag_set(model.config.labels, "IOB2").index("B-PER")
    with torch.no_grad():
        for part in model.network.crf.parameters():
            part.zero_()
        model.network.crf.start[column] = model.network.crf.transitions[:, column] = 1e3
    (analysis,) = Tagger(model.checkpoint(), device="cpu").tag_tokens([SENTENCE])
    assert [(entity.start, entity.label) for entity in analysis] == [(t, "PER") for t in range(7)]
    assert [token.score for token in analysis.tokens] == pytest.approx([1.0] * 7)
