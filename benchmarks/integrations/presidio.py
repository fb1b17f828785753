"""Presidio in process: texts are analyzed and anonymized, offline, with Fenestra in the place of a spaCy model.

``python -m benchmarks.integrations.presidio`` prints rows. The overhead is CPU time beside that of the same analyzer
without our recogniser and engine, plus the tagger alone: spaCy's tokenizer, and what Presidio does with its words.
"""

import os

os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""  # else tldextract asks the network once

import argparse
from importlib.metadata import version

from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine, RecognizerResult
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_anonymizer import BatchAnonymizerEngine

import fenestra
from benchmarks.integrations.costs import timed
from benchmarks.integrations.rows import Row, lines_of, some_texts
from fenestra.integrations.presidio import analyzer_engine
from fenestra.model.label_names import PRESIDIO

OURS = ("fenestra/integrations/presidio", "model/label_names.py", "fenestra/integrations/taggers.py")
_BATCH = 100
Results = list[list[RecognizerResult]]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1000, metavar="N")
    texts = some_texts(10**6)[::120][: parser.parse_args().texts]
    tagger = fenestra.load("english", device="cpu", threads=1)
    expected = [sorted((e.start, e.end, PRESIDIO[e.label], e.score) for e in found) for found in tagger.tag(texts)]
    analyzer, bare = analyzer_engine(["en"]), others()
    for one in (analyzer, bare):
        batch(one, texts[:1])  # what Presidio opens when it is first used
    rest, _ = timed(lambda: batch(bare, texts))
    fresh = fenestra.load("english", device="cpu", threads=1)  # knows no word yet, as that of the analyzer
    alone, _ = timed(lambda: fresh.tag(texts))
    took, found = timed(lambda: batch(analyzer, texts))
    parts = (
        f"{took:.2f} CPU-s beside Presidio's other recognisers on its engine `no_op` {rest:.2f} + tagger {alone:.2f}"
    )
    cost = f"{parts}: {took / (rest + alone) - 1:+.1%}"
    show(f"`BatchAnalyzerEngine.analyze_iterator(batch_size={_BATCH})`", texts, found, expected, cost)
    show("`AnalyzerEngine.analyze`", texts, [analyzer.analyze(text, "en") for text in texts], expected)
    hidden = BatchAnonymizerEngine().anonymize_list(texts, found)
    left = sum(after.count(text[a:b]) >= text.count(text[a:b])
               for text, after, its in zip(texts, hidden, expected, strict=True) for a, b, _, _ in its)  # fmt: skip
    show(f"`BatchAnonymizerEngine.anonymize_list`; entities left {left}", texts, found, expected)


def others() -> AnalyzerEngine:
    """The same analyzer without our recogniser, and without an engine that splits texts into words."""
    registry = analyzer_engine(["en"]).registry
    registry.remove_recognizer("FenestraRecognizer")
    return AnalyzerEngine(registry=registry, nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}]))


def show(called: str, texts: list[str], found: Results, expected: list, cost: str = "-") -> None:
    """Print the row of a call."""
    ours = [sorted((r.start, r.end, r.entity_type, r.score) for r in its if r.entity_type in PRESIDIO.values())
            for its in found]  # fmt: skip
    client = version("presidio-analyzer")
    print(Row("Presidio", client, called, len(texts), ours == expected, cost, lines_of(*OURS)), flush=True)


def batch(analyzer: AnalyzerEngine, texts: list[str]) -> Results:
    """Analyze texts, some at a time."""
    return BatchAnalyzerEngine(analyzer).analyze_iterator(texts, "en", batch_size=_BATCH)


if __name__ == "__main__":
    main()
