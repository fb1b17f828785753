"""The network: the regrouped sum is the lecture's product, and every part of it learns."""

import numpy as np
import pytest
import torch

from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.tagger import Tagger
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.data.stream import Stream
from fenestra.training.network.rows import look_up
from fenestra.training.network.window_tagger import ACTIVATIONS, WindowTagger
from fenestra.training.vectors.quantise import VectorTable
from tests.training.networks import small_network

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


def run(model, words, context):
    stream = Stream.read([[words]], model.lexicon, model.network.vectors, model.config)
    return model.network(stream.rows, stream.windows(context))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
@pytest.mark.parametrize("context", [0, 1, 3])
def test_the_sum_over_positions_is_the_product_with_the_concatenated_window(activation, hidden, context):
    """W₁ [e₁; …; e_W] + b₁ by numpy, one window after another, and then layer by layer."""
    model = small_network(activation=activation, hidden=hidden, context=context)
    network = model.network
    with torch.inference_mode():
        e_VE = network.encode(look_up(model.lexicon, SENTENCE)).double().numpy()
        actual = run(model, SENTENCE, context).numpy()
    width, first = 2 * context + 1, hidden[0]
    # One matrix for each position, side by side: the lecture's W₁ of shape (H, W·E).
    W1 = np.concatenate(np.split(network.project.weight.detach().double().numpy(), width), axis=1)
    assert W1.shape == (first, width * e_VE.shape[1])
    padded = [0] * context + list(range(1, len(SENTENCE) + 1)) + [0] * context
    for place in range(len(SENTENCE)):
        x = np.concatenate([e_VE[v] for v in padded[place : place + width]])
        h = apply(activation, W1 @ x + network.bias.detach().double().numpy())
        for layer in (*network.layers(),):
            h = apply(activation, layer.weight.detach().double().numpy() @ h + layer.bias.detach().double().numpy())
        z = network.output.weight.detach().double().numpy() @ h + network.output.bias.detach().double().numpy()
        np.testing.assert_allclose(actual[place], z, atol=1e-4)


def apply(activation, z):
    return ACTIVATIONS[activation]()(torch.from_numpy(z)).numpy()


def test_a_word_beyond_the_window_changes_nothing():
    """Bit for bit: the model promises that only 2C+1 words matter."""
    model = small_network(context=2)
    with torch.inference_mode():
        one, other = (run(model, ["Ada", "met", "in", last], 2) for last in ("Munich", "Siemens"))
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


def test_every_weight_gets_a_gradient():
    model = small_network(hidden=(16, 8), documents=True)
    model.network.requires_grad_(True)
    run(model, ["Ada", "met", "Munich", "Nemo", "."], 2).logsumexp(1).sum().backward()
    gradients = {name: weight.grad for name, weight in model.network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []


def test_a_document_adds_its_rows_to_the_sum():
    """Σⱼ W₁⁽ʲ⁾ e(wⱼ) + Σⱼ E⁽ʲ⁾[class of wⱼ] + T · standardised topic + b₁, by numpy."""
    model = small_network(documents=True, context=1)
    network = model.network
    network.topic_mean.fill_(0.25)
    network.topic_scale.fill_(3.0)
    documents = [[SENTENCE[:4], SENTENCE[4:]], [["Ada"]]]
    stream = Stream.read(documents, model.lexicon, network.vectors, model.config)
    windows = stream.windows(1)
    with torch.inference_mode():
        projection = network.project(network.encode(stream.rows))
        actual = network.first_layer(projection, windows).numpy()
        table = projection.view(-1, 3, 16).numpy()
    classes, topic = network.elsewhere.detach().view(17, 3, 16).numpy(), network.topic.detach().numpy()
    for n in range(8):
        expected = network.bias.detach().numpy().copy()
        for j in range(3):
            expected += table[windows.word_NW[n, j], j] + classes[windows.elsewhere_NW[n, j], j]
        words = SENTENCE if n < 7 else ["Ada"]
        mean = network.vectors(look_up(model.lexicon, words).vector_U).numpy().sum(0) / (len(words) + 20)
        np.testing.assert_allclose(actual[n], expected + topic @ ((mean - 0.25) * 3), atol=1e-5)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("storage", "width"), [("float32", 6), ("int4", 6), ("int8", 0)])
def test_a_tagger_computes_the_logits_that_training_does(activation, storage, width):
    """What is trained is what serves: log p of every token, of documents with words that training has not seen.

    Without vectors the topic of a document has a width of 0.
    """
    model = small_network(activation=activation, storage=storage, hidden=(16, 8), documents=True, width=width)
    documents = [[SENTENCE, ["Nemo", "met", "ADA"]], [["ada"]], [["Munich", "."] * 40]]
    stream = Stream.read(documents, model.lexicon, model.network.vectors, model.config)
    with torch.inference_mode():
        logits_TK = torch.cat([model.network(*bag) for bag in stream.bags(2, 50)])
    checkpoint = model.checkpoint()
    served_TK = Tagger(checkpoint, device="cpu", cache_numbers="float32").log_probabilities(documents)
    expected_TK = (logits_TK / checkpoint.calibration.temperature).log_softmax(dim=1)
    np.testing.assert_allclose(served_TK, expected_TK, atol=1e-4)


def test_field_dropout_sets_whole_rows_to_zero_and_scales_the_others():
    """Rows that are kept are scaled by 1 / (1 − p), so the mean stays and use needs no scale."""
    network = small_network().network
    network.field_dropout = 0.25
    torch.manual_seed(1)
    dropped = network.train().drop_field(torch.ones(100_000, 2))
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0, 1 / 0.75])
    assert torch.equal(dropped[:, 0], dropped[:, 1])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(network.eval().drop_field(torch.ones(9, 2)), torch.ones(9, 2))


def test_field_dropout_leaves_vectors_and_case_alone():
    model = small_network(word=0, shape=0, affix=0, cluster=0, lists=0, ngram=0)
    rows = look_up(model.lexicon, SENTENCE)
    expected = model.network.encode(rows)
    model.network.field_dropout = 0.9
    assert torch.equal(model.network.train().encode(rows), expected)


def test_with_a_zeroed_output_layer_all_tags_are_equally_likely():
    model = small_network()
    torch.nn.init.zeros_(model.network.output.weight)
    torch.nn.init.zeros_(model.network.output.bias)
    loss = torch.nn.functional.cross_entropy(run(model, SENTENCE, 2), torch.zeros(len(SENTENCE), dtype=torch.long))
    assert loss.item() == pytest.approx(np.log(7))


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
)
def test_features_can_be_switched_off(features):
    """With all but the vectors off, e(w) is the vector: the lecture's window."""
    model = small_network(**features)
    e_VE = model.network.encode(look_up(model.lexicon, ["ada", "in"]))
    widths = {"vectors": 6, "word": 4, "case": 3, "shape": 3, "affix": 18, "cluster": 4, "lists": 2, "ngram": 4}
    off = sum(widths[name] for name in features)
    assert e_VE.shape == (3, sum(widths.values()) - off)
    if off == sum(widths.values()) - 6:
        assert torch.equal(e_VE[1], model.network.vectors(torch.tensor(1)))
    assert run(model, ["ada", "in"], 2).shape == (2, 7)


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 1050), ("tanh", 2 / (1050 + 2000))])
def test_initial_weights_have_the_variance_of_he_or_xavier(activation, variance):
    config = ModelConfig(
        labels=("X",), hidden=(2000,), context=1, activation=activation, features=FeatureConfig(case=0)
    )
    network = WindowTagger(
        config, Lexicon.of(config.features, [], {}), VectorTable.pack(torch.zeros(1, 350), "float32")
    )
    assert network.project.weight.var().item() == pytest.approx(variance, rel=0.02)


def test_feature_rows_start_small_beside_standardised_vectors_and_summands_smaller():
    features = FeatureConfig(vectors=True, case=0, word=40, ngram=40, ngram_buckets=500, elsewhere=True, topic=True)
    config = ModelConfig(labels=("X",), hidden=(100,), features=features)
    lexicon = Lexicon.of(features, [], {"word": [f"w{n}" for n in range(500)]})
    torch.manual_seed(1)
    network = WindowTagger(config, lexicon, VectorTable.pack(torch.zeros(1, 50), "float32"))
    assert network.fields["word"].weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert network.ngrams.weight[1:].std().item() == pytest.approx(0.1, rel=0.05)
    assert not network.ngrams.weight[0].any()
    assert network.elsewhere.std().item() == pytest.approx(0.01, rel=0.05)
    assert network.topic.std().item() == pytest.approx(0.01, rel=0.05)
    assert not any(part.any() for part in (network.pad, network.bias, network.output.bias))
