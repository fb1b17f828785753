"""A made-up corpus of any size: sentences of English corpora, drawn again and again, with other names.

    python -m benchmarks.large_corpus /tmp/large --tokens 10_000_000                    make the corpus
    python -m benchmarks.large_corpus /tmp/large --tokens 10_000_000 --train            … and train on it
    python -m benchmarks.large_corpus /tmp/large --tokens 10_000_000 --train --kill     … killed in the second epoch

Writes train.conll, dev.conll (as it was published) and job.toml, a job that learns from the one and decides by the
other, with what the bundled English model knows of words. The same arguments give the same bytes. Documents have 25
sentences; of the names that are put in, a third are made up of syllables, so that new words keep coming as in text that
nobody repeated. Needs ``../shared/corpora``; where it is absent, the sample of the project stands in.

A training run prints its epochs and the peak of its memory: all that was resident, mapped files included (VmHWM), and
how much of it was anonymous. With ``--kill`` it is killed (SIGKILL) when its first epoch is done, and resumed.
"""

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread
from typing import NamedTuple

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


class Watched(NamedTuple):
    """A training run."""

    seconds: float
    peak: int
    """Most that was resident, in MB."""
    anonymous: int
    """Most of it that is in no file, in MB, as seen ten times a second."""


def train(job: Path, output: Path, *options: str, kill: bool = False) -> Watched:
    """Run a job in a process of its own; with ``kill`` until its first epoch is done."""
    command = [sys.executable, "-m", "fenestra", "train", str(job), "--output", str(output), *options]
    begun, seen = time.monotonic(), {"VmHWM": 0, "RssAnon": 0}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        watcher = Thread(target=_watch, args=(process, seen))
        watcher.start()
        for line in process.stderr or ():
            print(f"   {time.monotonic() - begun:6.1f} s  {line.strip()}", flush=True)
            if kill and line.startswith("epoch 1/"):
                process.kill()
        watcher.join()
        if process.wait() and not kill:
            raise RuntimeError(f"the run ended with {process.returncode}")
    return Watched(time.monotonic() - begun, seen["VmHWM"], seen["RssAnon"])


def _watch(process: "subprocess.Popen[str]", seen: dict[str, int]) -> None:
    """Note the most that a process takes, until it ends."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines():
            name, _, value = line.partition(":")
            if name in seen:
                seen[name] = max(seen[name], int(value.split()[0]) // 1024)
        time.sleep(0.1)


def measure(job: Path, tokens: int, *, kill: bool) -> None:
    """Train, and print the memory and the time of each run."""
    output = job.parent / "model"
    runs = {"killed": train(job, output, kill=True), "resumed": train(job, output, "--resume")} if kill else {}
    for name, run in (runs or {"trained": train(job, output)}).items():
        print(f"{name}: {tokens:,} tokens, {run.seconds:.0f} s, peak {run.peak:,} MB, {run.anonymous:,} MB anonymous")
    weights = (output / "weights.safetensors").read_bytes()
    print(f"weights: sha256 {hashlib.sha256(weights).hexdigest()[:16]}")


def main() -> None:
    """Make the corpus that the arguments name, and train on it if they say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vectors", default="bundled", help="of the job (default: %(default)s)")
    parser.add_argument("--train", action="store_true", help="train on it")
    parser.add_argument("--kill", action="store_true", help="kill the run in its second epoch, and resume it")
    options = parser.parse_args()
    job = make(options.folder, options.tokens, options.seed, options.vectors)
    if options.train or options.kill:
        measure(job, options.tokens, kill=options.kill)


if __name__ == "__main__":
    main()
