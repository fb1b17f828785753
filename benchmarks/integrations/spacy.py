"""spaCy: what the component costs beside a blank pipeline and the tagger alone, and what comes back on other ways.

``python -m benchmarks.integrations.spacy`` prints rows. CPU time is that of one pass over texts that do not repeat, in a
process of its own whose model has just been opened; the median of five rounds, in which the three take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import spacy
from spacy.language import Language

import fenestra
from benchmarks.integrations.rows import Row, lines_of, some_texts

OURS = ("fenestra/integrations/spacy", "fenestra/integrations/labels.py", "fenestra/integrations/taggers.py")
_ROUNDS = 5
_BATCH = 1000

Entity = tuple[int, int, str, float]


def main() -> None:
    """Print the rows; or, for a part, the seconds that it takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=10_000, metavar="N")
    parser.add_argument("--part", choices=["blank", "tagger", "both"], help="of the measurement; reads --file")
    parser.add_argument("--file", type=Path, help="texts, as a list in JSON")
    options = parser.parse_args()
    if options.part:
        print(seconds(options.part, json.loads(options.file.read_text(encoding="utf-8"))))
        return
    texts = some_texts(10**6)[::12][: options.texts]
    with tempfile.TemporaryDirectory() as scratch:
        report(texts, Path(scratch))


def report(texts: list[str], scratch: Path) -> None:
    """Measure, compare, and print."""
    (scratch / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    nlp = pipeline()
    expected, widened = in_tokens(nlp, texts)
    cost = overhead(scratch / "texts.json")
    show(f"`nlp.pipe`; {widened} of {sum(map(len, expected)):,} spans widened to tokens", nlp, texts, expected, cost)
    nlp.to_disk(scratch / "saved")
    saved = spacy.load(scratch / "saved")
    show("`nlp.to_disk`, `spacy.load`, `nlp.pipe`", saved, texts, expected)
    show("`nlp.pipe(n_process=2)`", saved, texts, expected, processes=2)


def show(
    called: str, nlp: Language, texts: list[str], expected: list[list[Entity]], cost: str = "-", processes: int = 1
) -> None:
    """Print the row of a pipeline."""
    found = [of_doc(doc) for doc in nlp.pipe(texts, n_process=processes)]
    row = Row("spaCy", spacy.__version__, called, len(texts), found == expected, cost, lines_of(*OURS))
    print(row, flush=True)


def in_tokens(nlp: Language, texts: list[str]) -> tuple[list[list[Entity]], int]:
    """What the tagger finds, each entity from the border of a token to that of another, and how many that changes."""
    found, widened = [], 0
    for text, entities in zip(texts, fenestra.load("english").tag(texts), strict=True):
        doc, its = nlp.make_doc(text), []
        for entity in entities:
            span = doc.char_span(entity.start, entity.end, alignment_mode="expand")
            widened += (span.start_char, span.end_char) != (entity.start, entity.end)
            its.append((span.start_char, span.end_char, entity.label, entity.score))
        found.append(its)
    return found, widened


def of_doc(doc: Iterable) -> list[Entity]:
    """The entities of a document of spaCy, among them those that others of it overlap."""
    return [(span.start_char, span.end_char, span.label_, span._.score) for span in doc.spans["all"]]


def pipeline() -> Language:
    """A blank pipeline with the component."""
    nlp = spacy.blank("en")
    nlp.add_pipe("fenestra", config={"spans_key": "all"})
    return nlp


def overhead(file: Path) -> str:
    """CPU time of the pipeline beside that of its two parts."""
    command = [sys.executable, "-m", "benchmarks.integrations.spacy", "--file", str(file), "--part"]
    took = {part: [] for part in ("blank", "tagger", "both")}
    for _ in range(_ROUNDS):
        for part, its in took.items():
            its.append(float(subprocess.check_output([*command, part])))
    middle = {part: statistics.median(its) for part, its in took.items()}
    extra = middle["both"] / (middle["blank"] + middle["tagger"]) - 1
    return "{both:.2f} CPU-s; tokenizer {blank:.2f} + tagger {tagger:.2f}: ".format(**middle) + f"{extra:+.1%}"


def seconds(part: str, texts: list[str]) -> float:
    """CPU time of one pass in this process."""
    if part == "tagger":
        tagger = fenestra.load("english", device="cpu", threads=1)
        begin = time.process_time()
        for first in range(0, len(texts), _BATCH):
            tagger.tag(texts[first : first + _BATCH])
        return time.process_time() - begin
    nlp = spacy.blank("en")
    if part == "both":
        nlp.add_pipe("fenestra")
    nlp("")  # opens the model
    begin = time.process_time()
    for _ in nlp.pipe(texts, batch_size=_BATCH):
        pass
    return time.process_time() - begin


if __name__ == "__main__":
    main()
