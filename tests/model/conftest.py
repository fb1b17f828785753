"""A small untrained model, every feature on, and both engines that tag with it."""

import numpy as np
import pytest

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.engine import library
from fenestra.model.engine.native import Native
from fenestra.model.engine.reader import Reader
from fenestra.model.engine.reference import Reference, ReferenceBatch
from fenestra.model.network.context import case_classes, case_evidence
from fenestra.model.network.parameters import Parameters, shapes
from fenestra.model.progress import finish
from fenestra.model.tags import tag_set
from fenestra.model.text.language import language
from fenestra.model.words.gazetteers import Gazetteers
from fenestra.model.words.vectors import VectorTable
from fenestra.training.data.lexicon import build_lexicon

WORDS = ["ada", "lovelace", "met", "siemens", "in", "munich", "."]
GAZETTEERS = Gazetteers({"ada": "00101", "Munich": "0110", "met": "1"}, {"Ada": "first", "Munich": "city last"})
WIDTH = 6

ENGINES = [
    pytest.param("native", marks=pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")),
    "reference",
]
"""For ``Tagger(…, engine=…)``: what is said of the tagger holds whichever of the two computes."""


def pack(vector_VD, storage):
    """Vectors behind a row of zeros, as ``model/words/vectors.py`` describes the table."""
    whole_VD = np.concatenate([np.zeros((1, vector_VD.shape[1])), vector_VD]).astype(np.float32)
    if storage in ("float32", "float16"):
        return VectorTable(whole_VD.astype(storage), np.zeros((0, 1), np.float32))
    scale_V1 = np.abs(whole_VD).max(axis=1, keepdims=True, initial=0) / np.float32({"int8": 127, "int4": 7}[storage])
    codes_VD = np.rint(whole_VD / np.where(scale_V1 > 0, scale_V1, 1))
    if storage == "int8":
        return VectorTable(codes_VD.astype(np.int8), scale_V1)
    low_VD, high_VD = np.split((codes_VD + 8).astype(np.uint8), 2, axis=1)
    return VectorTable(low_VD | high_VD << 4, scale_V1)


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
    known, width = (WORDS, WIDTH) if config.features.vectors else ([], 0)
    lexicon = build_lexicon(config.features, known, ["Ada", "met", "Munich", "."], 1, GAZETTEERS)
    rng = np.random.default_rng(3)
    vectors = pack(rng.normal(size=(len(known), width)), storage)
    arrays = {
        name: rng.normal(scale=0.5, size=shape).astype(weights)
        for name, shape in shapes(config, lexicon, width).items()
    }
    arrays["ngrams.weight"][0] = 0
    topic = len(arrays["topic_mean"])
    arrays |= {"topic_mean": np.zeros(topic, np.float32), "topic_scale": np.ones(topic, np.float32)}
    arrays |= {"vectors.codes": vectors.codes_VD, "vectors.scale": vectors.scale_V1}
    tags = len(tag_set(config.labels, config.scheme))
    pairs = tuple(map(tuple, rng.normal(scale=0.5, size=(tags, tags)).round(4).tolist()))
    consistency = {"same_tag": 0.7, "same_label": 1.3, "tag_by_tag": pairs} if agreement else {}
    return Checkpoint(
        config, lexicon, Parameters.from_arrays(config, lexicon, arrays), Calibration(1.5, 0.8, 0.1, 0.3, **consistency)
    )


def tame_model(**options):
    """As small_model, with sums as large as those of a trained network: its probabilities are not all 0 or 1."""
    model = small_model(**{"documents": True, "scheme": "BIOES", **options})
    p = model.parameters
    p.first_HX[:] *= len(p.pad_E) ** -0.5
    for layer in (*p.hidden, p.output):
        layer.weight_OI[:] *= layer.weight_OI.shape[1] ** -0.5
    if p.topic is not None:
        p.topic.weight_HD[:] *= 0.5
    return model


def elsewhere(sentences):
    """The case class of every token of a document."""
    words = [word for sentence in sentences for word in sentence]
    known = sorted({word.lower() for word in words})
    evidence_T = np.array([case_evidence(word) for word in words], np.uint8)
    lowered_T = np.array([known.index(word.lower()) for word in words], np.int64)
    return case_classes(evidence_T, lowered_T, np.repeat(np.arange(len(sentences)), list(map(len, sentences)))).tolist()


def engines_of(model):
    """The reference, and every build of the kernel that runs here, with rows as they are."""
    builds = [Native(build, model, cache_mb=1, numbers="float32") for build in library.builds()]
    return [Reference(model), *builds]


def batch_of(engine, documents):
    """Documents of sentences of words, in one batch however many they are."""
    if isinstance(engine, Reference):
        batch = ReferenceBatch(language())
        for document in documents:
            batch.read_words(document)
        return batch
    reader = Reader(engine._kernel, engine._current_vocabulary())
    list(reader.read(documents))
    return reader.batch


def log_probabilities(engine, documents, begin=0, end=None):
    """Log p of tokens, end to end, by their windows alone."""
    batch = batch_of(engine, documents)
    context, _ = engine.look_up(batch)
    return finish(engine.score(batch, context, begin, batch.tokens if end is None else end))


@pytest.fixture
def model():
    return small_model()


def by_turns(works):
    """Run generators to their ends, a step of each in turn; what they return."""
    found = [None] * len(works)
    while None in found:
        for place, work in enumerate(works):
            if found[place] is None:
                try:
                    next(work)
                except StopIteration as end:
                    found[place] = end.value
    return found
