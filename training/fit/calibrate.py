"""Fit the numbers of :class:`fenestra.model.decode.calibration.Calibration` on development data.

They are fitted in the order in which the tagger applies them:

1. The temperature calibrates the probabilities of tokens, or of whole paths for a model with a CRF.
2. The weights of label consistency, for a model that has it. They weigh the calibrated probabilities of a word's other
   tokens. Most tokens have no such evidence, so the temperature of step 1 is best for them.
3. The four numbers of entity scores, from the entities that are found after steps 1 and 2: in documents, in the same
   sentences by themselves, and, where training had such text, in these in small letters, as all these are posted.

Only label consistency can change a tag.

    T tokens · K tags · N tokens of words that their document has more than once · M entities that the tagger found
    S sentences · P parameters
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import MOST_PAIRED, Calibration
from fenestra.model.decode.crf import Transitions
from fenestra.model.decode.decoding import tag_tables
from fenestra.model.decode.label_consistency import Repeats, apply, evidence, find_repeats, same_label, weights
from fenestra.model.results import any_within
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.perturbations import isolated, lower
from fenestra.training.data.spans import convert, spans
from fenestra.training.fit.decoded import decode
from fenestra.training.fit.losses import sentence_loss
from fenestra.training.network.crf import LinearChainCRF, transition_scores

Floats = NDArray[np.float64]
Derivatives = Callable[[Floats], tuple[float, Floats, Floats]]
"""A loss at some weights, its gradient and its curvature."""

_LOWEST, _HIGHEST = 0.1, 10.0  # bounds of the temperature; without a single error in the data its optimum is 0
_GOLDEN = (math.sqrt(5) - 1) / 2
_ITERATIONS = 28  # of the golden-section search on [log 0.1, log 10], down to a width of 1e-5
_LEAST_SLOPE = 0.05  # the score must rise with the product whatever the data say
_PRIOR = 1.0  # weight of the prior "no correction" beside the data, in entities or tokens
_PRIORS_OF_PAIRS = 1.0, 4.0, 16.0, 64.0  # the same for each pair of tags
_MOST_STEPS = 200
_PARTS = 5  # of the development data, each held back once


def fit_calibration(
    tagger: Tagger, sentences: Sequence[Sentence], *, crf: LinearChainCRF | None, small: bool = False
) -> Calibration:
    """Fit all numbers for a tagger; the result does not depend on the calibration it already has.

    Args:
        tagger: its labels must include those of the sentences.
        sentences: development data, not seen in training.
        crf: of the network that the tagger was made from, if it has one.
        small: whether small letters are among what it learnt, so that its scores are to hold for these, too.
    """
    ways: list[Sequence[Sentence]] = [sentences]
    if len({sentence.document for sentence in sentences}) < len(sentences):
        ways.append(isolated(sentences))
    if small:
        ways.append(isolated(map(lower, sentences)))
    first, *others = (_output(tagger, written) for written in ways)
    return calibration_of(first, tagger.config, crf=crf, others=others)


class Output(NamedTuple):
    """What the network says of sentences, end to end."""

    logits_TK: NDArray[np.float32]
    """Unnormalised; adding a constant to all logits of a token changes nothing."""
    gold: Sequence[Sequence[str]]
    """IOB2 tags of each sentence."""
    repeats: Repeats | None = None
    """The tokens that label consistency applies to, for a model that has it."""
    oov_T: NDArray[np.bool_] | None = None
    """Whether each token is out of vocabulary; None where no token is."""


def _output(tagger: Tagger, sentences: Sequence[Sentence]) -> Output:
    documents = documents_of(sentences)
    logits_TK = tagger.log_probabilities(documents) * np.float32(tagger.calibration.temperature)
    repeats = (
        find_repeats(list(chain.from_iterable(document)) for document in documents) if tagger.config.agreement else None
    )
    return Output(logits_TK, [sentence.tags for sentence in sentences], repeats, tagger.is_oov(documents))


def calibration_of(
    output: Output, config: ModelConfig, *, crf: LinearChainCRF | None = None, others: Sequence[Output] = ()
) -> Calibration:
    """Fit all numbers.

    Args:
        output: of the network for the development data.
        config: of the model; decides what the K columns mean.
        crf: of the network, if it has one.
        others: of the same text as people post it otherwise; entity scores are fitted on these, too.
    """
    logits_TK, gold, repeats, _ = output
    tags = tag_set(config.labels, config.scheme)
    column = {tag: number for number, tag in enumerate(tags)}
    gold_T = np.array([column[tag] for sentence in gold for tag in convert(sentence, config.scheme)], dtype=np.int64)
    if crf is None:
        temperature = fit_temperature(logits_TK, gold_T)
    else:
        temperature = fit_path_temperature(logits_TK, gold_T, [len(sentence) for sentence in gold], crf)
    found, log_TK = Calibration(temperature), _log_softmax(logits_TK / temperature).astype(np.float32)
    if repeats is not None and len(repeats.token_N):
        with _one_thread():
            found, log_TK = _consistent(log_TK, gold_T, repeats, tag_tables(tags, config.scheme).label_K)
        found = replace(found, temperature=temperature)
    transitions = transition_scores(crf, temperature)
    entities = [_entities(output, log_TK, config, transitions)]
    for other in others:
        log_TK = _log_softmax(other.logits_TK / temperature).astype(np.float32)
        if other.repeats is not None:
            apply(log_TK, other.repeats, weights(found, tag_tables(tags, config.scheme).label_K))
        entities.append(_entities(other, log_TK, config, transitions))
    platt = fit_platt(*(np.concatenate(parts) for parts in zip(*entities, strict=True)))
    return replace(found, slope=platt.slope, offset=platt.offset, length=platt.length, oov=platt.oov)


def _consistent(
    log_TK: NDArray[np.float32], gold_T: NDArray[np.int64], repeats: Repeats, label_K: NDArray[np.int64]
) -> tuple[Calibration, NDArray[np.float32]]:
    """Fit the weights of label consistency; also log p of tokens that are consistent by weights fitted without them.

    A fifth of the text is held back at a time, so that few documents are on both sides. The prior of D is the one under
    which what is held back is most probable. By weights fitted to these very tokens they would look better than those
    of other text, and scores be too high. (The same sentences by themselves, which scores are fitted to as well, hardly
    have a word twice.)
    """
    token_N, most_NK = repeats.token_N, evidence(log_TK, repeats)
    log_NK, gold_N, every_N = log_TK[token_N], gold_T[token_N], np.arange(len(token_N))

    def fit(chosen: NDArray[np.int64], prior: float) -> Calibration:
        return fit_label_consistency(log_NK[chosen], gold_N[chosen], most_NK[chosen], label_K, prior)

    def held_back(prior: float) -> Floats:
        held_NK = log_NK.astype(np.float64)
        for back in np.array_split(every_N, _PARTS):
            held_NK[back] += most_NK[back] @ weights(fit(np.setdiff1d(every_N, back), prior), label_K)
        return _log_softmax(held_NK)

    priors = _PRIORS_OF_PAIRS if len(label_K) <= MOST_PAIRED else _PRIORS_OF_PAIRS[:1]  # it has no D then
    held = {prior: held_back(prior) for prior in priors}
    prior = max(held, key=lambda one: float(held[one][every_N, gold_N].sum()))
    held_TK = log_TK.copy()
    held_TK[token_N] = held[prior]
    return fit(every_N, prior), held_TK


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread: for many small products, several wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def fit_temperature(logits_TK: NDArray[np.float32], gold_T: NDArray[np.int64]) -> float:
    """Find the temperature that minimises the mean negative log-likelihood of the gold tags.

    The loss is convex in β = 1 / temperature. Its derivative is the expected logit minus the gold one,

        ∂L/∂β = mean over t of  Σₖ softmax(β z)ₖ zₖ − z_gold

    and bisection finds its zero. Without any token the result is 1. If the derivative has no zero in the interval, as
    without a single error in the data, the result is the nearer end of [0.1, 10].

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

    low, high = 1 / _HIGHEST, 1 / _LOWEST
    if slope(low) >= 0:
        return _HIGHEST
    if slope(high) <= 0:
        return _LOWEST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)


def fit_path_temperature(
    logits_TK: NDArray[np.float32], gold_T: NDArray[np.int64], lengths: Sequence[int], crf: LinearChainCRF
) -> float:
    """As :func:`fit_temperature`, for whole sentences: it divides the logits and the scores of transitions.

    The loss is convex in 1 / temperature here, too. Golden-section search needs only its value, which takes one sum
    over all paths; the derivative would take a second one.

    Args:
        logits_TK: as of :func:`calibration_of`.
        gold_T: the gold columns.
        lengths: tokens of each sentence.
        crf: of the network.
    """
    if not len(gold_T):
        return 1.0
    exact = deepcopy(crf).cpu().double()
    logits, gold, length_S = torch.from_numpy(logits_TK).double(), torch.from_numpy(gold_T), torch.tensor(lengths)

    @torch.no_grad()
    def loss(log_temperature: float) -> float:
        return sentence_loss(exact, math.exp(-log_temperature))(logits, gold, length_S).item()

    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    left_loss, right_loss = loss(left), loss(right)
    for _ in range(_ITERATIONS):
        if left_loss < right_loss:
            high, right, right_loss = right, left, left_loss
            left = high - _GOLDEN * (high - low)
            left_loss = loss(left)
        else:
            low, left, left_loss = left, right, right_loss
            right = low + _GOLDEN * (high - low)
            right_loss = loss(right)
    return math.exp((low + high) / 2)


def fit_label_consistency(
    log_NK: NDArray[np.float32], gold_N: NDArray[np.int64], most_NK: NDArray[np.float32],
    label_K: NDArray[np.int64], prior: float,
) -> Calibration:  # fmt: skip
    """Fit the weights of label consistency, V = a I + b S + D; all else stays as it is without a correction.

    They minimise the negative log-likelihood of the gold tags under softmax(log p + m V), which is convex in them. As
    for :func:`fit_platt`, Gaussian priors around 0 keep them small where the data say little. With more than 128 tags,
    which no such data could tell about by pairs, D is left out. L-BFGS, in float64; the numbers have four digits after
    the point.

    Args:
        log_NK: log p of the tokens that have evidence, from their windows alone.
        gold_N: their gold columns.
        most_NK: the evidence from the other tokens of their words.
        label_K: of each column, below 0 for O.
        prior: its weight for each number of D; that for a and b is 1.
    """
    tags = log_NK.shape[1]
    base_NK, input_NK = (torch.from_numpy(array.astype(np.float64)) for array in (log_NK, most_NK))
    gold, own_KK, label_KK = (
        torch.from_numpy(gold_N),
        torch.eye(tags, dtype=torch.float64),
        torch.from_numpy(same_label(label_K)),
    )
    shared_2 = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    pair_KK = torch.zeros(tags, tags, dtype=torch.float64, requires_grad=tags <= MOST_PAIRED)
    fitted = [weight for weight in (shared_2, pair_KK) if weight.requires_grad]
    optimizer = torch.optim.LBFGS(fitted, max_iter=_MOST_STEPS, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight_KK = shared_2[0] * own_KK + shared_2[1] * label_KK + pair_KK
        nats = cross_entropy(base_NK + input_NK @ weight_KK, gold, reduction="sum")
        total = nats + _PRIOR / 2 * shared_2.square().sum() + prior / 2 * pair_KK.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    same_tag, of_label = (round(value, 4) for value in shared_2.tolist())
    rows = tuple(tuple(round(value, 4) for value in row) for row in pair_KK.tolist()) if pair_KK.requires_grad else ()
    return Calibration(same_tag=same_tag, same_label=of_label, tag_by_tag=rows)


def fit_platt(
    log_product_M: NDArray[np.float32],
    tokens_M: NDArray[np.float32],
    oov_M: NDArray[np.float32],
    right_M: NDArray[np.bool_],
) -> Calibration:
    """Fit P(entity is right) = sigmoid(slope · logit(product) + length · ln n + oov · s + offset), by Newton.

    A Gaussian prior of weight 1 around (1, 0, 0, 0), no correction, keeps the result finite when all entities are
    right, or of one kind, or there are none; with hundreds of entities it hardly counts. The slope stays above 0, so
    that entities with equal n and s keep the order of their products.

    Args:
        log_product_M: log of the probability of the tags of each entity found.
        tokens_M: how many tokens it has.
        oov_M: s, 1 where one of its words is out of vocabulary, else 0.
        right_M: whether label, start and end were right.

    Returns:
        The four numbers, at temperature 1.
    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    product_M = Calibration().entity_scores(log_product_M, tokens_M, oov_M)  # clipped as the tagger clips it
    logit_M: Floats = np.log(product_M / (1 - product_M))
    rest_MP = np.stack([np.log(tokens_M.astype(np.float64)), oov_M, np.ones_like(logit_M)], axis=1)
    target_M = right_M.astype(np.float64)
    slope, *others = _logistic(np.column_stack([logit_M, rest_MP]), target_M, np.array([1.0, 0.0, 0.0, 0.0]))
    if slope < _LEAST_SLOPE:
        slope = _LEAST_SLOPE
        others = list(_logistic(rest_MP, target_M, np.zeros(3), slope * logit_M))
    length, oov, offset = map(float, others)
    return Calibration(slope=float(slope), offset=offset, length=length, oov=oov)


def _logistic(inputs_MP: Floats, target_M: Floats, prior_P: Floats, fixed_M: Floats | float = 0.0) -> Floats:
    """Logistic regression with a Gaussian prior."""

    def derivatives(weights_P: Floats) -> tuple[float, Floats, Floats]:
        z_M = inputs_MP @ weights_P + fixed_M
        p_M = np.exp(-np.logaddexp(0, -z_M))  # 1 / (1 + exp(−z)), which overflows
        misfit = np.logaddexp(0, z_M) - target_M * z_M
        return (
            float(misfit.sum() + _PRIOR / 2 * ((weights_P - prior_P) ** 2).sum()),
            inputs_MP.T @ (p_M - target_M) + _PRIOR * (weights_P - prior_P),
            (inputs_MP * (p_M * (1 - p_M))[:, None]).T @ inputs_MP + _PRIOR * np.eye(len(prior_P)),
        )

    return _newton(derivatives, prior_P)


def _newton(derivatives: Derivatives, start_P: Floats) -> Floats:
    """Minimise a convex loss by Newton's method; halves a step that would increase it."""
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
    output: Output,
    log_TK: NDArray[np.float32],
    config: ModelConfig,
    transitions: Transitions | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Decode log p of an output as the tagger does; returns the arguments of :func:`fit_platt`."""
    _, gold, _, oov_T = output
    tags, lengths = tag_set(config.labels, config.scheme), [len(sentence) for sentence in gold]
    if oov_T is None:
        oov_T = np.zeros(len(log_TK), np.bool_)
    decoded = list(decode(log_TK, lengths, tags, config.scheme, transitions))
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
        any_within(oov_T, begin_M, end_M).astype(np.float32),
        np.array(right, dtype=bool),
    )


def _log_softmax(logits_TK: NDArray[np.floating]) -> Floats:
    z_TK = logits_TK.astype(np.float64)
    z_TK -= z_TK.max(axis=1, keepdims=True)
    result: Floats = z_TK - np.log(np.exp(z_TK).sum(axis=1, keepdims=True))
    return result
