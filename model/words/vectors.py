"""The table of pretrained vectors: frozen, standardised, and small enough to ship.

V words · D width of a vector · U words looked up
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fenestra.model.config import Storage

NUMBERS = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8, "int4": torch.uint8}
"""What holds the components of each storage; a uint8 holds two."""
LEVELS = {"int8": 127, "int4": 7}
"""The largest code where each word has a scale of its own."""

_BLOCK = 1024  # rows at a time that stay in a processor's cache
_TRIED = torch.linspace(
    1.0, 0.6, 9
).tolist()  # shares of the largest component that the largest of 15 codes may stand for


class VectorTable(nn.Module):
    """Frozen vectors of V words behind row 0, which is all zeros: the mean of a standardised table.

    The table is kept in the number type of the checkpoint and widened for the rows that are looked up,
    so a model of 200,000 words costs 20 MB of memory and not 80.
    With int4 a byte holds component i, as 8 more than its code, and component i + D/2 in its upper half.
    """

    def __init__(self, codes_VD: Tensor, scale_V1: Tensor) -> None:
        super().__init__()
        self.codes: Tensor
        self.scale: Tensor
        self.register_buffer("codes", codes_VD)
        self.register_buffer("scale", scale_V1)

    @property
    def width(self) -> int:
        """D, the width of a vector; 0 for a model without vectors."""
        return self.codes.shape[1] * (2 if self.codes.dtype == torch.uint8 else 1)

    @classmethod
    def pack(
        cls, vectors_VD: Tensor, storage: Storage, change: Callable[[Tensor], Tensor] = torch.clone
    ) -> "VectorTable":
        """Put the zero row in front of float32 vectors and store them narrower.

        int8 divides each word's vector by its largest component, so the error of a component is at most
        1/254 of that. int4 has 15 codes from -7 to 7: what is largest is cut off where that makes the sum of squared
        errors of the word smaller, and an odd D gets one more component that is always 0.

        Args:
            vectors_VD: the vectors.
            storage: number type of the table.
            change: made to them first, a few rows at a time, so that no second table of their size is needed.
        """
        count, width = vectors_VD.shape
        columns = (width + 1) // 2 if storage == "int4" else width
        codes_VD = torch.full((count + 1, columns), 0x88 if storage == "int4" else 0, dtype=NUMBERS[storage])
        scale_V1 = torch.full((count + 1, 1), torch.finfo(torch.float32).tiny)
        for begin in range(0, count, _BLOCK):
            block_VD = change(vectors_VD[begin : begin + _BLOCK])
            rows = slice(begin + 1, begin + 1 + len(block_VD))
            if storage in LEVELS:
                scale_V1[rows] = _scales(block_VD, LEVELS[storage], _TRIED if storage == "int4" else (1.0,))
                block_VD = _codes(block_VD, scale_V1[rows], LEVELS[storage])
            codes_VD[rows] = _two_a_byte(block_VD) if storage == "int4" else block_VD
        return cls(codes_VD, scale_V1 if storage in LEVELS else torch.ones(0, 1))

    def forward(self, rows_U: Tensor) -> Tensor:
        """Look up rows of the table; returns vectors_UD, float32."""
        codes_UD = self.codes[rows_U]
        if codes_UD.dtype == torch.uint8:
            codes_UD = torch.cat([codes_UD & 15, codes_UD >> 4], dim=1).to(torch.int8) - 8
        vectors_UD = codes_UD.to(torch.float32)
        return vectors_UD * self.scale[rows_U] if self.scale.numel() else vectors_UD


def _scales(vectors_ND: Tensor, most: int, shares: Sequence[float]) -> Tensor:
    """What a code of 1 stands for in each vector: the share of the largest component with the least error."""
    whole_N1 = vectors_ND.abs().amax(dim=1, keepdim=True) / most
    best_N1, least_N1 = whole_N1, torch.full_like(whole_N1, torch.inf)
    for share in shares:
        scale_N1 = (whole_N1 * share).clamp_min(torch.finfo(torch.float32).tiny)
        error_N1 = (_codes(vectors_ND, scale_N1, most) * scale_N1 - vectors_ND).square().sum(dim=1, keepdim=True)
        best_N1 = torch.where(error_N1 < least_N1, scale_N1, best_N1)
        least_N1 = torch.minimum(error_N1, least_N1)
    return best_N1


def _codes(vectors_ND: Tensor, scale_N1: Tensor, most: int) -> Tensor:
    """Whole numbers from -most to most, as float32."""
    return (vectors_ND / scale_N1).round().clamp(-most, most)


def _two_a_byte(codes_ND: Tensor) -> Tensor:
    """Codes from -7 to 7, component i beside component i + D/2."""
    low_NB, high_NB = (functional.pad(codes_ND, (0, codes_ND.shape[1] % 2)) + 8).to(torch.uint8).chunk(2, dim=1)
    return low_NB | high_NB << 4
