"""Another splitter's sentences and tokens, for ``benchmarks.segmentation``; needs nothing of this project.

Texts come as a JSON list on standard input; for each, the ends of its sentences but the last, and its tokens, go out.
"""

import json
import sys
from collections.abc import Callable

Found = tuple[list[int], list[tuple[int, int]]]


def spacy_splitter(name: str, code: str) -> Callable[[str], Found]:
    """spaCy: its rules, or the parser of a model."""
    import spacy

    if name:
        nlp = spacy.load(name, exclude=["ner", "lemmatizer", "attribute_ruler", "tagger"])
    else:
        nlp = spacy.blank(code)
        nlp.add_pipe("sentencizer")
    nlp.max_length = 10_000_000

    def split(text: str) -> Found:
        doc = nlp(text)
        ends = [sentence.end_char for sentence in doc.sents]
        return ends[:-1], [(t.idx, t.idx + len(t.text)) for t in doc if not t.is_space]

    return split


def syntok_splitter() -> Callable[[str], Found]:
    """Syntok, of English, Spanish and German."""
    from syntok import segmenter

    def split(text: str) -> Found:
        ends, tokens = [], []
        for paragraph in segmenter.analyze(text):
            for sentence in paragraph:
                tokens += [(t.offset, t.offset + len(t.value)) for t in sentence]
                ends.append(tokens[-1][1])
        return ends[:-1], tokens

    return split


def pysbd_splitter(code: str) -> Callable[[str], Found]:
    """pySBD, which knows sentences only."""
    import pysbd

    segmenter = pysbd.Segmenter(language=code, clean=False, char_span=True)

    def split(text: str) -> Found:
        ends = [span.start + len(text[span.start : span.end].rstrip()) for span in segmenter.segment(text)]
        return ends[:-1], []

    return split


def razdel_splitter() -> Callable[[str], Found]:
    """Razdel, of Russian."""
    from razdel import sentenize
    from razdel import tokenize as cut

    def split(text: str) -> Found:
        ends = [sentence.stop for sentence in sentenize(text)]
        return ends[:-1], [(token.start, token.stop) for token in cut(text)]

    return split


def main() -> None:
    """Answer for all texts."""
    name, code = sys.argv[1:]
    kind, _, model = name.partition(":")
    splitters = {
        "spacy": lambda: spacy_splitter(model, code),
        "syntok": syntok_splitter,
        "pysbd": lambda: pysbd_splitter(code),
        "razdel": razdel_splitter,
    }
    split = splitters[kind]()
    print(json.dumps([split(text) for text in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
