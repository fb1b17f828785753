"""W₁ as integers: sums that cannot overflow, and rows as near to the exact ones as int16 can tell."""

from dataclasses import replace

import numpy as np
import pytest

from fenestra.model.engine import library
from fenestra.model.engine import paired as paired_module
from fenestra.model.engine.library import DECLARED
from fenestra.model.engine.paired import paired
from fenestra.model.engine.weights import Weights
from tests.model.conftest import small_model

LARGEST, SUMMED = (DECLARED.constants[name] for name in ("LARGEST_PAIRED", "SUMMED"))
BUILDS = [build for build in library.builds() if build.short.has_paired_products()]
RNG = np.random.default_rng(7)


def model_of(first_HX):
    model = small_model(context=1, hidden=(len(first_HX),))
    return replace(model, parameters=replace(model.parameters, first_HX=first_HX.astype(np.float32)))


SHAPE = small_model(context=1, hidden=(48,)).parameters.first_HX.shape
WEIGHTS = {
    "usual": RNG.normal(size=SHAPE),
    "all alike": np.ones(SHAPE),
    "alternating": np.where(np.arange(SHAPE[1]) % 2, 1.0, -1.0) * np.ones(SHAPE),
    "a few large ones": np.where(RNG.random(SHAPE) < 0.02, 1e4, 1e-4),
    "one unit of zeros": RNG.normal(size=SHAPE) * (np.arange(SHAPE[0])[:, None] > 0),
    "tiny": RNG.normal(size=SHAPE) * 1e-20,
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_no_sum_of_pairs_leaves_32_bits_whatever_a_word_is(kind):
    weight = paired(model_of(WEIGHTS[kind]).parameters, 48).weight.astype(np.int64)  # (W, panels, N, PANEL, 2)
    window, panels, pairs, panel, _ = weight.shape
    assert pairs % SUMMED == 0
    size = np.abs(weight).sum(axis=4).reshape(window, panels, -1, SUMMED, panel).sum(axis=3)
    assert size.max() * LARGEST < 2**31
    assert np.abs(weight).max() > 2**12  # as large as that allows, so as fine


@pytest.mark.parametrize("kind", WEIGHTS)
def test_the_integers_are_the_weights(kind):
    parameters = model_of(WEIGHTS[kind]).parameters
    integers = paired(parameters, 64)
    window, panels, pairs, panel, _ = integers.weight.shape
    found = integers.weight.transpose(0, 1, 3, 2, 4).reshape(window, panels * panel, 2 * pairs)
    exact = parameters.first_WHE
    units, entry = exact.shape[1:]
    assert not found[:, units:].any()
    assert not found[:, :, entry:].any()
    again = found[:, :units, :entry] * integers.unit_WH[:, :units, None] * integers.per_balance_E
    error = np.abs(again - exact) / (integers.unit_WH[:, :units, None] * integers.per_balance_E + 1e-30)
    assert error.max() < 0.51


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("hidden", [48, 64, 80])
def test_rows_by_integers_are_those_by_floats(build, kind, hidden):
    """With an odd number of panels and an even one, of words with a pretrained vector and without."""
    model = model_of(np.resize(WEIGHTS[kind], (hidden, SHAPE[1])))
    weights = Weights(build, model, "float32")
    words = [*["ada", "met", "munich", "Siemens"] * 5, *(f"unknown{number}" for number in range(17))]
    entry_UE = weights.encode(words)
    count, window = len(words), weights.window
    first_WHE, exact_UE = weights._parameters.first_WHE.astype(np.float64), entry_UE.astype(np.float64)
    exact = np.einsum("ue,whe->uwh", exact_UE, first_WHE)
    size = np.einsum("ue,whe->uwh", np.abs(exact_UE), np.abs(first_WHE)).max(axis=2, keepdims=True)
    of_class = np.zeros(count, np.int64)
    for numbers in ("float32", "int16"):
        some = Weights(build, model, numbers)
        table, scale = np.zeros((count, window, some.hidden), numbers), np.ones((count, window), np.float32)
        some.project(entry_UE, of_class, np.arange(count)[::-1].copy(), table, scale)
        found = (table * (scale[..., None] if numbers == "int16" else 1))[::-1]
        assert (np.abs(found - exact) / size).max() < {"float32": 1e-6, "int16": 1e-4}[numbers]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("small", [0, 1e-12, 1e-4])
def test_what_is_large_in_rare_words_only_costs_little(build, small, monkeypatch):
    monkeypatch.setattr(paired_module, "_COMMON", 4)
    model = small_model(context=1, hidden=(48,), storage="float32")
    vectors = model.parameters.vectors
    code_VD = vectors.codes_VD.copy()
    code_VD[1:4, 0] = small
    parameters = replace(model.parameters, vectors=replace(vectors, codes_VD=code_VD))
    weights = Weights(build, replace(model, parameters=parameters), "int16")
    entry_UE = weights.encode(["ada", "lovelace", "met", "siemens", "in", "munich"])
    count = len(entry_UE)
    exact = np.einsum("ue,whe->uwh", entry_UE.astype(np.float64), parameters.first_WHE.astype(np.float64))
    table, scale = np.zeros((count, weights.window, 48), np.int16), np.ones((count, weights.window), np.float32)
    weights.project(entry_UE, np.zeros(count, np.int64), np.arange(count), table, scale)
    error = np.abs(table * scale[..., None] - exact) / np.abs(exact).max(axis=2, keepdims=True)
    assert error.max() < 1e-3


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_a_words_row_does_not_depend_on_the_others(build):
    weights = Weights(build, model_of(WEIGHTS["usual"]), "int16")
    words = [*["ada", "unknown", "met", "x", "munich", "."] * 6]
    rows = []
    for piece in ([word] for word in words):
        table, scale = np.zeros((1, weights.window, weights.hidden), np.int16), np.ones((1, weights.window), np.float32)
        weights.project(weights.encode(piece), np.zeros(1, np.int64), np.zeros(1, np.int64), table, scale)
        rows.append((table[0].tobytes(), scale[0].tobytes()))
    table = np.zeros((len(words), weights.window, weights.hidden), np.int16)
    scale = np.ones((len(words), weights.window), np.float32)
    weights.project(weights.encode(words), np.zeros(len(words), np.int64), np.arange(len(words)), table, scale)
    assert [(row.tobytes(), of.tobytes()) for row, of in zip(table, scale, strict=True)] == rows
