"""A small untrained recurrent network, every part on, for tests of what is made of one."""

from dataclasses import replace

import torch

from fenestra.model.config import RecurrentConfig
from fenestra.training.network.recurrent_tagger import RecurrentTagger
from fenestra.training.vectors.quantise import VectorTable
from tests.training.networks import Untrained, small_network


def small_recurrent(*, decoder="transitions", hidden=(5,), storage="float32", sequence=0, character=4) -> Untrained:
    """Random weights; words, vectors and features as of :func:`small_network`."""
    window = small_network(documents=True, storage=storage)
    recurrent = RecurrentConfig(character=character, filters=3, sequence=sequence)
    config = replace(
        window.config,
        kind="recurrent",
        context=0,
        activation="tanh",
        hidden=hidden,
        decoder=decoder,
        recurrent=recurrent,
    )
    vectors: VectorTable = window.network.vectors
    torch.manual_seed(7)
    network = RecurrentTagger(config, window.lexicon, vectors)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.4)
        network.ngrams.weight[0] = 0
    return Untrained(config, window.lexicon, network.eval())
