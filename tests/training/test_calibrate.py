"""Calibration, on data whose true probabilities are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.label_consistency import Repeats, apply, evidence, find_repeats, weights
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.data.corpus import read_corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import convert, spans
from fenestra.training.fit import calibrate
from fenestra.training.fit.calibrate import (
    Output,
    calibration_of,
    fit_calibration,
    fit_label_consistency,
    fit_path_temperature,
    fit_platt,
    fit_temperature,
)
from fenestra.training.fit.decoded import decode
from fenestra.training.fit.losses import sentence_loss
from fenestra.training.network.crf import LinearChainCRF
from tests.training.networks import small_network

SAMPLE = Path(__file__).parents[2] / "data" / "sample"

RNG = np.random.default_rng(7)


def zeros(count):
    """Entities without an out-of-vocabulary word."""
    return np.zeros(count, np.float32)


def ones(count):
    """Lengths of entities of one token."""
    return np.ones(count, np.float32)


def draw(probability_TK):
    """One outcome for each row of probabilities."""
    return (probability_TK.cumsum(axis=1) > RNG.random((len(probability_TK), 1))).argmax(axis=1)


def softmax(z_TK):
    weight_TK = np.exp(z_TK - z_TK.max(axis=1, keepdims=True))
    return weight_TK / weight_TK.sum(axis=1, keepdims=True)


def calibration_error(score_M, right_M):
    place_M = np.minimum((score_M * 10).astype(int), 9)
    gaps = [
        abs(score_M[place_M == b].mean() - right_M[place_M == b].mean()) * (place_M == b).mean() for b in set(place_M)
    ]
    return sum(gaps)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_data_is_found(true):
    logits_TK = RNG.normal(scale=3, size=(20_000, 5)).astype(np.float32)
    gold_T = draw(softmax(logits_TK / true))
    assert fit_temperature(logits_TK, gold_T) == pytest.approx(true, rel=0.05)


def test_the_temperature_minimises_the_loss():
    logits_TK = RNG.normal(scale=4, size=(2_000, 4)).astype(np.float32)
    gold_T = draw(softmax(logits_TK / 1.7))
    best = fit_temperature(logits_TK, gold_T)

    def loss(temperature):
        return -np.log(softmax(logits_TK.astype(float) / temperature)[np.arange(2_000), gold_T]).mean()

    assert loss(best) < min(loss(best * 1.02), loss(best / 1.02))


def test_a_shift_of_each_tokens_logits_changes_nothing():
    """Log-probabilities serve as logits: that is what a tagger hands out."""
    logits_TK = RNG.normal(scale=2, size=(500, 4))
    gold_T = draw(softmax(logits_TK / 2))
    shifted_TK = logits_TK + RNG.normal(size=(500, 1))
    assert fit_temperature(logits_TK, gold_T) == pytest.approx(fit_temperature(shifted_TK, gold_T))


def test_without_a_mistake_or_without_sense_the_temperature_stays_in_bounds():
    logits_TK = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]] * 5
    assert fit_temperature(logits_TK, np.array([0, 1, 2, 0])) == 0.1
    assert fit_temperature(logits_TK, np.array([1, 2, 0, 1])) == 10.0
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0
    assert 0.1 <= fit_temperature(np.zeros((2, 3), np.float32), np.array([0, 1])) <= 10.0


def test_the_numbers_that_made_the_data_are_found():
    logit_M, tokens_M = RNG.normal(loc=1, scale=2, size=20_000), RNG.integers(1, 5, 20_000).astype(np.float32)
    oov_M = np.random.default_rng(5).integers(0, 2, 20_000).astype(np.float32)
    right_M = RNG.random(20_000) < 1 / (1 + np.exp(-(0.6 * logit_M + 0.8 * np.log(tokens_M) - 0.7 * oov_M - 0.4)))
    found = fit_platt(np.log(1 / (1 + np.exp(-logit_M))).astype(np.float32), tokens_M, oov_M, right_M)
    assert (found.slope, found.offset) == (pytest.approx(0.6, abs=0.05), pytest.approx(-0.4, abs=0.1))
    assert found.length == pytest.approx(0.8, abs=0.1)
    assert found.oov == pytest.approx(-0.7, abs=0.1)
    assert found.temperature == 1


def test_scores_are_the_formula():
    log_M, tokens_M = np.log(np.array([0.5, 0.9], np.float32)), np.array([1, 3], np.float32)
    expected = [1 / (1 + np.exp(-0.3)), 1 / (1 + np.exp(-(2 * np.log(9) + 0.7 * np.log(3) - 0.4 + 0.3)))]
    found = Calibration(slope=2.0, offset=0.3, length=0.7, oov=-0.4)
    found = found.entity_scores(log_M, tokens_M, np.array([0, 1], np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_number_too_large_for_float32_leaves_scores_that_are_numbers():
    found = Calibration(oov=1e300).entity_scores(np.log(ones(2) / 2), ones(2), np.array([0, 1], np.float32))
    np.testing.assert_allclose(found, [0.5, 1])


def test_doubt_that_a_product_counts_once_a_token_is_taken_back():
    """All tokens of a name are right together or not at all, so its length says nothing of whether it is right."""
    p_M, tokens_M = RNG.uniform(0.5, 1, size=10_000), RNG.integers(1, 5, 10_000).astype(np.float32)
    right_M = RNG.random(10_000) < p_M
    log_M = (tokens_M * np.log(p_M)).astype(np.float32)
    score_M = fit_platt(log_M, tokens_M, 0 * tokens_M, right_M).entity_scores(log_M, tokens_M, 0 * tokens_M)
    without = fit_platt(log_M, ones(10_000), zeros(10_000), right_M)
    for tokens in (1, 4):
        here_M = tokens_M == tokens
        gap = abs(score_M[here_M].mean() - right_M[here_M].mean())
        assert (
            gap
            < 0.03
            < abs(without.entity_scores(log_M, ones(10_000), zeros(10_000))[here_M].mean() - right_M[here_M].mean())
        )


def test_what_was_stored_before_there_was_a_length_scores_as_it_did():
    stored = Calibration.from_json({"temperature": 1.2, "slope": 0.6, "offset": 0.9})
    log_M = np.log(RNG.uniform(0.2, 1, size=50)).astype(np.float32)
    assert stored == Calibration(1.2, 0.6, 0.9, 0.0)
    assert (
        stored.entity_scores(log_M, 3 * ones(50), ones(50)) == stored.entity_scores(log_M, ones(50), zeros(50))
    ).all()


@pytest.mark.parametrize(
    "numbers",
    [
        {"length": float("inf")},
        {"length": "1"},
        {"slope": 0.0},
        {"temperature": -1.0},
        {"same_tag": -1e7},
        {"same_label": float("nan")},
        {"tag_by_tag": ((0.0, float("inf")), (0.0, 0.0))},
        {"tag_by_tag": ((0.0, 1e7), (0.0, 0.0))},
        {"tag_by_tag": ((0.0,) * 129,) * 129},
    ],
)
def test_numbers_that_make_no_score_are_refused(numbers):
    with pytest.raises(ValueError, match="calibration: expected"):
        Calibration(**numbers)


def test_fitted_scores_are_honest():
    product_M = RNG.uniform(0.3, 1, size=5_000)
    right_M = RNG.random(5_000) < product_M**3  # far less often right than the product says
    log_M = np.log(product_M).astype(np.float32)
    tokens_M = ones(5_000)
    before = calibration_error(Calibration().entity_scores(log_M, tokens_M, 0 * tokens_M), right_M)
    after = calibration_error(
        fit_platt(log_M, tokens_M, 0 * tokens_M, right_M).entity_scores(log_M, tokens_M, 0 * tokens_M), right_M
    )
    assert after < before / 4


@pytest.mark.parametrize("right", [True, False])
def test_entities_that_are_all_right_or_all_wrong_give_finite_numbers(right):
    log_M = np.log(RNG.uniform(0.5, 1, size=50)).astype(np.float32)
    found = fit_platt(log_M, ones(50), zeros(50), np.full(50, right))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.length == 0
    assert found.slope > 0
    scores = found.entity_scores(log_M, ones(50), zeros(50))
    assert (scores > 0.8).all() if right else (scores < 0.2).all()


def test_no_entity_means_no_correction():
    assert fit_platt(ones(0), ones(0), ones(0), np.zeros(0, bool)) == Calibration()


def test_scores_keep_their_order_where_the_data_speak_against_it():
    log_M = np.log(RNG.uniform(0.2, 1, size=500)).astype(np.float32)
    found = fit_platt(log_M, ones(500), zeros(500), log_M < np.median(log_M))
    assert found.slope == 0.05
    assert found.entity_scores(log_M, ones(500), zeros(500)).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_the_whole_fit_reads_the_columns_of_every_scheme(scheme):
    """A network that is right but far too unsure is made surer; its entities are found by the service's decoder."""
    config = ModelConfig(labels=("PER", "LOC"), scheme=scheme)
    tags = tag_set(config.labels, scheme)
    gold = [("B-PER", "I-PER", "O"), ("O", "B-LOC"), ("B-PER", "O", "O")] * 20
    columns = [tags.index(tag) for sentence in gold for tag in convert(sentence, scheme)]
    found = calibration_of(Output(np.eye(len(tags), dtype=np.float32)[columns], gold), config)
    assert found.temperature == pytest.approx(0.1)
    assert found.offset > 0


def test_scores_are_fitted_on_the_same_text_written_otherwise_too():
    """Of the others half are wrong: scores of all are lower, and tags and temperature are as they were."""
    config = ModelConfig(labels=("PER",), scheme="IO")
    logits_TK = np.tile(np.array([0, 3], np.float32), (400, 1))
    right = Output(logits_TK, [["B-PER"]] * 400)
    other = Output(logits_TK, [["B-PER"], ["O"]] * 200)
    alone, both = calibration_of(right, config), calibration_of(right, config, others=[other])
    assert (both.temperature, both.same_tag) == (alone.temperature, alone.same_tag)
    log_M = np.full(1, -np.log1p(np.exp(-3 / both.temperature)), np.float32)
    assert both.entity_scores(log_M, ones(1), zeros(1)) == pytest.approx([0.75], abs=0.02)


def test_a_tagger_is_fitted_in_documents_alone_and_in_small_letters_if_it_learnt_them(sample_model):
    tagger = Tagger.load(sample_model)
    sentences = read_corpus(SAMPLE / "dev.conll").sentences
    seen = []

    class Watched:
        config, calibration = tagger.config, tagger.calibration

        def log_probabilities(self, documents):
            words = " ".join(word for document in documents for words in document for word in words)
            seen.append((len(documents), words == words.lower()))
            return tagger.log_probabilities(documents)

        is_oov = staticmethod(tagger.is_oov)

    whole = len({sentence.document for sentence in sentences})
    assert whole < len(sentences)
    fit_calibration(Watched(), sentences, crf=None)
    fit_calibration(Watched(), sentences, crf=None, small=True)
    alone = (len(sentences), False)
    assert seen == [(whole, False), alone, (whole, False), alone, (len(sentences), True)]


def test_no_sentence_leaves_the_scores_as_they_are():
    config = ModelConfig(labels=("PER",))
    assert calibration_of(Output(np.zeros((0, 3), np.float32), []), config) == Calibration()


# ── label consistency ──


def words_in_documents(count):
    """Tokens of words that their document has 2 to 5 times, and others in between."""
    group_N = np.repeat(np.arange(count), RNG.integers(2, 6, count))
    token_N = 3 * np.arange(len(group_N))
    return Repeats(token_N, group_N, np.bincount(group_N))


def raised(log_TK, repeats, weight_KK):
    """log p after label consistency, one token after another."""
    raised_TK, p_TK = log_TK.astype(float), np.exp(log_TK.astype(float))
    for group in range(len(repeats.count_Q)):
        tokens = repeats.token_N[repeats.group_N == group]
        for token in tokens:
            raised_TK[token] += p_TK[tokens[tokens != token]].max(axis=0) @ weight_KK
    return np.log(softmax(raised_TK))


def by_two(same_tag, same_label, label_K):
    """V of label consistency without D."""
    return weights(Calibration(same_tag=same_tag, same_label=same_label), label_K)


def fit(log_TK, gold_T, repeats, label_K):
    most_NK = evidence(log_TK, repeats)
    return fit_label_consistency(log_TK[repeats.token_N], gold_T[repeats.token_N], most_NK, label_K, 2.0)


@pytest.fixture(scope="module")
def repeated():
    """Windows, the tokens whose words their document repeats, and labels in BIOES."""
    config = ModelConfig(labels=("PER", "LOC"), scheme="BIOES", agreement=True)
    tags = tag_set(config.labels, config.scheme)
    label_K = np.array([config.labels.index(tag[2:]) if tag != "O" else -1 for tag in tags])
    repeats = words_in_documents(1200)
    logits_TK = RNG.normal(scale=2.5, size=(3 * len(repeats.token_N), len(tags))).astype(np.float32)
    return config, label_K, repeats, logits_TK


@pytest.mark.parametrize("true", [(0.0, 2.0, 0.0), (1.5, 0.0, 0.0), (1.5, 3.0, 0.0), (1.0, 1.0, 1.0)])
def test_the_weights_of_label_consistency_that_made_the_data_are_found(true, repeated):
    """Whatever temperature the windows need first; a number added to a whole row of V changes nothing."""
    _, label_K, repeats, logits_TK = repeated
    same_tag, same_label, scale = true
    pairs_KK = np.random.default_rng(4).normal(scale=scale, size=(len(label_K),) * 2)
    true_KK = by_two(same_tag, same_label, label_K) + pairs_KK
    log_TK = np.log(softmax(logits_TK / 1.4)).astype(np.float32)
    gold_T = draw(np.exp(raised(log_TK, repeats, true_KK)))
    found_KK = weights(fit(log_TK, gold_T, repeats, label_K), label_K)

    def loss(weight_KK):
        return -raised(log_TK, repeats, weight_KK)[np.arange(len(gold_T)), gold_T].sum()

    assert loss(found_KK) < loss(true_KK) + 5
    assert loss(found_KK) < loss(0 * true_KK) - 50
    centred, wanted = (weight_KK - weight_KK.mean(axis=1, keepdims=True) for weight_KK in (found_KK, true_KK))
    assert np.corrcoef(centred.ravel(), wanted.ravel())[0, 1] > 0.8


def test_a_tagger_is_fitted_to_the_words_of_each_document():
    """Its own numbers are found again in tags drawn from its probabilities; a document of one sentence adds nothing."""
    own = Calibration(1.5, 0.8, 0.1, 0.3, same_tag=0.7, same_label=1.3)
    tagger = Tagger(small_network(agreement=True, scheme="IO", tame=True).checkpoint(own), device="cpu")
    names, rest = ["Ada", "Munich", "Ito"], ["met", "ada", "in", "the", "."]
    documents = [[(RNG.choice(names), *RNG.choice(rest, 5)) for _ in range(6)] for _ in range(600)]
    alone_TK = tagger.log_probabilities(documents)
    log_TK = alone_TK.copy()
    repeats = find_repeats([word for sentence in document for word in sentence] for document in documents)
    label_K = np.array([-1, 0, 1, 2])
    apply(log_TK, repeats, weights(own, label_K))
    outside = ["O", "B-LOC", "B-ORG", "B-PER"]
    gold_T = draw(np.exp(log_TK))
    tags = iter(np.array(outside)[gold_T].reshape(-1, 6).tolist())
    sentences = [
        Sentence(sentence, tuple(next(tags)), number, 1) for number, some in enumerate(documents) for sentence in some
    ]
    found = fit_calibration(tagger, sentences, crf=None)
    assert found.temperature == pytest.approx(tagger.calibration.temperature, rel=0.15)

    def nats(calibration):
        given_TK = alone_TK.copy()
        apply(given_TK, repeats, weights(calibration, label_K))
        return -given_TK[np.arange(len(gold_T)), gold_T].sum()

    assert nats(found) < nats(own) + 10 < nats(Calibration()) - 20  # which made them; the temperature is another
    once = [sentence._replace(words=("Ada", *sentence.words[1:]), document=n) for n, sentence in enumerate(sentences)]
    assert not fit_calibration(tagger, once, crf=None).has_label_consistency


def test_out_of_vocabulary_names_are_scored_by_how_often_they_are_right():
    """The network is as sure of them as of the others, of which it has none wrong."""
    config = ModelConfig(labels=("PER",), scheme="IO")
    logits_TK = np.tile(np.array([0, 2], np.float32), (400, 1))
    oov_T = np.arange(400) % 4 == 0
    gold = [["O" if is_oov and n % 8 else "B-PER"] for n, is_oov in enumerate(oov_T)]
    found = calibration_of(Output(logits_TK, gold, oov_T=oov_T), config)
    log_M = np.full(2, -np.log1p(np.exp(-2 / found.temperature)), np.float32)
    assert found.entity_scores(log_M, ones(2), np.array([0, 1], np.float32)) == pytest.approx([1, 0.5], abs=0.06)
    assert calibration_of(Output(logits_TK, gold), config).oov == 0


def test_words_that_contradict_each_other_are_told_so(repeated):
    _, label_K, repeats, logits_TK = repeated
    log_TK = np.log(softmax(logits_TK)).astype(np.float32)
    gold_T = draw(np.exp(raised(log_TK, repeats, by_two(-2.0, -2.0, label_K))))
    found = fit(log_TK, gold_T, repeats, label_K)
    assert found.same_tag < -0.5
    assert found.same_label < -0.5


def test_scores_are_fitted_to_tokens_that_the_weights_have_not_seen():
    """Tags drawn by lot teach nothing that holds for others: the strongest prior is taken, and scores stay."""
    rng, label_K = np.random.default_rng(6), np.array([-1, 0, 0, 0, 0, 1, 1, 1, 1])
    repeats = words_in_documents(40)
    tokens = len(repeats.token_N)
    log_TK = np.log(softmax(rng.normal(scale=3, size=(3 * tokens, 9)))).astype(np.float32)
    gold_T = rng.integers(0, 9, len(log_TK))
    found, held_TK = calibrate._consistent(log_TK, gold_T, repeats, label_K)
    seen_TK = log_TK.copy()
    apply(seen_TK, repeats, weights(found, label_K))
    chosen = repeats.token_N, gold_T[repeats.token_N]
    assert held_TK[chosen].sum() < seen_TK[chosen].sum()
    assert np.abs(found.tag_by_tag).max() < 0.1
    first_N, *rest = np.array_split(np.arange(tokens), 5)
    others_N = np.concatenate(rest)
    most_NK, token_N = evidence(log_TK, repeats), repeats.token_N[others_N]
    without = fit_label_consistency(log_TK[token_N], gold_T[token_N], most_NK[others_N], label_K, 64.0)
    apply(log_TK, repeats, weights(without, label_K))
    first_N = repeats.token_N[first_N]
    np.testing.assert_allclose(held_TK[first_N], log_TK[first_N], atol=1e-4)


def test_few_tokens_hardly_move_the_weights(repeated):
    _, label_K, repeats, logits_TK = repeated
    log_TK = np.log(softmax(logits_TK)).astype(np.float32)
    few = Repeats(repeats.token_N[:2], repeats.group_N[:2], repeats.count_Q[:1])
    gold_T = np.zeros(len(log_TK), np.int64)
    assert (
        np.abs(weights(fit(log_TK, gold_T, few, label_K), label_K)).max() < 2
    )  # of two tokens each prior of weight 1 allows 1


def test_with_very_many_tags_two_numbers_are_fitted():
    log_NK = np.log(softmax(RNG.normal(size=(60, 129)))).astype(np.float32)
    most_NK, gold_N = np.exp(log_NK[::-1]), RNG.integers(0, 129, 60)
    found = fit_label_consistency(log_NK, gold_N, most_NK, np.arange(-1, 128), 2.0)
    assert found.has_label_consistency
    assert found.tag_by_tag == ()


def test_words_that_are_always_consistent_give_finite_numbers():
    log_NK = np.log(np.array([[0.2, 0.8], [0.4, 0.6]] * 20, np.float32))
    most_NK, label_K = np.tile(np.array([0.1, 0.9], np.float32), (40, 1)), np.array([-1, 0])
    weight_KK = weights(fit_label_consistency(log_NK, np.ones(40, np.int64), most_NK, label_K, 2.0), label_K)
    assert np.isfinite(weight_KK).all()
    assert weight_KK[1, 1] > weight_KK[1, 0]


def test_without_a_repeated_word_the_weights_are_0(repeated):
    config, *_, logits_TK = repeated
    nobody = Repeats(*(np.zeros(0, np.int64) for _ in range(3)))
    gold = [("B-PER", "O", "O")] * (len(logits_TK) // 3)
    found = calibration_of(Output(logits_TK, gold, nobody), config)
    assert found == calibration_of(Output(logits_TK, gold), config)
    assert not found.has_label_consistency


def test_the_scores_of_entities_are_fitted_to_what_came_out(repeated):
    """To the entities that are found after label consistency, by weights that have not seen their tokens."""
    config, label_K, repeats, logits_TK = repeated
    log_TK = np.log(softmax(logits_TK / 1.4)).astype(np.float32)
    tags = tag_set(config.labels, config.scheme)
    gold_T = draw(np.exp(raised(log_TK, repeats, by_two(1.5, 3.0, label_K))))
    gold = [[("O" if tags[k] == "O" else f"B-{tags[k][2:]}")] for k in gold_T]
    found, without = (
        calibration_of(Output(logits_TK, gold, repeats), config),
        calibration_of(Output(logits_TK, gold), config),
    )
    consistent_TK = np.log(softmax(logits_TK / found.temperature)).astype(np.float32)
    apply(consistent_TK, repeats, weights(found, label_K))
    decoded = list(decode(consistent_TK, [1] * len(gold), tags, config.scheme))
    right_M = np.array([span in spans(true) for d, true in zip(decoded, gold, strict=True) for span in d.spans])
    log_M = np.concatenate([d.log_products for d in decoded])
    expected = fit_platt(log_M, ones(len(log_M)), zeros(len(log_M)), right_M)
    assert (found.slope, found.offset) == (pytest.approx(expected.slope, 0.1), pytest.approx(expected.offset, abs=0.1))
    assert found.temperature == without.temperature
    assert abs(found.slope - without.slope) > 0.01


# ── with a CRF ──


def random_crf(scheme="BIOES"):
    tags = tag_set(("PER",), scheme)
    crf = LinearChainCRF(tags, scheme)
    torch.manual_seed(3)
    with torch.no_grad():
        for part in crf.parameters():
            part.normal_(std=2)
    return crf, tags


def drawn_path(z_LK, crf, temperature):
    """A path of a sentence, drawn by its probability: forwards, by the sums over all that may follow."""
    start_K, transitions_KK, end_K = crf.scores(temperature)
    ahead = [end_K]
    for z_K in z_LK[:0:-1] / temperature:
        ahead.append(np.logaddexp.reduce(transitions_KK + z_K + ahead[-1], axis=1))
    path, through_K = [], start_K
    for z_K, ahead_K in zip(z_LK / temperature, reversed(ahead), strict=True):
        log_K = through_K + z_K + ahead_K
        path.append(RNG.choice(len(log_K), p=np.exp(log_K - np.logaddexp.reduce(log_K))))
        through_K = transitions_KK[path[-1]]
    return path


@pytest.mark.parametrize("true", [0.5, 2.5])
def test_the_temperature_of_paths_that_made_the_data_is_found(true):
    """It divides the scores of transitions as well as those of tags."""
    crf, tags = random_crf()
    lengths = RNG.integers(1, 12, size=1500)
    logits_TK = RNG.normal(scale=3, size=(lengths.sum(), len(tags))).astype(np.float32)
    rows = np.split(logits_TK.astype(float), lengths.cumsum()[:-1])
    gold_T = np.array([column for z_LK in rows for column in drawn_path(z_LK, crf, true)])
    found = fit_path_temperature(logits_TK, gold_T, lengths.tolist(), crf)
    assert found == pytest.approx(true, rel=0.07)

    def loss(temperature):
        exact = sentence_loss(crf, 1 / temperature)
        return exact(torch.from_numpy(logits_TK).double(), torch.from_numpy(gold_T), torch.from_numpy(lengths)).item()

    assert loss(found) < min(loss(found * 1.02), loss(found / 1.02))


def test_the_temperature_of_paths_is_that_of_tags_where_transitions_score_0():
    tags = tag_set(("PER", "LOC"), "IO")
    logits_TK = RNG.normal(scale=3, size=(3000, len(tags))).astype(np.float32)
    gold_T = draw(softmax(logits_TK / 1.7))
    found = fit_path_temperature(logits_TK, gold_T, [1000, 1500, 500], LinearChainCRF(tags, "IO"))
    assert found == pytest.approx(fit_temperature(logits_TK, gold_T), rel=1e-3)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_the_whole_fit_takes_the_transitions_into_account(scheme):
    """Where all logits are 0, only the transitions tell the tags apart, and a temperature below 1 makes them surer."""
    config = ModelConfig(labels=("PER",), scheme=scheme, decoder="transitions")
    crf, tags = LinearChainCRF(tag_set(config.labels, scheme), scheme), tag_set(config.labels, scheme)
    gold = [("B-PER", "I-PER", "I-PER")] * 20
    columns = [tags.index(tag) for tag in convert(gold[0], scheme)]
    with torch.no_grad():
        crf.start[columns[0]] = crf.end[columns[2]] = 3.0
        crf.transitions[columns[0], columns[1]] = crf.transitions[columns[1], columns[2]] = 3.0
    found = calibration_of(Output(np.zeros((60, len(tags)), np.float32), gold), config, crf=crf)
    assert 0.1 <= found.temperature < 0.2  # below, float64 sees no more loss
    assert found.offset > 0


def test_no_sentence_leaves_the_scores_of_paths_as_they_are():
    crf, tags = random_crf()
    config = ModelConfig(labels=("PER",), scheme="BIOES", decoder="transitions")
    assert calibration_of(Output(np.zeros((0, len(tags)), np.float32), []), config, crf=crf) == Calibration()
