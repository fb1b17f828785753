"""What each word of a window adds to the score of a tag.

Before the first activation every word has an additive part: c_j = W₁⁽ʲ⁾ e(w_j) + E⁽ʲ⁾[class of w_j], the means of the
document and of the sentence have one together, d, and z₁ = Σ c_j + d + b₁. What follows is not linear, but can be
written as if it were, with one factor m for each hidden unit:

    h = m ⊙ z + rest        logit = w · h_L + b = g · (Σ c_j + d) + rest,    g = m₁ ⊙ W₂ᵀ(m₂ ⊙ … w)

so that word j has the share g · c_j, the document g · d, and the bias is the rest.

    exact     ReLU: m is 1 where z > 0 and else 0. On the piece of the network that is active, this is the network.
    rescale   Any f: m = (f(z) − f(z⁰)) / (z − z⁰), where z⁰ is what a window without any contribution gives; the
              shares and the document add up to the distance from it (DeepLIFT; Shrikumar et al., ICML 2017).

Where what a tag says of the next one is learned (``model/decode/crf.py``), the logit is what the window says of the
tag: the scores of the steps to its neighbours are no part of it. Where the tokens of a word heed each other
(``model/decode/label_consistency.py``), what the others did to the tag, temperature · (log p' − log p), is part of the
logit and of what the document adds.

All in float64. C words on each side · W window width, 2C+1 · E width of e(w) · H hidden units
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from fenestra.model.network.network import WindowTagger
from fenestra.model.network.windows import Windows
from fenestra.model.results import TaggedToken
from fenestra.model.words.lexicon import Rows

Method = Literal["exact", "rescale"]

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
    """A logit, split: ``bias + document + Σ share == logit``."""

    token: TaggedToken
    column: str
    """The tag inside the network, such as ``S-PER``, whose logit it is."""
    logit: float
    bias: float
    document: float
    """What the text around the window adds: the topic of the document, the mean of the sentence, and the word's other
    tokens in the document."""
    method: Method
    shares: list[Share]
    """2C+1, in order of position."""


class Split(NamedTuple):
    """A logit, split by position."""

    logit: float
    bias: float
    document: float
    share_W: list[float]
    method: Method


@torch.no_grad()
def split_logit(network: WindowTagger, rows: Rows, window: Windows, column: int) -> Split:
    """Split the logit of one tag over the words of one window.

    Args:
        network: that gives the logit.
        rows: of the distinct words of the window.
        window: a single one, over these words.
        column: the tag.
    """
    exact = isinstance(network.activation, torch.nn.ReLU)
    part_WH, around_H = _contributions(network, rows, window)
    state_H = part_WH.sum(dim=0) + around_H + network.bias.double()
    empty_H = network.bias.double()
    layers = [*network.layers(), network.output]
    factors = []
    for layer in layers:
        hidden_H = network.activation(state_H)
        factors.append((state_H > 0).double() if exact else _rescale(network.activation, state_H, empty_H))
        weight, bias = layer.weight.double(), layer.bias.double()
        empty_H = weight @ network.activation(empty_H) + bias
        state_H = weight @ hidden_H + bias
    slope_H = factors.pop() * network.output.weight[column].double()
    for layer, factor_H in zip(reversed(layers[:-1]), reversed(factors), strict=True):
        slope_H = factor_H * (slope_H @ layer.weight.double())
    logit, document, share_W = float(state_H[column]), float(around_H @ slope_H), (part_WH @ slope_H).tolist()
    return Split(logit, logit - document - sum(share_W), document, share_W, "exact" if exact else "rescale")


def _contributions(network: WindowTagger, rows: Rows, window: Windows) -> tuple[Tensor, Tensor]:
    """What every position, and the text around the window, adds to the first layer; part_WH and around_H."""
    width, hidden = network.width, network.bias.numel()
    e_WE = network.encode(rows)[window.word_NW[0]].double()
    part_WH = torch.einsum("whe,we->wh", network.project.weight.double().view(width, hidden, -1), e_WE)
    if network.elsewhere.numel():
        place_W = window.elsewhere_NW[0] * width + torch.arange(width, device=part_WH.device)
        part_WH = part_WH + network.elsewhere[place_W].double()
    around_H = torch.zeros_like(part_WH[0])
    if network.topic.numel():
        topic_D = (window.topic_PD[window.document_N[0]] - network.topic_mean) * network.topic_scale
        around_H += network.topic.double() @ topic_D.double()
    if network.sentence is not None:
        sentence_D = network.sentence.standardise(window.sentence_RD[window.passage_N[0]])
        around_H += network.sentence.weight.double() @ sentence_D.double()
    return part_WH, around_H


def _rescale(activation: torch.nn.Module, state_H: Tensor, empty_H: Tensor) -> Tensor:
    """The slope of the chord from the empty state to this one; of the tangent where they coincide."""
    with torch.enable_grad():
        here_H = state_H.clone().requires_grad_()
        (tangent_H,) = torch.autograd.grad(activation(here_H).sum(), here_H)
    distance_H = state_H - empty_H
    near_H = distance_H.abs() < _NEAR
    chord_H = (activation(state_H) - activation(empty_H)) / distance_H.masked_fill(near_H, 1.0)
    return torch.where(near_H, tangent_H, chord_H)
