"""A small untrained network, every feature on, for tests of what is made of one."""

from typing import NamedTuple

import torch

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.words.gazetteers import Gazetteers
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.network.export import to_checkpoint
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.vectors.quantise import VectorTable

WORDS = ["ada", "lovelace", "met", "siemens", "in", "munich", "."]
GAZETTEERS = Gazetteers({"ada": "00101", "Munich": "0110", "met": "1"}, {"Ada": "first", "Munich": "city last"})


class Untrained(NamedTuple):
    """A network, and what its numbers stand for."""

    config: ModelConfig
    lexicon: Lexicon
    network: WindowTagger

    def checkpoint(self, calibration: Calibration = Calibration(1.5, 0.8, 0.1, 0.3)) -> Checkpoint:  # noqa: B008 - frozen
        return to_checkpoint(self.config, self.lexicon, self.network, calibration)


def small_network(
    *,
    labels=("LOC", "ORG", "PER"),
    activation="relu",
    hidden=(16,),
    context=2,
    scheme="IOB2",
    decoder="softmax",
    agreement=False,
    storage="float32",
    documents=False,
    tame=False,
    width=6,
    **features,
) -> Untrained:
    """Random weights over seven words with vectors.

    Args:
        documents: whether the features of documents are on.
        width: of the vectors; 0 is a model for whose language there were none.
        tame: whether sums are as large as those of a trained network, so that probabilities are not all 0 or 1.
        features: of the configuration, in place of those here.
        labels, activation, hidden, context, scheme, decoder, agreement, storage: as in the configuration.
    """
    parts = {"word": 4, "case": 3, "shape": 3, "affix": 3, "ngram": 4, "ngram_buckets": 50, "storage": storage}
    parts |= {"cluster": 2, "cluster_prefixes": (2, 4), "lists": 2, "elsewhere": documents, "topic": documents}
    config = ModelConfig(
        labels=labels, scheme=scheme, context=context, hidden=hidden, activation=activation,
        decoder=decoder, agreement=agreement, features=FeatureConfig(**{**parts, **features}),
    )  # fmt: skip
    width *= config.features.vectors
    known = WORDS if width else []
    lexicon = build_lexicon(config.features, known, ["Ada", "met", "Munich", "."], 1, GAZETTEERS)
    rng = torch.Generator().manual_seed(3)
    table = torch.randn(len(lexicon.vector_rows), width, generator=rng)
    torch.manual_seed(5)
    network = WindowTagger(config, lexicon, VectorTable.pack(table, storage))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5)
        network.ngrams.weight[0] = 0
        for layer in (network.project, *network.layers(), network.output) if tame else ():
            layer.weight *= layer.in_features**-0.5
    return Untrained(config, lexicon, network.eval())
