"""Sums of rows, and their gradients, against indexing and autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fenestra.training.network.row_sums import mean_rows, sum_rows

ROWS = 6


def tables():
    table = torch.randn(ROWS, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return table.clone().requires_grad_(), table.clone().requires_grad_()


@given(st.integers(1, 4).flatmap(lambda w: st.lists(st.lists(st.integers(0, ROWS - 1), min_size=w, max_size=w))))
def test_a_sum_of_rows_and_its_gradient_are_those_of_indexing(rows):
    row_NW = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), len(rows[0]) if rows else 2)
    ours, theirs = tables()
    total, expected = sum_rows(ours, row_NW), theirs[row_NW].sum(1)
    assert torch.allclose(total, expected)
    slope = torch.arange(1.0, total.numel() + 1, dtype=torch.float64).view_as(total)
    total.backward(slope)
    expected.backward(slope)
    assert torch.allclose(ours.grad, theirs.grad)


def test_a_mean_leaves_out_row_0_and_so_does_its_gradient():
    row_NW = torch.tensor([[1, 3, 0], [0, 0, 0], [3, 3, 5]])
    ours, theirs = tables()
    expected = torch.stack([theirs[[1, 3]].mean(0), theirs[[0]].sum(0) * 0, theirs[[3, 3, 5]].mean(0)])
    mean = mean_rows(ours, row_NW)
    assert torch.allclose(mean, expected)
    mean.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(ours.grad, theirs.grad)
    assert not ours.grad[0].any()


@pytest.mark.parametrize("sums", [sum_rows, mean_rows])
def test_without_a_gradient_the_answers_are_the_same(sums):
    table, row_NW = torch.randn(ROWS, 40), torch.randint(0, ROWS, (50, 7))
    with torch.no_grad():
        plain = sums(table, row_NW)
    assert torch.allclose(sums(table.requires_grad_(), row_NW), plain, rtol=1e-6, atol=1e-6)
