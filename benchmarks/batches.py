"""CPU time for a text, by how many are tagged together: ``python -m benchmarks.batches --model DIR FILE.conll``.

Each text is one sentence of the file. The time is that of this process and not of the clock, the least of some passes:
what else runs on the machine disturbs it little.
"""

import argparse
import time
from pathlib import Path

from fenestra.model.bundled import find_model
from fenestra.model.tagger import Tagger
from fenestra.training.compressed import open_file
from fenestra.training.data.conll import DOCSTART, iter_conll_words

SIZES = (1, 8, 32)
_TEXTS = 960
_PASSES = 12


def microseconds(tagger: Tagger, texts: list[str], size: int) -> float:
    """CPU time of a text in batches of ``size``, in microseconds."""
    best = float("inf")
    for _ in range(_PASSES):
        began = time.process_time()
        for begin in range(0, len(texts), size):
            tagger.tag(texts[begin : begin + size])
        best = min(best, time.process_time() - began)
    return 1e6 * best / len(texts)


def main() -> None:
    """Measure and print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=find_model, default=Path("data/models/english"), help="checkpoint folder")
    parser.add_argument("--cache-mb", type=float, default=96, help="see Tagger.load")
    parser.add_argument("file", type=Path, help="sentences, one token a line")
    given = parser.parse_args()
    with open_file(given.file) as source:
        sentences = [words for words in iter_conll_words(source, str(given.file)) if words != [DOCSTART]]
    texts = [" ".join(sentences[place % len(sentences)]) for place in range(_TEXTS)]
    tagger = Tagger.load(given.model, threads=1, cache_mb=given.cache_mb)
    tokens = sum(len(found.tokens) for found in tagger.tag(texts)) / len(texts)
    print(f"{tokens:.1f} tokens a text, one thread")
    for size in SIZES:
        print(f"{size:>3} together: {microseconds(tagger, texts, size):7.0f} µs a text")


if __name__ == "__main__":
    main()
