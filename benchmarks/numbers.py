"""What it costs to keep the table's numbers narrow: ``python -m benchmarks.numbers --model DIR CORPUS``.

For each number type of the table (``Tagger.load(…, cache_numbers=…)``): how much memory a word takes, how long a token
takes in the network, F1, and how far tags and probabilities are from those of float32. The types take turns.
"""

import argparse
import json
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, get_args

import numpy as np

from fenestra.model.bundled import find_model
from fenestra.model.engine.row_cache import Numbers
from fenestra.model.tagger import Tagger
from fenestra.training.config import DataConfig
from fenestra.training.data.corpus import documents_of, read_corpora
from fenestra.training.fit.score import score
from fenestra.training.report.predictions import predict


def main() -> None:
    """Print a line for each type, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="an annotated file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--model", type=find_model, required=True, help="checkpoint folder")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    kinds: tuple[Numbers, ...] = get_args(Numbers)
    taggers = {kind: Tagger.load(options.model, threads=1, cache_mb=400, cache_numbers=kind) for kind in kinds}
    data = DataConfig(train=(options.corpus,), dev=(options.corpus,))
    sentences = read_corpora(data.train, data, taggers["float32"].labels).sentences
    documents = documents_of(sentences)
    found = {kind: answers(tagger, documents) for kind, tagger in taggers.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind, tagger in taggers.items():
            seconds[kind].append(network_seconds(tagger, documents))
    tokens = sum(len(sentence.words) for sentence in sentences)
    tags, log_TK = found["float32"]
    config = taggers["float32"].config
    for kind in kinds:
        here, log = found[kind]
        line = {
            "numbers": kind,
            "bytes a word": (2 * config.context + 1) * config.hidden[0] * np.dtype(kind).itemsize,
            "network, ns a token": round(1e9 * median(seconds[kind]) / tokens),
            "F1": round(100 * score([sentence.tags for sentence in sentences], here).micro.f1, 3),
            "tags that differ": sum(a != b for x, y in zip(tags, here, strict=True) for a, b in zip(x, y, strict=True)),
            "largest change of a probability": float(f"{np.abs(np.exp(log) - np.exp(log_TK)).max():.2g}"),
            "mean over tokens": float(f"{np.abs(np.exp(log) - np.exp(log_TK)).max(axis=1).mean():.2g}"),
        }
        print(json.dumps({"corpus": options.corpus, "tokens": tokens, **line}))


def answers(tagger: Tagger, documents: Sequence[Any]) -> tuple[list[list[str]], Any]:
    """Tags of every sentence, and log p of every token."""
    predictions = [prediction.tags for document in predict(tagger, documents) for prediction in document]
    return predictions, tagger.log_probabilities(documents)


def network_seconds(tagger: Tagger, documents: Sequence[Any]) -> float:
    """How long the network's part takes of tagging sentences of words."""
    seconds, began = 0.0, time.perf_counter()
    for step in tagger.work([words for document in documents for words in document]):
        now = time.perf_counter()
        if step.stage == "network":
            seconds += now - began
        began = now
    return seconds


if __name__ == "__main__":
    main()
