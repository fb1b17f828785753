"""Tag a Russian corpus with natasha: ``python -m benchmarks.natasha_peer CORPUS.conll … > TAGGED.conll``.

The words are taken as the corpus splits them; the tags replace its own, in IOB2, so ``fenestra data check`` reads the
result. What natasha scores against the corpus' own tags goes to standard error. Needs nothing of this project; runs in
an environment of its own, with ``pip install natasha==1.6.0 setuptools`` (MIT, weights included).

Two uses: natasha's figures beside ours, and labels of text that nobody annotated, which the bundled Russian model
learns from (``training/configs/russian.toml``).
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

from natasha import NewsEmbedding, NewsNERTagger

_DOCSTART = "-DOCSTART-"
Rows = list[tuple[str, str]]


def main(paths: list[str]) -> None:
    """Tag every file, in order."""
    infer = NewsNERTagger(NewsEmbedding()).infer
    right = found = gold = 0
    for path in paths:
        sentences = list(read(Path(path)))
        words = [[word for word, _ in rows] for rows in sentences if rows[0][0] != _DOCSTART]
        answers = iter(infer.decoder(infer.process(infer.encoder(words))))  # what infer does after cutting words itself
        for rows in sentences:
            tags = ["O"] if rows[0][0] == _DOCSTART else legal(next(answers))
            truth, guess = spans([tag for _, tag in rows]), spans(tags)
            right, found, gold = right + len(truth & guess), found + len(guess), gold + len(truth)
            print("".join(f"{word}\t{tag}\n" for (word, _), tag in zip(rows, tags, strict=True)))
    f1 = 200 * right / (found + gold) if found + gold else 0.0
    print(f"F1 {f1:.2f}: {right:,} right of {found:,} found and {gold:,} there", file=sys.stderr)


def read(path: Path) -> Iterator[Rows]:
    """Words with their tags, a sentence at a time."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows: Rows = []
        for line in file:
            cells = line.split()
            if cells:
                rows.append((cells[0], cells[-1]))
            elif rows:
                yield rows
                rows = []
        if rows:
            yield rows


def legal(tags: list[str]) -> list[str]:
    """IOB2: what continues nothing begins."""
    before = ["O", *tags]
    return [
        f"B{tag[1:]}" if tag.startswith("I") and last[2:] != tag[2:] else tag
        for last, tag in zip(before, tags, strict=False)
    ]


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Begin, end and label of every entity of legal IOB2."""
    edges = [place for place, tag in enumerate(tags) if tag.startswith("B")]
    ends = [next((e for e in range(b + 1, len(tags)) if not tags[e].startswith("I")), len(tags)) for b in edges]
    return {(begin, end, tags[begin][2:]) for begin, end in zip(edges, ends, strict=True)}


if __name__ == "__main__":
    main(sys.argv[1:])
