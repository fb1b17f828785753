"""The table of pretrained vectors: frozen, standardised, and stored in a narrow number type.

V words · D width of a vector · U words looked up · B bytes of a row
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fenestra.model.config import Storage
from fenestra.model.words.vectors import VectorTable as ServedTable

NUMBERS = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8, "int4": torch.uint8}
"""The number type that holds the components of each storage; a uint8 holds two of int4."""
LEVELS = {"int8": 127, "int4": 7}
"""The largest code where each word has a scale of its own."""

_BLOCK = 1024  # rows at a time that stay in a processor's cache
_INT4_SHARES = torch.linspace(1.0, 0.6, 9).tolist()
"""Shares of a vector's largest component that code 7 may stand for."""


class VectorTable(nn.Module):
    """Frozen vectors of V words after row 0, which is all zeros: the mean of a standardised table.

    The table is kept in the number type of the checkpoint. Only the rows that are looked up become float32, so a model
    of 200,000 words takes 20 MB of memory and not 80.
    With int4 a byte holds two codes, each raised by 8: component i in the lower half, component i + D/2 in the upper.
    """

    def __init__(self, code_VB: Tensor, scale_V1: Tensor) -> None:
        super().__init__()
        self.codes: Tensor
        self.scale: Tensor
        self.register_buffer("codes", code_VB)
        self.register_buffer("scale", scale_V1)

    @property
    def width(self) -> int:
        """D, the width of a vector; 0 for a model without vectors."""
        return self.codes.shape[1] * (2 if self.codes.dtype == torch.uint8 else 1)

    def served(self) -> ServedTable:
        """The same table as the tagger reads it; shares the memory."""
        return ServedTable(self.codes.cpu().numpy(), self.scale.cpu().numpy())

    @classmethod
    def pack(
        cls, vectors_VD: Tensor, storage: Storage, change: Callable[[Tensor], Tensor] = torch.clone
    ) -> "VectorTable":
        """Put the zero row before float32 vectors and quantise them.

        int8 divides each vector by its largest component, so the error of a component is at most 1/254 of that.
        int4 has the 15 codes from -7 to 7. The scale of each vector is the one of nine candidates with the smallest sum
        of squared errors; a component beyond code 7 is clipped. An odd D gets one more component that is always 0.

        Args:
            vectors_VD: the vectors.
            storage: number type of the table.
            change: applied to the vectors first, a block of rows at a time, so that no second table of their size is
                needed.
        """
        count, width = vectors_VD.shape
        columns = (width + 1) // 2 if storage == "int4" else width
        code_VB = torch.full((count + 1, columns), 0x88 if storage == "int4" else 0, dtype=NUMBERS[storage])
        scale_V1 = torch.full((count + 1, 1), torch.finfo(torch.float32).tiny)
        for begin in range(0, count, _BLOCK):
            block_VD = change(vectors_VD[begin : begin + _BLOCK])
            rows = slice(begin + 1, begin + 1 + len(block_VD))
            if storage in LEVELS:
                scale_V1[rows] = _scales(block_VD, LEVELS[storage], _INT4_SHARES if storage == "int4" else (1.0,))
                block_VD = _codes(block_VD, scale_V1[rows], LEVELS[storage])
            code_VB[rows] = _two_codes_a_byte(block_VD) if storage == "int4" else block_VD
        return cls(code_VB, scale_V1 if storage in LEVELS else torch.ones(0, 1))

    def forward(self, row_U: Tensor) -> Tensor:
        """Look up rows of the table; returns vectors_UD, float32."""
        codes_UD = self.codes[row_U]
        if codes_UD.dtype == torch.uint8:
            codes_UD = torch.cat([codes_UD & 15, codes_UD >> 4], dim=1).to(torch.int8) - 8
        vectors_UD = codes_UD.to(torch.float32)
        return vectors_UD * self.scale[row_U] if self.scale.numel() else vectors_UD


def _scales(vectors_VD: Tensor, largest: int, shares: Sequence[float]) -> Tensor:
    """The scale of each vector: the one with the least squared error among some shares of its largest component."""
    whole_V1 = vectors_VD.abs().amax(dim=1, keepdim=True) / largest
    best_V1, least_V1 = whole_V1, torch.full_like(whole_V1, torch.inf)
    for share in shares:
        scale_V1 = (whole_V1 * share).clamp_min(torch.finfo(torch.float32).tiny)
        error_V1 = (_codes(vectors_VD, scale_V1, largest) * scale_V1 - vectors_VD).square().sum(dim=1, keepdim=True)
        best_V1 = torch.where(error_V1 < least_V1, scale_V1, best_V1)
        least_V1 = torch.minimum(error_V1, least_V1)
    return best_V1


def _codes(vectors_VD: Tensor, scale_V1: Tensor, largest: int) -> Tensor:
    """Whole numbers from ``-largest`` to ``largest``, as float32."""
    return (vectors_VD / scale_V1).round().clamp(-largest, largest)


def _two_codes_a_byte(code_VD: Tensor) -> Tensor:
    """Pack codes from -7 to 7: component i in the lower half of a byte, component i + D/2 in the upper."""
    low_VB, high_VB = (functional.pad(code_VD, (0, code_VD.shape[1] % 2)) + 8).to(torch.uint8).chunk(2, dim=1)
    return low_VB | high_VB << 4
