"""Models and texts of any size, made up: weights are noise, words are syllables, and their frequencies are Zipf's.

What a network costs does not depend on what it has learnt, so a question such as "what if there were 64 labels?" needs
no training. What decoding costs does depend on it, so one thing is put in by hand: capitalised words are entities, and
all other words are not. Every path is legal then, and nothing is searched.
"""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

import torch

from benchmarks.made_up import word
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.network.export import to_checkpoint
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.vectors.quantise import VectorTable

SENTENCE = 20
"""Words of every sentence, with the full stop."""
VECTORS = FeatureConfig(storage="int8", case=0)
"""One feature: the pretrained vector."""
EVERYTHING = FeatureConfig(storage="int8", word=30, case=8, shape=16, affix=15, ngram=50, elsewhere=True, topic=True)
"""All of them, as wide as in ``training/configs/conll2003.toml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a model and a text are like; every default is a middling value."""

    context: int = 3
    hidden: int = 300
    labels: int = 4
    features: FeatureConfig = EVERYTHING
    known: int = 20_000
    """Words with a pretrained vector."""
    width: int = 100
    """Of the vectors."""
    distinct: int = 10_000
    """Words that the text is drawn from."""
    tokens: int = 100_000
    """Of the text."""


def text(shape: Shape, seed: int = 1) -> str:
    """Sentences of so many tokens in all; the word of rank r occurs in proportion to 1 / r."""
    weights = list(accumulate(1 / rank for rank in range(1, shape.distinct + 1)))
    words = [word(number) for number in range(shape.distinct)]
    drawn: list[str] = Random(seed).choices(words, cum_weights=weights, k=shape.tokens)
    drawn[SENTENCE - 1 :: SENTENCE] = ["."] * (shape.tokens // SENTENCE)
    starts = range(0, shape.tokens, SENTENCE)
    return " ".join(" ".join(drawn[begin : begin + SENTENCE]) for begin in starts)


def model(shape: Shape) -> Checkpoint:
    """A network of that shape that has learnt one thing: known words with a capital are names of one token."""
    torch.manual_seed(1)
    words = [word(number) for number in range(shape.known)]
    known = [spelt.lower() for spelt in words]
    config = ModelConfig(
        labels=tuple(f"L{number}" for number in range(shape.labels)),
        scheme="BIOES",
        context=shape.context,
        hidden=(shape.hidden,),
        activation="relu",
        features=shape.features,
    )
    lexicon = build_lexicon(config.features, known, known, 1)
    table = torch.randn(shape.known, shape.width)
    table[:, 0] = torch.tensor([4.0 * (spelt != lower) for spelt, lower in zip(words, known, strict=True)])
    network = WindowTagger(config, lexicon, VectorTable.pack(table, config.features.storage))
    _teach(network, config)
    return to_checkpoint(config, lexicon, network, Calibration())


@torch.no_grad()
def _teach(network: WindowTagger, config: ModelConfig) -> None:
    """Let the first hidden unit see the vector's first number alone, and a tag of the first label listen to it."""
    tags, (hidden,) = tag_set(config.labels, config.scheme), config.hidden
    network.project.weight[::hidden] = 0
    network.project.weight[config.context * hidden, 0] = 1
    network.output.weight.mul_(0.01)
    network.output.weight[tags.index(f"S-{config.labels[0]}"), 0] = 10
    network.output.bias[tags.index("O")] = 3


def tagger(shape: Shape) -> Tagger:
    """The model, ready to tag on the CPU, with room for every word of its text."""
    row = 4e-6 * (2 * shape.context + 1) * shape.hidden
    return Tagger(model(shape), device="cpu", threads=1, cache_mb=max(96, 2 * shape.distinct * row))
