"""A linear-chain CRF on top of the network: scores of transitions from tag to tag, learned together with it.

    s(y) = start[y₁] + Σₜ z[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + end[y_L]        P(y) = exp s(y) / Σ exp s(y′)

The tags of a sentence are scored as one path. A transition that the scheme does not allow is part of no path, so its
score is not learned. ``model/decode/viterbi.py`` finds the best path and the marginals; the loss is in
``training/fit/losses.py``.

Sources: Lafferty, McCallum & Pereira, ICML 2001; Collobert et al., JMLR 12 (2011), section 3.3.2, on top of a window
network.

    K tags
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fenestra.model.decode.crf import FORBIDDEN, Transitions
from fenestra.model.tags import Scheme
from fenestra.model.tags import transitions as legal_transitions


class LinearChainCRF(nn.Module):
    """Scores of the first tag of a sentence, of a tag after another, and of the last tag; all 0 at first."""

    def __init__(self, tags: Sequence[str], scheme: Scheme) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(len(tags)))
        self.transitions = nn.Parameter(torch.zeros(len(tags), len(tags)))
        """Row: the tag before; column: the tag after."""
        self.end = nn.Parameter(torch.zeros(len(tags)))
        self.legal_start: Tensor
        self.legal_transitions: Tensor
        self.legal_end: Tensor
        names = ("legal_start", "legal_transitions", "legal_end")
        for name, legal in zip(names, legal_transitions(tags, scheme), strict=True):
            self.register_buffer(name, torch.from_numpy(legal), persistent=False)

    def masked(self, factor: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """start_K, transitions_KK and end_K times a factor; −∞ where the scheme does not allow it."""
        pairs = (
            (self.start, self.legal_start),
            (self.transitions, self.legal_transitions),
            (self.end, self.legal_end),
        )
        start_K, transitions_KK, end_K = (torch.where(legal, score * factor, -torch.inf) for score, legal in pairs)
        return start_K, transitions_KK, end_K

    @torch.no_grad()
    def scores(self, temperature: float) -> Transitions:
        """The scores as the decoder takes them, beside log p of softmax(z / temperature); float64."""
        parts = (part.double().cpu().numpy() / temperature for part in self.masked())
        return Transitions(*(np.maximum(part, FORBIDDEN) for part in parts))


def transition_scores(crf: LinearChainCRF | None, temperature: float) -> Transitions | None:
    """The scores of a CRF, or None for a model without one."""
    return None if crf is None else crf.scores(temperature)
