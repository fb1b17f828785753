"""Sentences and tokens of raw text, beside other splitters: ``python -m benchmarks.segmentation CORPUS``.

The words of an annotated corpus are put together as people write them, without the spaces that its annotators put
before punctuation, the sentences of a document with one space between. Or CORPUS is a list of texts, one a line, with
`` | `` where a sentence ends (``benchmarks/abbreviations.en.txt``).

    sentences    F1 of the ends of sentences inside a text, in characters
    tokens       F1 of tokens, first and last character

Others are asked through ``--peer NAME=PYTHON``, a Python where the package is installed: ``spacy`` (rules), or
``spacy:MODEL`` (its parser), ``syntok``, ``pysbd`` (sentences only), ``razdel`` (Russian).
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from fenestra.model.text.language import DEFAULT, codes, language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize
from fenestra.training.config import DataConfig
from fenestra.training.data.corpus import read_corpora

Span = tuple[int, int]
PEER = Path(__file__).with_name("segmentation_peer.py")
_BREAK = " | "
_NO_SPACE_BEFORE = re.compile(r"[,.;:!?%…)\]}»”’]+|''|n['’]t|['’](?:s|S|re|ve|ll|d|m)")
_NO_SPACE_AFTER = re.compile(r"[(\[{«“‘#]|``|[A-Z]{0,3}[$£€]")


class Text(NamedTuple):
    """A text, and the tokens of its sentences; of a list of texts, sentences only."""

    text: str
    ends: frozenset[int]
    """Where its sentences end, but for the last."""
    tokens: frozenset[Span] | None


def main() -> None:
    """Print a table of F1, ours and the others'."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="an annotated file, or a list of texts (.txt)")
    parser.add_argument("--language", default=DEFAULT, choices=codes())
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="another splitter")
    options = parser.parse_args()
    texts = listed(Path(options.corpus)) if options.corpus.endswith(".txt") else annotated(options.corpus)
    found = {"fenestra": ours([text.text for text in texts], options.language)}
    for peer in options.peer:
        name, _, python = peer.partition("=")
        found[name] = theirs([text.text for text in texts], name, python or sys.executable, options.language)
    print(f"{options.corpus}: {len(texts):,} texts, {sum(len(text.ends) for text in texts):,} sentence ends inside")
    print(f"{'':24}{'sentences':>12}{'tokens':>12}")
    for name, segmented in found.items():
        sentences = f1([text.ends for text in texts], [set(ends) for ends, _ in segmented])
        gold = [text.tokens for text in texts if text.tokens is not None]
        tokens = f1(gold, [set(tokens) for _, tokens in segmented]) if gold and segmented[0][1] else None
        print(f"{name:24}{sentences:12.2f}" + (f"{tokens:12.2f}" if tokens is not None else f"{'–':>12}"))


def annotated(name: str) -> list[Text]:
    """The documents of a corpus as raw texts."""
    data = DataConfig(train=(name,), dev=(name,))
    sentences = read_corpora(data.train, data, None).sentences
    documents = [list(some) for _, some in groupby(sentences, key=lambda sentence: sentence.document)]
    return [joined([sentence.words for sentence in document]) for document in documents]


def joined(sentences: Sequence[Sequence[str]]) -> Text:
    """Put words together as people write them."""
    text, ends, tokens, open_quote = "", [], [], False
    for words in sentences:
        glued = True  # to what is before
        text += " " if text else ""
        for word in words:
            closes = word == '"' and open_quote
            if not (glued or closes or _NO_SPACE_BEFORE.fullmatch(word)):
                text += " "
            tokens.append((len(text), len(text) + len(word)))
            text += word
            glued = bool(_NO_SPACE_AFTER.fullmatch(word)) or (word == '"' and not open_quote)
            open_quote ^= word == '"'
        ends.append(len(text))
    return Text(text, frozenset(ends[:-1]), frozenset(tokens))


def listed(path: Path) -> list[Text]:
    """A list of texts with the ends of their sentences marked."""
    texts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("# "):
            sentences = line.split(_BREAK)
            ends = [len(" ".join(sentences[:count])) for count in range(1, len(sentences))]
            texts.append(Text(" ".join(sentences), frozenset(ends), None))
    return texts


def ours(texts: Sequence[str], code: str) -> list[tuple[list[int], list[Span]]]:
    """Ends of sentences and tokens of each text."""
    found = []
    for text in texts:
        tokens = tokenize(text, language(code))
        ends, count = [], 0
        for length in sentence_lengths(text, tokens, language(code)):
            count += length
            ends.append(tokens[count - 1].end)
        found.append((ends[:-1], [(token.start, token.end) for token in tokens]))
    return found


def theirs(texts: Sequence[str], name: str, python: str, code: str) -> list[tuple[list[int], list[Span]]]:
    """The same by another splitter, in its own Python."""
    answer = subprocess.run(
        [python, "-P", str(PEER), name, code],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise SystemExit(f"{name}: {answer.stderr.strip().splitlines()[-1]}")
    return [(ends, [(start, end) for start, end in tokens]) for ends, tokens in json.loads(answer.stdout)]


def f1(gold: Sequence[frozenset[int] | frozenset[Span]], found: Sequence[set[int] | set[Span]]) -> float:
    """Micro-averaged F1 in percent."""
    right = sum(len(a & b) for a, b in zip(gold, found, strict=True))
    return 200 * right / max(sum(map(len, gold)) + sum(map(len, found)), 1)


if __name__ == "__main__":
    main()
