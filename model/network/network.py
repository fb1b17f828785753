"""The lecture's network in NumPy: rows, windows, W₁ x + b₁, activation, softmax.

This is the definition. ``network.c`` computes the same regrouped, W₁ x_t = Σ_j W₁⁽ʲ⁾ e(w_{t+j}), and is tested
against it; ``training/network/window_tagger.py`` computes it with torch, where gradients are, and is tested against it
too.

Sources: Bengio et al., JMLR 3 (2003), the network; Collobert et al., JMLR 12 (2011), its use as a tagger.

T tokens · U distinct words · W window width · E width of e(w) · H hidden units · K tags
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fenestra.model.config import Activation
from fenestra.model.network.parameters import Floats, Parameters
from fenestra.model.words.lexicon import Rows

Ids = NDArray[np.int64]
Function = Callable[[NDArray[np.floating]], NDArray[np.floating]]

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(z: NDArray[np.floating]) -> NDArray[np.floating]:
    """1 / (1 + e⁻ᶻ); by e to the power of −|z|, so that nothing overflows."""
    power = np.exp(-np.abs(z))
    found: NDArray[np.floating] = np.where(z >= 0, 1, power) / (1 + power)
    return found


def _normal_cdf(z: NDArray[np.floating]) -> NDArray[np.floating]:
    """Φ(z), the probability of a standard normal number below z."""
    found: NDArray[np.floating] = (0.5 * (1 + _erf(z / math.sqrt(2)))).astype(z.dtype)
    return found


ACTIVATIONS: dict[Activation, Function] = {
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "gelu": lambda z: z * _normal_cdf(z),
    "silu": lambda z: z * _sigmoid(z),
}
"""f(z) of hidden units."""

SLOPES: dict[Activation, Function] = {
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "sigmoid": lambda z: _sigmoid(z) * (1 - _sigmoid(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "gelu": lambda z: _normal_cdf(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    "silu": lambda z: _sigmoid(z) * (1 + z * (1 - _sigmoid(z))),
}
"""df/dz."""


def encode(p: Parameters, rows: Rows) -> Floats:
    """e(w) of PAD and of every distinct word: entry_VE, V = U + 1; row 0 is PAD, row u + 1 is word u."""
    parts = [p.vectors.look_up(rows.vector_U)] if p.vectors.width else []
    parts += [table[rows.field_UF[:, column]] for column, table in enumerate(p.fields.values())]
    if p.ngrams.shape[1]:
        known_UG = rows.ngram_UG > 0
        sum_UE = (p.ngrams[rows.ngram_UG] * known_UG[:, :, None]).sum(axis=1)
        parts.append(sum_UE / np.maximum(known_UG.sum(axis=1), 1)[:, None].astype(np.float32))
    entry_UE = np.concatenate(parts, axis=1) if len(rows.vector_U) else np.zeros((0, len(p.pad_E)), np.float32)
    return np.concatenate([p.pad_E[None], entry_UE])


def preactivations(p: Parameters, entry_VE: Floats, id_TW: Ids, class_TW: Ids | None, topic_D: Floats | None) -> Floats:
    """z₁ = W₁ x + b₁ and what the document adds, for every window of one document: z_TH.

    Windows are rows of entry_VE, from :func:`encode`, and case classes from 1, PAD outside the sentence; topic_D is the
    mean vector of the document. None of what the model does not look at.
    """
    x_TX = entry_VE[id_TW].reshape(len(id_TW), -1)  # the concatenated window: X = W · E
    z_TH: Floats = x_TX @ p.first_HX.T + p.bias_H
    if p.elsewhere_CWH is not None and class_TW is not None:
        z_TH += p.elsewhere_CWH[class_TW, np.arange(p.window)].sum(axis=1)
    if p.topic is not None and topic_D is not None:
        z_TH += p.topic.weight_HD @ p.topic.standardise(topic_D)
    return z_TH


def logits(p: Parameters, activation: Activation, z_TH: Floats) -> Floats:
    """From z₁ through the layers after the first: logits_TK."""
    f = ACTIVATIONS[activation]
    for layer in (*p.hidden, p.output):
        h_TH = f(z_TH).astype(np.float32, copy=False)
        z_TH = h_TH @ layer.weight_OI.T + layer.bias_O
    return z_TH


def log_softmax(z_TK: NDArray[np.floating]) -> NDArray[np.floating]:
    """Log of softmax(z)ₖ = e^zₖ / Σ e^zⱼ; the largest z is taken off first, so that nothing overflows."""
    z_TK = z_TK - z_TK.max(axis=1, keepdims=True)
    found: NDArray[np.floating] = z_TK - np.log(np.exp(z_TK).sum(axis=1, keepdims=True))
    return found
