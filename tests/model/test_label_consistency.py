"""Tokens of a word heed the others of it in their document, and no other tokens."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model import engine as kernel
from fenestra.model.batch import PIECE
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.engine import library
from fenestra.model.engine import reader as reading
from fenestra.model.engine.native import Compiled
from fenestra.model.engine.reference import Plain
from fenestra.model.errors import ConfigError
from fenestra.model.explain import split_logit
from fenestra.model.steps import run
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from tests.model.conftest import WAYS, small_model

MODELS = {scheme: small_model(agreement=True, scheme=scheme, documents=True) for scheme in ("IOB2", "BIOES", "IO")}
WORDS = ["Rose", "rose", "ROSE", "RoSE", "İx", "i̇x", "Ǆ", "1996", ".", "I", "東京", "X" * 70, "X" * 69 + "x", "iPhone"]
DOCUMENTS = st.lists(st.lists(st.lists(st.sampled_from(WORDS), max_size=8), max_size=4), max_size=5)


def ways_of(model):
    """Every way to go, with the builds of the kernel that run here."""
    return [Plain(model, 0), *(Compiled(build, model, 1, "float32") for build in library.builds())]


WAYS_OF = {scheme: ways_of(model) for scheme, model in MODELS.items()}


def agreed(way, documents):
    """log p of some documents, by their windows alone and as their words agree."""
    batch = way.documents(documents)
    alone_TK = run(way.log_probabilities(batch))
    log_TK = alone_TK.copy()
    run(way.agree(batch, log_TK))
    return alone_TK, log_TK


def by_hand(documents, alone_TK, config, calibration):
    """As the formula says it, token by token and tag by tag."""
    tags = tag_set(config.labels, config.scheme)
    labels = [tag.partition("-")[2] for tag in tags]
    result, begin = alone_TK.astype(float), 0
    for document in documents:
        words = [word for sentence in document for word in sentence]
        for t, word in enumerate(words):
            others = [
                begin + u
                for u, other in enumerate(words)
                if u != t and other[0].isupper() and other.lower() == word.lower()
            ]
            if not word[0].isupper() or not others:
                continue
            mean = [sum(math.exp(alone_TK[u, k]) for u in others) / len(others) for k in range(len(tags))]
            score = [
                float(alone_TK[begin + t, k])
                + calibration.same_tag * mean[k]
                + calibration.same_label * sum(m for m, label in zip(mean, labels, strict=True) if label == labels[k])
                for k in range(len(tags))
            ]
            total = math.log(sum(map(math.exp, score)))
            result[begin + t] = [one - total for one in score]
        begin += len(words)
    return result


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.sampled_from(list(MODELS)))
def test_log_p_is_the_formula_on_every_way(documents, scheme):
    model = MODELS[scheme]
    for way in WAYS_OF[scheme]:
        alone_TK, log_TK = agreed(way, documents)
        np.testing.assert_allclose(log_TK, by_hand(documents, alone_TK, model.config, model.calibration), atol=2e-5)
        np.testing.assert_allclose(np.exp(log_TK).sum(axis=1), 1, atol=1e-5)


def test_more_tags_than_fit_into_a_vector_register():
    """And than into two: 6 labels in BIOES make 25."""
    labels = tuple(f"L{n}" for n in range(6))
    model = small_model(agreement=True, scheme="BIOES", labels=labels)
    documents = [[["Rose", "met", "ROSE"], ["Rose", "Ada", "Ada"]]]
    for way in ways_of(model):
        alone_TK, log_TK = agreed(way, documents)
        assert log_TK.shape == (6, 25)
        expected_TK = by_hand(documents, alone_TK, model.config, model.calibration)
        np.testing.assert_allclose(log_TK, expected_TK, atol=2e-5)
        assert np.abs(log_TK - alone_TK).max() > 0.01


def test_a_token_that_has_nobody_to_heed_keeps_every_bit():
    """Small letters, once only, or in another document."""
    documents = [[["Ada", "met", "met", "a", "rose"], ["a", "Rose"]], [["Ada"]], [["Rose", "1996", "1996"]]]
    for way in WAYS_OF["BIOES"]:
        alone_TK, log_TK = agreed(way, documents)
        assert (alone_TK == log_TK).all()


@pytest.mark.parametrize("compiled", WAYS)
def test_a_sentence_of_words_is_a_document_of_its_own(compiled):
    tagger = Tagger(MODELS["BIOES"], device="cpu", compiled=compiled)
    sentences = [["Ada", "met", "Rose"], ["Rose", "met", "Ada"]]
    apart = [tagger.analyse_tokens([sentence])[0] for sentence in sentences]
    assert tagger.analyse_tokens(sentences) == apart
    together = tagger.analyse_documents([sentences])[0]
    assert [[t.score for t in found.tokens] for found in together] != [[t.score for t in f.tokens] for f in apart]


@pytest.mark.parametrize("compiled", WAYS)
def test_elsewhere_decides_where_the_window_does_not(compiled):
    """Of two tokens of a word, one window is sure and the other nearly so of something else."""
    model = small_model(agreement=True, scheme="IO", documents=True)
    way = Tagger(model, device="cpu", compiled=compiled)._way
    batch = way.documents([[["Ada", "met", "ADA"]]])
    log_TK = np.log(np.array([[0.01, 0.97, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01], [0.5, 0.4, 0.05, 0.05]], np.float32))
    assert run(way.paths(log_TK, [3])).column_T.tolist() == [1, 0, 0]
    run(way.agree(batch, log_TK))
    assert run(way.paths(log_TK, [3])).column_T.tolist() == [1, 0, 1]


@pytest.mark.parametrize("compiled", WAYS)
def test_a_long_document_gives_way_and_is_added_up_in_order(compiled):
    """Alone or behind others, in pieces that begin elsewhere: the same bits."""
    tagger = Tagger(MODELS["BIOES"], device="cpu", compiled=compiled)
    text = " ".join(f"Ada W{n % 700} met ROSE ." for n in range(4000))
    steps = Counter(step.stage for step in tagger.steps([text]))
    without = Tagger(small_model(scheme="BIOES", documents=True), device="cpu", compiled=compiled)
    before = Counter(step.stage for step in without.steps([text]))
    assert steps["decode"] - before["decode"] >= 2 * 12_000 // (reading.PIECE if compiled else PIECE)
    way, document = tagger._way, [text.split()]
    _, alone_TK = agreed(way, [document])
    _, behind_TK = agreed(way, [[["Ada", "Rose", "Ada"] * 37], document, [["Rose"]]])
    assert (behind_TK[111:-1] == alone_TK).all()


@pytest.mark.parametrize("compiled", WAYS)
def test_without_agreement_nothing_is_asked(compiled, monkeypatch):
    tagger = Tagger(small_model(), device="cpu", compiled=compiled)
    monkeypatch.setattr(type(tagger._way), "agree", None)
    assert len(tagger.analyse(["Ada met Ada."])[0].tokens) == 4
    assert tagger.explain("Ada met Ada.", 0).token.text == "Ada"


@pytest.mark.parametrize("compiled", WAYS)
def test_log_p_of_windows_is_handed_out_as_windows_see_it(compiled):
    """For whoever fits how much tokens heed each other."""
    documents = [[["Ada", "met", "Ada"]]]
    heeding, deaf = (
        Tagger(small_model(agreement=on), device="cpu", compiled=compiled).log_probabilities(documents)
        for on in (True, False)
    )
    assert (heeding == deaf).all()


@pytest.mark.skipif(kernel.load() is None, reason="no compiled kernel here")
def test_the_memory_that_the_kernel_counts_in_is_left_clean():
    way = Compiled(kernel.load(), MODELS["BIOES"], 1, "float32")
    for documents in ([[["Ada", "Rose", "Ada", "rose"]], [["ADA", "Ito"]]], [[["Ito", "ITO", "Ito"]]]):
        agreed(way, documents)
        assert not way._vocabulary.tally.any()


# ── explanations ──


@pytest.mark.parametrize("compiled", WAYS)
def test_every_token_is_explained_as_it_was_tagged_beside_the_others(compiled):
    tagger = Tagger(MODELS["BIOES"], device="cpu", compiled=compiled)
    text = "Ada met Rose in Munich. ROSE met Ada. The rose of MUNICH is Rose."
    (analysis,) = tagger.analyse([text])
    for place, token in enumerate(analysis.tokens):
        assert tagger.explain(text, place).token == token


@pytest.mark.parametrize("compiled", WAYS)
def test_what_the_others_did_to_the_tag_is_part_of_the_document(compiled):
    """In the unit of logits; what is said of the window is what is said without."""
    tagger = Tagger(MODELS["BIOES"], device="cpu", compiled=compiled)
    tags = tag_set(tagger.labels, "BIOES")
    words = ["Ada", "met", "Rose", "and", "ROSE", "and", "ada"]
    alone_TK, log_TK = agreed(tagger._way, [[words]])
    changed = []
    for token in range(len(words)):
        found = tagger.explain(words, token)
        shares = [share.share for share in found.shares]
        assert found.bias + found.document + sum(shares) == pytest.approx(found.logit)
        column = tags.index(found.column)
        seen, window = tagger._way.window(tagger._way.documents([[words]]), token)
        before = split_logit(tagger.network, tagger.lexicon.rows(seen), window, column)
        heard = tagger.calibration.temperature * float(log_TK[token, column] - alone_TK[token, column])
        changed += [token] * (heard != 0)
        assert (found.bias, shares) == (before.bias, before.share_W)
        assert found.document == pytest.approx(before.document + heard)
    assert changed == [2, 4]


# ── configuration ──


def test_agreement_beside_learned_steps_is_refused_by_field():
    with pytest.raises(ConfigError, match=r'model\.agreement: expected false with model\.decoder = "transitions"'):
        ModelConfig(labels=("PER",), agreement=True, decoder="transitions")


def test_old_calibrations_heed_nothing():
    assert Calibration.from_json({"temperature": 1.2, "slope": 0.6, "offset": 0.9, "length": 0.1}).agreement == (0, 0)
