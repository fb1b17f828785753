"""The table of pretrained vectors: frozen, standardised, small enough to ship.

V words · D width of a vector · U words looked up
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "int4": np.uint8}
"""What holds the components of each storage; a uint8 holds two."""
SCALED = ("int8", "int4")
"""The storages where each word has a scale of its own."""


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Vectors of V words behind row 0, which is all zeros: the mean of a standardised table.

    The table stays in the number type of the checkpoint and is widened for the rows that are looked up, so a model of
    200,000 words costs 20 MB of memory and not 80. With int4 a byte holds component i, as 8 more than its code, and
    component i + D/2 in its upper half.
    """

    codes_VD: NDArray[Any]
    """(V + 1, D), or (V + 1, D / 2) with int4."""
    scale_V1: NDArray[np.float32]
    """What a code of 1 stands for in each word's vector; of shape (0, 1) where nothing is scaled."""

    @property
    def width(self) -> int:
        """D; 0 for a model without vectors."""
        return int(self.codes_VD.shape[1]) * (2 if self.codes_VD.dtype == np.uint8 else 1)

    def look_up(self, row_U: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows: vectors_UD."""
        codes_UD = self.codes_VD[row_U]
        if codes_UD.dtype == np.uint8:
            codes_UD = np.concatenate([codes_UD & 15, codes_UD >> 4], axis=1).astype(np.int8) - np.int8(8)
        vectors_UD: NDArray[np.float32] = codes_UD.astype(np.float32)
        return vectors_UD * self.scale_V1[row_U] if len(self.scale_V1) else vectors_UD
