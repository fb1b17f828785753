"""A made-up corpus of any size: sentences of English corpora, drawn again and again, with other names.

    python -m benchmarks.large_corpus /tmp/large --tokens 10_000_000

Writes train.conll, dev.conll (as it was published) and job.toml, a job that learns from the one and decides by the
other, with what the bundled English model knows of words. The same arguments give the same bytes. Documents have 25
sentences; of the names that are put in, a third are made up of syllables, so that new words keep coming as in text that
nobody repeated. Needs ``../shared/corpora``; where it is absent, the sample of the project stands in.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random

from benchmarks.made_up import word
from fenestra.training.config import DataConfig
from fenestra.training.data.augmentation import renamed
from fenestra.training.data.corpus import read_corpora
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.names import Names
from fenestra.training.data.spans import spans

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora"
_SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"
_TRAIN = (
    "uner_ewt/train.conll.gz", "wikigold/train.conll", "gmb_news/train.conll.gz", "wikineural_en/dev.conll.gz",
    "wikineural_en/test.conll.gz",
)  # fmt: skip
_DEV = "uner_ewt/dev.conll"
_LABELS = ("LOC", "ORG", "PER")
_DOCUMENT = 25  # sentences
_MADE_UP, _WORDS = 1 / 3, 2_000_000  # share of the names that are made up, and of how many words
_JOB = """\
name = "A made-up corpus"
threads = 1

[data]
train = ["train.conll"]
dev = ["dev.conll"]
rename = {{ MISC = "O" }}

[vectors]
source = "{vectors}"

[model]
labels = ["LOC", "ORG", "PER"]
scheme = "BIOES"
context = 3
hidden = [100]
activation = "relu"
agreement = true

[model.features]
storage = "int8"
word = 20
case = 8
shape = 16
affix = 10
ngram = 30
ngram_buckets = 10_000
elsewhere = true
topic = true

[training]
epochs = 2
batch_tokens = 2000
isolate_sentences = 0.3
join_sentences = 0.15
lower_sentences = 0.06
min_count = 3
field_dropout = 0.3
input_dropout = 0.2
hidden_dropout = 0.2
"""


def made_up(sentences: Sequence[Sentence], rng: Random) -> Iterator[Sentence]:
    """Sentences drawn for ever, with other names; the document of each rises."""
    rename = renamed(Names.collect(sentences, (), {}, _LABELS, 0.0))
    for number in count():
        drawn = rng.choice(sentences)
        renewed = rename(drawn, rng) or drawn
        words = list(renewed.words)
        for _, end, _ in spans(renewed.tags):
            if rng.random() < _MADE_UP:
                words[end - 1] = word(int(_WORDS ** rng.random())).capitalize()  # rare words are rare
        yield Sentence(tuple(words), renewed.tags, number // _DOCUMENT, number)


def write(path: Path, sentences: Iterator[Sentence], tokens: int) -> None:
    """Write sentences until there are so many tokens."""
    written, document = 0, -1
    with path.open("w", encoding="utf-8") as file:
        while written < tokens:
            sentence = next(sentences)
            if sentence.document != document:
                document = sentence.document
                file.write("-DOCSTART-\tO\n\n")
            file.write("".join(f"{w}\t{t}\n" for w, t in zip(sentence.words, sentence.tags, strict=True)) + "\n")
            written += len(sentence.words)


def make(folder: Path, tokens: int, seed: int = 1, vectors: str = "bundled") -> Path:
    """Write the corpus and its job into a folder; returns the job."""
    root, train, dev = (_SHARED, _TRAIN, _DEV) if _SHARED.is_dir() else (_SAMPLE, ("train.conll",), "dev.conll")
    if root is _SAMPLE:
        print("without ../shared/corpora: the sample stands in")
    folder.mkdir(parents=True, exist_ok=True)
    data = DataConfig(train=train, dev=(dev,), root=str(root), rename={"MISC": "O"})
    sentences = read_corpora(data.train, data, _LABELS).sentences
    write(folder / "train.conll", made_up(sentences, Random(seed)), tokens)
    (folder / "dev.conll").write_bytes((root / dev).read_bytes())
    job = folder / "job.toml"
    job.write_text(_JOB.format(vectors=vectors), encoding="utf-8")
    return job


def main() -> None:
    """Make the corpus that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vectors", default="bundled", help="of the job (default: %(default)s)")
    options = parser.parse_args()
    print(make(options.folder, options.tokens, options.seed, options.vectors))


if __name__ == "__main__":
    main()
