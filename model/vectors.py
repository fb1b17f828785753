"""The table of pretrained vectors: frozen, standardised, and small enough to ship.

V words · D width of a vector · U words looked up
"""

import torch
from torch import Tensor, nn

from model.config import Storage


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
    def pack(cls, vectors_VD: Tensor, storage: Storage) -> "VectorTable":
        """Put the zero row in front of float32 vectors and store them narrower.

        int8 divides each word's vector by its largest component, so the error of a component is at most
        1/254 of that.
        """
        table_VD = torch.cat([vectors_VD.new_zeros(1, vectors_VD.shape[1]), vectors_VD])
        none = torch.ones(0, 1)
        if storage != "int8":
            return cls(table_VD.to(getattr(torch, storage)), none)
        largest_V1 = table_VD.abs().amax(dim=1, keepdim=True) if table_VD.shape[1] else torch.ones(len(table_VD), 1)
        scale_V1 = (largest_V1 / 127).clamp_min(torch.finfo(torch.float32).tiny)
        return cls((table_VD / scale_V1).round().to(torch.int8), scale_V1)

    def forward(self, rows_U: Tensor) -> Tensor:
        """Look up rows of the table; returns vectors_UD, float32."""
        vectors_UD = self.codes[rows_U].to(torch.float32)
        return vectors_UD * self.scale[rows_U] if self.scale.numel() else vectors_UD
