"""Fit the numbers of :class:`fenestra.model.decode.calibration.Calibration` on development data.

The order matters. The temperature makes the probabilities of tokens honest, or those of whole paths where what a tag
says of the next one is learned. Where the tokens of a word are to heed each other, how much is fitted next, because
what they tell each other are those probabilities; most tokens have nobody to ask, and keep the temperature that is best
for them. The entities' scores follow from all this, so their four numbers are fitted last, on what the others left to
mend. No tag changes, but by what tokens tell each other.

    T tokens · K tags · N tokens of words that their document has more than once · M entities that the tagger found
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from fenestra.model.batch import Batch
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.crf import Chain, step_scores
from fenestra.model.decode.decoding import decode, scheme_tables
from fenestra.model.decode.label_consistency import Evidence, Repeats, add_up, agree, evidence, find_repeats
from fenestra.model.decode.viterbi import StepScores
from fenestra.model.results import any_within
from fenestra.model.steps import run
from fenestra.model.tagger import Tagger
from fenestra.model.tags import convert, spans, tag_set
from fenestra.training.data.corpus import Sentence, documents_of
from fenestra.training.fit.losses import sentence_loss

Floats = NDArray[np.float64]
Derivatives = Callable[[Floats], tuple[float, Floats, Floats]]
"""A loss at some weights, its gradient and its curvature."""

_COLDEST, _HOTTEST = 0.1, 10.0  # a corpus with no mistake in it would ask for a temperature of 0
_GOLDEN = (math.sqrt(5) - 1) / 2
_PARTINGS = 28  # of log 0.1 … log 10, down to a hundred-thousandth
_FLATTEST = 0.05  # the score must go on rising with the product, even where the data say nothing
_PRIOR = 1.0  # weight of "no correction" beside the data, in entities or tokens


def fit_calibration(tagger: Tagger, sentences: Sequence[Sentence]) -> Calibration:
    """Fit all numbers for a tagger; whatever calibration it has already makes no difference.

    Args:
        tagger: its labels must include those of the sentences.
        sentences: development data, not seen in training.
    """
    documents = documents_of(sentences)
    logits_TK = tagger.log_probabilities(documents) * np.float32(tagger.calibration.temperature)
    repeats = run(find_repeats(Batch.of(documents))) if tagger.config.agreement else None
    gold = [sentence.tags for sentence in sentences]
    return calibration_of(
        logits_TK,
        gold,
        tagger.config,
        chain=tagger.network.chain,
        repeats=repeats,
        strange_T=tagger.strange(documents),
    )


def calibration_of(
    logits_TK: NDArray[np.float32],
    gold: Sequence[Sequence[str]],
    config: ModelConfig,
    *,
    chain: Chain | None = None,
    repeats: Repeats | None = None,
    strange_T: NDArray[np.bool_] | None = None,
) -> Calibration:
    """Fit all numbers to the network's output for sentences end to end.

    Args:
        logits_TK: unnormalised; a constant per token makes no difference.
        gold: IOB2 tags of each sentence.
        config: of the model; says what the K columns mean.
        chain: of the network, if it has one.
        repeats: the tokens that are to heed each other, if any are.
        strange_T: which tokens are words that training did not know; none, when omitted.
    """
    if strange_T is None:
        strange_T = np.zeros(len(logits_TK), np.bool_)
    tags = tag_set(config.labels, config.scheme)
    column = {tag: number for number, tag in enumerate(tags)}
    gold_T = np.array([column[tag] for sentence in gold for tag in convert(sentence, config.scheme)], dtype=np.int64)
    if chain is None:
        temperature = fit_temperature(logits_TK, gold_T)
    else:
        temperature = fit_path_temperature(logits_TK, gold_T, [len(sentence) for sentence in gold], chain)
    log_probability_TK = _log_softmax(logits_TK / temperature).astype(np.float32)
    weights = 0.0, 0.0
    if repeats is not None:
        label_K = scheme_tables(tags, config.scheme).label_K
        found = evidence(log_probability_TK, repeats, run(add_up(log_probability_TK, repeats)), label_K)
        weights = fit_agreement(log_probability_TK[repeats.token_N], gold_T[repeats.token_N], found)
        run(agree(log_probability_TK, repeats, label_K, weights))
    entities = _entities(log_probability_TK, strange_T, gold, config, step_scores(chain, temperature))
    same_tag, same_label = weights
    return replace(fit_platt(*entities), temperature=temperature, same_tag=same_tag, same_label=same_label)


def fit_temperature(logits_TK: NDArray[np.float32], gold_T: NDArray[np.int64]) -> float:
    """Find the temperature that minimises the mean negative log-likelihood of the gold tags.

    The loss is convex in β = 1 / temperature, and its slope there is the expected logit minus the gold one,

        ∂L/∂β = mean over t of  Σₖ softmax(β z)ₖ zₖ − z_gold

    so halving an interval finds where it crosses 0. Without a token the answer is 1; where the slope does not
    cross, as with no mistake in the data, it is the nearer end of [0.1, 10].

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if not len(gold_T):
        return 1.0
    z_TK = logits_TK.astype(np.float64)
    z_TK -= z_TK.max(axis=1, keepdims=True)
    gold_mean = float(z_TK[np.arange(len(gold_T)), gold_T].mean())

    def slope(beta: float) -> float:
        weight_TK = np.exp(beta * z_TK)
        expected_T = (weight_TK * z_TK).sum(axis=1) / weight_TK.sum(axis=1)
        return float(expected_T.mean()) - gold_mean

    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if slope(low) >= 0:
        return _HOTTEST
    if slope(high) <= 0:
        return _COLDEST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)


def fit_path_temperature(
    logits_TK: NDArray[np.float32], gold_T: NDArray[np.int64], lengths: Sequence[int], chain: Chain
) -> float:
    """As :func:`fit_temperature`, of whole sentences: logits and the scores of steps are divided by it alike.

    The loss is convex in 1 / temperature again. What it is at a temperature takes a sum over all paths, and its slope
    would take a second one, so the loss itself is asked, at points that part an interval in the golden ratio.

    Args:
        logits_TK: as of :func:`calibration_of`.
        gold_T: the gold columns.
        lengths: tokens of each sentence.
        chain: of the network.
    """
    if not len(gold_T):
        return 1.0
    exact = deepcopy(chain).cpu().double()
    logits, gold, length_S = torch.from_numpy(logits_TK).double(), torch.from_numpy(gold_T), torch.tensor(lengths)

    @torch.no_grad()
    def loss(log_temperature: float) -> float:
        return sentence_loss(exact, math.exp(-log_temperature))(logits, gold, length_S).item()

    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    left_loss, right_loss = loss(left), loss(right)
    for _ in range(_PARTINGS):
        if left_loss < right_loss:
            high, right, right_loss = right, left, left_loss
            left = high - _GOLDEN * (high - low)
            left_loss = loss(left)
        else:
            low, left, left_loss = left, right, right_loss
            right = low + _GOLDEN * (high - low)
            right_loss = loss(right)
    return math.exp((low + high) / 2)


def fit_agreement(log_NK: NDArray[np.float32], gold_N: NDArray[np.int64], found: Evidence) -> tuple[float, float]:
    """Find what the evidence of a word's other tokens weighs: a and b of label consistency, both 0 or more.

    They minimise the negative log-likelihood of the gold tags under softmax(log p + a · tag + b · label). It is convex:
    its gradient is the evidence that is expected minus that of the gold tags, its curvature the covariance. As for
    :func:`fit_platt`, a prior of weight 1 around no correction keeps them finite where every tag is right. Where the
    minimum lies outside of the quadrant, the best point of its two edges is the answer.

    Args:
        log_NK: log p of the tokens that have evidence, by their windows.
        gold_N: their gold columns.
        found: what the other tokens of their words say.
    """
    inputs_NKP = np.stack(found, axis=-1)
    chosen_NP = inputs_NKP[np.arange(len(gold_N)), gold_N]

    def derivatives(weights_P: Floats) -> tuple[float, Floats, Floats]:
        log_p_NK = _log_softmax(log_NK + inputs_NKP @ weights_P)
        p_NK = np.exp(log_p_NK)
        expected_NP = np.einsum("nk,nkp->np", p_NK, inputs_NKP)
        square_PP = np.einsum("nk,nkp,nkq->pq", p_NK, inputs_NKP, inputs_NKP) - expected_NP.T @ expected_NP
        nats = -float(log_p_NK[np.arange(len(gold_N)), gold_N].sum())
        return (
            nats + _PRIOR / 2 * float(weights_P @ weights_P),
            (expected_NP - chosen_NP).sum(axis=0) + _PRIOR * weights_P,
            square_PP + _PRIOR * np.eye(len(weights_P)),
        )

    def along(axis_P: Floats) -> Floats:
        """The best point of an edge of the quadrant."""
        axis_1P = axis_P[None]

        def slope(weight_1: Floats) -> tuple[float, Floats, Floats]:
            loss, gradient_P, curvature_PP = derivatives(weight_1 @ axis_1P)
            return loss, axis_1P @ gradient_P, axis_1P @ curvature_PP @ axis_1P.T

        return _newton(slope, np.zeros(1)).clip(0) @ axis_1P

    best_P = _newton(derivatives, np.zeros(2))
    if best_P.min() < 0:
        best_P = min(map(along, np.eye(2)), key=lambda weights_P: derivatives(weights_P)[0])
    return float(best_P[0]), float(best_P[1])


def fit_platt(
    log_product_M: NDArray[np.float32],
    tokens_M: NDArray[np.float32],
    strange_M: NDArray[np.float32],
    right_M: NDArray[np.bool_],
) -> Calibration:
    """Fit P(entity is right) = sigmoid(slope · logit(product) + length · ln n + strange · s + offset), by Newton.

    A Gaussian prior of weight 1 around (1, 0, 0, 0), no correction, keeps the answer finite when all entities are
    right, or of one kind, or there are none; hundreds of entities overrule it. The slope stays above 0, so the scores
    of entities of one length, strange or not, keep their order.

    Args:
        log_product_M: log of the probability of the tags of each entity found.
        tokens_M: how many tokens it has.
        strange_M: s, 1 where one of its words is strange, else 0.
        right_M: whether label, start and end were right.

    Returns:
        The four numbers, at temperature 1.
    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    product_M = Calibration().entity_scores(log_product_M, tokens_M, strange_M)  # clipped as it will be in use
    logit_M: Floats = np.log(product_M / (1 - product_M))
    rest_MP = np.stack([np.log(tokens_M.astype(np.float64)), strange_M, np.ones_like(logit_M)], axis=1)
    target_M = right_M.astype(np.float64)
    slope, *others = _logistic(np.column_stack([logit_M, rest_MP]), target_M, np.array([1.0, 0.0, 0.0, 0.0]))
    if slope < _FLATTEST:
        slope = _FLATTEST
        others = list(_logistic(rest_MP, target_M, np.zeros(3), slope * logit_M))
    length, strange, offset = map(float, others)
    return Calibration(slope=float(slope), offset=offset, length=length, strange=strange)


def _logistic(inputs_MP: Floats, target_M: Floats, prior_P: Floats, fixed_M: Floats | float = 0.0) -> Floats:
    """Logistic regression with a Gaussian prior."""

    def derivatives(weights_P: Floats) -> tuple[float, Floats, Floats]:
        z_M = inputs_MP @ weights_P + fixed_M
        p_M = 1 / (1 + np.exp(-z_M))
        misfit = np.logaddexp(0, z_M) - target_M * z_M
        return (
            float(misfit.sum() + _PRIOR / 2 * ((weights_P - prior_P) ** 2).sum()),
            inputs_MP.T @ (p_M - target_M) + _PRIOR * (weights_P - prior_P),
            (inputs_MP * (p_M * (1 - p_M))[:, None]).T @ inputs_MP + _PRIOR * np.eye(len(prior_P)),
        )

    return _newton(derivatives, prior_P)


def _newton(derivatives: Derivatives, start_P: Floats) -> Floats:
    """Minimise a convex loss by Newton's method; halves a step that would raise it."""
    weights_P = start_P.copy()
    for _ in range(50):
        now, gradient_P, curvature_PP = derivatives(weights_P)
        step_P, share = np.linalg.solve(curvature_PP, gradient_P), 1.0
        while derivatives(weights_P - share * step_P)[0] > now and share > 1e-6:
            share /= 2
        weights_P = weights_P - share * step_P
        if np.abs(step_P).max() < 1e-9:
            break
    return weights_P


def _entities(
    log_probability_TK: NDArray[np.float32],
    strange_T: NDArray[np.bool_],
    gold: Sequence[Sequence[str]],
    config: ModelConfig,
    learned: StepScores | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Decode as the tagger does: what :func:`fit_platt` takes, of each entity."""
    tags, lengths = tag_set(config.labels, config.scheme), [len(sentence) for sentence in gold]
    decoded = list(decode(log_probability_TK, lengths, tags, config.scheme, learned))
    right = [span in spans(true) for true, guess in zip(gold, decoded, strict=True) for span in guess.spans]
    begins = accumulate(lengths, initial=0)
    places = [
        (begin + span.start, begin + span.end)
        for begin, guess in zip(begins, decoded, strict=False)
        for span in guess.spans
    ]
    begin_M, end_M = np.array(places, dtype=np.int64).reshape(-1, 2).T
    products = [guess.log_products for guess in decoded]
    return (
        np.concatenate([np.zeros(0, dtype=np.float32), *products]),
        (end_M - begin_M).astype(np.float32),
        any_within(strange_T, begin_M, end_M).astype(np.float32),
        np.array(right, dtype=bool),
    )


def _log_softmax(logits_TK: NDArray[np.floating]) -> Floats:
    z_TK = logits_TK.astype(np.float64)
    z_TK -= z_TK.max(axis=1, keepdims=True)
    result: Floats = z_TK - np.log(np.exp(z_TK).sum(axis=1, keepdims=True))
    return result
