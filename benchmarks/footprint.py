"""What the service holds: ``python -m benchmarks.footprint --model DIR``.

Seconds from the start of the process until it says that it is ready, resident memory then, and resident memory after
texts of a million words no two of which are the same.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

from benchmarks.contest.table import markdown
from benchmarks.made_up import word
from benchmarks.serving import Server
from fenestra.model.bundled import bundled_model, find_model

_WORDS = 1_000  # of a text


def texts(count: int) -> list[str]:
    """Texts of so many words in all, no two of which are the same.

    >>> texts(3)
    ['ba be bi']
    """
    return [
        " ".join(word(number) for number in range(begin, min(begin + _WORDS, count)))
        for begin in range(0, count, _WORDS)
    ]


def main() -> None:
    """Start the service so many times, ask the last one, and print what was seen."""
    options = _parser().parse_args()
    settings = {"model": options.model.absolute(), "threads": 1, "log_level": "warning", "drain_seconds": 0}
    seconds = []
    for number in range(options.repeats):
        began = time.perf_counter()
        with Server(cpu=options.cpu, **settings) as server:
            seconds.append(time.perf_counter() - began)
            if number == options.repeats - 1:
                ready = server.usage().rss
                for text in texts(options.words):
                    if (status := server.tag({"text": text})[0]) != 200:
                        raise RuntimeError(f"an answer of status {status}")
                after = server.usage().rss
    figures = {"ready_seconds": seconds, "ready_rss": ready, "words": options.words, "rss": after}
    spread = f"{median(seconds):.2f} ({min(seconds):.2f} – {max(seconds):.2f})"
    head = ("start to ready, s", "ready, MiB", f"after {options.words:,} distinct words, MiB")
    print(markdown(head, [(spread, f"{ready / 2**20:,.0f}", f"{after / 2**20:,.0f}")]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.footprint"
    )
    parser.add_argument("--model", type=find_model, default=bundled_model(), help="checkpoint folder")
    parser.add_argument("--words", type=int, default=1_000_000, help="distinct words to be tagged")
    parser.add_argument("--repeats", type=int, default=5, help="starts")
    parser.add_argument("--cpu", type=int, default=0, help="the server's core")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
