"""What is posted: texts of an annotated corpus, one sentence or one document a request."""

import json
import random
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from string import ascii_lowercase

from benchmarks.wire import post
from fenestra.training.data.corpus import find_corpus, read_corpus

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "test.conll"
KINDS = ("sentences", "documents")
SENTENCE_WORDS = 26
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


def sentences_of(file: Path) -> list[str]:
    """Sentences of 26 words each, of a file of JSON with texts in ``texts``."""
    found = []
    for text in json.loads(file.read_text(encoding="utf-8"))["texts"]:
        words = text.split()
        found += [" ".join(words[at : at + SENTENCE_WORDS]) for at in range(0, len(words), SENTENCE_WORDS)]
    return found


def new_sentences(count: int = 100_000, share: float = 0.1) -> list[str]:
    """Sentences of 26 words, such a share of which are made up and come once or so; the others are the sample's."""
    rng = random.Random(1)
    known = [word for text in texts("sentences") for word in text.split()]

    def word() -> str:
        made_up = rng.random() < share
        return "".join(rng.choices(ascii_lowercase, k=rng.randint(5, 10))).title() if made_up else rng.choice(known)

    return [" ".join(word() for _ in range(SENTENCE_WORDS)) for _ in range(count)]


def requests(bodies: Sequence[str], path: str = "/tag") -> list[bytes]:
    """One request for each text, as it goes over the wire."""
    return [post(json.dumps({"text": text}).encode(), path=path) for text in bodies]
