"""spaCy: what the component costs beside a blank pipeline and the tagger alone, and what comes back on other ways.

``python -m benchmarks.integrations.spacy`` prints rows. CPU time is that of one pass over texts that do not repeat, by
a pipeline and a model that were just made and know no word yet. The three take turns; what is shown are medians of the
rounds, and the overhead is that within a round.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable

import spacy
from spacy.language import Language

import fenestra
from benchmarks.integrations.rows import Row, lines_of, some_texts
from fenestra.integrations import taggers

OURS = ("fenestra/integrations/spacy", "model/label_names.py", "fenestra/integrations/taggers.py")
_ROUNDS = 9
_BATCH = 1000

Entity = tuple[int, int, str, float]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=10_000, metavar="N")
    texts = some_texts(10**6)[::12][: parser.parse_args().texts]
    nlp = pipeline(spans_key="all")
    expected, widened = in_tokens(nlp, texts)
    called = f"`nlp.pipe`; {widened} of {sum(map(len, expected)):,} spans widened to tokens"
    show(called, nlp, texts, expected, overhead(texts))
    with tempfile.TemporaryDirectory() as scratch:
        nlp.to_disk(scratch)
        saved = spacy.load(scratch)
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


def pipeline(**config: object) -> Language:
    """A blank pipeline with the component, whose model is opened anew and knows no word yet."""
    taggers._open.cache_clear()
    nlp = spacy.blank("en")
    nlp.add_pipe("fenestra", config=config)
    nlp("")
    return nlp


def overhead(texts: list[str]) -> str:
    """CPU time of the pipeline beside that of its two parts."""
    rounds = [(blank(texts), tagger(texts), seconds(pipeline().pipe(texts))) for _ in range(_ROUNDS)]
    alone, ours, both = map(statistics.median, zip(*rounds, strict=True))
    parts = f"{both:.2f} CPU-s beside tokenizer {alone:.2f} + tagger {ours:.2f}"
    return f"{parts}: {statistics.median(both / (one + other) - 1 for one, other, both in rounds):+.1%}"


def blank(texts: list[str]) -> float:
    """CPU time of spaCy's tokenizer alone."""
    return seconds(spacy.blank("en").pipe(texts))


def tagger(texts: list[str]) -> float:
    """CPU time of the tagger alone."""
    opened = fenestra.load("english", device="cpu", threads=1)
    return seconds(opened.tag(texts[first : first + _BATCH]) for first in range(0, len(texts), _BATCH))


def seconds(stream: Iterable[object]) -> float:
    """CPU time of reading a stream to its end."""
    begin = time.process_time()
    for _ in stream:
        pass
    return time.process_time() - begin


if __name__ == "__main__":
    main()
