"""The learned numbers of a network, under the names that they have in a checkpoint, and what shape each must have.

    x_t = [ e(w_{t-C}) ; … ; e(w_{t+C}) ]      e(w) = [ vector ; a row of each field ; mean of the rows of its n-grams ]
    z₁ = W₁ x_t + b₁ + what the document adds   h = f(z)   …   logits = W h + b

W window width · E width of e(w) · H units of the first layer · D width of a vector · C case classes and PAD · K tags
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.config import ModelConfig
from fenestra.model.network.array_file import Layout
from fenestra.model.network.context import CASE_CLASSES
from fenestra.model.tags import tag_set
from fenestra.model.words.lexicon import Lexicon
from fenestra.model.words.vectors import NUMBERS, SCALED, VectorTable

Floats = NDArray[np.float32]
Shapes = Callable[[ModelConfig, Lexicon, int], Mapping[str, tuple[int, ...]]]
"""The shape of every array but the table of vectors, whose width is given, by name."""
NOT_LEARNED = ("vectors.scale", "topic_mean", "topic_scale")
"""Numbers that stay float32 in a checkpoint, whatever number type the learned ones have."""


class Layer(NamedTuple):
    """A linear layer: W x + b."""

    weight_OI: Floats
    bias_O: Floats


class Topic(NamedTuple):
    """What the mean vector of a document adds to the first layer: T · ((mean − m) ⊙ s)."""

    weight_HD: Floats
    mean_D: Floats
    scale_D: Floats

    def standardise(self, topic_PD: Floats) -> Floats:
        """With mean 0 and variance 1 over the documents of the training data."""
        return (topic_PD - self.mean_D) * self.scale_D


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers of a network as float32, but for the table of vectors, which stays narrow."""

    vectors: VectorTable
    fields: Mapping[str, Floats]
    """By the name of a one-valued field: a row for each of its values, row 0 for any other."""
    ngrams: Floats
    """A row for each bucket, row 0 of zeros; of width 0 for a model without n-grams."""
    pad_E: Floats
    """e(w) of PAD, which stands beyond the ends of a sentence."""
    first_HX: Floats
    """W₁, X = W · E: the matrices W₁⁽ʲ⁾ of all positions side by side."""
    bias_H: Floats
    elsewhere_CWH: Floats | None
    """What the case class of a word adds at every position; class 0 is PAD's. None for a model that does not look."""
    topic: Topic | None
    """None for a model that does not look."""
    hidden: tuple[Layer, ...]
    """The layers between the first and the output."""
    output: Layer
    transitions: tuple[Floats, Floats, Floats] | None
    """Start (K), transition (K, K) and end scores (K) of a linear-chain CRF (``model/decode/crf.py``); None where every
    tag is scored by its window alone."""

    @property
    def window(self) -> int:
        """W = 2C + 1."""
        return int(self.first_HX.shape[1]) // max(len(self.pad_E), 1)

    @property
    def first_WHE(self) -> Floats:
        """W₁⁽ʲ⁾ of every position j of the window."""
        return self.first_HX.reshape(len(self.first_HX), self.window, -1).transpose(1, 0, 2)

    @classmethod
    def from_arrays(
        cls, config: ModelConfig, lexicon: Lexicon, arrays: Mapping[str, NDArray[np.generic]]
    ) -> "Parameters":
        """Take the arrays of a checkpoint apart; learned ones are of the number type that the configuration names.

        Raises:
            ValueError: an array is missing, unknown, of another shape or number type, or not finite; names it.
        """
        _check_numbering(lexicon)
        check_layout(config, lexicon, {name: (array.dtype, array.shape) for name, array in arrays.items()})
        return cls.from_checked(config, arrays)

    @classmethod
    def from_checked(cls, config: ModelConfig, arrays: Mapping[str, NDArray[np.generic]]) -> "Parameters":
        """As :meth:`from_arrays`, of arrays that :func:`check_layout` has found right.

        Raises:
            ValueError: an array is not finite.
        """
        check_finite(arrays)
        features, (first, *rest) = config.features, config.hidden
        learned = {name: array for name, array in arrays.items() if name != "vectors.codes"}
        wide: dict[str, Floats] = {n: np.ascontiguousarray(array, dtype=np.float32) for n, array in learned.items()}
        window = 2 * config.context + 1
        return cls(
            VectorTable(arrays["vectors.codes"], wide["vectors.scale"]),
            {name: wide[f"fields.{name}.weight"] for name in features.widths()},
            wide["ngrams.weight"],
            wide["pad"][0],
            wide["project.weight"].reshape(window, first, -1).transpose(1, 0, 2).reshape(first, -1),
            wide["bias"],
            wide["elsewhere"].reshape(CASE_CLASSES + 1, window, first) if features.elsewhere else None,
            Topic(wide["topic"], wide["topic_mean"], wide["topic_scale"]) if features.topic else None,
            tuple(Layer(wide[f"rest.{n}.weight"], wide[f"rest.{n}.bias"]) for n in range(len(rest))),
            Layer(wide["output.weight"], wide["output.bias"]),
            (wide["chain.start"], wide["chain.step"], wide["chain.end"]) if config.decoder == "transitions" else None,
        )

    def to_arrays(self, number: str) -> dict[str, NDArray[np.generic]]:
        """The inverse of :meth:`from_arrays`; ``number`` is the type of what was learned, float32 or float16."""
        none, hidden = np.zeros(0, np.float32), len(self.bias_H)
        topic = self.topic or Topic(np.zeros((hidden, 0), np.float32), none, none)
        elsewhere = np.zeros((0, hidden), np.float32) if self.elsewhere_CWH is None else self.elsewhere_CWH
        learned: dict[str, Floats] = {f"fields.{name}.weight": table for name, table in self.fields.items()}
        learned |= {
            "ngrams.weight": self.ngrams,
            "pad": self.pad_E[None],
            "project.weight": self.first_WHE.reshape(-1, len(self.pad_E)),
            "bias": self.bias_H,
            "elsewhere": elsewhere.reshape(-1, hidden),
            "topic": topic.weight_HD,
            "output.weight": self.output.weight_OI,
            "output.bias": self.output.bias_O,
        }
        for place, layer in enumerate(self.hidden):
            learned |= {f"rest.{place}.weight": layer.weight_OI, f"rest.{place}.bias": layer.bias_O}
        if self.transitions is not None:
            learned |= dict(zip(("chain.start", "chain.step", "chain.end"), self.transitions, strict=True))
        return {
            "vectors.codes": self.vectors.codes_VD,
            "vectors.scale": self.vectors.scale_V1,
            "topic_mean": topic.mean_D,
            "topic_scale": topic.scale_D,
            **{name: np.ascontiguousarray(array, dtype=number) for name, array in learned.items()},
        }


def shapes(config: ModelConfig, lexicon: Lexicon, vector_width: int) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a network but the table of vectors, whose width is given, by name."""
    features, window, (first, *rest) = config.features, 2 * config.context + 1, config.hidden
    widths, tags = features.widths(), len(tag_set(config.labels, config.scheme))
    entry = (vector_width if features.vectors else 0) + sum(widths.values()) + features.ngram
    topic = vector_width * features.topic
    found: dict[str, tuple[int, ...]] = {
        f"fields.{name}.weight": (len(lexicon.field_rows[name]) + 1, width) for name, width in widths.items()
    }
    found |= {
        "ngrams.weight": (features.ngram_buckets + 1 if features.ngram else 1, features.ngram),
        "pad": (1, entry),
        "project.weight": (window * first, entry),
        "bias": (first,),
        "elsewhere": ((CASE_CLASSES + 1) * window * features.elsewhere, first),
        "topic": (first, topic),
        "topic_mean": (topic,),
        "topic_scale": (topic,),
    }
    for number, (inputs, outputs) in enumerate(zip(config.hidden, rest, strict=False)):
        found |= {f"rest.{number}.weight": (outputs, inputs), f"rest.{number}.bias": (outputs,)}
    found |= {"output.weight": (tags, config.hidden[-1]), "output.bias": (tags,)}
    if config.decoder == "transitions":
        found |= {"chain.start": (tags,), "chain.step": (tags, tags), "chain.end": (tags,)}
    return found


def _check_numbering(lexicon: Lexicon) -> None:
    """Check that rows are numbered without a gap, as they are not where a word was listed twice."""
    if max(lexicon.vector_rows.values(), default=0) != len(lexicon.vector_rows):
        raise ValueError("words.txt lists a word twice")
    if wrong := [name for name, known in lexicon.field_rows.items() if max(known.values(), default=0) != len(known)]:
        raise ValueError(f"features.json lists a value of {wrong[0]} twice")


def check_layout(config: ModelConfig, lexicon: Lexicon, layout: Layout, shapes: Shapes = shapes) -> None:
    """Check that arrays have the names, number types and shapes that a configuration and a lexicon ask for.

    ``shapes`` says which those are; the ones of a window network, when omitted.

    Raises:
        ValueError: one has not; names it.
    """
    storage = config.features.storage
    numbers = dict.fromkeys(NOT_LEARNED, np.dtype(np.float32)) | {"vectors.codes": np.dtype(NUMBERS[storage])}
    for name, (number, _) in layout.items():
        wanted = numbers.get(name, np.dtype(config.weights))
        if number != wanted:
            raise ValueError(f"{name} holds numbers of {number}, expected {wanted}")
    if missing := [name for name in ("vectors.codes", "vectors.scale") if name not in layout]:
        raise ValueError(f"{missing[0]} is missing")
    vectors = _checked_vectors(config, lexicon, layout)
    expected = shapes(config, lexicon, vectors)
    if missing := [name for name in expected if name not in layout]:
        raise ValueError(f"{missing[0]} is missing")
    if unknown := sorted(set(layout) - set(expected) - {"vectors.codes", "vectors.scale"}):
        raise ValueError(f"{unknown[0]} is not a part of such a network")
    for name, shape in expected.items():
        if layout[name][1] != shape:
            raise ValueError(f"{name} is of shape {layout[name][1]}, expected {shape}")


def check_finite(arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Check that all numbers are.

    Raises:
        ValueError: one is not; names its array.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds a value that is not finite")


def _checked_vectors(config: ModelConfig, lexicon: Lexicon, layout: Layout) -> int:
    """Check the table of vectors; returns their width."""
    (number, codes), (_, scale) = layout["vectors.codes"], layout["vectors.scale"]
    rows, uses = len(lexicon.vector_rows) + 1, config.features.vectors
    if len(codes) != 2 or (codes[1] and not uses):
        raise ValueError(f"vectors.codes is of shape {codes}, which the configuration has no use for")
    if uses and codes[0] != rows:
        raise ValueError(f"vectors.codes has {codes[0]} rows, expected {rows}: one a word, and one more")
    scales = (codes[0], 1) if config.features.storage in SCALED else (0, 1)
    if scale != scales:
        raise ValueError(f"vectors.scale is of shape {scale}, expected {scales}")
    return codes[1] * (2 if number == np.uint8 else 1)
