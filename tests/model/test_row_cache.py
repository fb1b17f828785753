"""The table of kept vectors: right, bounded, and kind to words that are used."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from fenestra.model.batch import Batch, look_up
from fenestra.model.projections import Projections
from fenestra.model.steps import run
from tests.model.conftest import small_model

MODEL = small_model(documents=True)
ROW_BYTES = 4 * MODEL.network.project.out_features


def table_of(slots):
    """A table of so many slots, one of which is PAD."""
    return Projections(MODEL.network, MODEL.lexicon, slots * ROW_BYTES / 1e6)


def windows_of(words):
    batch = Batch.of([[words]])
    inputs = run(look_up(batch, MODEL.lexicon, MODEL.network.vectors, MODEL.config))
    ((found, windows),) = inputs.bags()
    return found, windows


def mixed(table, words):
    found, windows = windows_of(words)
    return run(table.mix(found, windows))


def expected(words):
    """What the network says itself, with nothing kept."""
    found, windows = windows_of(words)
    with torch.inference_mode():
        return MODEL.network.mix(MODEL.network.project_rows(MODEL.lexicon.rows(found)), windows)


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 8, 300])
def test_whatever_is_kept_the_sums_are_those_of_the_network(slots):
    rng = random.Random(1)
    table = table_of(slots)
    for _ in range(60):
        words = [f"w{rng.randrange(30)}" for _ in range(rng.randrange(1, 12))]
        assert torch.equal(mixed(table, words), expected(words))
        assert len(table) <= max(slots - 1, 0)


def test_more_words_than_are_computed_at_once_come_in_pieces():
    words = [f"w{number}" for number in range(1500)]
    found, windows = windows_of(words)
    table = table_of(4000)
    work = table.mix(found, windows)
    assert len(list(work)) >= 1500 // 256
    assert len(table) == 1500
    assert torch.equal(mixed(table, words), expected(words))


def test_a_batch_with_more_words_than_there_are_slots_is_computed_without():
    table = table_of(10)
    words = [f"w{number}" for number in range(30)]
    assert torch.equal(mixed(table, words), expected(words))
    assert len(table) == 0


def test_words_in_use_outlive_words_that_came_once():
    table = table_of(60)
    for number in range(200):
        mixed(table, ["the", "of", f"once{number}"])
    assert len(table) <= 59
    before = calls_for(table, ["the", "of"])
    assert before == 0
    assert calls_for(table, ["once0"]) == 1


def calls_for(table, words):
    """How many words have to be computed for a batch."""
    computed = []
    project = table._project
    table._project = lambda fresh: computed.extend(fresh) or project(fresh)
    try:
        mixed(table, words)
    finally:
        del table._project
    return len(computed)


def test_what_was_used_long_ago_does_not_count_for_ever():
    """A word of last year makes room for the words of today."""
    table = table_of(40)
    for _ in range(300):
        mixed(table, ["yesterday"])
    for number in range(2000):
        mixed(table, ["today", f"once{number}", f"twice{number // 2}"])
    assert calls_for(table, ["today"]) == 0
    assert calls_for(table, ["yesterday"]) == 1


def test_memory_is_taken_as_words_come_in_and_never_more_than_was_given():
    table = table_of(50)
    assert len(table) == 0
    assert table._table.numel() * 4 <= 50 * ROW_BYTES
    for number in range(500):
        mixed(table, [f"w{number}"])
    assert table._table.shape[0] == 50
    assert len(table._slots) == len(table._keys) <= 49


def test_a_monstrous_word_leaves_no_more_than_a_digest():
    table = table_of(50)
    words = ["x" * 100_000, "x" * 100_001, "met"]
    assert torch.equal(mixed(table, words), expected(words))
    assert torch.equal(mixed(table, words), expected(words))
    assert len(table) == 3
    assert max(map(len, table._slots)) <= 64


def test_threads_that_drive_out_each_others_words_get_right_sums():
    table = table_of(24)
    rng = random.Random(2)
    batches = [[f"w{rng.randrange(60)}" for _ in range(15)] for _ in range(40)]
    right = [expected(words) for words in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, sums in zip(pool.map(lambda words: mixed(table, words), batches * 5), right * 5, strict=True):
            assert torch.equal(found, sums)
