"""Learned steps from tag to tag: what is stored, what is refused, and that a tagger goes by them."""

import numpy as np
import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.crf import Chain, step_scores
from fenestra.model.decode.viterbi import NEVER
from fenestra.model.errors import ConfigError
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set, transitions
from tests.model.conftest import WAYS, small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


def test_a_chain_says_nothing_at_first_but_what_the_scheme_says():
    tags = tag_set(("LOC", "PER"), "BIOES")
    scores = Chain(tags, "BIOES").scores(1.0)
    for score, legal in zip(scores, transitions(tags, "BIOES"), strict=True):
        assert (score == np.where(legal, 0.0, NEVER)).all()


def test_what_the_scheme_forbids_is_not_learned_and_not_divided():
    """Whatever number stands where a step is illegal, it has no say and gets no slope."""
    tags = tag_set(("PER",), "IOB2")
    chain = Chain(tags, "IOB2")
    with torch.no_grad():
        for part in chain.parameters():
            part.fill_(6.0)
    scores = chain.scores(3.0)
    assert scores.start_K.tolist() == [2.0, 2.0, NEVER]
    assert scores.step_KK.tolist() == [[2.0, 2.0, NEVER], [2.0] * 3, [2.0] * 3]
    start_K, step_KK, _ = chain.masked(0.5)
    (start_K.exp().sum() + step_KK.exp().sum()).backward()
    assert chain.start.grad[2] == chain.step.grad[0, 2] == 0
    assert (chain.step.grad[1:] > 0).all()


def test_without_a_chain_there_are_no_steps_and_no_weights_of_them():
    model = small_model()
    assert model.network.chain is None
    assert step_scores(model.network.chain, 1.0) is None
    assert [name for name in model.network.state_dict() if "chain" in name] == []


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_a_saved_chain_says_the_same_bit_for_bit(scheme, tmp_path):
    model = small_model(scheme=scheme, decoder="transitions")
    checkpoint.save(model, tmp_path / "saved")
    before, after = Tagger(model, device="cpu"), Tagger.load(tmp_path / "saved", device="cpu")
    assert after.config.decoder == "transitions"
    assert before.analyse_tokens([SENTENCE]) == after.analyse_tokens([SENTENCE])
    for name in ("chain.start", "chain.step", "chain.end"):
        assert torch.equal(model.network.get_parameter(name), after.network.get_parameter(name))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("chain.step", lambda x: x[:3], r"chain\.step"),
        ("chain.start", lambda x: x.half(), r"chain\.start holds numbers of torch\.float16"),
        ("chain.end", lambda x: x * float("nan"), r"chain\.end holds a value that is not finite"),
        ("chain.end", None, r"Missing key.*chain\.end"),
    ],
)
def test_a_damaged_chain_is_refused_by_name(name, change, message):
    model = small_model(decoder="transitions")
    weights = dict(model.network.state_dict())
    if change:
        weights[name] = change(weights[name])
    else:
        del weights[name]
    with pytest.raises((ValueError, RuntimeError), match=f"(?s){message}"):
        checkpoint._assemble(model.config, model.lexicon, weights)


def test_a_chain_of_a_model_without_is_refused():
    model = small_model()
    weights = {**model.network.state_dict(), **small_model(decoder="transitions").network.state_dict()}
    with pytest.raises(RuntimeError, match=r"Unexpected key.*chain"):
        checkpoint._assemble(model.config, model.lexicon, weights)


def test_a_configuration_from_before_there_were_chains_has_none():
    values = small_model().config.to_json()
    del values["decoder"]
    assert ModelConfig.from_json(values).decoder == "softmax"


def test_a_decoder_that_is_unknown_is_refused_by_field():
    with pytest.raises(ConfigError, match=r"model\.decoder: expected one of softmax, transitions"):
        ModelConfig.from_json({**small_model().config.to_json(), "decoder": "beam"})


@pytest.mark.parametrize("compiled", WAYS)
def test_a_tagger_goes_by_the_learned_steps(compiled):
    """Where a chain wants B-PER after everything, windows have nothing to say."""
    model = small_model(decoder="transitions")
    column = tag_set(model.config.labels, "IOB2").index("B-PER")
    with torch.no_grad():
        for part in model.network.chain.parameters():
            part.zero_()
        model.network.chain.start[column] = model.network.chain.step[:, column] = 1e3
    (analysis,) = Tagger(model, device="cpu", compiled=compiled).analyse_tokens([SENTENCE])
    assert [(entity.start, entity.label) for entity in analysis.entities] == [(t, "PER") for t in range(7)]
    assert [token.score for token in analysis.tokens] == pytest.approx([1.0] * 7)


@pytest.mark.parametrize("compiled", WAYS)
def test_every_batch_gives_each_text_the_bits_that_it_has_alone(compiled):
    from tests.model.test_bits import generated_texts

    model = small_model(decoder="transitions", scheme="BIOES", documents=True)
    model.network.output.weight.data *= 0.1
    tagger = Tagger(model, device="cpu", compiled=compiled)
    tagger.self_test()
    texts = generated_texts(120, seed=8)
    assert tagger.analyse(texts) == [tagger.analyse([text])[0] for text in texts]


def test_a_token_is_explained_as_it_was_tagged():
    tagger = Tagger(small_model(decoder="transitions", scheme="BIOES"), device="cpu")
    (analysis,) = tagger.analyse_tokens([SENTENCE])
    for place, token in enumerate(analysis.tokens):
        found = tagger.explain(SENTENCE, place)
        assert found.token == token
        assert found.bias + found.document + sum(share.share for share in found.shares) == pytest.approx(found.logit)
