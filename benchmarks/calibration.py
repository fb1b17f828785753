"""How well scores hold on text that they were not fitted on: ``python -m benchmarks.calibration JOB CORPORA``.

The dev documents of a job are dealt out to five parts. Calibration is fitted on four of them and measured on the fifth,
five times; the entities of all five are counted together. Expected calibration error, ten bins (Guo et al. 2017): in
documents, in the same sentences by themselves, and in these in small letters. The calibration that the model came with,
fitted on all of dev, is measured there for comparison.

    python -m benchmarks.calibration training/configs/english.toml CORPORA --model english
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from benchmarks.contest.table import markdown
from fenestra.model import checkpoint
from fenestra.model.bundled import DEFAULT, find_model
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.corpus import documents_of, read_corpora
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.perturbations import isolated, lower
from fenestra.training.data.spans import spans
from fenestra.training.fit.calibrate import fit_calibration
from fenestra.training.report.evaluation import Pair, reliability_of
from fenestra.training.report.predictions import predict

FOLDS = 5
WAYS = ("documents", "sentences alone", "alone, small letters")


def folds(sentences: Sequence[Sentence], count: int = FOLDS) -> Iterator[tuple[list[Sentence], list[Sentence]]]:
    """The sentences to fit on and those held back, for each part; a document is never in both."""
    documents: dict[int, int] = {}
    part = [documents.setdefault(sentence.document, len(documents)) % count for sentence in sentences]
    for number in range(count):
        pairs = list(zip(sentences, part, strict=True))
        yield [one for one, its in pairs if its != number], [one for one, its in pairs if its == number]


def ways_of(sentences: Sequence[Sentence]) -> dict[str, Sequence[Sentence]]:
    """The same text as people post it."""
    return dict(zip(WAYS, (sentences, isolated(sentences), isolated(map(lower, sentences))), strict=True))


def pairs_of(tagger: Tagger, sentences: Sequence[Sentence]) -> list[Pair]:
    """What is true, and what the tagger says."""
    answers = chain.from_iterable(predict(tagger, documents_of(sentences)))
    return [Pair(one, spans(one.tags), answer) for one, answer in zip(sentences, answers, strict=True)]


def out_of_fold(model: checkpoint.Checkpoint, dev: Sequence[Sentence], *, small: bool) -> dict[str, float]:
    """The expected calibration error of each way, of scores that were fitted on other documents."""
    pairs: dict[str, list[Pair]] = {way: [] for way in WAYS}
    for fit, held in folds(dev):
        calibration = fit_calibration(Tagger(model, device="cpu"), fit, crf=None, small=small)
        tagger = Tagger(replace(model, calibration=calibration), device="cpu")
        for way, sentences in ways_of(held).items():
            pairs[way] += pairs_of(tagger, sentences)
    return {way: reliability_of(found).expected_calibration_error for way, found in pairs.items()}


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path, help="says how dev is read")
    parser.add_argument("corpora", help="the folder that the corpora are in")
    parser.add_argument("--model", default=DEFAULT, help="checkpoint folder, or the name of a bundled model")
    options = parser.parse_args()
    config = load_config(options.job, [f"data.root={options.corpora}"])
    model = checkpoint.load(find_model(options.model))
    dev = read_corpora(config.data.dev, config.data, set(model.config.labels)).canonical().sentences
    small = bool(config.training.lower_sentences or config.augmentation.small)
    fitted = out_of_fold(model, dev, small=small)
    tagger = Tagger(model, device="cpu")
    lines = [
        (way, f"{error:.4f}", f"{reliability_of(pairs_of(tagger, sentences)).expected_calibration_error:.4f}")
        for (way, error), sentences in zip(fitted.items(), ways_of(dev).values(), strict=True)
    ]
    print(markdown((f"{options.model}: expected calibration error on dev", "out of fold", "fitted there"), lines))


if __name__ == "__main__":
    main()
