"""Transition scores of a linear-chain CRF: how well one tag follows another, learned together with the network.

    s(y) = start[y₁] + Σₜ z[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + end[y_L]

A sentence's tags are then scored as a whole, by the path that they are. A transition that the tagging scheme forbids is
not learned: it is part of no sum. ``model/decode/viterbi.py`` finds the best path and the marginals of tags.

Sources: Lafferty et al., ICML 2001, the probability of a path; Collobert et al., JMLR 12 (2011), section 3.3.2, on top
of a window network.

K tags
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.tags import Scheme, transitions

FORBIDDEN = -1e30
"""Score of a transition that the scheme does not allow."""

Scores = NDArray[np.float64]


class Transitions(NamedTuple):
    """What a path scores between tokens, in natural logarithms."""

    start_K: Scores
    transition_KK: Scores
    """Row: the tag before."""
    end_K: Scores

    @classmethod
    def allowed(cls, tags: Sequence[str], scheme: Scheme) -> "Transitions":
        """Nothing learned: 0 where the scheme allows a transition."""
        return cls(*(np.where(legal, 0.0, FORBIDDEN) for legal in transitions(tags, scheme)))

    @classmethod
    def learned(cls, parts: Iterable[NDArray[np.floating]], tags: Sequence[str], scheme: Scheme) -> "Transitions":
        """Learned start, transition and end scores where the scheme allows a transition."""
        pairs = zip(parts, transitions(tags, scheme), strict=True)
        return cls(*(np.where(legal, scores.astype(np.float64), FORBIDDEN) for scores, legal in pairs))

    def divided(self, temperature: float) -> "Transitions":
        """As they stand beside log p of softmax(z / temperature)."""
        return Transitions(*(np.where(scores > FORBIDDEN, scores / temperature, FORBIDDEN) for scores in self))
