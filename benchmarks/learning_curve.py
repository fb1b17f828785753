"""F1 by how many sentences are learnt from, of three jobs of growing size; goes on where it was stopped.

    python -m benchmarks.learning_curve conll2003:train conll2003:dev --output runs/curve --json sizes.json

The first half of the second corpus decides the epoch, its other half is scored; no test corpus is read. Sentences are
taken from the begin of the first corpus, whole documents as long as they last. The vectors are those of the bundled
English model, so nothing has to be fetched but the corpus.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import fenestra
from fenestra.training.config import DataConfig
from fenestra.training.data.corpus import Sentence, read_corpora

_SMALL = {"storage": "int8", "case": 8}
_PIECES = {**_SMALL, "shape": 16, "affix": 15, "ngram": 50}
_RECIPE = {**_PIECES, "word": 30, "elsewhere": True, "topic": True}
JOBS: dict[str, dict[str, Any]] = {
    "vectors and case": {"context": 2, "hidden": [300], "features": _SMALL},
    "and pieces of words": {"context": 2, "hidden": [300], "features": _PIECES},
    "and words, document": {"context": 3, "hidden": [500], "agreement": True, "features": _RECIPE},
}
"""Name → model; each has what the one before has."""
_UPDATES = 1500
"""About how many there are at least, of batches of 300 tokens or fewer."""


def _write(sentences: Sequence[Sentence], path: Path) -> int:
    """Write sentences as CoNLL with the borders of their documents. Returns how many tokens there are."""
    lines = []
    for _, document in groupby(sentences, key=lambda sentence: sentence.document):
        lines += ["-DOCSTART-\tO\n"]
        for sentence in document:
            lines += ["", *(f"{word}\t{tag}" for word, tag in zip(sentence.words, sentence.tags, strict=True)), ""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sum(len(sentence.words) for sentence in sentences)


def _job(model: dict[str, Any], folder: Path, tokens: int, seed: int) -> dict[str, Any]:
    """A job whose batches and epochs follow the size of the corpus."""
    batch = 100 if tokens < 20_000 else 300
    epochs = max(10, min(40, round(_UPDATES * batch / tokens)))
    return {
        "seed": seed,
        "threads": 1,
        "data": {"root": str(folder), "train": ["train.conll"], "dev": ["dev.conll"], "test": ["scored.conll"]},
        "vectors": {"source": "bundled"},
        "model": {"labels": ["LOC", "MISC", "ORG", "PER"], "scheme": "BIOES", "activation": "relu", **model},
        "training": {
            "epochs": epochs, "batch_tokens": batch, "learning_rate": 3e-3, "warmup_steps": 50, "average": 0.99,
            "field_dropout": 0.3,
        },
    }  # fmt: skip


def _measure(name: str, folder: Path, tokens: int, seed: int) -> dict[str, float]:
    """Train a job, and read what its report says."""
    output = folder / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    if not (output / "report.json").exists():
        fenestra.train(_job(JOBS[name], folder, tokens, seed), output, resume=True)
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    scores = report["scores"]["test"]
    return {
        "f1": scores["scores"]["micro"]["f1"],
        "unseen_f1": scores["familiarity"]["unseen"]["f1"],
        "seconds": sum(epoch["seconds"] for epoch in report["epochs"]),
        "baseline": report["baseline"]["test"]["micro"]["f1"],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="corpus to learn from, a file or NAME:SPLIT")
    parser.add_argument("dev", help="corpus whose halves decide and are scored")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000], help="in sentences")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="of the runs")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write what was measured")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run every size and job, and print a row for each size."""
    options = _parser().parse_args(argv)
    data = DataConfig(train=(options.train,), dev=(options.dev,))
    train, dev = (read_corpora([name], data, None).sentences for name in (options.train, options.dev))
    half = len(dev) // 2
    found = []
    print(f"| sentences | tokens | most frequent tag | {' | '.join(JOBS)} |\n|---|---|---|{'---|' * len(JOBS)}")
    for size in options.sizes:
        folder = options.output / str(size)
        folder.mkdir(parents=True, exist_ok=True)
        tokens = _write(train[:size], folder / "train.conll")
        _write(dev[:half], folder / "dev.conll")
        _write(dev[half:], folder / "scored.conll")
        jobs = {name: _measure(name, folder, tokens, options.seed) for name in JOBS}
        found.append({"sentences": size, "tokens": tokens, "jobs": jobs})
        f1 = [jobs["vectors and case"]["baseline"], *(scores["f1"] for scores in jobs.values())]
        print(f"| {size:,} | {tokens:,} | {' | '.join(f'{100 * value:.1f}' for value in f1)} |", flush=True)
        if options.json:
            options.json.write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
