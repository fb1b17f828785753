"""A contender that any Python can be: every word with a capital is a PER. ``python -m tests.benchmarks.stand_in``."""

import sys
from pathlib import Path

from benchmarks.contest.protocol import Contender, Material, serve


class StandIn(Contender):
    def __init__(self, forgets):
        self.loaded = 1
        if forgets:
            self.fresh = self._load

    def _load(self):
        self.loaded += 1

    def facts(self):
        return {"loaded": self.loaded}

    def tune(self, way, items):
        return {"batch_size": len(items), "processes": 1, "tried": []}

    def tokens(self, documents):
        return [self.tokens_one(words) for document in documents for words in document]

    def tokens_one(self, words):
        return [(n, n + 1, "PER") for n, word in enumerate(words) if word[0].isupper()]

    def raw(self, texts):
        return [self.raw_one(text) for text in texts]

    def raw_one(self, text):
        print("what a library prints is not an answer")
        places, start = [], 0
        for word in text.split(" "):
            if word[:1].isupper():
                places.append((start, start + len(word), "PER"))
            start += len(word) + 1
        return places


if __name__ == "__main__":
    material, copies, *rest = sys.argv[1:]
    if "broken" in rest:
        raise SystemExit("the model is not there")
    serve(lambda: StandIn("forgets" in rest), Material(Path(material), int(copies)))
