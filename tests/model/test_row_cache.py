"""The row cache of the kernel: right, bounded, and kind to words that are used."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fenestra.model.engine import library
from fenestra.model.engine.native import Native
from fenestra.model.engine.reference import Reference
from fenestra.model.engine.row_cache import RowCache
from fenestra.model.engine.vocabulary import words_beside
from fenestra.model.engine.weights import Weights
from tests.model.conftest import batch_of, log_probabilities, small_model

pytestmark = pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")

MODEL = small_model(context=1)
WINDOW, UNITS = 3, {"float32": 16, "int16": 16, "int8": 32}  # rows of int8 are padded to two panels


def bytes_of(slots, numbers="float32"):
    """Of so many slots: rows and their scales for each position, a count and a name."""
    return slots * (WINDOW * (UNITS[numbers] * np.dtype(numbers).itemsize + 4) + 24)


def engine_of(slots, numbers="float32", model=MODEL):
    """An engine whose cache has so many slots, one of which is PAD."""
    return Native(library.load(), model, cache_mb=(bytes_of(slots, numbers) + 0.5) / 1e6, numbers=numbers)


def scored(engine, words):
    return log_probabilities(engine, [[words]])


def alone(words):
    """What nothing kept gives."""
    return scored(engine_of(0), words)


def computed(engine, words):
    """How many rows have to be computed for some words."""
    count, put = [], engine._cache.put
    engine._cache.put = lambda pair_U, *rest: count.append(len(pair_U)) or put(pair_U, *rest)
    try:
        scored(engine, words)
    finally:
        del engine._cache.put
    return sum(count)


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 8, 300])
def test_whatever_is_kept_the_answers_are_the_same(slots):
    rng = random.Random(1)
    engine, reference = engine_of(slots), Reference(MODEL)
    for _ in range(60):
        words = [f"w{rng.randrange(30)}" for _ in range(rng.randrange(1, 12))]
        found = scored(engine, words)
        np.testing.assert_array_equal(found, alone(words))
        np.testing.assert_allclose(np.exp(found), np.exp(scored(reference, words)), atol=1e-5)
        assert len(engine._cache) <= max(slots - 1, 0)


@pytest.mark.parametrize("numbers", ["float32", "int16", "int8"])
def test_memory_is_what_was_given_and_taken_as_words_come_in(numbers):
    engine = engine_of(50, numbers)
    cache = engine._cache
    assert len(cache) == 0
    for number in range(500):
        scored(engine, [f"w{number}"])
        assert len(cache) <= 49
    assert cache.numbers.shape == (50, WINDOW, UNITS[numbers])
    kept = (cache.numbers, cache.scale, cache.uses, cache._pair, cache._born)
    assert sum(array.nbytes for array in kept) == bytes_of(50, numbers)
    assert RowCache.slots_in(engine._weights, bytes_of(50, numbers) / 1e6) == 50
    assert RowCache.slots_in(engine._weights, (bytes_of(50, numbers) - 1) / 1e6) == 49


def test_more_words_than_are_computed_at_once_come_in_pieces():
    words = [f"w{number}" for number in range(1500)]
    engine = engine_of(4000)
    batch = batch_of(engine, [[words]])
    context, _ = engine.look_up(batch)
    assert len(list(engine.score(batch, context, 0, 1500))) >= 1500 // 256
    assert len(engine._cache) == 1500
    np.testing.assert_array_equal(scored(engine, words), alone(words))


def test_a_batch_with_more_words_than_there_are_slots_is_computed_apart():
    engine = engine_of(10)
    words = [f"w{number}" for number in range(30)]
    np.testing.assert_array_equal(scored(engine, words), alone(words))
    assert len(engine._cache) == 0


def test_words_in_use_outlive_words_that_came_once():
    engine = engine_of(60)
    for number in range(200):
        scored(engine, ["the", "of", f"once{number}"])
    assert len(engine._cache) <= 59
    assert computed(engine, ["the", "of"]) == 0
    assert computed(engine, ["once0"]) == 1


def test_what_was_used_long_ago_does_not_count_for_ever():
    """A word of last year makes room for the words of today."""
    engine = engine_of(40)
    for _ in range(300):
        scored(engine, ["yesterday"])
    for number in range(2000):
        scored(engine, ["today", f"once{number}", f"twice{number // 2}"])
    assert computed(engine, ["today"]) == 0
    assert computed(engine, ["yesterday"]) == 1


@pytest.mark.parametrize("build", list(library.builds()), ids=lambda build: build.name)
def test_rows_beyond_what_int8_reaches_are_clipped_at_either_end(build):
    """A rare word may have larger rows than the common words that the units are measured with."""
    rows, codes = Weights(build, MODEL, "float32"), Weights(build, MODEL, "int8")
    entry_UE = codes.encode(["Ada", "met", "Munich"])
    codes.measure(entry_UE)
    unit_H = codes.unit_H.copy()
    row_UWH = np.zeros((3, WINDOW, UNITS["float32"]), np.float32)
    code_UWH = np.zeros((3, WINDOW, UNITS["int8"]), np.int8)
    scale, class_U, slot_U = np.empty((3, WINDOW), np.float32), np.ones(3, np.int64), np.arange(3)
    rows.project(3 * entry_UE, class_U, slot_U, row_UWH, scale)
    codes.project(3 * entry_UE, class_U, slot_U, code_UWH, scale)
    code_UWH, unit_H = code_UWH[..., : UNITS["float32"]], unit_H[: UNITS["float32"]]
    some = unit_H > 0
    exact_UWH = row_UWH[..., some] / unit_H[some]
    assert exact_UWH.min() < -129
    assert exact_UWH.max() > 129
    rounded = (
        1.0 if build.short.has_paired_products() else 0.51
    )  # integers are multiplied: e(w) and W₁ are rounded, too
    np.testing.assert_allclose(code_UWH[..., some], exact_UWH.clip(-127, 127), atol=rounded)


# ── eviction, by itself ──


def cache_of(slots, used):
    """A cache that is full of pairs 0, 1, …, used so many times; and the slot of each pair."""
    cache, pairs = RowCache(Weights(library.load(), MODEL, "float32"), slots), np.arange(slots - 1)
    slot_of = np.zeros(100, np.int32)
    entries = np.zeros((slots - 1, len(MODEL.parameters.pad_E)), np.float32)
    cache.put(pairs, entries, np.ones(slots - 1, np.int64), slot_of)
    cache.uses[slot_of[: slots - 1]] = used
    return cache, slot_of


NOTHING = np.zeros(1, np.int32)


def test_the_least_used_pairs_are_evicted_an_eighth_at_a_time_and_counts_are_halved():
    cache, slot_of = cache_of(17, [5, 1, 9, 8, 7, 6, 2, 12, 11, 10, 20, 21, 22, 23, 24, 25])
    slots = slot_of[:16].copy()
    assert cache.make_room(1, slot_of, NOTHING)
    assert np.flatnonzero(slot_of[:16] <= 0).tolist() == [1, 6]
    assert len(cache) == 14
    assert cache.uses[slots[[0, 2, 15]]].tolist() == [2, 4, 12]


def test_as_many_pairs_are_evicted_as_are_needed():
    cache, slot_of = cache_of(17, np.arange(16))
    assert cache.make_room(7, slot_of, NOTHING)
    assert np.flatnonzero(slot_of[:16] <= 0).tolist() == list(range(7))


def test_where_there_is_room_nothing_is_evicted_and_no_count_changes():
    cache, slot_of = cache_of(17, np.arange(16))
    cache.make_room(2, slot_of, NOTHING)
    before = cache.uses.copy()
    assert cache.make_room(2, slot_of, NOTHING)
    assert (cache.uses == before).all()
    assert len(cache) == 14


def test_pairs_of_the_batch_at_hand_are_not_evicted():
    cache, slot_of = cache_of(9, np.arange(8))
    line = slot_of[[0, 1, 2]]
    assert cache.make_room(2, slot_of, line)
    assert np.flatnonzero(slot_of[:8] <= 0).tolist() == [3, 4]
    before = slot_of.copy()
    assert not cache.make_room(8, slot_of, line)
    assert (slot_of == before).all()
    assert cache.make_room(5, slot_of, line)
    assert np.flatnonzero(slot_of[:8] <= 0).tolist() == [3, 4, 5, 6, 7]


def test_a_new_pair_starts_without_the_uses_of_the_one_it_replaces():
    """Else a word that comes once, after a frequent one has been evicted, stays for long."""
    cache, slot_of = cache_of(17, [9, 9, *[4] * 14])
    assert cache.make_room(1, slot_of, slot_of[2:16].copy())
    assert np.flatnonzero(slot_of[:16] <= 0).tolist() == [0, 1]
    entries = np.zeros((2, len(MODEL.parameters.pad_E)), np.float32)
    cache.put(np.array([50, 51]), entries, np.ones(2, np.int64), slot_of)
    assert cache.make_room(1, slot_of, NOTHING)
    assert (slot_of[50:52] <= 0).all()
    assert (slot_of[2:16] > 0).all()


def test_pad_is_never_evicted():
    cache, slot_of = cache_of(9, np.arange(8))
    pad = cache.numbers[0].copy()
    assert cache.make_room(8, slot_of, NOTHING)
    assert not cache.make_room(9, slot_of, NOTHING)
    cache.put(np.arange(8), np.ones((8, len(MODEL.parameters.pad_E)), np.float32), np.ones(8, np.int64), slot_of)
    assert sorted(slot_of[:8].tolist()) == list(range(1, 9))
    np.testing.assert_array_equal(cache.numbers[0], pad)


# ── words, vocabularies, threads ──


def test_a_word_over_64_characters_leaves_no_more_than_a_digest():
    engine = engine_of(50)
    words = ["x" * 100_000, "x" * 100_001, "met"]
    for _ in range(2):
        np.testing.assert_array_equal(scored(engine, words), alone(words))
    assert len(engine._cache) == 3
    found = engine._vocabulary
    assert [found.text(number) for number in np.flatnonzero(found.known).tolist()] == [None, None, "met"]


def test_slots_whose_words_are_forgotten_are_free():
    cache, slot_of = cache_of(9, np.arange(8))
    free = len(cache._free)
    cache.forget(np.array([slot_of[2], slot_of[4]], np.int64))
    assert len(cache) == 6
    assert len(cache._free) == free + 2
    assert (cache._pair[slot_of[[2, 4]]] == -1).all()


def test_a_pair_that_comes_once_goes_after_its_probation_and_stays_when_it_comes_back():
    """But as long as there is room, all stay."""
    cache, slot_of = RowCache(Weights(library.load(), MODEL, "float32"), 5000), np.zeros(30_000, np.int32)

    def put(*pairs):
        missing = np.array([pair for pair in pairs if slot_of[pair] <= 0])
        if len(missing):
            assert cache.make_room(len(missing), slot_of, NOTHING)
            entries = np.zeros((len(missing), len(MODEL.parameters.pad_E)), np.float32)
            cache.put(missing, entries, np.ones(len(missing), np.int64), slot_of)
        cache.uses[slot_of[[*pairs]]] += 1

    put(1, 2)
    put(2)
    for begin in range(100, 3700, 100):
        put(*range(begin, begin + 100))
    assert slot_of[1] > 0
    assert len(cache) == 3602
    for begin in range(3700, 9000, 100):
        put(*range(begin, begin + 100))
    assert slot_of[1] == -2
    assert slot_of[2] > 0
    assert len(cache) <= 5000 * 3 // 4 + 100
    put(1)
    for begin in range(9000, 15_000, 100):
        put(*range(begin, begin + 100))
    assert slot_of[1] > 0
    assert slot_of[2] > 0


def test_a_cache_that_is_cleared_knows_no_pair():
    cache, _ = cache_of(9, np.arange(8))
    cache.clear()
    assert len(cache) == 0
    assert sorted(cache._free) == list(range(1, 9))


def test_threads_that_evict_each_others_words_get_right_answers():
    engine = engine_of(24)
    rng = random.Random(2)
    batches = [[f"w{rng.randrange(60)}" for _ in range(15)] for _ in range(40)]
    right = [alone(words) for words in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(lambda words: scored(engine, words), batches * 5), right * 5, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("slots", "words"), [(1, 1 << 15), (4_096, 1 << 15), (7_000, 1 << 16), (9_000, 1 << 17), (90_000, 1 << 17)]
)
def test_a_small_cache_goes_with_a_small_vocabulary(slots, words):
    assert words_beside(slots) == words
