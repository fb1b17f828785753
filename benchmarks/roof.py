"""How near the network is to what memory allows: ``python -m benchmarks.roof --model DIR --corpus conll2003:test``.

With every word of a text in the table, the first layer of a token reads 2C+1 rows of H numbers and adds them up, one
addition a number: nothing that a processor could be slow at but reading. So

    bytes a token = (2C+1) · H · bytes a number          bound = bytes a token / bandwidth

The bandwidth is measured here, on one core, as the best of several plain reads: of an array that fills half of the
second-level cache, of one as large as all the rows that the text touches, and of one that fits no cache. A fourth
figure reads rows of float32 as the network does, 2C+1 at a time and from anywhere among those that the text touches:
what the same reading costs if nothing else is done. The network's time (``python -m benchmarks.stages``) holds more
than the first layer: the activation, the layers after it, the softmax.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.contest.table import markdown
from benchmarks.stages import corpus_items, measure, spreads
from benchmarks.workloads import SAMPLE
from fenestra.model.bundled import bundled_model, find_model
from fenestra.model.config import ModelConfig
from fenestra.model.tagger import Tagger

LARGE = 2**30
"""Bytes of an array that fits no cache, unless the machine has a larger one."""
_TOKENS = 20_000  # whose rows are read from anywhere
_BLOCK = 16  # tokens whose rows are read before they are added up, and are in the cache then
_SECONDS = 0.3  # that a bandwidth is measured for


class Bound(NamedTuple):
    """What some bandwidth allows."""

    source: str
    gigabytes: float
    """10⁹ bytes a second."""
    nanoseconds: float
    """A token, at least."""
    fraction: float
    """Of the bound that the network reaches, in [0, 1] unless it reads less than is thought."""


def bytes_per_token(config: ModelConfig, number: int) -> int:
    """What the first layer reads for a token, of numbers of so many bytes.

    >>> bytes_per_token(ModelConfig(labels=("PER",), context=3, hidden=(500,)), 4)
    14000
    """
    return (2 * config.context + 1) * config.hidden[0] * number


def bound(source: str, moved: int, gigabytes: float, network: float) -> Bound:
    """The least time for so many bytes a token, and how near ``network`` nanoseconds are.

    >>> bound("memory", 14_000, 10.0, 2_800.0)
    Bound(source='memory', gigabytes=10.0, nanoseconds=1400.0, fraction=0.5)
    """
    least = moved / gigabytes
    return Bound(source, gigabytes, least, least / network)


def read_bandwidth(size: int) -> float:
    """10⁹ bytes a second, of the fastest of several ways to read an array of so many bytes from end to end."""
    array = np.ones(max(size // 4, 1), dtype=np.float32)
    ways: list[Callable[[], object]] = [array.max, array.view(np.int32).max]  # NumPy does both on one core
    return array.nbytes / min(map(_seconds, ways)) / 1e9


def row_bandwidth(config: ModelConfig, words: int) -> float:
    """10⁹ bytes a second, when rows of float32 are read and added as the network does, from anywhere."""
    width, hidden = 2 * config.context + 1, config.hidden[0]
    table_RH = np.ones((words * width, hidden), np.float32)
    place_NW = np.random.default_rng(1).integers(words, size=(_TOKENS, width)) * width + np.arange(width)
    some_MWH, sum_NH = np.empty((_BLOCK, width, hidden), np.float32), np.empty((_TOKENS, hidden), np.float32)

    def add_up() -> None:
        for begin in range(0, _TOKENS, _BLOCK):
            here = slice(begin, begin + _BLOCK)
            place_MW = place_NW[here]
            row_MWH = np.take(table_RH, place_MW, axis=0, out=some_MWH[: len(place_MW)], mode="clip")
            np.add.reduce(row_MWH, axis=1, out=sum_NH[here])

    seconds = _seconds(add_up)
    return _TOKENS * bytes_per_token(config, 4) / seconds / 1e9


def cache_size(level: int) -> int:
    """Bytes of a core's cache, as Linux tells; 0 where it does not."""
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "level").read_text().strip() == str(level) and (
            index / "type"
        ).read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            return int(size.rstrip("KM")) * {"K": 2**10, "M": 2**20}.get(size[-1], 1)
    return 0


def main() -> None:
    """Measure the network and the bandwidths, and print how they compare."""
    options = _parser().parse_args()
    items, tokens = corpus_items(options.corpus, options.tokens)
    tagger = Tagger.load(options.model, device="cpu", threads=1)
    words = len({word for sentence in items["sentences of words"] for word in sentence})
    given = items["raw documents"]
    measure(tagger, given, tokens)
    found = spreads([measure(tagger, given, tokens) for _ in range(options.repeats)])
    network, moved = found["network"].median, bytes_per_token(tagger.config, options.bytes)
    touched, second = words * moved, cache_size(2) or 2**20
    sources = {
        f"second-level cache, {second / 2**20:,.1f} MiB": read_bandwidth(second // 2),
        f"the text's rows, {touched / 2**20:,.0f} MiB": read_bandwidth(touched),
        f"memory, {LARGE / 2**20:,.0f} MiB": read_bandwidth(max(LARGE, 2 * cache_size(3))),
        "the text's rows from anywhere, added up": row_bandwidth(tagger.config, words),
    }
    bounds = [bound(source, moved, gigabytes, network) for source, gigabytes in sources.items()]
    print(f"(2·{tagger.config.context}+1) · {tagger.config.hidden[0]} · {options.bytes} = {moved:,} bytes a token")
    print(f"network: {network:,.0f} ns a token ({found['network'].low:,.0f} – {found['network'].high:,.0f})\n")
    lines = [(b.source, f"{b.gigabytes:.1f}", f"{b.nanoseconds:,.0f}", f"{b.fraction:.2f}") for b in bounds]
    print(markdown(("read from", "10⁹ bytes/s", "bound, ns a token", "fraction reached"), lines))
    if options.json:
        content = {"bytes_per_token": moved, "words": words, "stages": found, "bounds": [b._asdict() for b in bounds]}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _seconds(read: Callable[[], object]) -> float:
    """The least time of some calls."""
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        read()
        best = min(best, time.perf_counter() - began)
    return best


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.roof"
    )
    parser.add_argument("--model", type=find_model, default=bundled_model(), help="checkpoint folder")
    parser.add_argument("--corpus", default=str(SAMPLE), help="an annotated file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--tokens", type=int, default=200_000, help="the corpus is repeated until it has as many")
    parser.add_argument("--repeats", type=int, default=5, help="passes, after a first one")
    parser.add_argument("--bytes", type=int, default=4, choices=(1, 2, 4), help="of a number in the table of words")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
