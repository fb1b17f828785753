"""What each word of a window adds to the score of a tag.

Before the first activation every word has an additive part: c_j = W₁⁽ʲ⁾ e(w_j) + E⁽ʲ⁾[class of w_j], the mean of the
document has one, d, and z₁ = Σ c_j + d + b₁. What follows is not linear, but can be written as if it were, with one
factor m for each hidden unit:

    h = m ⊙ z + rest        logit = w · h_L + b = g · (Σ c_j + d) + rest,    g = m₁ ⊙ W₂ᵀ(m₂ ⊙ … w)

so that word j has the share g · c_j, the document g · d, and the bias is the rest.

Why this tag and not that one? The difference of two logits is one more row of weights, w − w', behind the same factors:
it splits just so, and each of its shares is the difference of the two shares.

    exact     ReLU: m is 1 where z > 0 and else 0. On the piece of the network that is active, this is the network.
    rescale   Any f: m = (f(z) − f(z⁰)) / (z − z⁰), where z⁰ is what a window without any contribution gives; the
              shares and the document add up to the distance from it (DeepLIFT; Shrikumar et al., ICML 2017).

With a CRF (``model/decode/crf.py``), the logit is what the window says of the tag: the transition scores are no part of
it. With label consistency (``model/decode/label_consistency.py``), what the word's other tokens did to the tag,
temperature · (log p' − log p), is part of the logit and of what the document adds.

All in float64. W window width · H hidden units · D width of a vector
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.config import Activation
from fenestra.model.engine.stages import Window
from fenestra.model.network.network import ACTIVATIONS, SLOPES, encode
from fenestra.model.network.parameters import Parameters
from fenestra.model.results import Alternative, TaggedToken
from fenestra.model.words.lexicon import Lexicon

Method = Literal["exact", "rescale"]
Floats = NDArray[np.float64]

_NEAR = 1e-9  # two inputs this near have the slope between them


class Share(NamedTuple):
    """What the word at one position of the window adds to the logit."""

    position: int
    """−C … C; 0 is the token itself."""
    text: str | None
    """The word; None beyond the end of the sentence."""
    start: int | None
    """Its place, as of :class:`fenestra.model.results.TaggedToken`; None beyond the end of the sentence."""
    end: int | None
    share: float


class Explanation(NamedTuple):
    """A logit, or the difference of two, split: ``bias + document + Σ share == logit``."""

    token: TaggedToken
    column: str
    """The tag inside the network, such as ``S-PER``, whose logit it is."""
    logit: float
    """Less that of ``against``, where there is one; so are all parts of it."""
    bias: float
    document: float
    """What the text around the window adds, that is the topic of the document and the word's other tokens in it."""
    method: Method
    shares: list[Share]
    """2C+1, in order of position."""
    against: str | None = None
    """The tag inside the network whose logit was taken off."""
    alternatives: Sequence[Alternative] = ()
    """Other tags of the token, the likeliest first; as many as were asked for."""


class Split(NamedTuple):
    """A logit, split by position."""

    logit: float
    bias: float
    document: float
    share_W: list[float]
    method: Method


def split_logit(
    p: Parameters, activation: Activation, lexicon: Lexicon, window: Window, column: int, against: int | None = None
) -> Split:
    """Split the logit of one tag, less that of another one, over the words of one window; tags by their columns."""
    f, slope = ACTIVATIONS[activation], SLOPES[activation]
    exact = activation == "relu"
    part_WH, document_H = _contributions(p, lexicon, window)
    empty_H: Floats = p.bias_H.astype(np.float64)
    state_H: Floats = part_WH.sum(axis=0) + document_H + empty_H
    layers = [(weight_OI.astype(np.float64), bias_O.astype(np.float64)) for weight_OI, bias_O in (*p.hidden, p.output)]
    factors = []
    for weight_OI, bias_O in layers:
        if exact:
            factors.append(slope(state_H))
        else:
            # The slope of the chord from the empty state to this one; of the tangent where they coincide.
            distance_H = state_H - empty_H
            near_H = np.abs(distance_H) < _NEAR
            chord_H = (f(state_H) - f(empty_H)) / np.where(near_H, 1.0, distance_H)
            factors.append(np.where(near_H, slope(state_H), chord_H))
        empty_H = weight_OI @ f(empty_H) + bias_O
        state_H = weight_OI @ f(state_H) + bias_O
    weight_OI = layers[-1][0]
    slope_H = factors.pop() * (weight_OI[column] if against is None else weight_OI[column] - weight_OI[against])
    for (weight_OI, _), factor_H in zip(reversed(layers[:-1]), reversed(factors), strict=True):
        slope_H = factor_H * (slope_H @ weight_OI)
    logit = float(state_H[column] - (0.0 if against is None else state_H[against]))
    document, share_W = float(document_H @ slope_H), (part_WH @ slope_H).tolist()
    return Split(logit, logit - document - sum(share_W), document, share_W, "exact" if exact else "rescale")


def _contributions(p: Parameters, lexicon: Lexicon, window: Window) -> tuple[Floats, Floats]:
    """What every position, and the document, adds to the first layer; part_WH and document_H."""
    distinct = list(dict.fromkeys(word for word in window.words if word is not None))
    entry_VE = encode(p, lexicon.rows(distinct)).astype(np.float64)
    row_W = [0 if word is None else 1 + distinct.index(word) for word in window.words]
    part_WH: Floats = np.einsum("whe,we->wh", p.first_WHE.astype(np.float64), entry_VE[row_W])
    if p.elsewhere_CWH is not None and window.class_W is not None:
        part_WH += p.elsewhere_CWH[window.class_W, np.arange(p.window)].astype(np.float64)
    document_H = np.zeros(len(p.bias_H))
    if p.topic is not None and window.topic_D is not None:
        document_H += p.topic.weight_HD.astype(np.float64) @ p.topic.standardise(window.topic_D).astype(np.float64)
    return part_WH, document_H
