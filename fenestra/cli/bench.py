"""How fast a model is on this machine: ``fenestra bench``.

Three questions, each answered through the functions that a user would call: how many tokens a second of raw text, how
many of text that is split into words already, and how long one sentence takes.
"""

import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from fenestra.cli.bulk.inputs import guess_format
from fenestra.cli.bulk.reading import items
from fenestra.cli.waiting import waiting
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger
from fenestra.model.text.language import Language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize
from fenestra.training.compressed import open_file
from fenestra.training.data.conll import DOCSTART

_MOST_SINGLE = 1_000  # sentences that are timed one by one


def bench(folder: Path, file: Path, *, repeats: int = 5, device: str = "auto", threads: int = 1) -> dict[str, Any]:
    """Measure a model on a file.

    Args:
        folder: of the checkpoint.
        file: sentences as one token a line (``.conll``; its raw text is the words with spaces between), or raw text,
            a text a line.
        repeats: timed passes over the file, after a first one that is told apart: it fills caches.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads.

    Returns:
        Plain JSON values; times in seconds, latencies in milliseconds.

    Raises:
        InputError: the file holds nothing to tag, or the model cannot be loaded.
    """
    began = time.perf_counter()
    with waiting("loading the model"):
        tagger = Tagger.load(folder, device=device, threads=threads)
    load_seconds = time.perf_counter() - began
    texts, sentences = read(file, tagger.language)
    raw_tokens = sum(len(tokenize(text, tagger.language)) for text in texts)
    split_tokens = sum(map(len, sentences))
    _note(f"raw text: {repeats + 1} passes over {len(texts):,} texts")
    raw = rates(lambda: tagger.tag(texts), raw_tokens, repeats)
    _note(f"words: {repeats + 1} passes over {len(sentences):,} sentences")
    split = rates(lambda: tagger.tag_tokens(sentences), split_tokens, repeats)
    single = [" ".join(words) for words in sentences[:_MOST_SINGLE]]
    _note(f"latency: {len(single):,} sentences one by one")
    return {
        "model": str(folder),
        "version": tagger.version,
        "file": str(file),
        "device": tagger.device,
        "engine": tagger.engine,
        "threads": threads,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "load_seconds": load_seconds,
        "raw_text": {"texts": len(texts), "tokens": raw_tokens, "tokens_per_second": raw},
        "words": {"sentences": len(sentences), "tokens": split_tokens, "tokens_per_second": split},
        "latency_ms": latencies(tagger, single),
    }


def read(file: Path, of: Language) -> tuple[list[str], list[list[str]]]:
    """Raw texts of a language, and the same as sentences of words.

    Raises:
        InputError: there is nothing in the file.
    """
    with open_file(file) as source:
        found = [item.content for item in items(source, str(file), guess_format(file.name)) if item.content]
    texts, sentences = [], []
    for content in found:
        if isinstance(content, str):
            texts.append(content)
            sentences += _sentences(content, of)
        elif content != [[DOCSTART]]:
            texts += [" ".join(words) for words in content]
            sentences += content
    if not sentences:
        raise InputError(f"{file}: holds nothing to tag")
    return texts, sentences


def rates(work: Callable[[], object], tokens: int, repeats: int) -> dict[str, float]:
    """Tokens per second of some work: of a first pass, and the median and the ends of the passes after it."""
    passes = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        passes.append(tokens / (time.perf_counter() - began))
    first, *warm = passes
    return {"median": median(warm), "min": min(warm), "max": max(warm), "first": first}


def latencies(tagger: Tagger, texts: Sequence[str]) -> dict[str, float]:
    """Percentiles of the time that one call with one sentence takes, in milliseconds."""
    times = []
    for text in texts:
        began = time.perf_counter()
        tagger(text)
        times.append(1000 * (time.perf_counter() - began))
    return {
        "sentences": len(times),
        **{f"p{percent}": percentile(times, percent) for percent in (50, 90, 99)},
        "max": max(times),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not below ``percent`` of them (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50), percentile([1.0], 99)
    (2.0, 1.0)
    """
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def render(figures: dict[str, Any]) -> str:
    """The figures as a person reads them in a terminal."""
    latency = figures["latency_ms"]
    where = f"{figures['device']}, {figures['engine']}, threads {figures['threads']}"
    lines = [
        f"model     {figures['model']} ({figures['version']}), {where}",
        f"loading   {figures['load_seconds']:.2f} s",
        "",
        f"{'tokens/s':<18}{'median':>12}{'min':>12}{'max':>12}{'first pass':>12}{'tokens':>12}",
    ]
    for title, key in (("from raw text", "raw_text"), ("from words", "words")):
        rate = figures[key]["tokens_per_second"]
        cells = [*(f"{rate[name]:,.0f}" for name in ("median", "min", "max", "first")), f"{figures[key]['tokens']:,}"]
        lines.append(f"{title:<18}" + "".join(f"{cell:>12}" for cell in cells))
    lines += [
        "",
        f"one sentence, ms  p50 {latency['p50']:.2f}   p90 {latency['p90']:.2f}   p99 {latency['p99']:.2f}   "
        f"max {latency['max']:.2f}   ({latency['sentences']:,} sentences)",
    ]
    return "\n".join(lines)


def _sentences(text: str, of: Language) -> list[list[str]]:
    """The words of a text, sentence by sentence, as the tagger sees them."""
    tokens = tokenize(text, of)
    words = iter(token.text for token in tokens)
    return [[next(words) for _ in range(length)] for length in sentence_lengths(text, tokens, of)]


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")
