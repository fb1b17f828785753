"""The table of pretrained vectors: frozen, standardised, and small enough to ship.

V words · D width of a vector · U words looked up
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.config import Storage

_BLOCK = 1024  # rows at a time that stay in a processor's cache


class VectorTable(nn.Module):
    """Frozen vectors of V words behind row 0, which is all zeros: the mean of a standardised table.

    The table is kept in the number type of the checkpoint and widened for the rows that are looked up,
    so a model of 200,000 words costs 20 MB of memory and not 80.
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
        return self.codes.shape[1]

    @classmethod
    def pack(
        cls, vectors_VD: Tensor, storage: Storage, change: Callable[[Tensor], Tensor] = torch.clone
    ) -> "VectorTable":
        """Put the zero row in front of float32 vectors and store them narrower.

        int8 divides each word's vector by its largest component, so the error of a component is at most
        1/254 of that.

        Args:
            vectors_VD: the vectors.
            storage: number type of the table.
            change: made to them first, a few rows at a time, so that no second table of their size is needed.
        """
        count, width = vectors_VD.shape
        codes_VD = torch.zeros(count + 1, width, dtype=getattr(torch, storage))
        scale_V1 = torch.full((count + 1, 1), torch.finfo(torch.float32).tiny)
        for begin in range(0, count, _BLOCK):
            block_VD = change(vectors_VD[begin : begin + _BLOCK])
            rows = slice(begin + 1, begin + 1 + len(block_VD))
            if storage == "int8":
                scale_V1[rows] = (block_VD.abs().amax(dim=1, keepdim=True) / 127).clamp_min(scale_V1[0])
                block_VD = (block_VD / scale_V1[rows]).round()
            codes_VD[rows] = block_VD
        return cls(codes_VD, scale_V1 if storage == "int8" else torch.ones(0, 1))

    def forward(self, rows_U: Tensor) -> Tensor:
        """Look up rows of the table; returns vectors_UD, float32."""
        vectors_UD = self.codes[rows_U].to(torch.float32)
        return vectors_UD * self.scale[rows_U] if self.scale.numel() else vectors_UD
