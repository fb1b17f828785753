"""Units of work: made of what is in the files alone, and smaller towards the end."""

import gzip
from itertools import pairwise

import pytest

from fenestra.cli.bulk.inputs import find_inputs
from fenestra.cli.bulk.tagging import Job
from fenestra.cli.bulk.units import Sizes, units_of

LINE = b"Anna Berg met Tom Kerr in Oslo, and went to Paris with her.\n"
LARGE = LINE * 100_000  # 6 MB
USUAL, SMALLEST = 1 << 19, 1 << 17


def cut(path):
    """The units of a file."""
    inputs = find_inputs([str(path)], None)
    return list(units_of(inputs, Job(), sizes=Sizes(sum(given.size for given in inputs))))


def size(unit):
    return sum(len(piece.chunk.data) for piece in unit.pieces)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_units_become_smaller_until_all_is_handed_out(tmp_path, pack):
    path = tmp_path / ("a.txt" if pack is bytes else "a.txt.gz")
    path.write_bytes(pack(LARGE))
    units = cut(path)
    assert b"".join(piece.chunk.data for unit in units for piece in unit.pieces) == LARGE
    assert all(len(unit.pieces) == 1 for unit in units)
    assert size(units[-1]) <= SMALLEST
    assert max(map(size, units)) <= USUAL
    assert [unit.key() for unit in cut(path)] == [unit.key() for unit in units]


def test_the_last_unit_is_a_small_part_of_what_one_worker_of_two_does(tmp_path):
    (tmp_path / "a.txt").write_bytes(LARGE)
    sizes = [size(unit) for unit in cut(tmp_path / "a.txt")]
    assert sizes[0] > 3 * SMALLEST
    assert all(later <= earlier + len(LINE) for earlier, later in pairwise(sizes))
    assert max(sizes[-2:]) < len(LARGE) / 2 / 20


def test_small_files_are_put_together(tmp_path):
    for number in range(2_000):
        (tmp_path / f"{number:04}.txt").write_bytes(LINE * 20)
    units = cut(tmp_path)
    assert sum(len(unit.pieces) for unit in units) == 2_000
    assert len(units) < 60
    assert max(map(size, units)) <= USUAL
