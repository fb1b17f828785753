"""The loss of whole sentences, against trying every legal path, and its gradient against finite differences."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model.tags import tag_set, transitions
from fenestra.training.config import TrainingConfig
from fenestra.training.fit.losses import log_partition, make_loss, sentence_loss
from fenestra.training.network.crf import LinearChainCRF

SCHEMES = {"IOB2": ("X", "Y"), "BIOES": ("X",), "IO": ("X", "Y")}
LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=5).filter(any)


def drawn(scheme, lengths, seed, dtype=torch.float64):
    """A CRF, logits and legal gold columns at random."""
    tags, rng = tag_set(SCHEMES[scheme], scheme), torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(tags, scheme).to(dtype)
    with torch.no_grad():
        for part in crf.parameters():
            part.copy_(torch.randn(part.shape, generator=rng))
    logits_NK = (2 * torch.randn(sum(lengths), len(tags), generator=rng)).to(dtype)
    choose = np.random.default_rng(seed)
    gold = []
    for length in lengths:
        paths = legal_paths(length, tags, scheme) if length else [()]
        gold += paths[choose.integers(len(paths))]
    return crf, logits_NK, torch.tensor(gold, dtype=torch.int64)


@cache
def legal_paths(length, tags, scheme):
    starts, allowed, ends = (legal.tolist() for legal in transitions(tags, scheme))
    return [
        path
        for path in itertools.product(range(len(tags)), repeat=length)
        if starts[path[0]] and ends[path[-1]] and all(allowed[a][b] for a, b in itertools.pairwise(path))
    ]


def scores(paths, z_LK, crf):
    """s(y) of some paths, written out."""
    start_K, transitions_KK, end_K = (part.detach().numpy() for part in (crf.start, crf.transitions, crf.end))
    z_LK, path_PL = z_LK.detach().numpy(), np.array(paths)
    emitted_P = z_LK[np.arange(len(z_LK)), path_PL].sum(axis=1)
    return (
        start_K[path_PL[:, 0]]
        + emitted_P
        + transitions_KK[path_PL[:, :-1], path_PL[:, 1:]].sum(axis=1)
        + end_K[path_PL[:, -1]]
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30)
@given(lengths=LENGTHS, seed=st.integers(0, 10_000))
def test_the_partition_and_the_loss_are_sums_over_every_legal_path(lengths, seed, scheme):
    """Sentences of all lengths together, empty ones too, in whatever order."""
    tags = tag_set(SCHEMES[scheme], scheme)
    crf, logits_NK, gold_N = drawn(scheme, lengths, seed)
    partitions, nats, begin = [], 0.0, 0
    for length in filter(None, lengths):
        here = logits_NK[begin : begin + length]
        every = scores(legal_paths(length, tags, scheme), here, crf)
        partitions.append((length, np.logaddexp.reduce(every)))
        nats += partitions[-1][1] - scores([gold_N[begin : begin + length].tolist()], here, crf)[0]
        begin += length
    length_S = torch.tensor(lengths)
    found_S = log_partition(logits_NK, length_S[length_S > 0], crf.masked())
    assert found_S.tolist() == pytest.approx([z for _, z in sorted(partitions, key=lambda pair: -pair[0])])
    assert sentence_loss(crf)(logits_NK, gold_N, length_S).item() == pytest.approx(nats / len(gold_N))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_gradient_of_the_loss_is_that_of_finite_differences(scheme):
    lengths = [3, 1, 4, 3]
    crf, logits_NK, gold_N = drawn(scheme, lengths, 5)
    inputs = (logits_NK.requires_grad_(), *crf.parameters())

    def loss(z_NK, *_):
        return sentence_loss(crf)(z_NK, gold_N, torch.tensor(lengths))

    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_gradient_by_the_scores_is_the_marginal_minus_the_gold_tag(scheme):
    """∂L/∂z = p − y for a sentence, too: p is the marginal of a tag under all legal paths."""
    tags = tag_set(SCHEMES[scheme], scheme)
    crf, logits_NK, gold_N = drawn(scheme, [4], 6)
    sentence_loss(crf)(logits_NK.requires_grad_(), gold_N, torch.tensor([4])).backward()
    paths = legal_paths(4, tags, scheme)
    score_P = scores(paths, logits_NK, crf)
    share = np.exp(score_P - np.logaddexp.reduce(score_P))
    p_NK = np.array([[share[[path[t] == k for path in paths]].sum() for k in range(len(tags))] for t in range(4)])
    np.testing.assert_allclose(logits_NK.grad, (p_NK - np.eye(len(tags))[gold_N]) / 4, atol=1e-9)


def test_where_transitions_score_0_and_all_are_legal_it_is_the_cross_entropy():
    _, logits_NK, gold_N = drawn("IO", [3, 9, 1], 7)
    crf = LinearChainCRF(tag_set(SCHEMES["IO"], "IO"), "IO").double()
    by_window = make_loss(TrainingConfig(), torch.ones(3))(logits_NK, gold_N)
    by_sentence = make_loss(TrainingConfig(loss="sentence"), torch.ones(3), crf)
    assert by_sentence(logits_NK, gold_N, torch.tensor([3, 9, 1])).item() == pytest.approx(by_window.item())


@pytest.mark.parametrize("kind", ["cross_entropy", "sentence"])
def test_with_a_margin_entities_are_learned_that_much_ahead_of_their_share(kind):
    """Of windows that all look the same: the best logits are the log shares of the tags, O's less the margin."""
    gold_N, length_S, margin = torch.tensor([0] * 8 + [1] * 2), torch.ones(10, dtype=torch.int64), 1.25
    crf = LinearChainCRF(tag_set(("X",), "IO"), "IO").double()
    loss = make_loss(
        TrainingConfig(loss=kind, entity_margin=margin), torch.ones(2), crf if kind == "sentence" else None
    )
    best_K = (torch.tensor([0.8, 0.2]).double().log() - torch.tensor([margin, 0.0])).requires_grad_()
    loss(best_K.expand(10, 2), gold_N, length_S).backward()
    np.testing.assert_allclose(best_K.grad, 0, atol=1e-9)
    assert not np.allclose(
        torch.autograd.grad(loss((best_K + torch.tensor([0.1, 0])).expand(10, 2), gold_N, length_S), best_K)[0], 0
    )


def test_a_long_sentence_of_sharp_scores_stays_exact_in_float32():
    """Beside the same sum in float64; a constant on all scores of a token changes nothing."""
    crf, _, _ = drawn("IO", [1], 8)
    logits_NK = 40 * torch.randn(2003, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    gold_N, length_S = logits_NK.argmax(dim=1), torch.tensor([2000, 3])
    exact = sentence_loss(crf)(logits_NK, gold_N, length_S).item()
    shifted_NK = (logits_NK + 1000).float()
    found = sentence_loss(crf.float())(shifted_NK, gold_N, length_S).item()
    assert found == pytest.approx(exact, rel=1e-3, abs=1e-5)


def test_illegal_transitions_get_no_gradient():
    crf, logits_NK, gold_N = drawn("BIOES", [4, 1], 9)
    sentence_loss(crf)(logits_NK, gold_N, torch.tensor([4, 1])).backward()
    masks = (crf.legal_start, crf.legal_transitions, crf.legal_end)
    for part, legal in zip((crf.start, crf.transitions, crf.end), masks, strict=True):
        assert torch.isfinite(part.grad).all()
        assert (part.grad[~legal] == 0).all()
        assert (part.grad[legal] != 0).any()
