"""Vectors in fewer numbers: the angles and lengths that matter stay."""

import numpy as np
import pytest

from fenestra.training.vectors.pca import compress

RNG = np.random.default_rng(7)
FLAT = (RNG.standard_normal((40_000, 3)) @ RNG.standard_normal((3, 8))).astype(np.float32)
"""Vectors of 8 numbers that say only 3 things."""


def standard(vectors):
    return (vectors - vectors.mean(0)) / vectors.std(0)


def test_all_directions_that_words_differ_in_are_kept():
    kept, before = compress(FLAT, 3), standard(FLAT)
    assert kept.shape == (40_000, 3)
    assert kept.dtype == np.float32
    some = RNG.integers(0, len(FLAT), (2, 500))
    inner = [(table[some[0]] * table[some[1]]).sum(1) for table in (kept, before)]
    np.testing.assert_allclose(*inner, atol=1e-3)


def test_of_fewer_the_best_ones_are_kept():
    """No other three directions would hold more of the variance: numpy's singular values say how much there is."""
    noisy = FLAT + RNG.standard_normal(FLAT.shape).astype(np.float32)
    singular = np.linalg.svd(standard(noisy).astype(np.float64), compute_uv=False)
    assert (compress(noisy, 3).astype(np.float64) ** 2).sum() == pytest.approx((singular[:3] ** 2).sum(), rel=1e-5)


def test_the_numbers_vary_about_equally():
    tilted = RNG.standard_normal((20_000, 40)) @ np.diag(0.8 ** np.arange(40)) @ RNG.standard_normal((40, 40))
    deviation = compress(tilted.astype(np.float32), 20).std(0)
    assert deviation.max() / deviation.min() < 4


def test_a_dimension_in_which_all_are_equal_does_not_count():
    constant = np.column_stack([FLAT, np.full(len(FLAT), 5.0, np.float32)])
    assert np.isfinite(compress(constant, 3)).all()
    np.testing.assert_allclose(
        np.linalg.norm(compress(constant, 3), axis=1), np.linalg.norm(compress(FLAT, 3), axis=1), rtol=1e-3
    )


def test_it_is_the_same_every_time():
    assert np.array_equal(compress(FLAT, 2), compress(FLAT, 2))
