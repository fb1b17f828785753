"""Scores that mean what they say: of the entities scored 0.9, nine in ten should be right.

A network trained to the end is too sure of itself (Guo et al., ICML 2017). Two small corrections, both fitted
on development data and stored in the checkpoint, make its softmax honest without changing a single tag:

    tokens     p = softmax(z / temperature)
    entities   logit(score) = slope · logit(∏ p over its n tokens) + length · ln n + oov · s + offset
                                                                                                   (after Platt 1999)

The product takes the doubts about the words of one name for independent. Mostly they are one doubt, which it counts n
times; the term for the length takes that back. s is 1 where one of the words is out of vocabulary (``Lexicon.is_oov``),
else 0: of such names the network is too sure, and text of another kind is full of them.

With a CRF the temperature divides the transition scores too, p of a token is the marginal of its tag, and in place of
the product stands the probability of all paths that take the entity's tags.

The weights of label consistency (``model/decode/label_consistency.py``) are kept with these because they are fitted
with them, between the two. They do change tags.
"""

from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MOST_PAIRED = 128
"""Most tags that have a number for each pair of them: of more, no development data could tell, and files grow large."""
_EDGE = 1e-6
_LARGEST = 1e300  # sums of a few stay finite
_LARGEST_IN_KERNEL = 1e6  # beyond it, float32 overflows
_LARGEST_LOGIT = 700.0  # beyond it, exp overflows
_NAMES = {"oov": "strange"}  # in checkpoints
_FIELDS = {name: field for field, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers. As they stand: no correction."""

    temperature: float = 1.0
    slope: float = 1.0
    offset: float = 0.0
    length: float = 0.0
    """Of ln n; 0 in checkpoints that are older than this term."""
    oov: float = 0.0
    """Added where a word of the entity is out of vocabulary; 0 in older checkpoints, where it is called ``strange``."""
    same_tag: float = 0.0
    """What a word's other tokens add to log p of a tag for p of it: a of label consistency."""
    same_label: float = 0.0
    """The same for p of each tag of its label: b."""
    tag_by_tag: tuple[tuple[float, ...], ...] = ()
    """The same for p of each tag, in rows, to log p of each, in columns: D, (K, K), or empty."""

    def __post_init__(self) -> None:
        consistency = (self.same_tag, self.same_label, *chain.from_iterable(self.tag_by_tag))
        others = (self.temperature, self.slope, self.offset, self.length, self.oov)
        if len(self.tag_by_tag) > MOST_PAIRED:
            raise ValueError(f"calibration: expected {MOST_PAIRED} tags at most in tag_by_tag")
        if not all(map(_is_number, (*others, *consistency))):
            raise ValueError(f"calibration: expected finite numbers up to {_LARGEST:g}")
        if min(self.temperature * _LARGEST_IN_KERNEL, self.slope * _LARGEST) < 1:
            raise ValueError("calibration: expected a temperature and a slope above 0")
        if max(self.temperature, *map(abs, consistency)) > _LARGEST_IN_KERNEL:
            raise ValueError(
                f"calibration: expected temperature, same_tag, same_label and tag_by_tag up to {_LARGEST_IN_KERNEL:g}"
            )

    @property
    def has_label_consistency(self) -> bool:
        """Whether the other tokens of a word change anything."""
        return bool(self.same_tag or self.same_label or self.tag_by_tag)

    def entity_scores(
        self, log_product_M: NDArray[np.float32], tokens_M: NDArray[np.float32], oov_M: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Probability that each of M entities is right; ``oov_M`` is 1 where a word is out of vocabulary, else 0."""
        product_M = _clip(np.exp(log_product_M.astype(np.float64)), _EDGE, 1 - _EDGE)
        logit_M = self.slope * np.log(product_M / (1 - product_M)) + self.offset
        logit_M += self.length * np.log(tokens_M.astype(np.float64))
        logit_M += self.oov * oov_M.astype(np.float64)
        score_M: NDArray[np.float64] = 1 / (1 + np.exp(-_clip(logit_M, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
        return score_M

    def to_json(self) -> dict[str, Any]:
        """As plain values; those of label consistency only where it changes something."""
        values = {_NAMES.get(name, name): value for name, value in asdict(self).items()}
        if not self.tag_by_tag:
            del values["tag_by_tag"]
        if not self.has_label_consistency:
            del values["same_tag"], values["same_label"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read back what :meth:`to_json` wrote; raises TypeError or ValueError."""
        given = {_FIELDS.get(name, name): value for name, value in values.items()}
        return cls(**given | {"tag_by_tag": tuple(map(tuple, given.get("tag_by_tag", ())))})


def _clip(x_M: NDArray[np.float64], least: float, most: float) -> NDArray[np.float64]:
    """As ``clip`` of NumPy, which takes longer than all else here: there are few entities in a short text."""
    clipped_M: NDArray[np.float64] = np.minimum(np.maximum(x_M, least), most)
    return clipped_M


def _is_number(value: object) -> bool:
    """Whether something, which may come from a file, is a number to calculate with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
