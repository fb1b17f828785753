"""The losses: cross-entropy, three remedies for class imbalance, and the likelihood of whole sentences.

With p = softmax(z) and the true tag y as a one-hot vector:

    cross-entropy   L = −Σₖ yₖ log pₖ = −log p_y      the negative log of the one-hot likelihood ∏ₖ pₖ^yₖ
    its gradient    ∂L/∂z = p − y
    weighted        L = −w_y log p_y                  w_y large where the tag is rare
    focal           L = −(1 − p_y)^γ log p_y          (Lin et al., ICCV 2017) windows that are right count little
    with a margin   p = softmax(z + m·[k = O])        (Menon et al., ICLR 2021, eq. 10) O is learned m log odds lower

and, for a model with a CRF (``training/network/crf.py``), with s(y) the score of a path:

    sentence        L = log Σ exp s(y′) − s(y)        over the legal paths y′ (Collobert et al. 2011, section 3.3.2)

    N windows · S sentences · K tags
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from fenestra.training.config import ClassWeights, TrainingConfig
from fenestra.training.network.crf import LinearChainCRF

LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits_NK, gold_N and length_S to the mean over the windows, in nats; windows lie end to end, by sentences."""


def class_weights(count_K: Tensor, kind: ClassWeights) -> Tensor | None:
    """Weight of every tag, by how rarely it occurs; their mean over the training windows is 1.

    ``balanced``: wₖ ∝ 1 / countₖ, so every tag weighs the same in sum; ``sqrt_balanced``: wₖ ∝ 1 / √countₖ.
    A tag that never occurs weighs as if it had occurred once.
    """
    if kind == "none":
        return None
    seen_K = count_K.clamp_min(1).to(torch.float64)
    weight_K = 1 / seen_K if kind == "balanced" else seen_K.rsqrt()
    return weight_K * (seen_K.sum() / (weight_K * seen_K).sum())


def make_loss(config: TrainingConfig, count_K: Tensor, crf: LinearChainCRF | None = None) -> LossFunction:
    """Build the loss that a configuration names.

    Args:
        config: loss, focal_gamma, label_smoothing, class_weights, entity_margin.
        count_K: windows of each tag in the training corpus.
        crf: of the network, if it has one; then the loss is that of whole sentences.

    Returns:
        A function of logits_NK, gold_N (int64; for the cross-entropy also target_NK, shares of the tags) and, for the
        loss of a sentence, length_S (int64, on the CPU) to the mean over the windows, in nats.
    """
    if crf is not None:
        return _with_margin(sentence_loss(crf), config.entity_margin)
    weight_K = class_weights(count_K, config.class_weights)

    def loss(logits_NK: Tensor, gold_N: Tensor, _length_S: Tensor | None = None) -> Tensor:
        weights = None if weight_K is None else weight_K.to(logits_NK.dtype)
        nats_N = functional.cross_entropy(
            logits_NK, gold_N, weight=weights, label_smoothing=config.label_smoothing, reduction="none"
        )
        if config.loss == "focal":
            right_N = logits_NK.softmax(dim=1).gather(1, gold_N[:, None]).squeeze(1)
            # Where p rounds to 1 the gradient of (1 − p)^γ is infinite for γ < 1.
            wrong_N = (1 - right_N).clamp_min(torch.finfo(right_N.dtype).eps)
            nats_N = wrong_N.pow(config.focal_gamma) * nats_N
        return nats_N.mean()

    return _with_margin(loss, config.entity_margin)


def _with_margin(loss: LossFunction, margin: float) -> LossFunction:
    """Raise the logit of O, the first tag, by ``margin`` before the loss; the network learns it that much lower."""
    if not margin:
        return loss

    def shifted(logits_NK: Tensor, *rest: Tensor) -> Tensor:
        outside_K = logits_NK.new_zeros(logits_NK.shape[1])
        outside_K[0] = margin
        return loss(logits_NK + outside_K, *rest)

    return shifted


def sentence_loss(crf: LinearChainCRF, factor: float = 1.0) -> LossFunction:
    """Build the negative log-likelihood of whole sentences, per token.

    If all transitions score 0 and every path is legal, it is the cross-entropy.

    Args:
        crf: scores of the transitions.
        factor: of the scores of paths, 1 / temperature.
    """

    def loss(logits_NK: Tensor, gold_N: Tensor, length_S: Tensor) -> Tensor:
        # A constant per token does not change the probability of a path, and this one keeps the sums near 0.
        log_p_NK = (logits_NK * factor).log_softmax(dim=1)
        scores = crf.masked(factor)
        length_S, gold_N = length_S[length_S > 0], gold_N.long()  # a stream keeps tags in bytes, which would be a mask
        nats = log_partition(log_p_NK, length_S, scores).sum() - _path_score(log_p_NK, gold_N, length_S, scores)
        return nats / len(gold_N)

    return loss


def log_partition(score_NK: Tensor, length_S: Tensor, scores: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Log Σ exp s(y′) over all paths through each sentence, by the forward algorithm, all sentences together.

        αₜ[k] = z[t, k] + log Σⱼ exp(αₜ₋₁[j] + A[j, k])

    Args:
        score_NK: z, sentences end to end.
        length_S: tokens of each sentence, at least one; int64, on the CPU.
        scores: start_K, transitions_KK and end_K; −∞ for what is not allowed.

    Returns:
        One number a sentence, the longest first.
    Source: Rabiner, Proceedings of the IEEE 77 (1989).
    """
    start_K, transitions_KK, end_K = scores
    longest_S = length_S.sort(descending=True, stable=True)
    at_N = torch.cat([torch.arange(length) for length in longest_S.values.tolist()])
    begin_S = (length_S.cumsum(0) - length_S)[longest_S.indices]
    # Ordered by t, and for one t by falling length: the sentences that continue are a prefix of those before.
    place_N = (begin_S.repeat_interleave(longest_S.values) + at_N)[at_N.sort(stable=True).indices]
    first_SK, *rest = torch.split(score_NK[place_N.to(score_NK.device)], at_N.bincount().tolist())
    alpha_SK, ended = start_K + first_SK, []
    for here_SK in rest:
        ended.append(alpha_SK[len(here_SK) :])
        alpha_SK = (alpha_SK[: len(here_SK), :, None] + transitions_KK).logsumexp(dim=1) + here_SK
    return (torch.cat([alpha_SK, *reversed(ended)]) + end_K).logsumexp(dim=1)


def _path_score(score_NK: Tensor, gold_N: Tensor, length_S: Tensor, scores: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Σ s(y) over all sentences."""
    start_K, transitions_KK, end_K = scores
    end_S = length_S.cumsum(0).to(gold_N.device)
    begins_N = torch.zeros(len(gold_N), dtype=torch.bool, device=gold_N.device)
    begins_N[end_S - length_S.to(gold_N.device)] = True
    within_N = ~begins_N[1:]
    taken = transitions_KK[gold_N[:-1], gold_N[1:]][within_N]
    return (
        score_NK.gather(1, gold_N[:, None]).sum()
        + start_K[gold_N[begins_N]].sum()
        + taken.sum()
        + end_K[gold_N[end_S - 1]].sum()
    )
