"""Entities as columns: a few numbers each, and no object.

Results (``model/results.py``) and Arrow arrays (``model/arrow.py``) are made from them.

Y items: texts, or sentences of words · T tokens · M entities · Z code points
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.decoding import Paths
from fenestra.model.text.joined import Texts

Unit = Literal["codepoint", "utf8", "utf16"]
"""What offsets count: code points, as Python does; bytes; or 16-bit units, as JavaScript and Java do."""


class Columns(NamedTuple):
    """The entities of many items, in order."""

    item_M: NDArray[np.int64]
    """The item of each, from 0."""
    start_M: NDArray[np.int32]
    """Where it starts, in code points of its text, or in words of its sentence."""
    end_M: NDArray[np.int32]
    """One past its last."""
    label_M: NDArray[np.int32]
    """The place of its label in ``labels``."""
    score_M: NDArray[np.float64]
    """Calibrated probability that label, start and end are right."""
    labels: tuple[str, ...]
    """All that the model knows."""

    @classmethod
    def of_paths(
        cls,
        paths: Paths,
        score_M: NDArray[np.float64],
        size_Y: NDArray[np.int64],
        start_T: NDArray[np.int32],
        width_T: NDArray[np.int32],
        labels: tuple[str, ...],
    ) -> Self:
        """Put the paths of all items, end to end, back where their tokens stand; ``size_Y`` are the tokens of each."""
        last_M, item_M = paths.end_M - 1, size_Y.cumsum().searchsorted(paths.begin_M, side="right")
        end_M = start_T[last_M] + width_T[last_M]
        return cls(item_M, start_T[paths.begin_M], end_M, paths.label_M.astype(np.int32), score_M, labels)

    @classmethod
    def end_to_end(cls, parts: Sequence["Columns"], items: Sequence[int], labels: tuple[str, ...]) -> Self:
        """Those of several batches, one after the other, of so many items each."""
        none_Y, none_M, none = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0)
        items_before = np.cumsum([0, *items])
        return cls(
            np.concatenate([none_Y, *(part.item_M + n for part, n in zip(parts, items_before, strict=False))]),
            np.concatenate([none_M, *(part.start_M for part in parts)]),
            np.concatenate([none_M, *(part.end_M for part in parts)]),
            np.concatenate([none_M, *(part.label_M for part in parts)]),
            np.concatenate([none, *(part.score_M for part in parts)]),
            labels,
        )

    def only(self, kept_M: NDArray[np.bool_]) -> Self:
        """Those that are kept."""
        return self._replace(
            item_M=self.item_M[kept_M], start_M=self.start_M[kept_M], end_M=self.end_M[kept_M],
            label_M=self.label_M[kept_M], score_M=self.score_M[kept_M],
        )  # fmt: skip

    def until(self, items: int) -> NDArray[np.int64]:
        """How many entities there are up to the end of each of so many items."""
        return np.bincount(self.item_M, minlength=items).cumsum()

    def counted_in(self, unit: Unit, of: object) -> Self:
        """The same with the offsets of texts in another unit; of anything else, they count words and stay."""
        if unit == "codepoint" or not isinstance(of, Texts) or not len(self.item_M):
            return self
        code_Z = of.code_Z
        wide_Z = (code_Z > 0xFFFF).astype(np.int32)  # two units of UTF-16, four bytes
        if unit == "utf8":
            wide_Z += (code_Z > 0x7F).astype(np.int32) + (code_Z > 0x7FF)
        if not wide_Z.any():
            return self
        more_Z = np.concatenate([np.zeros(1, np.int64), wide_Z.cumsum(dtype=np.int64)])  # units beyond one a code point
        begin_M = np.concatenate([np.zeros(1, np.int64), of.end_P])[self.item_M]
        start_M, end_M = (
            place_M + (more_Z[begin_M + place_M] - more_Z[begin_M]).astype(np.int32)
            for place_M in (self.start_M, self.end_M)
        )
        return self._replace(start_M=start_M, end_M=end_M)


def check_unit(unit: object) -> None:
    """Refuse a unit that there is none of; raises ValueError."""
    if unit not in get_args(Unit):
        raise ValueError(f"offsets: expected {', '.join(get_args(Unit))}, got {unit!r}")
