"""W₁ as integers, for processors that multiply pairs of 16 bits and add them up in 32 (AVX-512 VNNI).

Σ w x = Σ (w b) (x / b): what one input of e(w) has in size is moved to its weights, so that neither is coarse where the
other one is fine (SmoothQuant; Xiao et al., ICML 2023). Then x becomes integers of at most LARGEST_PAIRED, with a scale
for each word, and w with one for each hidden unit: as large as they may be so that a sum of SUMMED pairs of products
stays below 2³¹ whatever x is. What is lost is as much as int16 rows lose.

W window width · E width of e(w) · H hidden units, padded to whole panels · N pairs of inputs
"""

from typing import NamedTuple

import numpy as np

from fenestra.model.engine.library import DECLARED, Array, empty
from fenestra.model.network.parameters import Floats, Parameters

_CONSTANTS = DECLARED.constants
_PANEL, _SUMMED = _CONSTANTS["PANEL"], _CONSTANTS["SUMMED"]
_LARGEST = 2**15 - 1
_LARGEST_SUM = (2**31 - 1) / _CONSTANTS["LARGEST_PAIRED"] - _SUMMED  # of |w|; each of them may be rounded up by a half
_COMMON = 1000  # vectors, of which the first are those of common words
_LEAST_REACH = 1 / 256  # of the largest of all components: in vectors that are not among these, one may be large


class Paired(NamedTuple):
    """W₁ as integers, and what belongs to them."""

    weight: Array
    """(W, H / PANEL, N, PANEL, 2) int16, zeros after the last input."""
    unit_WH: Floats
    """What a 1 of each hidden unit's weights means."""
    per_balance_E: Floats
    """What e(w) is multiplied by."""


def paired(p: Parameters, hidden: int) -> Paired:
    """The first layer of a network as integers, padded to ``hidden`` units."""
    weight_WHE = p.first_WHE
    window, units, entry = weight_WHE.shape
    largest_E = np.abs(weight_WHE).max(axis=(0, 1), initial=0)
    reach_E = _reach(p)
    used_E = (largest_E > 0) & (reach_E > 0)
    balance_E = np.ones(entry, np.float32)
    balance_E[used_E] = np.sqrt(reach_E[used_E] / largest_E[used_E])

    whole = np.zeros((window, hidden, -(-entry // (2 * _SUMMED)) * 2 * _SUMMED), np.float32)
    whole[:, :units, :entry] = weight_WHE * balance_E
    sum_WH = np.abs(whole).reshape(window, hidden, -1, 2 * _SUMMED).sum(axis=3).max(axis=2, initial=0)
    largest_WH = np.abs(whole).max(axis=2, initial=0)
    unit_WH = np.maximum(sum_WH / np.float32(_LARGEST_SUM), largest_WH / np.float32(_LARGEST))
    with np.errstate(invalid="ignore"):  # where weights are damaged, the unit says so: no row of them is finite
        whole /= np.where(unit_WH == 0, 1, unit_WH)[..., None]
    pairs = whole.shape[2] // 2
    weight = empty((window, hidden // _PANEL, pairs, _PANEL, 2), np.int16)
    weight[:] = (
        np.rint(np.nan_to_num(whole)).reshape(window, hidden // _PANEL, _PANEL, pairs, 2).transpose(0, 1, 3, 2, 4)
    )
    return Paired(weight, unit_WH.astype(np.float32), np.reciprocal(balance_E))


def _reach(p: Parameters) -> Floats:
    """How large each input of e(w) gets, about."""
    common = np.arange(min(_COMMON, len(p.vectors.codes_VD)))
    vector_D = np.abs(p.vectors.look_up(common)).max(axis=0, initial=0)
    vector_D = np.maximum(vector_D, vector_D.max(initial=0) * np.float32(_LEAST_REACH))
    tables = [np.abs(table).max(axis=0, initial=0) for table in (*p.fields.values(), p.ngrams)]
    return np.concatenate([vector_D, *tables]).astype(np.float32)
