"""Is the difference between two models on one corpus more than chance? Two tests, whose formulas docs/compare.md has.

In shapes, S is sentences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 10_000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test of paired right and wrong answers, in its exact form."""

    only_first: int
    """Answers that the first model has right and the second has wrong."""
    only_second: int
    p: float
    """Probability of a split at least as uneven, if either model were as likely to be the one that is right."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A difference of two F1 scores, second minus first, and how far it depends on the choice of sentences."""

    difference: float
    low: float
    high: float
    """``low`` to ``high`` holds 95 % of the differences on resampled corpora."""
    p: float
    """Twice the smaller of the shares of resampled corpora on which it is not above, and not below, 0; at most 1."""


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Compare which answers are right.

    The binomial test of the pairs that differ: McNemar, Psychometrika 12 (1947), 153–157; for classifiers: Dietterich,
    Neural Computation 10 (1998), 1895–1923.

    Args:
        first: whether each answer of the first model is right.
        second: the same of the second model, for the same questions.

    >>> mcnemar(np.array([True, True, True, False]), np.array([True, False, False, False]))
    McNemar(only_first=2, only_second=0, p=0.5)
    """
    from scipy.stats import binomtest  # takes a second to import

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p = float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p)


def paired_bootstrap(counts_S5: NDArray[np.int64], *, samples: int = SAMPLES, seed: int = 1) -> Bootstrap:
    """Draw the sentences of a corpus anew with replacement, the same ones for both models, and compare F1 on each draw.

    The percentile interval of Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for F1 of NLP
    systems: Berg-Kirkpatrick, Burkett & Klein, EMNLP 2012.

    Args:
        counts_S5: of each sentence: entities that the first model has right and has found, those of the second, and
            those that are there.
        samples: how many.
        seed: of the draws; the same gives the same interval.
    """
    # Sentences with the same counts are interchangeable: what is drawn is how often each comes up, samples × kinds.
    kinds, times = np.unique(counts_S5, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(counts_S5), times / len(counts_S5), size=samples)
    differences = _difference(draws @ kinds)
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(differences, (tail, 1 - tail))
    p = 2 * min(float((differences <= 0).mean()), float((differences >= 0).mean()))
    return Bootstrap(float(_difference(counts_S5.sum(0))), float(low), float(high), min(p, 1.0))


def _difference(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of the second model minus that of the first; an undefined F1 is 0."""
    right_1, found_1, right_2, found_2, there = np.moveaxis(counts, -1, 0)
    return _f1(right_2, found_2, there) - _f1(right_1, found_1, there)


def _f1(right: NDArray[np.int64], found: NDArray[np.int64], there: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 = 2 · right / (found + there)."""
    f1: NDArray[np.float64] = 2 * right / np.maximum(found + there, 1)
    return f1
