"""What a call over the Model Context Protocol costs: ``python -m benchmarks.integrations.mcp``.

1,000 texts of 20 words that do not repeat, one call after the other, by the protocol's own client over standard input
and output. The overhead is what a call takes beyond ``tagger(text)``, by the clock, the median of all. Prints a row
(:mod:`benchmarks.integrations.rows`).
"""

import argparse
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import Any

import anyio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

import fenestra
from benchmarks.integrations.rows import Row, lines_of, some_texts
from fenestra.model.results import DIGITS


async def calls(texts: list[str]) -> list[tuple[float, list[dict[str, Any]]]]:
    """Seconds that each call takes, and what it gives."""
    done = []
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "fenestra", "mcp"])
    async with Client(stdio_client(parameters)) as client:
        for text in texts:
            began = time.perf_counter()
            answer = await client.call_tool("tag_entities", {"text": text})
            done.append((time.perf_counter() - began, answer.structured_content["entities"]))
    return done


def plain(texts: list[str]) -> list[tuple[float, list[dict[str, Any]]]]:
    """The same without the protocol."""
    done, tagger = [], fenestra.load("english")
    for text in texts:
        began = time.perf_counter()
        found = tagger(text)
        done.append((time.perf_counter() - began, found.to_dicts()))
    return done


def main() -> None:
    """Measure and print the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1000)
    texts = some_texts(parser.parse_args().texts)
    called, expected = anyio.run(calls, texts), plain(texts)
    equal = [found for _, found in called] == [
        [{**entity, "score": round(entity["score"], DIGITS)} for entity in found] for _, found in expected
    ]
    cost = 1000 * (median(took for took, _ in called) - median(took for took, _ in expected))
    what, lines = "`call_tool(\"tag_entities\")`, stdio", lines_of("fenestra/integrations/mcp")  # fmt: skip
    print(Row("MCP SDK", version("mcp"), what, len(texts), equal, f"{cost:.1f} ms a call", lines))


if __name__ == "__main__":
    main()
