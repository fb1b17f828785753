"""Annotated Russian from raw text, beside natasha: ``python -m benchmarks.beside_natasha CORPUS.conll …``.

The words of a document are joined by one space, or those of each sentence, and both taggers get that text and nothing
else. An entity is right when label, first and last character are those of the gold annotation; MISC is passed over. The
peer needs ``NATASHA_PYTHON``, an environment with natasha:

    NATASHA_PYTHON=venv/bin/python python -m benchmarks.beside_natasha factrueval2016/test.conll
"""

import argparse
import os
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import fenestra
from benchmarks.everyday import PEER, Counts, Span, natasha
from benchmarks.raw_text import gold_places
from fenestra.training.config import DataConfig
from fenestra.training.data.corpus import read_corpora
from fenestra.training.data.inspection import Sentence

LABELS = ("LOC", "ORG", "PER")


def main() -> None:
    """Print F1, and precision and recall by label, of documents and of single sentences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS", help="annotated files with PER, LOC and ORG")
    parser.add_argument("--model", default="russian", help="checkpoint folder, or the name of a bundled model")
    parser.add_argument("--small", action="store_true", help="write the texts in small letters")
    options = parser.parse_args()
    tagger = fenestra.load(options.model)
    if not (python := os.environ.get(PEER)):
        print(f"no peer: {PEER} is not set")
    print("| corpus | read as | texts | names | tagger | F1 | " + " | ".join(f"{x} p / r" for x in LABELS) + " |")
    print("|---|---|---|---|---|---|---|---|---|")
    for corpus in options.corpora:
        for way, documents in ways(corpus):
            texts = [" ".join(" ".join(sentence.words) for sentence in document) for document in documents]
            if options.small:
                texts = [text.lower() for text in texts]
            gold = [gold_places(document) for document in documents]
            answers = {tagger.version: [[(e.start, e.end, e.label) for e in found] for found in tagger.pipe(texts)]}
            if python:
                answers["natasha"] = natasha(python, texts)
            for name, found in answers.items():
                about = "/".join(Path(corpus).parts[-2:]), way, f"{len(texts):,}", f"{sum(map(len, gold)):,}", name
                print(f"| {' | '.join((*about, *figures(gold, found)))} |", flush=True)


def ways(corpus: str) -> Iterator[tuple[str, list[list[Sentence]]]]:
    """The documents of an annotated file, if it has any, and its sentences."""
    data = DataConfig(train=(corpus,), dev=(corpus,), rename={"MISC": "O"})
    sentences = read_corpora(data.train, data, LABELS).sentences
    documents = [list(of) for _, of in groupby(sentences, key=lambda sentence: sentence.document)]
    if len(documents) < len(sentences):
        yield "documents", documents
    yield "single sentences", [[sentence] for sentence in sentences]


def figures(gold: Sequence[Collection[Span]], found: Sequence[Collection[Span]]) -> list[str]:
    """F1 of all names, then precision and recall of each label."""
    counts = [count(gold, found, label) for label in LABELS]
    whole = Counts(*map(sum, zip(*counts, strict=True)))
    return [str(whole), *(f"{rate(of.right, of.found)} / {rate(of.right, of.gold)}" for of in counts)]


def count(gold: Sequence[Collection[Span]], found: Sequence[Collection[Span]], label: str) -> Counts:
    """Names of a label."""
    right = guessed = true = 0
    for spans, answer in zip(gold, found, strict=True):
        truth, guess = ({span for span in of if span[2] == label} for of in (spans, answer))
        right, guessed, true = right + len(truth & guess), guessed + len(guess), true + len(truth)
    return Counts(right, guessed, true)


def rate(right: int, of: int) -> str:
    """A share in percent."""
    return f"{100 * right / of:.1f}" if of else "–"


if __name__ == "__main__":
    main()
