"""Our model and a stock pipeline of spaCy on the test corpora of a job, side by side.

    python -m benchmarks.stock training/configs/english.toml CORPORA --python SPACY/bin/python --pipeline en_core_web_md

``SPACY`` is an environment with spaCy and the pipeline, or the pipeline's unpacked folder is named. Both get the words
and sentences of the corpus. A stock pipeline knows other types: PERSON counts as PER, ORG as ORG, GPE, LOC and FAC as
LOC, and the rest, which the corpora leave unmarked, as nothing. An entity is right when label, first and last word are.
"""

import argparse
import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from fenestra.model.bundled import DEFAULT, find_model
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.corpus import documents_of, read_corpora
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import Span, spans
from fenestra.training.fit.score import f1_of_spans
from fenestra.training.report.predictions import predict

TYPES = {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC"}


def main() -> None:
    """Print a table: F1 of both on every test corpus, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path, help="says how the corpora are read, and which of them are for testing")
    parser.add_argument("corpora", help="the folder that they are in")
    parser.add_argument("--model", default=DEFAULT, help="checkpoint folder, or the name of a bundled model")
    parser.add_argument("--python", required=True, help="of an environment with spaCy")
    parser.add_argument("--pipeline", required=True, help="its name there, or a folder")
    options = parser.parse_args()
    data = load_config(options.job, [f"data.root={options.corpora}"]).data
    tagger = Tagger.load(find_model(options.model))
    print(f"| corpus | entities | {tagger.version} | {Path(options.pipeline).name} |\n|---|---|---|---|")
    pairs = []
    for name in data.test:
        sentences = read_corpora([name], data, tagger.labels).sentences
        gold = [spans(sentence.tags) for sentence in sentences]
        both = ours(tagger, sentences), theirs(options.python, options.pipeline, sentences)
        pairs.append([100 * f1_of_spans(gold, found).f1 for found in both])
        print(f"| {name} | {sum(map(len, gold)):,} | {pairs[-1][0]:.1f} | {pairs[-1][1]:.1f} |", flush=True)
    print("| mean | | " + " | ".join(f"{fmean(column):.1f}" for column in zip(*pairs, strict=True)) + " |")


def ours(tagger: Tagger, sentences: Sequence[Sentence]) -> Iterable[list[Span]]:
    """What the tagger finds, document by document."""
    return [prediction.spans for document in predict(tagger, documents_of(sentences)) for prediction in document]


def theirs(python: str, pipeline: str, sentences: Sequence[Sentence]) -> Iterable[list[Span]]:
    """What the pipeline finds, sentence by sentence; it knows no documents."""
    asked = "".join(json.dumps(sentence.words) + "\n" for sentence in sentences)
    command = [python, "-m", "benchmarks.contest.spacy_spans", pipeline]
    answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [
        [Span(first, end, TYPES[label]) for first, end, label in json.loads(line) if label in TYPES]
        for line in answer.splitlines()
    ]


if __name__ == "__main__":
    main()
