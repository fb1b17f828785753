"""Builds the site strictly, and serves it: ``python -m docs.website [--output DIR] [--port N]``.

A broken link or anchor, a page in no section and a name that leads nowhere fail the build.
"""

import argparse
import http.server
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sphinx.cmd.build import build_main

ROOT = Path(__file__).parents[2]


def build(output: Path, *, quiet: bool = False) -> int:
    """Build the site.

    Args:
        output: folder of the pages; ``index.html`` is in it.
        quiet: print nothing but warnings.

    Returns:
        The exit code, which is 0 only if there was no warning.
    """
    words = [
        "-b",
        "html",
        "-c",
        Path(__file__).parent,
        "-d",
        output.with_name(f".{output.name}-pages"),
        "--fail-on-warning",
    ]
    return build_main([str(word) for word in [*words, *(["-q"] if quiet else []), ROOT, output]])


def serve(folder: Path, port: int) -> None:
    """Serve a built site to this machine until Ctrl-C."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", file=sys.stderr, flush=True)  # noqa: T201 - a program's
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m docs.website", description="Build the documentation site, and serve it."
    )
    parser.add_argument("--output", metavar="DIR", type=Path, default=ROOT / "build" / "docs", help="of the pages")
    parser.add_argument("--port", metavar="N", type=int, help="serve it on this port of the loopback interface")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(argv)
    code = build(options.output)
    if code == 0 and options.port is not None:
        serve(options.output, options.port)
    return code


if __name__ == "__main__":
    sys.exit(main())
