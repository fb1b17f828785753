"""From words to numbers: which pretrained vector, and which row of each feature table, a word has.

U distinct words · F one-valued fields · G n-grams of the longest word, 0 fills up
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from fenestra.model.config import FeatureConfig
from fenestra.model.words import surface
from fenestra.model.words.gazetteers import NOTHING, Reference

UNKNOWN = 0


class Rows(NamedTuple):
    """The features of U distinct words as indices; what the network turns into e(w)."""

    vector_U: Tensor
    field_UF: Tensor
    ngram_UG: Tensor

    def pick(self, chosen: Tensor) -> "Rows":
        """The rows of some of the words."""
        return Rows(self.vector_U[chosen], self.field_UF[chosen], self.ngram_UG[chosen])

    def to(self, device: torch.device) -> "Rows":
        """The same rows on another device."""
        return Rows(self.vector_U.to(device), self.field_UF.to(device), self.ngram_UG.to(device))


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything the model knows by name. Row 0 of every table stands for whatever is not in it."""

    features: FeatureConfig
    vector_rows: Mapping[str, int]
    """Word → row of the vector table, counted from 1."""
    field_rows: Mapping[str, Mapping[str, int]]
    """Field → value → row of that field's table, counted from 1."""
    reference: Reference = NOTHING
    """What is known of words besides."""

    @classmethod
    def build(
        cls,
        features: FeatureConfig,
        vector_words: Sequence[str],
        corpus: Iterable[str],
        min_count: int,
        reference: Reference = NOTHING,
    ) -> Self:
        """Number the vectors' words, and the feature values that occur at least ``min_count`` times in a corpus."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in features.widths()}
        for word, count in Counter(corpus).items():
            values = field_values(word, features, reference)
            for name, counter in counts.items():
                counter[values[name]] += count
        known = {
            name: [value for value in sorted(counter) if counter[value] >= min_count]
            for name, counter in counts.items()
        }
        return cls.of(features, vector_words, known, reference)

    @classmethod
    def of(
        cls,
        features: FeatureConfig,
        vector_words: Sequence[str],
        known: Mapping[str, Sequence[str]],
        reference: Reference = NOTHING,
    ) -> Self:
        """Number words and values in the order given."""

        def numbered(values: Sequence[str]) -> dict[str, int]:
            return {value: row for row, value in enumerate(values, start=1)}

        rows = {name: numbered(known[name]) for name in features.widths()}
        return cls(features, numbered(vector_words), rows, reference)

    def vector_row(self, word: str) -> int:
        """The word's vector: as it is written, else lower-cased, else row 0."""
        row = self.vector_rows.get(word)
        return row if row is not None else self.vector_rows.get(word.lower(), UNKNOWN)

    def strange(self, word: str) -> bool:
        """Whether training had rows for words, but none for this one: it was not met there, or too seldom."""
        known = self.field_rows.get("word")
        return known is not None and word.lower() not in known

    def rows(self, words: Sequence[str], gram_UG: Tensor | None = None) -> Rows:
        """Look up every feature of some distinct words.

        Args:
            words: U of them.
            gram_UG: the buckets of their n-grams, if they are known.
        """
        config = self.features
        vectors = [self.vector_row(word) for word in words] if config.vectors else [UNKNOWN] * len(words)
        names = list(self.field_rows)
        values = [field_values(word, config, self.reference) for word in words] if names else []
        fields = [[self.field_rows[name].get(value[name], UNKNOWN) for name in names] for value in values]
        return Rows(
            torch.tensor(vectors, dtype=torch.int64),
            torch.tensor(fields, dtype=torch.int64).reshape(len(words), len(names)),
            self._grams(words) if gram_UG is None else gram_UG,
        )

    def _grams(self, words: Sequence[str]) -> Tensor:
        """The buckets of the words' n-grams."""
        config = self.features
        grams = [surface.ngrams(w, config.ngram_sizes, config.ngram_buckets) for w in words] if config.ngram else []
        longest = max(map(len, grams), default=0) or bool(config.ngram)  # a word too short for any has one 0
        filled = [gram + [0] * (longest - len(gram)) for gram in grams]
        return torch.tensor(filled, dtype=torch.int64).reshape(len(words), longest)


def field_values(word: str, features: FeatureConfig, reference: Reference) -> dict[str, str]:
    """The one-valued features of a word, by field name: what its letters say, and what reference works do."""
    letters = surface.fields(word, prefixes=features.prefixes, suffixes=features.suffixes)
    return letters | reference.fields(word, features.cluster_prefixes if features.cluster else ())


def number_words(words: Iterable[str]) -> tuple[list[str], list[int]]:
    """List the distinct words in order of appearance, and say for every word which one it is.

    >>> number_words(["to", "be", "or", "not", "to", "be"])
    (['to', 'be', 'or', 'not'], [0, 1, 2, 3, 0, 1])
    """
    ids: dict[str, int] = {}
    places = [ids.setdefault(word, len(ids)) for word in words]
    return list(ids), places
