"""The vector table: each number type as near to the vectors as it can be."""

import numpy as np
import pytest
import torch

from fenestra.training.vectors.quantise import VectorTable
from fenestra.training.vectors.vectors import standardise, standardiser


@pytest.mark.parametrize(
    ("storage", "tolerance"), [("float32", 0), ("float16", 1e-3), ("int8", 1 / 254 + 1e-6), ("int4", 0.4 + 1e-6)]
)
def test_stored_vectors_are_as_near_as_their_number_type_allows(storage, tolerance):
    vectors = torch.randn(50, 20, generator=torch.Generator().manual_seed(1))
    table = VectorTable.pack(vectors, storage)
    error = (table(torch.arange(1, 51)) - vectors).abs().amax(1) / vectors.abs().amax(1)
    assert error.max() <= tolerance
    assert torch.equal(table(torch.tensor([0])), torch.zeros(1, 20))


def test_the_scale_of_int4_is_the_best_of_nine():
    """Against every candidate scale by numpy: largest component · share / 7, the share from 1 down to 0.6."""
    vectors = np.random.default_rng(2).standard_t(3, (500, 32)).astype(np.float32)
    table = VectorTable.pack(torch.from_numpy(vectors), "int4")
    found_V = ((table(torch.arange(1, 501)).numpy() - vectors) ** 2).sum(axis=1)
    errors = []
    for share in np.linspace(1.0, 0.6, 9):
        scale_V1 = np.abs(vectors).max(axis=1, keepdims=True) * share / 7
        errors.append(((np.clip(np.round(vectors / scale_V1), -7, 7) * scale_V1 - vectors) ** 2).sum(axis=1))
    np.testing.assert_allclose(found_V, np.min(errors, axis=0), rtol=1e-4)
    assert len(set(np.argmin(errors, axis=0))) > 3  # it is not the same share for all


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "int4"])
def test_a_table_changed_while_it_is_packed_is_the_changed_table_packed(storage):
    """More rows than are taken at a time."""
    table = torch.randn(3000, 4, generator=torch.Generator().manual_seed(1))
    change = standardiser(table.numpy(), range(100))
    packed = VectorTable.pack(table, storage, lambda rows: torch.from_numpy(change(rows.numpy())))
    expected = VectorTable.pack(torch.from_numpy(standardise(table.numpy(), range(100))), storage)
    assert torch.equal(packed.codes, expected.codes)
    assert torch.equal(packed.scale, expected.scale)
