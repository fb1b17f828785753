"""A small untrained model, every feature on."""

import pytest
import torch

from fenestra.model import engine as kernel
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.network.network import WindowTagger
from fenestra.model.words.gazetteers import Reference
from fenestra.model.words.lexicon import Lexicon
from fenestra.model.words.vectors import VectorTable

WORDS = ["ada", "lovelace", "met", "siemens", "in", "munich", "."]
REFERENCE = Reference({"ada": "00101", "Munich": "0110", "met": "1"}, {"Ada": "first", "Munich": "city last"})


def small_model(
    *,
    labels=("LOC", "ORG", "PER"),
    activation="relu",
    hidden=(16,),
    context=2,
    scheme="IOB2",
    decoder="softmax",
    agreement=False,
    storage="float32",
    weights="float32",
    documents=False,
    **features,
):
    """Random weights over seven words with vectors of width 6."""
    features = {"elsewhere": documents, "topic": documents, **features}
    parts = {"word": 4, "case": 3, "shape": 3, "affix": 3, "ngram": 4, "ngram_buckets": 50, "storage": storage}
    parts |= {"cluster": 2, "cluster_prefixes": (2, 4), "lists": 2}
    config = ModelConfig(
        labels=labels, scheme=scheme, context=context, hidden=hidden, activation=activation,
        decoder=decoder, agreement=agreement, weights=weights, features=FeatureConfig(**{**parts, **features}),
    )  # fmt: skip
    rng = torch.Generator().manual_seed(3)
    known = WORDS if config.features.vectors else []
    lexicon = Lexicon.build(config.features, known, ["Ada", "met", "Munich", "."], 1, REFERENCE)
    table = torch.randn(len(lexicon.vector_rows), 6 if config.features.vectors else 0, generator=rng)
    torch.manual_seed(5)
    network = WindowTagger(config, lexicon, VectorTable.pack(table, storage))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5)
        network.ngrams.weight[0] = 0
    heeded = {"same_tag": 0.7, "same_label": 1.3} if agreement else {}
    return Checkpoint(config, lexicon, network.eval(), Calibration(1.5, 0.8, 0.1, 0.3, **heeded))


WAYS = [
    pytest.param(True, id="kernel", marks=pytest.mark.skipif(kernel.load() is None, reason="no compiled kernel here")),
    pytest.param(False, id="torch"),
]
"""For ``Tagger(…, compiled=…)``: what is said of the tagger holds whichever of the two computes."""


@pytest.fixture
def model():
    return small_model()
