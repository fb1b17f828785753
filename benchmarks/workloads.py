"""What is posted: texts of an annotated corpus, one sentence or one document a request."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.wire import post
from fenestra.training.data.corpus import find_corpus, read_corpus

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "test.conll"
KINDS = ("sentences", "documents")
DOCUMENT_WORDS = 400
"""Words that a document has at least; shorter ones of the corpus are joined."""


def texts(kind: str, corpus: str = str(SAMPLE)) -> list[str]:
    """Texts of a corpus, in its order.

    Args:
        kind: ``sentences``, the words of each with spaces between; or ``documents`` of 400 words and more.
        corpus: a file, or ``NAME:SPLIT`` of a fetched corpus, such as ``conll2003:test``.
    """
    sentences = read_corpus(find_corpus(corpus, Path.cwd())).sentences
    if kind == "sentences":
        return [" ".join(sentence.words) for sentence in sentences]
    documents = [
        [word for sentence in document for word in sentence.words]
        for _, document in groupby(sentences, key=lambda sentence: sentence.document)
    ]
    return _join(documents)


def _join(documents: Sequence[Sequence[str]]) -> list[str]:
    """Join documents until each is long enough; what is left over at the end goes to the last."""
    joined: list[list[str]] = [[]]
    for words in documents:
        if len(joined[-1]) >= DOCUMENT_WORDS:
            joined.append([])
        joined[-1].extend(words)
    if len(joined) > 1 and len(joined[-1]) < DOCUMENT_WORDS:
        joined[-2].extend(joined.pop())
    return [" ".join(words) for words in joined]


def requests(bodies: Sequence[str], path: str = "/tag") -> list[bytes]:
    """One request for each text, as it goes over the wire."""
    return [post(json.dumps({"text": text}).encode(), path=path) for text in bodies]
