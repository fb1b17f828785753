"""The table of vectors: as near to them as their number type allows."""

import numpy as np
import pytest

from fenestra.model.words.vectors import VectorTable
from tests.model.conftest import pack


@pytest.mark.parametrize(
    ("storage", "tolerance"), [("float32", 0), ("float16", 1e-3), ("int8", 1 / 254 + 1e-6), ("int4", 1 / 14 + 1e-6)]
)
def test_stored_vectors_are_as_near_as_their_number_type_allows(storage, tolerance):
    vectors = np.random.default_rng(1).normal(size=(50, 20)).astype(np.float32)
    table = pack(vectors, storage)
    assert table.width == 20
    found = table.look_up(np.arange(51))
    error = np.abs(found[1:] - vectors).max(axis=1) / np.abs(vectors).max(axis=1)
    assert error.max() <= tolerance
    assert (found[0] == 0).all()
    assert found.dtype == np.float32


def test_a_byte_of_int4_holds_a_component_and_the_one_half_a_vector_behind_it():
    """Each as 8 more than its code: 0x3f is 15 − 8 and 3 − 8."""
    table = VectorTable(np.array([[0x88, 0x88], [0x3F, 0xC8]], np.uint8), np.array([[0], [0.5]], np.float32))
    assert table.look_up(np.array([1, 0])).tolist() == [[3.5, 0, -2.5, 2], [0, 0, 0, 0]]


def test_a_word_of_int8_has_its_own_scale():
    table = VectorTable(np.array([[0, 0], [127, -3], [127, -3]], np.int8), np.array([[0], [1], [0.25]], np.float32))
    assert table.look_up(np.array([2, 1])).tolist() == [[31.75, -0.75], [127, -3]]


def test_a_model_without_vectors_has_some_of_no_width():
    table = VectorTable(np.zeros((1, 0), np.float32), np.zeros((0, 1), np.float32))
    assert table.width == 0
    assert table.look_up(np.zeros(3, np.int64)).shape == (3, 0)
