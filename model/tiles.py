"""Arithmetic whose bits do not depend on company.

A library multiplies a matrix of 7 rows by other instructions than one of 8, and adds in another order; so a text alone
and the same text in a batch would differ in the last bit. Here every product is made of tiles of 32 rows, filled up
with zeros, so that the library always sees one shape. Two things more were found to matter, for narrow layers at least
(``tests/model/test_bits.py`` has one of 37 → 11 units):

- It sees W · Xᵀ and not X · Wᵀ. The rows of X then lie side by side in vector registers, where all are treated alike.
- W is filled up to whole tiles too, and one thread does it all: shared out among two, a product may be added up in two
  parts, on some processors even if it is small.

So the bits of a row depend on that row alone.

Functions of single numbers have the same trouble at the end of an array, where what does not fill a vector register is
computed by other code. Filled up to whole tiles there is no such end.

Training asks for gradients and does without; so does a GPU.

    N rows · J tiles of X rows · I and O widths · H hidden units
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

TILE = 32
_FLAT = 512 * TILE  # numbers that a function of single numbers is given at once; less than torch splits among threads


def filled(count: int) -> int:
    """Round up to whole tiles; at least one.

    >>> filled(0), filled(32), filled(33)
    (32, 32, 64)
    """
    return max(-(-count // TILE), 1) * TILE


def fill(x_NI: Tensor) -> Tensor:
    """Add rows of zeros up to whole tiles."""
    missing = filled(x_NI.shape[0]) - x_NI.shape[0] if _exactly(x_NI) else 0
    return functional.pad(x_NI, (0, 0, 0, missing)) if missing else x_NI


def fill_array(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add zeros, or rows of zeros, up to whole tiles."""
    result = np.zeros((filled(len(x)), *x.shape[1:]), dtype=x.dtype)
    result[: len(x)] = x
    return result


def linear(x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """X · Wᵀ + b, tile by tile; returns (N, O)."""
    if not _exactly(x_NI):
        return functional.linear(x_NI, weight_OI, bias_O)
    count_O = weight_OI.shape[0]
    whole = count_O // TILE * TILE  # most of W is used where it lies; only what is left over is filled up
    blocks = [(0, weight_OI[:whole])] * (whole > 0) + [(whole, fill(weight_OI[whole:]))] * (whole < count_O)
    tiles_JIX = fill(x_NI).view(-1, TILE, x_NI.shape[1]).transpose(1, 2).unbind()
    result_JOX = x_NI.new_empty(len(tiles_JIX), filled(count_O), TILE)
    with _one_thread():
        for begin, block_OI in blocks:
            results = result_JOX[:, begin : begin + block_OI.shape[0]].unbind()
            for tile_IX, result_OX in zip(tiles_JIX, results, strict=True):
                torch.mm(block_OI, tile_IX, out=result_OX)
    # Contiguous even where a view would do: functions of single numbers read a view by other code.
    result_NO = result_JOX[:, :count_O].transpose(1, 2).contiguous().view(-1, count_O)
    if bias_O is not None:
        result_NO += bias_O
    return result_NO[: x_NI.shape[0]]


def activate(function: nn.Module, x_NH: Tensor) -> Tensor:
    """A function of single numbers on whole tiles; ReLU writes over them where no slope is asked for."""
    if not _exactly(x_NH):
        learning: Tensor = function(x_NH)
        return learning
    if isinstance(function, nn.ReLU):
        return x_NH.clamp_min_(0)
    if x_NH.numel() <= _FLAT:
        whole: Tensor = function(x_NH)
        return whole
    return torch.cat([function(part) for part in torch.split(x_NH.reshape(-1), _FLAT)]).view_as(x_NH)


def log_softmax(logits_NK: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Log p of every row, p = softmax(z / temperature). The sum over a row is taken column by column."""
    z_KN = np.ascontiguousarray(fill_array(logits_NK).T) / np.float32(temperature)
    z_KN -= z_KN.max(axis=0)
    total_N = np.zeros(z_KN.shape[1], dtype=np.float32)
    for power_N in np.exp(z_KN):
        total_N += power_N
    result_NK: NDArray[np.float32] = (z_KN - np.log(total_N)).T[: len(logits_NK)]
    return result_NK


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work through what the calling thread asks for on that thread alone; others are not affected."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _exactly(x: Tensor) -> bool:
    return not torch.is_grad_enabled() and x.device.type == "cpu"
