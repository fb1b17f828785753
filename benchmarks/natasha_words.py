"""What natasha says of words by themselves: ``python -m benchmarks.natasha_words WORDS.txt [NAMES.tsv …] > LISTS.tsv``.

Every word of a list, one a line, is put with a capital letter into a few short contexts of which none says what it is.
A word that natasha takes for a person, a place or an organisation in most of them becomes a name of that kind:
``said_PER<TAB>Word``, a line each, as ``reference.lists`` reads them. So a table that costs nothing to look up knows
what a larger model knows of many words in all their cases, as type vectors do (Ghaddar & Langlais, COLING 2018).
The lines of the other files are written first, as they are.

Needs nothing of this project; runs where ``benchmarks/natasha_peer.py`` does, some minutes.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from natasha import NewsEmbedding, NewsNERTagger

CONTEXTS = (
    ("{}", "не", "изменилось", "за", "эти", "годы", "."),
    ("Речь", "шла", "о", "{}", ",", "а", "не", "о", "другом", "."),
    ("Вчера", "мы", "говорили", "про", "{}", "."),
    ("Всё", "началось", "с", "{}", "."),
    ("Ещё", "раз", "напомнили", "{}", "об", "этом", "."),
    ("Это", "{}", ",", "и", "больше", "ничего", "."),
)
"""A word's place is ``{}``."""
MOST = 0.6
"""The share of the contexts that have to agree."""

_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*|[a-z]{3,}")
_AT_ONCE = 1000


def main(words: str, *lists: str) -> None:
    """Write the lists."""
    for path in lists:
        sys.stdout.write(Path(path).read_text(encoding="utf-8"))
    infer = NewsNERTagger(NewsEmbedding()).infer
    asked = Path(words).read_text(encoding="utf-8").splitlines()
    known = iter([word.title() for word in asked if len(word) > 2 and _WORD.fullmatch(word)])
    while some := list(islice(known, _AT_ONCE)):
        for word, kind in zip(some, kinds(infer, some), strict=True):
            if kind:
                print(f"said_{kind}\t{word}")


def kinds(infer, words: Sequence[str]) -> Iterator[str]:  # noqa: ANN001 - natasha has no types
    """The kind of each word, empty for none."""
    sentences = [[word if cell == "{}" else cell for cell in context] for word in words for context in CONTEXTS]
    answers = iter(infer.decoder(infer.process(infer.encoder(sentences))))
    for _ in words:
        said = Counter(next(answers)[context.index("{}")][2:] for context in CONTEXTS)
        kind, times = said.most_common(1)[0]
        yield kind if times >= MOST * len(CONTEXTS) else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
