"""What the network is asked to make small: cross-entropy and two answers to class imbalance.

With p = softmax(z) and the true tag y as a one-hot vector:

    cross-entropy   L = −Σₖ yₖ log pₖ = −log p_y      the negative log of the one-hot likelihood ∏ₖ pₖ^yₖ
    its gradient    ∂L/∂z = p − y
    weighted        L = −w_y log p_y                  w_y large where the tag is rare
    focal           L = −(1 − p_y)^γ log p_y          (Lin et al., ICCV 2017) windows that are right count little

    N windows · K tags
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from training.config import ClassWeights, TrainingConfig

LossFunction = Callable[[Tensor, Tensor], Tensor]


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


def make_loss(config: TrainingConfig, count_K: Tensor) -> LossFunction:
    """Build the loss that a configuration names.

    Args:
        config: loss, focal_gamma, label_smoothing, class_weights.
        count_K: windows of each tag in the training corpus.

    Returns:
        A function of logits_NK and gold_N (int64) to the mean over the windows, in nats.
    """
    weight_K = class_weights(count_K, config.class_weights)

    def loss(logits_NK: Tensor, gold_N: Tensor) -> Tensor:
        weights = None if weight_K is None else weight_K.to(logits_NK.dtype)
        nats_N = functional.cross_entropy(
            logits_NK, gold_N, weight=weights, label_smoothing=config.label_smoothing, reduction="none"
        )
        if config.loss == "focal":
            right_N = logits_NK.softmax(dim=1).gather(1, gold_N[:, None]).squeeze(1)
            # Where p rounds to 1 the slope of (1 − p)^γ has no end for γ < 1.
            wrong_N = (1 - right_N).clamp_min(torch.finfo(right_N.dtype).eps)
            nats_N = wrong_N.pow(config.focal_gamma) * nats_N
        return nats_N.mean()

    return loss
