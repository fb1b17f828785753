"""From words to numbers: which pretrained vector, and which row of each feature table, a word has.

U distinct words · F one-valued fields · G n-grams of the longest word, 0 fills up
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fenestra.model.config import FeatureConfig
from fenestra.model.text.language import Language, language
from fenestra.model.words import surface
from fenestra.model.words.gazetteers import NO_GAZETTEERS, Gazetteers

UNKNOWN = 0


class Rows(NamedTuple):
    """The features of U distinct words as row numbers; what the network turns into e(w)."""

    vector_U: NDArray[np.int64]
    """Of the table of vectors; 0 for a word that has none."""
    field_UF: NDArray[np.int64]
    """Of the table of each one-valued field; 0 for a value that training did not see often enough."""
    ngram_UG: NDArray[np.int64]
    """Of the table of n-grams; 0 pads."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything the model knows by name. Row 0 of every table stands for whatever is not in it."""

    features: FeatureConfig
    vector_rows: Mapping[str, int]
    """Word → row of the vector table, counted from 1."""
    field_rows: Mapping[str, Mapping[str, int]]
    """Field → value → row of that field's table, counted from 1."""
    gazetteers: Gazetteers = NO_GAZETTEERS
    """What is known of words besides."""
    language: Language = field(default_factory=language)
    """How texts are read into the words that it knows. All of them are looked up in their canonical form."""

    @classmethod
    def of(
        cls,
        features: FeatureConfig,
        vector_words: Sequence[str],
        known: Mapping[str, Sequence[str]],
        gazetteers: Gazetteers = NO_GAZETTEERS,
        of: Language | None = None,
    ) -> Self:
        """Number words and values in the order given; English where no language is."""

        def numbered(values: Sequence[str]) -> dict[str, int]:
            return {value: row for row, value in enumerate(values, start=1)}

        rows = {name: numbered(known[name]) for name in features.widths()}
        return cls(features, numbered(vector_words), rows, gazetteers, of or language())

    def vector_row(self, word: str) -> int:
        """The word's vector: as it is written, else lower-cased, else row 0."""
        row = self.vector_rows.get(word)
        return row if row is not None else self.vector_rows.get(word.lower(), UNKNOWN)

    def is_oov(self, word: str) -> bool:
        """Whether the word is out of vocabulary: training had rows for words, but none for this one."""
        known = self.field_rows.get("word")
        return known is not None and word.lower() not in known

    def rows(self, words: Sequence[str], gram_UG: NDArray[np.int64] | None = None) -> Rows:
        """Look up every feature of some distinct words; ``gram_UG`` are the buckets of their n-grams, if known."""
        config = self.features
        vectors = [self.vector_row(word) for word in words] if config.vectors else [UNKNOWN] * len(words)
        names = list(self.field_rows)
        values = [field_values(word, config, self.gazetteers) for word in words] if names else []
        fields = [[self.field_rows[name].get(value[name], UNKNOWN) for name in names] for value in values]
        field_UF = np.array(fields, dtype=np.int64).reshape(len(words), len(names))
        return Rows(np.array(vectors, dtype=np.int64), field_UF, self._grams(words) if gram_UG is None else gram_UG)

    def _grams(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The buckets of the words' n-grams."""
        config = self.features
        grams = [surface.ngrams(w, config.ngram_sizes, config.ngram_buckets) for w in words] if config.ngram else []
        longest = max(map(len, grams), default=0) or int(config.ngram > 0)  # a word too short for any has one 0
        filled = [gram + [0] * (longest - len(gram)) for gram in grams]
        return np.array(filled, dtype=np.int64).reshape(len(words), longest)


def field_values(word: str, features: FeatureConfig, gazetteers: Gazetteers) -> dict[str, str]:
    """The one-valued features of a word, by field name: what its letters and the gazetteers say."""
    letters = surface.fields(word, prefixes=features.prefixes, suffixes=features.suffixes)
    return letters | gazetteers.fields(word, features.cluster_prefixes if features.cluster else ())


def number_words(words: Iterable[str]) -> tuple[list[str], list[int]]:
    """List the distinct words in order of appearance, and say for every word which one it is.

    >>> number_words(["to", "be", "or", "not", "to", "be"])
    (['to', 'be', 'or', 'not'], [0, 1, 2, 3, 0, 1])
    """
    ids: dict[str, int] = {}
    places = [ids.setdefault(word, len(ids)) for word in words]
    return list(ids), places
