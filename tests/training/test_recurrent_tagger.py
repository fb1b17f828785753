"""The recurrent network: what each sequence gives by itself, whatever is read beside it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from fenestra.training.config import TrainingConfig
from fenestra.training.data.stream import Stream, sequences
from fenestra.training.network.recurrent_tagger import BothWays, CharacterFilters
from fenestra.training.network.rows import CHARACTERS, Lengths, characters
from tests.training.recurrent_networks import small_recurrent

DOCUMENTS = [
    [["Ada", "met", "Siemens", "in", "Munich", "."], ["Yes", "."], ["Ada", "Lovelace", "in", "Munich"]],
    [["MUNICH"], ["Siemens", "met", "."]],
]
CPU = torch.device("cpu")


def scored(model, documents, size=8192):
    stream = Stream.read(documents, model.lexicon, model.network.vectors, model.config)
    with torch.no_grad():
        parts = [model.network(*part) for part in stream.readings(model.config.recurrent.sequence, size)]
    return torch.cat(parts)


@pytest.mark.parametrize("hidden", [(5,), (5, 4)])
@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
def test_one_row_of_scores_a_token(hidden, decoder):
    model = small_recurrent(hidden=hidden, decoder=decoder)
    logits_TK = scored(model, DOCUMENTS)
    assert logits_TK.shape == (16, 7)
    assert torch.isfinite(logits_TK).all()
    assert (model.network.crf is None) == (decoder == "softmax")


@pytest.mark.parametrize("sequence", [0, 5, 1000])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_what_is_read_beside_a_sequence_changes_nothing(sequence, size):
    """Padding is read last, in both directions; a document by itself scores as among others."""
    model = small_recurrent(sequence=sequence)
    together = scored(model, DOCUMENTS)
    torch.testing.assert_close(scored(model, DOCUMENTS, size), together, atol=1e-5, rtol=1e-5)
    alone = torch.cat([scored(model, [document]) for document in DOCUMENTS])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("sequence", "changed"), [(0, range(6, 8)), (1000, range(12))])
def test_an_lstm_reads_on_over_sentences_only_if_it_is_told_to(sequence, changed):
    """Another word in the second sentence of a document changes what is said of the others, or not."""
    other = [[DOCUMENTS[0][0], ["No", "."], DOCUMENTS[0][2]], DOCUMENTS[1]]
    model = small_recurrent(sequence=sequence)
    with torch.no_grad():
        model.network.topic.weight.zero_()  # the topic of the document changes with every word
    differs_T = (scored(model, DOCUMENTS) - scored(model, other)).abs().amax(dim=1) > 1e-7
    assert differs_T.nonzero()[:, 0].tolist() == list(changed)


@pytest.mark.parametrize("lengths", [[3, 1, 4], [40, 3, 17, 9, 33, 16], [1]])
def test_reading_both_ways_is_what_torch_calls_bidirectional(lengths):
    ours, theirs = BothWays(6, 5), nn.LSTM(6, 5, bidirectional=True, batch_first=True)
    for name, weight in ours.onward.named_parameters():
        getattr(theirs, name).data.copy_(weight)
        getattr(theirs, f"{name}_reverse").data.copy_(getattr(ours.returning, name))
    x_NX = torch.randn(sum(lengths), 6)
    packed, _ = theirs(pack_sequence(x_NX.split(lengths), enforce_sorted=False))
    padded, _ = pad_packed_sequence(packed, batch_first=True)
    expected = torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])
    torch.testing.assert_close(ours(x_NX, torch.tensor(lengths)), expected)


def test_sequences_are_padded_to_less_than_twice_their_length(monkeypatch):
    """One of 5,000 tokens beside five hundred short ones must not make five hundred of 5,000."""
    both, read = BothWays(6, 5), []
    monkeypatch.setattr(
        BothWays, "read", lambda _, x_NX, length_R: read.append(length_R) or x_NX.new_zeros(len(x_NX), 10)
    )
    assert both(torch.randn(5000 + 2500, 6), torch.tensor([5] * 250 + [5000] + [5] * 250)).shape == (7500, 10)
    assert [length_R.unique().tolist() for length_R in read] == [[5], [5000]]


def test_nothing_to_read_gives_nothing():
    model = small_recurrent()
    assert BothWays(6, 5)(torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)).shape == (0, 10)
    assert list(Stream.read([], model.lexicon, model.network.vectors, model.config).readings(0, 100)) == []


def test_filters_find_the_same_in_a_word_whatever_stands_beside_it():
    torch.manual_seed(2)
    filters = CharacterFilters(4, 6, 3)
    words = ["a", "Munich", "Donaudampfschiffahrtsgesellschaft"]
    with torch.no_grad():
        together = filters(characters(words))
        alone = torch.cat([filters(characters([word])) for word in words])
    torch.testing.assert_close(together, alone)
    assert (together >= 0).all()


def test_filters_are_a_convolution_over_the_characters_and_the_marks_of_both_ends():
    torch.manual_seed(2)
    filters = CharacterFilters(4, 6, 3)
    (row_C,) = characters(["Uber"])
    with torch.no_grad():
        padded = np.pad(filters.rows(row_C).numpy(), ((1, 1), (0, 0)))
        weight, bias = filters.filters.weight.numpy(), filters.filters.bias.numpy()
        windows = np.stack([padded[at : at + 3] for at in range(len(row_C))])  # position, place, width
        expected = np.maximum(np.einsum("pjw,fwj->pf", windows, weight) + bias, 0).max(axis=0)
        np.testing.assert_allclose(filters(row_C[None])[0].numpy(), expected, rtol=1e-5)


def test_characters_are_numbered_by_their_code_points():
    found = characters(["ab", "b", "\N{CYRILLIC SMALL LETTER A}\U0001f600"])
    assert found[0].tolist() == [1, 3 + 97, 3 + 98, 2]
    assert found[1].tolist() == [1, 3 + 98, 2, 0]
    assert found[2, 1] == 3 + 0x430
    assert found.max() < CHARACTERS
    assert characters([]).shape[0] == 0


def test_of_a_long_word_both_ends_count():
    (row_C,) = characters(["x" * 20 + "y" * 100 + "z" * 20])
    assert len(row_C) == 34
    assert {int(n) - 3 for n in row_C[1:17]} == {ord("x")}
    assert {int(n) - 3 for n in row_C[17:33]} == {ord("z")}


@pytest.mark.parametrize(
    ("full", "expected"),
    [(0, [[0], [1], [2], [3]]), (4, [[0, 1], [2], [3]]), (5, [[0, 1], [2], [3]]), (6, [[0, 1, 2], [3]])],
)
def test_a_sequence_ends_when_it_is_full_or_its_document_ends(full, expected):
    assert list(sequences([3, 2, 9, 1], [0, 0, 0, 1], lambda: full, full)) == expected


def test_one_mask_drops_the_same_units_of_all_tokens_of_a_sequence():
    model = small_recurrent()
    network = model.network.train()
    network.prepare(TrainingConfig(hidden_dropout=0.5), CPU)
    dropped = network.drop_hidden(torch.ones(7, 10), torch.tensor([3, 4]))
    assert (dropped[:3] == dropped[0]).all()
    assert (dropped[3:] == dropped[3]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}


def test_a_dropped_word_is_known_by_nothing_of_its_own():
    model = small_recurrent()
    network = model.network.train()
    network.prepare(TrainingConfig(word_dropout=0.5), CPU)
    kept = network.drop_words(torch.ones(1000, 3))
    assert {tuple(row) for row in kept.tolist()} == {(0.0,) * 3, (1.0,) * 3}
    assert 400 < kept[:, 0].sum() < 600
    assert (network.eval().drop_words(torch.ones(9, 3)) == 1).all()


def test_every_weight_learns():
    model = small_recurrent(hidden=(5, 4))
    stream = Stream.read(DOCUMENTS, model.lexicon, model.network.vectors, model.config)
    (part,) = stream.readings(0, 1000)
    assert isinstance(part[2], Lengths)
    network = model.network.train()
    start_K, transitions_KK, end_K = network.crf.masked()
    learned = transitions_KK[transitions_KK > -torch.inf].sum() + start_K.clamp_min(-9).sum() + end_K.sum()
    (network(*part).square().sum() + learned).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
