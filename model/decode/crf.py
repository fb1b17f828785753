"""What a tag says of the next one: the scores of steps between tags, learned together with the network.

    s(y) = start[y₁] + Σₜ z[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + end[y_L]

A sentence's tags are then scored as a whole, by the path that they are. What the scheme does not allow is not learned:
such a step is no part of any sum. ``model/decode/viterbi.py`` finds the best path and the probabilities of tags.

Sources: Lafferty et al., ICML 2001, the probability of a path; Collobert et al., JMLR 12 (2011), section 3.3.2, on top
of a window network.

    K tags
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fenestra.model.decode.viterbi import NEVER, StepScores
from fenestra.model.tags import Scheme, transitions


class Chain(nn.Module):
    """Scores of steps from tag to tag, of tags that begin a sentence and of tags that end it; 0 at first."""

    def __init__(self, tags: Sequence[str], scheme: Scheme) -> None:
        super().__init__()
        self.starts: Tensor
        self.steps: Tensor
        self.ends: Tensor
        self.start = nn.Parameter(torch.zeros(len(tags)))
        self.step = nn.Parameter(torch.zeros(len(tags), len(tags)))
        """Row: the tag before."""
        self.end = nn.Parameter(torch.zeros(len(tags)))
        for name, legal in zip(("starts", "steps", "ends"), transitions(tags, scheme), strict=True):
            self.register_buffer(name, torch.from_numpy(legal), persistent=False)

    def masked(self, factor: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Start, step and end times a factor, and −∞ where the scheme does not allow it."""
        pairs = ((self.start, self.starts), (self.step, self.steps), (self.end, self.ends))
        start_K, step_KK, end_K = (torch.where(legal, score * factor, -torch.inf) for score, legal in pairs)
        return start_K, step_KK, end_K

    @torch.no_grad()
    def scores(self, temperature: float) -> StepScores:
        """As ``model/decode/viterbi.py`` takes them, beside log p of softmax(z / temperature)."""
        parts = (part.double().cpu().numpy() / temperature for part in self.masked())
        return StepScores(*(np.maximum(part, NEVER) for part in parts))


def step_scores(chain: Chain | None, temperature: float) -> StepScores | None:
    """The scores of a chain, where there is one."""
    return None if chain is None else chain.scores(temperature)
