"""The large product of training, W₁ · e(w) of every word of a batch, with factors rounded to bfloat16.

A CPU with AMX multiplies matrices of bfloat16 in a third of the time. bfloat16 has as many exponent bits as float32 and
a third of its significant bits; sums are in float32. Only the factors are rounded, in the product and in both of its
gradients: weights, sums and gradients stay float32.

    N rows of X · I width of X · O rows of W

    Z = X Wᵀ        ∂L/∂X = ∂L/∂Z W        ∂L/∂W = (∂L/∂Z)ᵀ X
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fenestra.training.config import Precision

_ROWS = 64  # the library compiles code for every shape it gets, so there should be few shapes


class _Bf16Linear(torch.autograd.Function):
    """X · Wᵀ, all factors rounded."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_OI: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.save_for_backward(x_NI, weight_OI)
        with _bf16_matmul():
            return x_NI @ weight_OI.T

    @staticmethod
    def backward(ctx: Any, gradient_NO: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        x_NI, weight_OI = ctx.saved_tensors
        with _bf16_matmul():
            return gradient_NO @ weight_OI, gradient_NO.T @ x_NI


def linear_function(precision: Precision, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The function from X and W to X · Wᵀ: :func:`bf16_linear` if asked for and if the CPU has AMX, else torch's."""
    has_amx = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return bf16_linear if precision == "bfloat16" and has_amx else functional.linear


def bf16_linear(x_NI: Tensor, weight_OI: Tensor) -> Tensor:
    """X · Wᵀ with factors rounded to bfloat16, if the CPU has AMX.

    Returns:
        As many rows as ``x_NI`` has, and then zeros up to a multiple of 64.
    """
    padded_NI = functional.pad(x_NI, (0, 0, 0, -len(x_NI) % _ROWS))
    product_NO: Tensor = _Bf16Linear.apply(padded_NI, weight_OI)  # type: ignore[no-untyped-call]
    return product_NO


@contextmanager
def _bf16_matmul() -> Iterator[None]:
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before
