"""How the weights are updated: update rules, learning rate schedules, and the average of the weights.

SGD       v ← μ v + g                 θ ← θ − η v
RMSProp   s ← ρ s + (1−ρ) g²          θ ← θ − η g / √s
Adam      both of the above, corrected for their start at 0       (Kingma & Ba, ICLR 2015)
AdamW     the same, with weight decay apart from the gradient     (Loshchilov & Hutter, ICLR 2019)
"""

import copy
import math

import torch
from torch import nn

from fenestra.training.config import TrainingConfig
from fenestra.training.network.word_encoder import WordEncoder

_EVERY = 8  # updates of the weights for one of the average
_LONGEST_WARM_UP = 0.1  # of all epochs: on a small corpus warmup_steps could be the whole training


def make_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build the update rule; biases are not decayed."""
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = config.learning_rate
    match config.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=config.momentum)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, momentum=config.momentum)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, fused=True)


def learning_rate(config: TrainingConfig, step: int, progress: float) -> float:
    """The learning rate of one update.

    Args:
        config: learning_rate, schedule, warmup_steps, step_epochs, step_factor.
        step: updates made so far.
        progress: epochs made so far, with their fraction.
    """
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    warm = max(warm, min(1.0, progress / (_LONGEST_WARM_UP * config.epochs)))
    match config.schedule:
        case "constant":
            shape = 1.0
        case "cosine":
            shape = 0.5 * (1 + math.cos(math.pi * min(progress / config.epochs, 1.0)))
        case "step":
            shape = config.step_factor ** (progress // config.step_epochs)
    return config.learning_rate * warm * shape


class Average:
    """The exponential moving average of the weights (Polyak & Juditsky 1992): less noisy than the last weights.

    The decay rises with the updates made, (1 + n) / (10 + n), so that the initial weights count little after a short
    training. Weights differ little from one update to the next, so the average uses every eighth only, which then
    counts as eight.
    """

    def __init__(self, network: WordEncoder, decay: float) -> None:
        self.decay = decay
        self.behind = 0
        """Updates of the weights since the average was last updated."""
        # The vectors never change, so the copy may share them.
        self.network = copy.deepcopy(network, {id(network.vectors): network.vectors}).requires_grad_(False).eval()

    def update(self, network: WordEncoder, step: int) -> None:
        """Count update number ``step``, from 1, and catch up if enough have gathered."""
        self.behind += 1
        if self.behind == _EVERY:
            self.catch_up(network, step)

    @torch.no_grad()
    def catch_up(self, network: WordEncoder, step: int) -> None:
        """Move towards the weights after update number ``step``, as far as all updates since the last move would."""
        decay = min(self.decay, (1 + step) / (10 + step)) ** self.behind
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        self.behind = 0
