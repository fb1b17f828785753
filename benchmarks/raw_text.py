"""What tagging running text costs against gold tokens: ``python -m benchmarks.raw_text --model DIR CORPUS``.

The words of every document of an annotated corpus are joined by one space into a running text, sentence after
sentence and headline after headline, and tagged as a client would post it. An entity is right when label, first
and last character are those of the gold annotation. Steps in between tell where the loss comes from:

    gold             gold words in gold sentences
    own sentences    gold words, sentences where model/text/sentences.py breaks the joined words
    own words        words of model/text/tokens.py within gold sentences
    raw text         neither is given
    with lines       neither is given, but every sentence stands on a line of its own, as in the newspaper

Where the corpus cuts a name at the end of a line (CoNLL-2003 has ``Willie | Wood``), words that are joined by spaces
make it whole again, and no tagger can be right about it.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from itertools import groupby

from fenestra.model.bundled import find_model
from fenestra.model.tagger import Tagger
from fenestra.model.text.language import Language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import Token, tokenize
from fenestra.training.config import DataConfig
from fenestra.training.data.corpus import read_corpora
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans
from fenestra.training.fit.score import from_counts
from fenestra.training.report.predictions import predict

Place = tuple[int, int, str]
Pieces = list[list[Token]]


def main() -> None:
    """Print F1 on character spans in each of the four settings, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="an annotated file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--model", type=find_model, required=True, help="checkpoint folder")
    parser.add_argument("--rename", action="append", default=[], metavar="LABEL=LABEL", help="O leaves a label out")
    options = parser.parse_args()
    tagger = Tagger.load(options.model)
    rename = dict(pair.split("=", 1) for pair in options.rename)
    data = DataConfig(train=(options.corpus,), dev=(options.corpus,), rename=rename)
    sentences = read_corpora(data.train, data, tagger.labels).sentences
    documents = [list(document) for _, document in groupby(sentences, key=lambda sentence: sentence.document)]
    gold = [gold_places(document) for document in documents]
    texts = [" ".join(" ".join(sentence.words) for sentence in document) for document in documents]
    of = tagger.language
    ways = {
        "gold": [gold_tokens(document) for document in documents],
        "own sentences": [
            break_up(of, text, [token for sentence in gold_tokens(document) for token in sentence])
            for text, document in zip(texts, documents, strict=True)
        ],
        "own words": [
            own_words(of, text, gold_tokens(document)) for text, document in zip(texts, documents, strict=True)
        ],
        "raw text": [break_up(of, text, tokenize(text, of)) for text in texts],
    }
    f1 = {name: round(100 * f1_of(gold, tagged(tagger, pieces)), 2) for name, pieces in ways.items()}
    lines = ["\n".join(" ".join(sentence.words) for sentence in document) for document in documents]
    for name, posts in (("as posted", texts), ("with lines", lines)):
        posted = [{(e.start, e.end, e.label) for e in found} for found in tagger.tag(posts)]
        f1[name] = round(100 * f1_of(gold, posted), 2)
    print(json.dumps({"corpus": options.corpus, "model": tagger.version, "documents": len(documents), "f1": f1}))


def gold_tokens(document: Sequence[Sentence]) -> Pieces:
    """The gold words where they stand in the joined text."""
    start, placed = 0, []
    for sentence in document:
        row = []
        for word in sentence.words:
            row.append(Token(word, start, start + len(word)))
            start += len(word) + 1
        placed.append(row)
    return placed


def gold_places(document: Sequence[Sentence]) -> set[Place]:
    """The gold entities as character spans of the joined text."""
    return {
        (row[span.start].start, row[span.end - 1].end, span.label)
        for sentence, row in zip(document, gold_tokens(document), strict=True)
        for span in spans(sentence.tags)
    }


def break_up(of: Language, text: str, tokens: list[Token]) -> Pieces:
    """Sentences by the project's rule."""
    pieces, begin = [], 0
    for length in sentence_lengths(text, tokens, of):
        pieces.append(tokens[begin : begin + length])
        begin += length
    return pieces


def own_words(of: Language, text: str, sentences: Pieces) -> Pieces:
    """Tokens by the project's rule within each gold sentence."""
    pieces = []
    for row in sentences:
        begin, end = row[0].start, row[-1].end
        found = tokenize(text[begin:end], of)
        pieces.append([Token(t.text, t.start + begin, t.end + begin) for t in found])
    return pieces


def tagged(tagger: Tagger, documents: Sequence[Pieces]) -> list[set[Place]]:
    """Entities as character spans."""
    words = [[[token.text for token in row] for row in document] for document in documents]
    return [
        {
            (row[span.start].start, row[span.end - 1].end, span.label)
            for row, prediction in zip(document, predictions, strict=True)
            for span in prediction.spans
        }
        for document, predictions in zip(documents, predict(tagger, words), strict=True)
    ]


def f1_of(gold: Iterable[set[Place]], found: Iterable[set[Place]]) -> float:
    """Micro-averaged F1 in [0, 1]."""
    pairs = list(zip(gold, found, strict=True))
    right, guessed, true = (
        sum(counts) for counts in zip(*((len(g & p), len(p), len(g)) for g, p in pairs), strict=True)
    )
    return from_counts(right, guessed, true).f1


if __name__ == "__main__":
    main()
