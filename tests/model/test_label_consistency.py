"""Label consistency: tokens of a word are told what the others of it in their document look like, and no others."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.label_consistency import apply, evidence, find_repeats, weights
from fenestra.model.engine import library
from fenestra.model.engine.native import Native
from fenestra.model.errors import ConfigError
from fenestra.model.explain import split_logit
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from tests.model.conftest import ENGINES, batch_of, engines_of, log_probabilities, small_model

MODELS = {scheme: small_model(agreement=True, scheme=scheme, documents=True) for scheme in ("IOB2", "BIOES", "IO")}
WORDS = ["Rose", "rose", "ROSE", "RoSE", "İx", "i̇x", "Ǆ", "1996", ".", "I", "東京", "X" * 70, "X" * 69 + "x", "iPhone"]
DOCUMENTS = st.lists(st.lists(st.lists(st.sampled_from(WORDS), max_size=8), max_size=4), max_size=5)
ENGINES_OF = {scheme: engines_of(model) for scheme, model in MODELS.items()}


def reconciled(engine, documents):
    """log p of some documents, by their windows alone and as labels are consistent."""
    alone_TK = log_probabilities(engine, documents)
    log_TK = alone_TK.copy()
    engine.reconcile(batch_of(engine, documents), log_TK)
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
            most = [max(math.exp(alone_TK[u, k]) for u in others) for k in range(len(tags))]
            score = [
                float(alone_TK[begin + t, k])
                + calibration.same_tag * most[k]
                + calibration.same_label * sum(m for m, label in zip(most, labels, strict=True) if label == labels[k])
                + sum(m * row[k] for m, row in zip(most, calibration.tag_by_tag, strict=True))
                for k in range(len(tags))
            ]
            total = math.log(sum(map(math.exp, score)))
            result[begin + t] = [one - total for one in score]
        begin += len(words)
    return result


@settings(max_examples=60)
@given(DOCUMENTS, st.sampled_from(list(MODELS)))
def test_log_p_is_the_formula_in_every_engine(documents, scheme):
    model = MODELS[scheme]
    for engine in ENGINES_OF[scheme]:
        alone_TK, log_TK = reconciled(engine, documents)
        np.testing.assert_allclose(log_TK, by_hand(documents, alone_TK, model.config, model.calibration), atol=2e-5)
        np.testing.assert_allclose(np.exp(log_TK).sum(axis=1), 1, atol=1e-5)


def test_more_tags_than_fit_into_a_vector_register():
    """And than into two: 6 labels in BIOES make 25."""
    labels = tuple(f"L{n}" for n in range(6))
    model = small_model(agreement=True, scheme="BIOES", labels=labels)
    documents = [[["Rose", "met", "ROSE"], ["Rose", "Ada", "Ada"]]]
    for engine in engines_of(model):
        alone_TK, log_TK = reconciled(engine, documents)
        assert log_TK.shape == (6, 25)
        expected_TK = by_hand(documents, alone_TK, model.config, model.calibration)
        np.testing.assert_allclose(log_TK, expected_TK, atol=2e-5)
        assert np.abs(log_TK - alone_TK).max() > 0.01


def test_a_token_that_has_no_others_keeps_every_bit():
    """Small letters, once only, or in another document."""
    documents = [[["Ada", "met", "met", "a", "rose"], ["a", "Rose"]], [["Ada"]], [["Rose", "1996", "1996"]]]
    for engine in ENGINES_OF["BIOES"]:
        alone_TK, log_TK = reconciled(engine, documents)
        assert (alone_TK == log_TK).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sentence_of_words_is_a_document_of_its_own(engine):
    tagger = Tagger(MODELS["BIOES"], device="cpu", engine=engine)
    sentences = [["Ada", "met", "Rose"], ["Rose", "met", "Ada"]]
    apart = [tagger.tag_tokens([sentence])[0] for sentence in sentences]
    assert tagger.tag_tokens(sentences) == apart
    together = tagger.tag_documents([sentences])[0]
    assert [[t.score for t in found.tokens] for found in together] != [[t.score for t in f.tokens] for f in apart]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_other_token_decides_where_the_window_does_not(engine):
    """Of two tokens of a word, one window is sure and the other nearly so of something else."""
    engine = Tagger(small_model(agreement=True, scheme="IO", documents=True), device="cpu", engine=engine)._engine
    log_TK = np.log(np.array([[0.01, 0.97, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01], [0.5, 0.4, 0.05, 0.05]], np.float32))
    assert engine.decode(log_TK, [3]).column_T.tolist() == [1, 0, 0]
    engine.reconcile(batch_of(engine, [[["Ada", "met", "ADA"]]]), log_TK)
    assert engine.decode(log_TK, [3]).column_T.tolist() == [1, 0, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_document_is_added_up_in_order(engine):
    """Alone or behind others: the same bits."""
    engine = Tagger(MODELS["BIOES"], device="cpu", engine=engine)._engine
    document = [" ".join(f"Ada W{n % 700} met ROSE ." for n in range(4000)).split()]
    _, alone_TK = reconciled(engine, [document])
    _, behind_TK = reconciled(engine, [[["Ada", "Rose", "Ada"] * 37], document, [["Rose"]]])
    assert (behind_TK[111:-1] == alone_TK).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_without_label_consistency_no_engine_is_asked(engine, monkeypatch):
    tagger = Tagger(small_model(), device="cpu", engine=engine)
    monkeypatch.setattr(type(tagger._engine), "reconcile", None)
    assert len(tagger("Ada met Ada.").tokens) == 4
    assert tagger.explain("Ada met Ada.", 0).token.text == "Ada"


@pytest.mark.parametrize("engine", ENGINES)
def test_log_p_of_windows_is_handed_out_as_windows_see_it(engine):
    """For whoever fits the weights of label consistency."""
    documents = [[["Ada", "met", "Ada"]]]
    with_it, without = (
        Tagger(small_model(agreement=on), device="cpu", engine=engine).log_probabilities(documents)
        for on in (True, False)
    )
    assert (with_it == without).all()


@pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")
def test_the_memory_that_the_kernel_counts_in_is_left_clean():
    engine = Native(library.load(), MODELS["BIOES"], cache_mb=1, numbers="float32")
    for documents in ([[["Ada", "Rose", "Ada", "rose"]], [["ADA", "Ito"]]], [[["Ito", "ITO", "Ito"]]]):
        reconciled(engine, documents)
        assert not engine._vocabulary.tally.any()
        assert not engine._vocabulary.seen.any()


# ── the parts of the formula ──


def test_repeats_are_words_with_a_capital_that_a_document_has_again():
    documents = [["Ada", "met", "Rose", "and", "ADA", "met", "rose"], ["Rose"], ["Ito", "ITO", "iTO", "Ito", "Ada"]]
    found = find_repeats(documents)
    assert found.token_N.tolist() == [0, 4, 8, 9, 11]
    assert found.group_N.tolist() == [0, 0, 1, 1, 1]
    assert found.count_Q.tolist() == [2, 3]


def test_evidence_is_the_largest_p_of_the_others():
    p_TK = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.6, 0.1, 0.2], [0.3, 0.3, 0.3, 0.1], [1, 0, 0, 0]])
    repeats = find_repeats([["Ada", "ADA", "AdA", "met"]])
    with np.errstate(divide="ignore"):
        log_TK = np.log(p_TK).astype(np.float32)
    found_NK = evidence(log_TK, repeats)
    np.testing.assert_allclose(found_NK, [[0.3, 0.6, 0.3, 0.2], [0.5, 0.3, 0.3, 0.1], [0.5, 0.6, 0.2, 0.2]], atol=1e-6)
    before_TK = log_TK.copy()
    apply(log_TK, repeats, np.zeros((4, 4), np.float32))
    np.testing.assert_allclose(log_TK[:3], before_TK[:3], atol=1e-6)
    assert (log_TK[3] == before_TK[3]).all()


def test_two_tokens_with_the_same_largest_p_are_told_of_each_other():
    log_TK = np.log(np.array([[0.7, 0.3], [0.7, 0.3], [0.2, 0.8]], np.float32))
    found_NK = evidence(log_TK, find_repeats([["Ada", "ADA", "AdA"]]))
    np.testing.assert_allclose(found_NK, [[0.7, 0.8], [0.7, 0.8], [0.7, 0.3]], atol=1e-6)


def test_the_weights_are_a_for_the_tag_b_for_its_label_and_d_for_each_pair():
    pairs = ((0.0, 0.5, 0.0), (0.0, 0.0, 0.25), (-1.0, 0.0, 0.0))
    calibration = Calibration(same_tag=2.0, same_label=1.0, tag_by_tag=pairs)
    assert weights(calibration, np.array([-1, 0, 0])).tolist() == [[3, 0.5, 0], [0, 3, 1.25], [-1, 1, 3]]
    assert weights(Calibration(), np.array([-1, 0])).tolist() == [[0, 0], [0, 0]]


# ── explanations ──


@pytest.mark.parametrize("engine", ENGINES)
def test_every_token_is_explained_as_it_was_tagged_beside_the_others(engine):
    tagger = Tagger(MODELS["BIOES"], device="cpu", engine=engine)
    text = "Ada met Rose in Munich. ROSE met Ada. The rose of MUNICH is Rose."
    for place, token in enumerate(tagger(text).tokens):
        assert tagger.explain(text, place).token == token


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_others_did_to_the_tag_is_part_of_the_document(engine):
    """In the unit of logits; what is said of the window is what is said without."""
    tagger = Tagger(MODELS["BIOES"], device="cpu", engine=engine)
    tags = tag_set(tagger.labels, "BIOES")
    words = ["Ada", "met", "Rose", "and", "ROSE", "and", "ada"]
    alone_TK, log_TK = reconciled(tagger._engine, [[words]])
    batch = batch_of(tagger._engine, [[words]])
    context, _ = tagger._engine.look_up(batch)
    changed = []
    for token in range(len(words)):
        found = tagger.explain(words, token)
        shares = [share.share for share in found.shares]
        assert found.bias + found.document + sum(shares) == pytest.approx(found.logit)
        column = tags.index(found.column)
        window = tagger._engine.window(batch, context, token)
        before = split_logit(tagger.parameters, tagger.config.activation, tagger.lexicon, window, column)
        added = tagger.calibration.temperature * float(log_TK[token, column] - alone_TK[token, column])
        changed += [token] * (added != 0)
        assert (found.bias, shares) == (before.bias, before.share_W)
        assert found.document == pytest.approx(before.document + added)
    assert changed == [2, 4]


# ── configuration ──


def test_label_consistency_beside_a_crf_is_refused_by_field():
    with pytest.raises(ConfigError, match=r'model\.agreement: expected false with model\.decoder = "transitions"'):
        ModelConfig(labels=("PER",), agreement=True, decoder="transitions")


def test_old_calibrations_have_no_label_consistency():
    values = {"temperature": 1.2, "slope": 0.6, "offset": 0.9, "length": 0.1}
    assert not Calibration.from_json(values).has_label_consistency


def test_calibrations_from_before_pairs_of_tags_have_two_numbers():
    values = {"temperature": 1.2, "slope": 0.6, "offset": 0.9, "length": 0.1, "same_tag": 0.5, "same_label": 0.25}
    found = Calibration.from_json(values)
    assert found.has_label_consistency
    assert found.to_json() == values | {"strange": 0.0}
