"""The network in NumPy: the lecture's formulas, one window, one unit, one number at a time."""

import math

import numpy as np
import pytest

from fenestra.model.engine.reference import Reference
from fenestra.model.network.network import ACTIVATIONS, SLOPES, encode, log_softmax, logits, preactivations
from fenestra.model.network.windows import sentence_bounds, window_ids
from tests.model.conftest import WIDTH, engines_of, log_probabilities, small_model, tame_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]
BY_MATH = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: z if z > 0 else 0.0,
    "gelu": lambda z: z * 0.5 * math.erfc(-z / math.sqrt(2)),
    "silu": lambda z: z / (1 + math.exp(-z)),
}
"""As the articles write them; good for moderate z."""


def scored(model, words, context):
    """The logits of a sentence."""
    p = model.parameters
    entry_VE = encode(p, model.lexicon.rows(words))
    id_TW = window_ids(np.arange(1, len(words) + 1), sentence_bounds([len(words)]), context)
    return logits(p, model.config.activation, preactivations(p, entry_VE, id_TW, None, None))


def by_hand(model, words, context):
    """W₁ [e₁; …; e_W] + b₁, one window after another in float64, and then layer by layer, unit by unit."""
    p, f = model.parameters, BY_MATH[model.config.activation]
    e_VE = encode(p, model.lexicon.rows(words)).astype(float)
    padded = [0] * context + list(range(1, len(words) + 1)) + [0] * context
    for place in range(len(words)):
        x = np.concatenate([e_VE[v] for v in padded[place : place + 2 * context + 1]])
        z = p.first_HX.astype(float) @ x + p.bias_H
        for weight_OI, bias_O in (*p.hidden, p.output):
            h = [f(unit) for unit in z.tolist()]
            z = np.array(
                [
                    sum(w * unit for w, unit in zip(row, h, strict=True)) + b
                    for row, b in zip(weight_OI.tolist(), bias_O.tolist(), strict=True)
                ]
            )
        yield z  # fmt: skip


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
@pytest.mark.parametrize("context", [0, 1, 3])
def test_logits_are_those_of_the_concatenated_window(activation, hidden, context):
    model = small_model(activation=activation, hidden=hidden, context=context)
    assert model.parameters.first_HX.shape == (hidden[0], (2 * context + 1) * len(model.parameters.pad_E))
    actual = scored(model, SENTENCE, context)
    for row, expected in zip(actual, by_hand(model, SENTENCE, context), strict=True):
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_the_sum_over_positions_is_the_product_with_the_concatenated_window():
    """W₁ x = Σⱼ W₁⁽ʲ⁾ e(wⱼ): the matrices of the positions stand side by side."""
    p = small_model(context=2).parameters
    e_WE = np.random.default_rng(1).normal(size=(5, len(p.pad_E)))
    expected = sum(weight_HE.astype(float) @ e_E for weight_HE, e_E in zip(p.first_WHE, e_WE, strict=True))
    np.testing.assert_allclose(p.first_HX.astype(float) @ e_WE.reshape(-1), expected, atol=1e-12)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
def test_torch_computes_the_same_network(activation, hidden):
    """Other code for the products, the activations and the softmax."""
    torch = pytest.importorskip("torch")
    function = {
        "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "gelu": torch.nn.functional.gelu,
        "silu": torch.nn.functional.silu,
    }[activation]  # fmt: skip
    model = tame_model(activation=activation, hidden=hidden, documents=False, context=2)
    p = model.parameters
    e_VE = torch.tensor(encode(p, model.lexicon.rows(SENTENCE)))
    padded = torch.tensor([0, 0, *range(1, len(SENTENCE) + 1), 0, 0]).unfold(0, 5, 1)
    z = e_VE[padded].flatten(1) @ torch.tensor(p.first_HX).T + torch.tensor(p.bias_H)
    for weight_OI, bias_O in (*p.hidden, p.output):
        z = torch.nn.functional.linear(function(z), torch.tensor(weight_OI), torch.tensor(bias_O))
    expected = torch.log_softmax(z / model.calibration.temperature, dim=1).numpy()
    actual = log_probabilities(Reference(model), [[SENTENCE]])
    np.testing.assert_allclose(np.exp(actual), np.exp(expected), atol=1e-5)


# ── activations ──


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_activations_are_those_of_the_articles(activation):
    z = np.linspace(-12, 12, 241)
    expected = [BY_MATH[activation](x) for x in z.tolist()]
    np.testing.assert_allclose(ACTIVATIONS[activation](z), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("number", [np.float32, np.float64])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_activations_are_finite_everywhere_and_keep_the_number_type(activation, number):
    """Without a warning of an overflow, too."""
    z = np.array([-1e30, -1e4, -100, 0, 100, 1e4, 1e30], number)
    found = ACTIVATIONS[activation](z)
    assert found.dtype == number
    limits = {"sigmoid": (0, 1), "tanh": (-1, 1)}.get(activation, (0, 1e30))
    assert found[0] == pytest.approx(limits[0], abs=1e-30)
    assert found[-1] == pytest.approx(limits[1])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_slopes_are_those_of_finite_differences(activation):
    f, step = BY_MATH[activation], 1e-5
    z = np.linspace(-6, 6, 120)  # 0, where ReLU has none, is not among them
    expected = [(f(x + step) - f(x - step)) / (2 * step) for x in z.tolist()]
    np.testing.assert_allclose(SLOPES[activation](z), expected, atol=1e-8)


# ── softmax ──


def test_softmax_is_that_of_the_lecture_and_does_not_change_under_a_shift():
    z_TK = np.random.default_rng(4).normal(scale=3, size=(20, 7))
    expected = [[math.exp(z) / sum(map(math.exp, row)) for z in row] for row in z_TK.tolist()]
    for shift in (0, -50, 1e4):
        np.testing.assert_allclose(np.exp(log_softmax(z_TK + shift)), expected, atol=1e-10)


def test_softmax_of_any_size_is_finite():
    """Without a warning of an overflow."""
    found = log_softmax(np.array([[1e30, 0, -1e30], [-1e38, -1e38, -1e38]], np.float32))
    assert np.isfinite(found[:, 0]).all()
    np.testing.assert_allclose(np.exp(found), [[1, 0, 0], [1 / 3] * 3], atol=1e-6)


@pytest.mark.parametrize("hidden", [(16,), (16, 8)])
def test_with_a_zeroed_output_layer_all_tags_are_equally_likely(hidden):
    model = small_model(hidden=hidden)
    for part in model.parameters.output:
        part[:] = 0
    for engine in engines_of(model):
        np.testing.assert_allclose(log_probabilities(engine, [[SENTENCE]]), -math.log(7), atol=1e-6)


# ── windows and documents ──


def test_a_word_beyond_the_window_changes_nothing():
    """Bit for bit: the model promises that only 2C+1 words matter."""
    for engine in engines_of(small_model(context=2)):
        one, other = (log_probabilities(engine, [[["Ada", "met", "in", last]]]) for last in ("Munich", "Siemens"))
        assert (one[0] == other[0]).all()
        assert (one[1] != other[1]).any()


def test_a_document_adds_its_rows_to_the_sum():
    """Σⱼ W₁⁽ʲ⁾ e(wⱼ) + Σⱼ E⁽ʲ⁾[class of wⱼ] + T · standardised topic + b₁, one token after another."""
    model = small_model(documents=True, context=1)
    p = model.parameters
    p.topic.mean_D[:] = 0.25
    p.topic.scale_D[:] = 3.0
    document = [["Rose", "met", "Munich"], ["Ada", "met", "a", "rose"]]
    words = [word for sentence in document for word in sentence]
    classes = [1 + 8, 1, 2, 8, 1, 1, 1]  # seen small 1, capitalised 2; where case is forced 8
    vectors = {word: p.vectors.look_up(np.array([model.lexicon.vector_row(word)]))[0] for word in words}
    known = [vectors[word] for word in words if model.lexicon.vector_row(word)]
    assert len(known) == 4
    topic_D = (sum(known).astype(float) / (4 + 20) - 0.25) * 3
    expected = []
    for begin, end in ((0, 3), (3, 7)):
        for t in range(begin, end):
            z_H = p.bias_H + p.topic.weight_HD.astype(float) @ topic_D
            for j in range(3):
                at = t + j - 1
                inside = begin <= at < end
                e_E = encode(p, model.lexicon.rows([words[at]]))[1] if inside else p.pad_E
                z_H += p.first_WHE[j].astype(float) @ e_E + p.elsewhere_CWH[classes[at] + 1 if inside else 0, j]
            expected.append(p.output.weight_OI.astype(float) @ z_H.clip(0) + p.output.bias_O)
    for engine in engines_of(model):
        found = log_probabilities(engine, [document])
        np.testing.assert_allclose(
            np.exp(found), np.exp(log_softmax(np.array(expected) / model.calibration.temperature)), atol=1e-5
        )


@pytest.mark.parametrize(
    "features",
    [
        {"word": 0, "case": 0, "shape": 0, "affix": 0, "cluster": 0, "lists": 0, "ngram": 0},
        {"vectors": False, "word": 0},
        {"ngram": 0},
        {"case": 0},
        {"cluster": 0},
        {"lists": 0},
    ],
    ids=str,
)
def test_features_can_be_switched_off(features):
    """With all but the vectors off, e(w) is the vector: the lecture's window."""
    model = small_model(**features)
    p = model.parameters
    e_VE = encode(p, model.lexicon.rows(["ada", "in"]))
    widths = {"vectors": WIDTH, "word": 4, "case": 3, "shape": 3, "affix": 18, "cluster": 4, "lists": 2, "ngram": 4}
    off = sum(widths[name] for name in features)
    assert e_VE.shape == (3, sum(widths.values()) - off)
    np.testing.assert_array_equal(e_VE[0], p.pad_E)
    if off == sum(widths.values()) - WIDTH:
        np.testing.assert_array_equal(e_VE[1], p.vectors.codes_VD[1])
    assert scored(model, ["ada", "in"], 2).shape == (2, 7)
    for engine in engines_of(model):
        np.testing.assert_allclose(np.exp(log_probabilities(engine, [[["ada", "in"]]])).sum(axis=1), 1, atol=1e-5)


def test_the_row_of_a_word_is_its_vector_the_rows_of_its_fields_and_the_mean_of_those_of_its_ngrams():
    model = small_model()
    p, rows = model.parameters, model.lexicon.rows(["Munich", "Nemo", "x"])
    entry_VE = encode(p, rows)
    for u in range(3):
        parts = [p.vectors.codes_VD[rows.vector_U[u]]]
        parts += [p.fields[name][row] for name, row in zip(model.lexicon.field_rows, rows.field_UF[u], strict=True)]
        grams = [p.ngrams[row].astype(float) for row in rows.ngram_UG[u] if row]
        parts.append(sum(grams) / len(grams))
        np.testing.assert_allclose(entry_VE[u + 1], np.concatenate(parts), atol=1e-6)


def test_no_word_has_no_row_but_that_of_pad():
    model = small_model()
    np.testing.assert_array_equal(encode(model.parameters, model.lexicon.rows([])), model.parameters.pad_E[None])
