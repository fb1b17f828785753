"""Calibration, on data whose true probabilities are known."""

import numpy as np
import pytest
import torch

from model.calibration import Calibration
from model.chain import Chain
from model.config import ModelConfig
from model.iob import convert, tag_set
from training.calibrate import calibration_of, fit_path_temperature, fit_platt, fit_temperature
from training.losses import sentence_loss

RNG = np.random.default_rng(7)


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
    right_M = RNG.random(20_000) < 1 / (1 + np.exp(-(0.6 * logit_M + 0.8 * np.log(tokens_M) - 0.4)))
    found = fit_platt(np.log(1 / (1 + np.exp(-logit_M))).astype(np.float32), tokens_M, right_M)
    assert (found.slope, found.offset) == (pytest.approx(0.6, abs=0.05), pytest.approx(-0.4, abs=0.1))
    assert found.length == pytest.approx(0.8, abs=0.1)
    assert found.temperature == 1


def test_scores_are_the_formula():
    log_M, tokens_M = np.log(np.array([0.5, 0.9], np.float32)), np.array([1, 3], np.float32)
    expected = [1 / (1 + np.exp(-0.3)), 1 / (1 + np.exp(-(2 * np.log(9) + 0.7 * np.log(3) + 0.3)))]
    found = Calibration(slope=2.0, offset=0.3, length=0.7).entity_scores(log_M, tokens_M)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_doubt_that_a_product_counts_once_a_token_is_taken_back():
    """All tokens of a name are right together or not at all, so its length says nothing of whether it is right."""
    p_M, tokens_M = RNG.uniform(0.5, 1, size=10_000), RNG.integers(1, 5, 10_000).astype(np.float32)
    right_M = RNG.random(10_000) < p_M
    log_M = (tokens_M * np.log(p_M)).astype(np.float32)
    score_M = fit_platt(log_M, tokens_M, right_M).entity_scores(log_M, tokens_M)
    without = fit_platt(log_M, ones(10_000), right_M)
    for tokens in (1, 4):
        here_M = tokens_M == tokens
        gap = abs(score_M[here_M].mean() - right_M[here_M].mean())
        assert gap < 0.03 < abs(without.entity_scores(log_M, ones(10_000))[here_M].mean() - right_M[here_M].mean())


def test_what_was_stored_before_there_was_a_length_scores_as_it_did():
    stored = Calibration.from_json({"temperature": 1.2, "slope": 0.6, "offset": 0.9})
    log_M = np.log(RNG.uniform(0.2, 1, size=50)).astype(np.float32)
    assert stored == Calibration(1.2, 0.6, 0.9, 0.0)
    assert (stored.entity_scores(log_M, 3 * ones(50)) == stored.entity_scores(log_M, ones(50))).all()


@pytest.mark.parametrize("numbers", [{"length": float("inf")}, {"length": "1"}, {"slope": 0.0}, {"temperature": -1.0}])
def test_numbers_that_make_no_score_are_refused(numbers):
    with pytest.raises(ValueError, match="calibration: expected"):
        Calibration(**numbers)


def test_fitted_scores_are_honest():
    product_M = RNG.uniform(0.3, 1, size=5_000)
    right_M = RNG.random(5_000) < product_M**3  # far less often right than the product says
    log_M = np.log(product_M).astype(np.float32)
    tokens_M = ones(5_000)
    before = calibration_error(Calibration().entity_scores(log_M, tokens_M), right_M)
    after = calibration_error(fit_platt(log_M, tokens_M, right_M).entity_scores(log_M, tokens_M), right_M)
    assert after < before / 4


@pytest.mark.parametrize("right", [True, False])
def test_entities_that_are_all_right_or_all_wrong_give_finite_numbers(right):
    log_M = np.log(RNG.uniform(0.5, 1, size=50)).astype(np.float32)
    found = fit_platt(log_M, ones(50), np.full(50, right))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.length == 0
    assert found.slope > 0
    scores = found.entity_scores(log_M, ones(50))
    assert (scores > 0.8).all() if right else (scores < 0.2).all()


def test_no_entity_means_no_correction():
    assert fit_platt(ones(0), ones(0), np.zeros(0, bool)) == Calibration()


def test_scores_keep_their_order_where_the_data_speak_against_it():
    log_M = np.log(RNG.uniform(0.2, 1, size=500)).astype(np.float32)
    found = fit_platt(log_M, ones(500), log_M < np.median(log_M))
    assert found.slope == 0.05
    assert found.entity_scores(log_M, ones(500)).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_the_whole_fit_reads_the_columns_of_every_scheme(scheme):
    """A network that is right but far too unsure is made surer; its entities are found by the service's decoder."""
    config = ModelConfig(labels=("PER", "LOC"), scheme=scheme)
    tags = tag_set(config.labels, scheme)
    gold = [("B-PER", "I-PER", "O"), ("O", "B-LOC"), ("B-PER", "O", "O")] * 20
    columns = [tags.index(tag) for sentence in gold for tag in convert(sentence, scheme)]
    found = calibration_of(np.eye(len(tags), dtype=np.float32)[columns], gold, config)
    assert found.temperature == pytest.approx(0.1)
    assert found.offset > 0


def test_no_sentence_leaves_the_scores_as_they_are():
    config = ModelConfig(labels=("PER",))
    assert calibration_of(np.zeros((0, 3), np.float32), [], config) == Calibration()


# ── where what a tag says of the next one is learned ──


def random_chain(scheme="BIOES"):
    tags = tag_set(("PER",), scheme)
    chain = Chain(tags, scheme)
    torch.manual_seed(3)
    with torch.no_grad():
        for part in chain.parameters():
            part.normal_(std=2)
    return chain, tags


def drawn_path(z_LK, chain, temperature):
    """A path of a sentence, drawn by its probability: forwards, by the sums over all that may follow."""
    start_K, step_KK, end_K = chain.scores(temperature)
    ahead = [end_K]
    for z_K in z_LK[:0:-1] / temperature:
        ahead.append(np.logaddexp.reduce(step_KK + z_K + ahead[-1], axis=1))
    path, through_K = [], start_K
    for z_K, ahead_K in zip(z_LK / temperature, reversed(ahead), strict=True):
        log_K = through_K + z_K + ahead_K
        path.append(RNG.choice(len(log_K), p=np.exp(log_K - np.logaddexp.reduce(log_K))))
        through_K = step_KK[path[-1]]
    return path


@pytest.mark.parametrize("true", [0.5, 2.5])
def test_the_temperature_of_paths_that_made_the_data_is_found(true):
    """It divides the scores of steps as well as those of tags."""
    chain, tags = random_chain()
    lengths = RNG.integers(1, 12, size=1500)
    logits_TK = RNG.normal(scale=3, size=(lengths.sum(), len(tags))).astype(np.float32)
    rows = np.split(logits_TK.astype(float), lengths.cumsum()[:-1])
    gold_T = np.array([column for z_LK in rows for column in drawn_path(z_LK, chain, true)])
    found = fit_path_temperature(logits_TK, gold_T, lengths.tolist(), chain)
    assert found == pytest.approx(true, rel=0.07)

    def loss(temperature):
        exact = sentence_loss(chain, 1 / temperature)
        return exact(torch.from_numpy(logits_TK).double(), torch.from_numpy(gold_T), torch.from_numpy(lengths)).item()

    assert loss(found) < min(loss(found * 1.02), loss(found / 1.02))


def test_the_temperature_of_paths_is_that_of_tags_where_steps_say_nothing():
    tags = tag_set(("PER", "LOC"), "IO")
    logits_TK = RNG.normal(scale=3, size=(3000, len(tags))).astype(np.float32)
    gold_T = draw(softmax(logits_TK / 1.7))
    found = fit_path_temperature(logits_TK, gold_T, [1000, 1500, 500], Chain(tags, "IO"))
    assert found == pytest.approx(fit_temperature(logits_TK, gold_T), rel=1e-3)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_the_whole_fit_takes_the_steps_into_account(scheme):
    """Of windows that say nothing, steps alone know the tags, and are made surer."""
    config = ModelConfig(labels=("PER",), scheme=scheme, decoder="transitions")
    chain, tags = Chain(tag_set(config.labels, scheme), scheme), tag_set(config.labels, scheme)
    gold = [("B-PER", "I-PER", "I-PER")] * 20
    columns = [tags.index(tag) for tag in convert(gold[0], scheme)]
    with torch.no_grad():
        chain.start[columns[0]] = chain.end[columns[2]] = 3.0
        chain.step[columns[0], columns[1]] = chain.step[columns[1], columns[2]] = 3.0
    found = calibration_of(np.zeros((60, len(tags)), np.float32), gold, config, chain)
    assert 0.1 <= found.temperature < 0.2  # below, float64 sees no more loss
    assert found.offset > 0


def test_no_sentence_leaves_the_scores_of_paths_as_they_are():
    chain, tags = random_chain()
    config = ModelConfig(labels=("PER",), scheme="BIOES", decoder="transitions")
    assert calibration_of(np.zeros((0, len(tags)), np.float32), [], config, chain) == Calibration()
