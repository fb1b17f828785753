"""A logit splits into shares that add up, and with ReLU a share is what the word is worth."""

import numpy as np
import pytest
import torch

from fenestra.model.batch import Batch, look_up
from fenestra.model.errors import InputError
from fenestra.model.explain import split_logit
from fenestra.model.network.network import ACTIVATIONS
from fenestra.model.steps import run
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from tests.model.conftest import small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]
TEXT = "Ada Lovelace met Siemens in Munich. ADA met Nemo."


def tagger_of(**options):
    return Tagger(small_model(documents=True, scheme="BIOES", **options), device="cpu")


def logits_by_the_network(tagger, words):
    """The network's own logits of a sentence, in float32."""
    log_p_TK = tagger.log_probabilities([[words]])
    inputs = run(look_up(Batch.of([[words]]), tagger.lexicon, tagger.network.vectors, tagger.config))
    ((found, windows),) = inputs.bags()
    with torch.inference_mode():
        logits_TK = tagger.network(tagger.lexicon.rows(found), windows).numpy()
    assert np.allclose(logits_TK.argmax(1), log_p_TK.argmax(1))
    return logits_TK


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
@pytest.mark.parametrize("context", [0, 2])
def test_bias_document_and_shares_add_up_to_the_logit_of_the_network(activation, hidden, context):
    tagger = tagger_of(activation=activation, hidden=hidden, context=context)
    logits_TK = logits_by_the_network(tagger, SENTENCE)
    columns = tag_set(tagger.labels, "BIOES")
    for token in range(len(SENTENCE)):
        found = tagger.explain(SENTENCE, token)
        assert found.method == ("exact" if activation == "relu" else "rescale")
        assert found.logit == pytest.approx(logits_TK[token, columns.index(found.column)], abs=1e-4)
        assert found.bias + found.document + sum(share.share for share in found.shares) == pytest.approx(found.logit)
        assert [share.position for share in found.shares] == list(range(-context, context + 1))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_bias_is_what_a_window_without_contributions_gives(activation):
    """For the rescale rule: f all the way from z⁰ = b₁, by numpy. With ReLU it need not be."""
    tagger = tagger_of(activation=activation, hidden=(16, 8))
    network, function = tagger.network, ACTIVATIONS[activation]()
    state = network.bias.double()
    for layer in (*network.layers(), network.output):
        state = layer.weight.double() @ function(state) + layer.bias.double()
    found = tagger.explain(SENTENCE, 3)
    column = tag_set(tagger.labels, "BIOES").index(found.column)
    if activation == "relu":
        assert found.bias != pytest.approx(state[column].item())
    else:
        assert found.bias == pytest.approx(state[column].item())


def masks(network, state_H):
    """Which units of each hidden layer are on."""
    found = []
    for layer in (*network.layers(), network.output):
        found.append(state_H > 0)
        state_H = layer.weight.double() @ torch.relu(state_H) + layer.bias.double()
    return found, state_H


@pytest.mark.parametrize("hidden", [(16,), (16, 8)])
def test_leaving_a_word_out_moves_the_logit_by_its_share_where_no_unit_switches(hidden):
    """Each word's vector is taken out of the sum before the first activation, and the rest is run by hand.

    Shrinking the first layer's part of the words to a hundredth makes units keep still; the masks say whether they did.
    """
    checkpoint = small_model(documents=True, hidden=hidden)
    network = checkpoint.network
    with torch.no_grad():
        network.project.weight *= 0.01
        network.elsewhere *= 0.01
    tagger = Tagger(checkpoint, device="cpu")
    inputs = run(look_up(Batch.of([[SENTENCE]]), tagger.lexicon, network.vectors, tagger.config))
    ((words, windows),) = inputs.bags()
    rows = tagger.lexicon.rows(words)
    still = 0
    for token in range(len(SENTENCE)):
        window = windows.part(slice(token, token + 1))
        split = split_logit(network, rows, window, column=1)
        with torch.no_grad():
            table = network.project_rows(rows).view(-1, 5, hidden[0]).double()
            classes = network.elsewhere.view(-1, 5, hidden[0]).double()
            topic = network.topic.double() @ ((window.topic_PD[0] - network.topic_mean) * network.topic_scale).double()
            sentence = window.sentence_RD[window.passage_N[0]] - network.sentence.mean
            around = topic + network.sentence.weight.double() @ (sentence * network.sentence.scale).double()
            parts = [table[window.word_NW[0, j], j] + classes[window.elsewhere_NW[0, j], j] for j in range(5)]
            before, logits = masks(network, sum(parts) + around + network.bias.double())
            assert logits[1].item() == pytest.approx(split.logit, abs=1e-5)
            for j in range(5):
                after, without = masks(network, sum(parts) - parts[j] + around + network.bias.double())
                if all(torch.equal(one, other) for one, other in zip(before, after, strict=True)):
                    still += 1
                    assert (logits[1] - without[1]).item() == pytest.approx(split.share_W[j], abs=1e-6)
            after, without = masks(network, sum(parts) + network.bias.double())
            if all(torch.equal(one, other) for one, other in zip(before, after, strict=True)):
                assert (logits[1] - without[1]).item() == pytest.approx(split.document, abs=1e-6)
    assert still >= 10


def test_a_word_that_stands_still_has_the_slope_for_its_share():
    """Rescale where the sum of contributions is nothing: the chord has no length, the tangent is there."""
    checkpoint = small_model(activation="tanh", context=0)
    with torch.no_grad():
        checkpoint.network.project.weight.zero_()
    tagger = Tagger(checkpoint, device="cpu")
    found = tagger.explain(["Ada"], 0)
    assert found.shares[0].share == 0
    assert found.bias == found.logit


def test_every_token_is_explained_as_it_was_tagged():
    tagger = tagger_of()
    (analysis,) = tagger.analyse([TEXT])
    for place, token in enumerate(analysis.tokens):
        found = tagger.explain(TEXT, place)
        assert found.token == token
        prefix, _, label = found.column.partition("-")
        assert token.tag == (f"{'BI'[prefix in 'IE']}-{label}" if label else "O")


def test_positions_beyond_the_sentence_have_no_word_but_a_share():
    """PAD is a row like any other: it adds something too."""
    tagger = tagger_of(context=2)
    first, last = tagger.explain(TEXT, 0), tagger.explain(TEXT, 6)
    assert [share.text for share in first.shares] == [None, None, "Ada", "Lovelace", "met"]
    assert [(share.start, share.end) for share in first.shares[:3]] == [(None, None), (None, None), (0, 3)]
    assert [share.text for share in last.shares] == ["in", "Munich", ".", None, None]
    assert all(share.share for share in (*first.shares, *last.shares))
    assert all(TEXT[share.start : share.end] == share.text for share in last.shares[:3])


def test_words_are_placed_by_number():
    shares = tagger_of(context=1).explain(SENTENCE, 6).shares
    assert [(share.text, share.start, share.end) for share in shares] == [
        ("Munich", 5, 6),
        (".", 6, 7),
        (None, None, None),
    ]


@pytest.mark.parametrize("token", [-1, 7, 10**9])
def test_a_token_that_is_not_there_is_refused(token):
    with pytest.raises(InputError, match="token: expected"):
        tagger_of().explain(SENTENCE, token)


@pytest.mark.parametrize("item", ["", "  ", []])
def test_nothing_has_no_token_to_explain(item):
    with pytest.raises(InputError, match="token: expected"):
        tagger_of().explain(item, 0)


def test_of_a_long_text_one_sentence_is_computed():
    tagger = tagger_of()
    text = "Ada met Siemens. " * 5000
    steps = list(tagger.explain_in_steps(text, 10_000))
    assert sum(step.tokens for step in steps) == 20_000
    assert sum(step.stage == "network" for step in steps) <= 3


def test_the_document_has_a_share_only_where_the_model_looks_at_it():
    blind = Tagger(small_model(documents=False), device="cpu")
    assert blind.explain(SENTENCE, 0).document == 0
    assert tagger_of().explain(SENTENCE, 0).document != 0
