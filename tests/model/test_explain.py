"""A logit splits into shares that add up, and with ReLU a share is what the word is worth."""

import numpy as np
import pytest

from fenestra.model.engine.reference import Reference
from fenestra.model.errors import InputError
from fenestra.model.explain import split_logit
from fenestra.model.network.network import ACTIVATIONS, encode
from fenestra.model.progress import finish
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from tests.model.conftest import ENGINES, batch_of, small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]
TEXT = "Ada Lovelace met Siemens in Munich. ADA met Nemo."


def tagger_of(engine="auto", **options):
    return Tagger(small_model(documents=True, scheme="BIOES", **options), device="cpu", engine=engine, cache_mb=8)


def windows_of(model, words):
    """What the network sees of every token of a sentence."""
    engine = Reference(model)
    batch = batch_of(engine, [[words]])
    context, _ = engine.look_up(batch)
    return [engine.window(batch, context, token) for token in range(len(words))]


def contributions(model, window):
    """What each position adds to z₁, and what the document adds, one product after another in float64."""
    p = model.parameters
    e_E = {word: encode(p, model.lexicon.rows([word]))[1] for word in window.words if word is not None}
    parts = []
    for j, (word, kind) in enumerate(zip(window.words, window.class_W.tolist(), strict=True)):
        weight_HE = p.first_HX[:, j * len(p.pad_E) : (j + 1) * len(p.pad_E)].astype(float)
        parts.append(weight_HE @ (p.pad_E if word is None else e_E[word]).astype(float) + p.elsewhere_CWH[kind, j])
    topic_D = (window.topic_D.astype(float) - p.topic.mean_D) * p.topic.scale_D
    return parts, p.topic.weight_HD.astype(float) @ topic_D


def layers_of(model):
    return [
        (weight.astype(float), bias.astype(float))
        for weight, bias in (*model.parameters.hidden, model.parameters.output)
    ]


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
@pytest.mark.parametrize("context", [0, 2])
def test_bias_document_and_shares_add_up_to_the_logit_of_the_network(activation, hidden, context):
    """The logits of all tags are what the log probabilities were made of, whichever engine made them."""
    model = small_model(documents=True, scheme="BIOES", activation=activation, hidden=hidden, context=context)
    tagger = Tagger(model, device="cpu", cache_numbers="float32")
    log_TK = tagger.log_probabilities([[SENTENCE]])
    columns = tag_set(tagger.labels, "BIOES")
    for token, window in enumerate(windows_of(model, SENTENCE)):
        found = tagger.explain(SENTENCE, token)
        assert found.method == ("exact" if activation == "relu" else "rescale")
        assert found.bias + found.document + sum(share.share for share in found.shares) == pytest.approx(found.logit)
        assert [share.position for share in found.shares] == list(range(-context, context + 1))
        logit_K = np.array(
            [split_logit(model.parameters, activation, model.lexicon, window, k).logit for k in range(len(columns))]
        )
        assert found.logit == pytest.approx(logit_K[columns.index(found.column)], abs=1e-6)
        power_K = np.exp((logit_K - logit_K.max()) / tagger.calibration.temperature)
        np.testing.assert_allclose(np.exp(log_TK[token]), power_K / power_K.sum(), atol=1e-5)
        parts, document_H = contributions(model, window)
        state_H = sum(parts) + document_H + model.parameters.bias_H
        for weight_OI, bias_O in layers_of(model):
            state_H = weight_OI @ ACTIVATIONS[activation](state_H) + bias_O
        np.testing.assert_allclose(logit_K, state_H, atol=1e-5)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_bias_is_what_a_window_without_contributions_gives(activation):
    """For the rescale rule: f all the way from z⁰ = b₁. With ReLU it need not be."""
    model = small_model(documents=True, scheme="BIOES", activation=activation, hidden=(16, 8))
    state_H = model.parameters.bias_H.astype(float)
    for weight_OI, bias_O in layers_of(model):
        state_H = weight_OI @ ACTIVATIONS[activation](state_H) + bias_O
    found = Tagger(model, device="cpu").explain(SENTENCE, 3)
    column = tag_set(model.config.labels, "BIOES").index(found.column)
    if activation == "relu":
        assert found.bias != pytest.approx(state_H[column])
    else:
        assert found.bias == pytest.approx(state_H[column])


def masks(model, state_H):
    """Which units of each hidden layer are on; and the logits."""
    found = []
    for weight_OI, bias_O in layers_of(model):
        found.append((state_H > 0).tolist())
        state_H = weight_OI @ state_H.clip(0) + bias_O
    return found, state_H


@pytest.mark.parametrize("hidden", [(16,), (16, 8)])
def test_leaving_a_word_out_moves_the_logit_by_its_share_where_no_unit_switches(hidden):
    """Each word's vector is taken out of the sum before the first activation, and the rest is run by hand.

    Shrinking the first layer's part of the words to a hundredth keeps units as they are; the masks say whether it did.
    """
    model = small_model(documents=True, hidden=hidden)
    model.parameters.first_HX[:] *= 0.01
    model.parameters.elsewhere_CWH[:] *= 0.01
    model.parameters.topic.weight_HD[:] *= 0.01
    unmoved = documents = 0
    for window in windows_of(model, SENTENCE):
        split = split_logit(model.parameters, "relu", model.lexicon, window, column=1)
        parts, document_H = contributions(model, window)
        whole_H = sum(parts) + document_H + model.parameters.bias_H
        before, logits = masks(model, whole_H)
        assert logits[1] == pytest.approx(split.logit, abs=1e-5)
        for part_H, share in zip(parts, split.share_W, strict=True):
            after, without = masks(model, whole_H - part_H)
            if before == after:
                unmoved += 1
                assert logits[1] - without[1] == pytest.approx(share, abs=1e-6)
        after, without = masks(model, whole_H - document_H)
        if before == after:
            documents += 1
            assert logits[1] - without[1] == pytest.approx(split.document, abs=1e-6)
    assert unmoved >= 10
    assert documents >= 3


def test_a_word_that_adds_nothing_has_no_share():
    """Rescale where the sum of contributions is nothing: the chord has no length, the tangent is there."""
    checkpoint = small_model(activation="tanh", context=0)
    checkpoint.parameters.first_HX[:] = 0
    tagger = Tagger(checkpoint, device="cpu")
    found = tagger.explain(["Ada"], 0)
    assert found.shares[0].share == 0
    assert found.bias == found.logit


@pytest.mark.parametrize("engine", ENGINES)
def test_every_token_is_explained_as_it_was_tagged(engine):
    tagger = tagger_of(engine)
    for place, token in enumerate(tagger(TEXT).tokens):
        found = tagger.explain(TEXT, place)
        assert found.token == token
        prefix, _, label = found.column.partition("-")
        assert token.tag == (f"{'BI'[prefix in 'IE']}-{label}" if label else "O")


@pytest.mark.parametrize("engine", ENGINES)
def test_positions_beyond_the_sentence_have_no_word_but_a_share(engine):
    """PAD is a row like any other: it adds something too."""
    tagger = tagger_of(engine, context=2)
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
def test_an_empty_item_has_no_token_to_explain(item):
    with pytest.raises(InputError, match="token: expected"):
        tagger_of().explain(item, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_long_text_one_sentence_is_scored(engine):
    tagger = tagger_of(engine)
    text = "Ada met Siemens. " * 5000
    progress = list(tagger.explain_work(text, 10_000))
    assert sum(done.tokens for done in progress) == 20_000
    assert sum(done.stage == "network" for done in progress) <= 4
    assert finish(tagger.explain_work(text, 10_000)).token == tagger(text).tokens[10_000]


def test_the_document_has_a_share_only_where_the_model_looks_at_it():
    blind = Tagger(small_model(documents=False), device="cpu")
    assert blind.explain(SENTENCE, 0).document == 0
    assert tagger_of().explain(SENTENCE, 0).document != 0


def parts_of(found):
    return [found.logit, found.bias, found.document, *(share.share for share in found.shares)]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("engine", ENGINES)
def test_why_this_tag_and_not_that_one_splits_into_the_difference_of_both(activation, engine):
    tagger = tagger_of(engine, activation=activation, hidden=(16, 8))
    names = ["O", *tagger.labels, *(f"{prefix}-{label}" for prefix in "BIES" for label in tagger.labels)]
    compared = 0
    for number, other in enumerate(names * 2):
        token = number % len(SENTENCE)
        given = tagger.explain(SENTENCE, token)
        if other == given.column:
            continue
        found = tagger.explain(SENTENCE, token, against=other)
        assert (found.token, found.column, found.method) == (given.token, given.column, given.method)
        assert found.against != found.column
        assert found.bias + found.document + sum(share.share for share in found.shares) == pytest.approx(found.logit)
        alone = tagger.explain(SENTENCE, token, tag=other)
        if alone.column == given.column:  # the name stands for both
            continue
        assert (alone.column, alone.against) == (found.against, None)
        compared += 1
        differences = [one - two for one, two in zip(parts_of(given), parts_of(alone), strict=True)]
        assert parts_of(found) == pytest.approx(differences, abs=1e-6)
    assert compared > len(names)


def test_a_label_stands_for_its_likeliest_tag_and_a_tag_for_what_is_written_so():
    tagger = tagger_of("reference")  # the kernel rounds what it adds up
    for token in range(len(SENTENCE)):
        for label in tagger.labels:
            tags = {f"{prefix}-{label}": tagger.explain(SENTENCE, token, tag=f"{prefix}-{label}") for prefix in "BIES"}
            found = tagger.explain(SENTENCE, token, tag=label)
            assert found.logit == max(tag.logit for tag in tags.values())
            assert tags["S-" + label].column == "S-" + label
            assert tags["B-" + label].column in ("B-" + label, "S-" + label)
            assert tags["B-" + label].logit >= tags["S-" + label].logit


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_runners_up_are_those_of_tagging_and_each_can_be_compared_with(scheme):
    tagger = Tagger(small_model(documents=True, scheme=scheme), device="cpu")
    for place, token in enumerate(tagger(TEXT, alternatives=3).tokens):
        others = tagger.explain(TEXT, place, alternatives=3).alternatives
        assert [other.name for other in others] == [other.name for other in token.alternatives]
        assert [other.score for other in others] == pytest.approx([other.score for other in token.alternatives])
        for other in others:
            assert tagger.explain(TEXT, place, against=other.name).against


@pytest.mark.parametrize("name", ["UNICORN", "", "-", "B-", "O-", "X-PER"])
@pytest.mark.parametrize("field", ["tag", "against"])
def test_a_tag_that_there_is_not_is_refused_without_being_repeated(field, name):
    with pytest.raises(InputError, match=f"^{field}: expected another tag") as refusal:
        tagger_of().explain(SENTENCE, 0, **{field: name})
    assert "UNICORN" not in str(refusal.value)


def test_a_tag_is_not_compared_with_itself_nor_with_fewer_than_no_others():
    tagger = tagger_of()
    with pytest.raises(InputError, match="another tag"):
        tagger.explain(SENTENCE, 0, tag="O", against="O")
    with pytest.raises(ValueError, match="alternatives: expected 0 or more"):
        tagger.explain(SENTENCE, 0, alternatives=-1)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "relu"])
def test_where_contributions_cancel_out_their_shares_are_those_of_the_slope(activation):
    """z₁ is the bias again, so the chord from there has no length: its tangent takes its place."""
    model = small_model(activation=activation, context=1, hidden=(16,), scheme="IO", labels=("PER",))
    p, width = model.parameters, len(model.parameters.pad_E)
    p.first_HX[:, width : 2 * width] = 0
    p.first_HX[:, 2 * width :] = -p.first_HX[:, :width]
    (window,) = windows_of(model, ["Ada"])
    part_H = p.first_HX[:, :width].astype(float) @ p.pad_E  # of PAD before the word; behind it stands −part_H
    split = split_logit(p, activation, model.lexicon, window, column=1)
    assert split.logit == pytest.approx(split.bias)

    def logit(distance):
        h = ACTIVATIONS[activation](p.bias_H + distance * part_H)
        return p.output.weight_OI[1].astype(float) @ h + p.output.bias_O[1]

    slope = (logit(1e-5) - logit(-1e-5)) / 2e-5
    assert abs(slope) > 0.01
    assert split.share_W == pytest.approx([slope, 0, -slope], rel=1e-5, abs=1e-7)
