"""Sums of rows of a table, and a gradient for the table that is such a sum itself.

    N sums · L terms of all of them, end to end · R rows of the table · H its width · W terms of each

A window sums rows (``training/network/window_tagger.py``), and so does a word its n-grams. The gradient of row r is the
sum of the gradients of all sums that contain row r:

    y_n = Σ_{l in sum n} table[row_l]        ∂L/∂table[r] = Σ_{l with row_l = r} ∂L/∂y[sum_l]

So the backward pass is the forward pass with rows and sums exchanged, once the terms are sorted by row. torch's own
backward pass adds them one by one, which takes two to four times as long.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def sum_rows(table_RH: Tensor, row_NW: Tensor) -> Tensor:
    """Σⱼ table[row_nⱼ] of every n; returns sum_NH."""
    if _use_torch(table_RH):
        return functional.embedding_bag(row_NW, table_RH, mode="sum")
    count_N = torch.full((len(row_NW),), row_NW.shape[1])
    total_NH: Tensor = _Sums.apply(table_RH, row_NW.reshape(-1), count_N)  # type: ignore[no-untyped-call]
    return total_NH


def mean_rows(table_RH: Tensor, row_NW: Tensor) -> Tensor:
    """The mean of table[row_nⱼ] over the j with a row other than 0; zeros if there is none; returns mean_NH.

    Row 0 gets no gradient.
    """
    if _use_torch(table_RH):
        return functional.embedding_bag(row_NW, table_RH, mode="mean", padding_idx=0)
    filled_NW = row_NW > 0
    count_N = filled_NW.sum(1)
    total_NH: Tensor = _Sums.apply(table_RH, row_NW[filled_NW], count_N)  # type: ignore[no-untyped-call]
    return total_NH / count_N.clamp_min(1)[:, None]


class _Sums(torch.autograd.Function):
    """Sums of ``count_N`` rows each."""

    @staticmethod
    def forward(ctx: Any, table_RH: Tensor, row_L: Tensor, count_N: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.save_for_backward(row_L, count_N)
        ctx.rows = len(table_RH)
        return functional.embedding_bag(row_L, table_RH, _starts(count_N), mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient_NH: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        row_L, count_N = ctx.saved_tensors
        sum_L = torch.arange(len(count_N)).repeat_interleave(count_N)
        count_R = torch.bincount(row_L, minlength=ctx.rows)
        sum_by_row_L = sum_L[row_L.argsort(stable=True)]
        gradient_RH = functional.embedding_bag(sum_by_row_L, gradient_NH.contiguous(), _starts(count_R), mode="sum")
        return gradient_RH, None, None


def _starts(count_N: Tensor) -> Tensor:
    """Where each of some groups starts that lie end to end."""
    return count_N.cumsum(0) - count_N


def _use_torch(table_RH: Tensor) -> bool:
    """Whether torch's own function is used: where no gradient is needed, and on a GPU."""
    return table_RH.is_cuda or not (table_RH.requires_grad and torch.is_grad_enabled())
