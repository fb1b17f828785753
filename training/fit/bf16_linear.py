"""The large product of training, W₁ · e(w) of every word of a batch, in a third of the time where the processor can.

A CPU with AMX multiplies matrices of bfloat16, which has as many bits for the exponent as float32 and a third of those
for the digits, and adds up in float32. Only the factors are rounded, for the product and for both of its gradients:
weights, sums and gradients stay float32.

    X rows by I · W is O by I

    z = X Wᵀ        ∂L/∂X = ∂L/∂z W        ∂L/∂W = (∂L/∂z)ᵀ X
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fenestra.training.config import Precision

_ROWS = 64  # the library compiles code for every shape it meets, so there should be few


class _Rounded(torch.autograd.Function):
    """X · Wᵀ, all factors rounded."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_OI: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.save_for_backward(x_NI, weight_OI)
        with _rounding():
            return x_NI @ weight_OI.T

    @staticmethod
    def backward(ctx: Any, slope_NO: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        x_NI, weight_OI = ctx.saved_tensors
        with _rounding():
            return slope_NO @ weight_OI, slope_NO.T @ x_NI


def product(precision: Precision, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """How to multiply: X and W to X · Wᵀ."""
    able = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return rounded_linear if precision == "bfloat16" and able else functional.linear


def rounded_linear(x_NI: Tensor, weight_OI: Tensor) -> Tensor:
    """X · Wᵀ with factors rounded to bfloat16, if the CPU has AMX.

    Returns:
        As many rows as ``x_NI`` has, and then zeros up to a multiple of 64.
    """
    filled_NI = functional.pad(x_NI, (0, 0, 0, -len(x_NI) % _ROWS))
    product_NO: Tensor = _Rounded.apply(filled_NI, weight_OI)  # type: ignore[no-untyped-call]
    return product_NO


@contextmanager
def _rounding() -> Iterator[None]:
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before
