"""What a spaCy pipeline finds: ``python -m benchmarks.contest.spacy_spans PIPELINE < SENTENCES``.

Runs in an environment of its own. A line is a sentence, a JSON list of words; its answer is a line with a list of
``[first, end, label]``, counted in words.
"""

import json
import sys

import spacy
from spacy.tokens import Doc


def main(pipeline: str) -> None:
    """Answer every line."""
    nlp = spacy.load(pipeline)
    docs = (Doc(nlp.vocab, words=json.loads(line)) for line in sys.stdin)
    for doc in nlp.pipe(docs, batch_size=256):
        print(json.dumps([[entity.start, entity.end, entity.label_] for entity in doc.ents]))


if __name__ == "__main__":
    main(sys.argv[1])
