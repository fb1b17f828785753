"""What a spaCy pipeline finds: ``python -m benchmarks.contest.spacy_spans PIPELINE < SENTENCES``.

Runs in an environment of its own. A line is a sentence, a JSON list of words, or a text, a JSON string; its answer is a
line with a list of ``[first, end, label]``, counted in words or in characters.
"""

import json
import sys

import spacy
from spacy.tokens import Doc


def main(pipeline: str) -> None:
    """Answer every line."""
    nlp = spacy.load(pipeline)
    asked = [json.loads(line) for line in sys.stdin]
    docs = (nlp.make_doc(item) if isinstance(item, str) else Doc(nlp.vocab, words=item) for item in asked)
    for item, doc in zip(asked, nlp.pipe(docs, batch_size=256), strict=True):
        ends = [(e.start_char, e.end_char) if isinstance(item, str) else (e.start, e.end) for e in doc.ents]
        print(json.dumps([[*span, entity.label_] for span, entity in zip(ends, doc.ents, strict=True)]))


if __name__ == "__main__":
    main(sys.argv[1])
