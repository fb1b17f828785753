"""Sums of rows of a table, and a gradient for the table that is such a sum itself.

    S sums · L summands of all of them, end to end · R rows of the table · H its width · W summands of each

A window adds up rows (``model/network/network.py``), and so does a word its n-grams. The slope of row r is the sum of
the slopes of all sums that row r is in:

    yₛ = Σ_{l in sum s} table[row_l]        ∂L/∂table[r] = Σ_{l with row_l = r} ∂L/∂y[sum_l]

So the way back is the way forth with rows and sums changed over, once the summands are sorted by row. torch's own way
back adds them one by one, at two to four times the cost.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def add_rows(table_RH: Tensor, row_SW: Tensor) -> Tensor:
    """Σⱼ table[rowₛⱼ] of every s; returns sum_SH."""
    if _plain(table_RH):
        return functional.embedding_bag(row_SW, table_RH, mode="sum")
    count_S = torch.full((len(row_SW),), row_SW.shape[1])
    total_SH: Tensor = _Sums.apply(table_RH, row_SW.reshape(-1), count_S)  # type: ignore[no-untyped-call]
    return total_SH


def mean_rows(table_RH: Tensor, row_SW: Tensor) -> Tensor:
    """The mean of table[rowₛⱼ] over the j with a row other than 0, and 0 if there is none; returns mean_SH.

    Row 0 gets no gradient.
    """
    if _plain(table_RH):
        return functional.embedding_bag(row_SW, table_RH, mode="mean", padding_idx=0)
    filled_SW = row_SW > 0
    count_S = filled_SW.sum(1)
    total_SH: Tensor = _Sums.apply(table_RH, row_SW[filled_SW], count_S)  # type: ignore[no-untyped-call]
    return total_SH / count_S.clamp_min(1)[:, None]


class _Sums(torch.autograd.Function):
    """Sums of ``count_S`` rows each."""

    @staticmethod
    def forward(ctx: Any, table_RH: Tensor, row_L: Tensor, count_S: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.save_for_backward(row_L, count_S)
        ctx.rows = len(table_RH)
        return functional.embedding_bag(row_L, table_RH, _begins(count_S), mode="sum")

    @staticmethod
    def backward(ctx: Any, slope_SH: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        row_L, count_S = ctx.saved_tensors
        sum_L = torch.arange(len(count_S)).repeat_interleave(count_S)
        count_R = torch.bincount(row_L, minlength=ctx.rows)
        sum_by_row_L = sum_L[row_L.argsort(stable=True)]
        return functional.embedding_bag(sum_by_row_L, slope_SH.contiguous(), _begins(count_R), mode="sum"), None, None


def _begins(count_S: Tensor) -> Tensor:
    """Where each of some runs begins that lie end to end."""
    return count_S.cumsum(0) - count_S


def _plain(table_RH: Tensor) -> bool:
    """Whether torch's own will do: no gradient is asked for, or a GPU has other ways."""
    return table_RH.is_cuda or not (table_RH.requires_grad and torch.is_grad_enabled())
