"""The lecture's formulas, written out by hand in numpy, against what the project computes.

Every test names its formula; ``docs/lecture.md`` maps formula → file → test. All in float64, to 1e-6.

    E width of e(w) · W window width · M = W·E · H hidden units · N windows · K tags
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fenestra.training.config import TrainingConfig
from fenestra.training.data.spans import convert
from fenestra.training.fit.losses import class_weights, make_loss
from fenestra.training.network.rows import Windows, windows_over
from fenestra.training.network.window_tagger import ACTIVATIONS
from tests.training.networks import small_network

CLOSE = {"rtol": 1e-6, "atol": 1e-9}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def erf(z):
    return torch.erf(torch.from_numpy(z)).numpy()


def gaussian(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


# f and f′ of every hidden unit; the first is the lecture's artificial neuron.
BY_HAND = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "gelu": (lambda z: z * (1 + erf(z / np.sqrt(2))) / 2, lambda z: (1 + erf(z / np.sqrt(2))) / 2 + z * gaussian(z)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
}


def softmax(z_NK):
    """exp(zₖ − max z) / Σ exp(zⱼ − max z): subtracting the largest changes nothing and cannot overflow."""
    powers_NK = np.exp(z_NK - z_NK.max(axis=1, keepdims=True))
    return powers_NK / powers_NK.sum(axis=1, keepdims=True)


def one_hot(gold_N, tags):
    return np.eye(tags)[gold_N]


LOSSES = {
    "cross_entropy": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weights": "balanced"},
    "root_weighted": {"class_weights": "sqrt_balanced"},
    "with_margin": {"entity_margin": 1.5},
    "focal": {"loss": "focal", "focal_gamma": 2.0},
    "focal_weighted": {"loss": "focal", "focal_gamma": 1.5, "class_weights": "balanced"},
}


def loss_by_hand(z_NK, gold_N, count_K, options):
    """The mean loss, and ∂L/∂z: p − y for the plain one, with the weight and focus of each window otherwise."""
    N, K = z_NK.shape
    z_NK = z_NK + options.get("entity_margin", 0.0) * one_hot(np.zeros(N, dtype=int), K)
    p_NK, y_NK = softmax(z_NK), one_hot(gold_N, K)
    smoothing = options.get("label_smoothing", 0.0)
    target_NK = (1 - smoothing) * y_NK + smoothing / K
    w_K = np.ones(K)
    if "class_weights" in options:
        seen_K = np.maximum(count_K, 1)
        w_K = 1 / seen_K if options["class_weights"] == "balanced" else seen_K**-0.5
        w_K = w_K * seen_K.sum() / (w_K * seen_K).sum()
    w_N = w_K[gold_N]
    if options.get("loss") == "focal":
        gamma, q_N = options["focal_gamma"], (p_NK * y_NK).sum(1)
        losses_N = -w_N * (1 - q_N) ** gamma * np.log(q_N)
        # dL/dq · dq/dz with dq/dz = q (y − p)
        slope_N = w_N * (gamma * (1 - q_N) ** (gamma - 1) * np.log(q_N) - (1 - q_N) ** gamma / q_N)
        return losses_N.mean(), (slope_N * q_N)[:, None] * (y_NK - p_NK) / N
    losses_N = -w_N * (target_NK * np.log(p_NK)).sum(1)
    return losses_N.mean(), w_N[:, None] * (p_NK - target_NK) / N


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(-1000, 1000))
def test_softmax_sums_to_one_and_does_not_feel_a_shift(scores, shift):
    """softmax(z + c) = softmax(z)."""
    z = np.array([scores])
    ours = torch.softmax(torch.from_numpy(z + shift), dim=1).numpy()
    np.testing.assert_allclose(ours, softmax(z), rtol=1e-6, atol=1e-12)
    assert ours.sum() == pytest.approx(1)


def test_softmax_of_huge_scores_is_finite():
    assert torch.softmax(torch.tensor([[1e5, 0.0]]), dim=1).tolist() == [[1.0, 0.0]]


def test_cross_entropy_is_the_negative_log_of_the_one_hot_likelihood(rng):
    """∏ₖ pₖ^yₖ = p_y, and its negative logarithm is the loss."""
    z_NK, gold_N = rng.normal(size=(8, 5)), rng.integers(0, 5, 8)
    likelihood_N = np.prod(softmax(z_NK) ** one_hot(gold_N, 5), axis=1)
    loss = make_loss(TrainingConfig(), torch.ones(5))
    assert loss(torch.from_numpy(z_NK), torch.from_numpy(gold_N)).item() == pytest.approx(-np.log(likelihood_N).mean())


@pytest.mark.parametrize("kind", list(LOSSES))
def test_the_gradient_of_the_loss_by_hand_is_autograds(kind, rng):
    """∂L/∂z = p − y, and its weighted, smoothed and focal kin."""
    z_NK, gold_N, count_K = rng.normal(size=(12, 5)) * 2, rng.integers(0, 5, 12), np.array([90, 5, 3, 0, 2])
    z = torch.from_numpy(z_NK).requires_grad_()
    loss = make_loss(TrainingConfig(**LOSSES[kind]), torch.from_numpy(count_K))(z, torch.from_numpy(gold_N))
    loss.backward()
    by_hand, gradient_NK = loss_by_hand(z_NK, gold_N, count_K, LOSSES[kind])
    np.testing.assert_allclose(loss.item(), by_hand, rtol=1e-6)
    np.testing.assert_allclose(z.grad.numpy(), gradient_NK, **CLOSE)


@pytest.mark.parametrize("kind", list(LOSSES))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("depth", [1, 2])
def test_backpropagation_by_hand_is_autograds(activation, kind, depth, rng):
    """δ = p − y;  ∂L/∂U = δ hᵀ;  δ₁ = f′(z₁) ∘ Uᵀ δ;  ∂L/∂W = δ₁ xᵀ;  ∂L/∂b = δ₁;  ∂L/∂x = Wᵀ δ₁.

    x is the concatenated window: its gradient, cut into words and added up where a word stands in several
    windows, must be what autograd finds for e(w) through the regrouped sum.
    """
    context, sentence = 1, 5
    network = small_network(activation=activation, hidden=(6, 4)[:depth], context=context).network.double()
    e_VE = torch.from_numpy(rng.normal(size=(sentence + 1, network.project.in_features))).requires_grad_()
    ids_NW = windows_over(torch.arange(sentence), [sentence], context)
    gold_N, count_K = rng.integers(0, 7, sentence), rng.integers(1, 50, 7)
    z_NK = network.classify(network.first_layer(network.project(e_VE), Windows(ids_NW, *[torch.zeros(0)] * 3)))
    make_loss(TrainingConfig(**LOSSES[kind]), torch.from_numpy(count_K))(z_NK, torch.from_numpy(gold_N)).backward()

    f, slope = BY_HAND[activation]
    value = {name: weight.detach().numpy() for name, weight in network.named_parameters()}
    width = 2 * context + 1
    W_HM = np.concatenate(np.split(value["project.weight"], width), axis=1)
    layers = [(W_HM, value["bias"])] + [(value[f"rest.{i}.weight"], value[f"rest.{i}.bias"]) for i in range(depth - 1)]
    x_NM = np.concatenate([e_VE.detach().numpy()[column] for column in ids_NW.T.numpy()], axis=1)
    inputs, before = [x_NM], []
    for weight, bias in layers:
        before.append(inputs[-1] @ weight.T + bias)
        inputs.append(f(before[-1]))
    logits_NK = inputs[-1] @ value["output.weight"].T + value["output.bias"]
    np.testing.assert_allclose(z_NK.detach().numpy(), logits_NK, **CLOSE)

    _, delta = loss_by_hand(logits_NK, gold_N, count_K, LOSSES[kind])
    np.testing.assert_allclose(network.output.weight.grad, delta.T @ inputs[-1], **CLOSE)
    np.testing.assert_allclose(network.output.bias.grad, delta.sum(0), **CLOSE)
    delta = delta @ value["output.weight"]
    for number in reversed(range(depth)):
        delta = delta * slope(before[number])
        weight_gradient, bias_gradient = delta.T @ inputs[number], delta.sum(0)
        if number:
            np.testing.assert_allclose(network.rest[number - 1].weight.grad, weight_gradient, **CLOSE)
            np.testing.assert_allclose(network.rest[number - 1].bias.grad, bias_gradient, **CLOSE)
        else:
            stacked = np.concatenate(np.split(weight_gradient, width, axis=1))
            np.testing.assert_allclose(network.project.weight.grad, stacked, **CLOSE)
            np.testing.assert_allclose(network.bias.grad, bias_gradient, **CLOSE)
        delta = delta @ layers[number][0]
    e_gradient = np.zeros(e_VE.shape)
    for position, piece in enumerate(np.split(delta, width, axis=1)):
        np.add.at(e_gradient, ids_NW[:, position].numpy(), piece)
    np.testing.assert_allclose(e_VE.grad, e_gradient, **CLOSE)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_nonlinearity_is_the_formula(activation):
    z = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(
        ACTIVATIONS[activation]()(torch.from_numpy(z)).numpy(), BY_HAND[activation][0](z), **CLOSE
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_has_a_finite_slope_where_the_model_is_certain(gamma):
    z = torch.tensor([[60.0, 0.0], [0.0, 60.0]], requires_grad=True)
    make_loss(TrainingConfig(loss="focal", focal_gamma=gamma), torch.ones(2))(z, torch.tensor([0, 0])).backward()
    assert torch.isfinite(z.grad).all()


def test_the_binary_case_is_logistic_regression_on_the_difference_of_two_scores(rng):
    """LOCATION / not LOCATION: softmax over two scores gives σ(z₁ − z₀)."""
    z_N2 = rng.normal(size=(9, 2))
    p_N = torch.softmax(torch.from_numpy(z_N2), dim=1)[:, 1].numpy()
    np.testing.assert_allclose(p_N, sigmoid(z_N2[:, 1] - z_N2[:, 0]), **CLOSE)
    assert convert(["B-LOC", "I-LOC", "O"], "IO") == ["I-LOC", "I-LOC", "O"]


def test_balanced_weights_give_every_tag_the_same_say():
    count_K = torch.tensor([90, 9, 1])
    weight_K = class_weights(count_K, "balanced")
    np.testing.assert_allclose((weight_K * count_K).numpy(), np.full(3, 100 / 3), rtol=1e-6)


def test_inverted_dropout_keeps_the_mean_and_is_off_in_use():
    """Units that survive are scaled by 1 / (1 − p), so nothing has to be scaled when the model is used."""
    network = small_network().network
    network.input_dropout.p = 0.4
    ones = torch.ones(200_000)
    torch.manual_seed(1)
    dropped = network.train().input_dropout(ones)
    assert sorted(set(dropped.tolist())) == pytest.approx([0, 1 / 0.6])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(network.eval().input_dropout(ones), ones)
