"""What a request costs the event loop, without sockets and without the model: ``python -m benchmarks.hot_path``.

Connections of the real server are fed the bytes of requests, one each in turn, and their answers are there at once. So
what is measured is what Python does for a request before and after the model: once by the shortcut for plain requests
(app/api/direct.py), and once by the application, as all other requests go. The system's part, reading and writing
sockets, comes on top; the parser alone (httptools) is in both.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from uvicorn.server import ServerState

from benchmarks.contest.table import markdown
from benchmarks.wire import post
from benchmarks.workloads import new_sentences
from fenestra.app.engine.jobs import Item
from fenestra.app.main import create_app
from fenestra.app.observability import logs
from fenestra.app.server import new_server
from fenestra.app.settings import Settings
from fenestra.model.results import Result

CONNECTIONS = 32
_ANSWER = b'{"model":{"name":"english","version":"000000000000"},"results":[{"entities":[]}]}'


class _Transport:
    """Takes what a connection writes, and counts it."""

    def __init__(self) -> None:
        self.ended = 0  # responses

    def write(self, data: bytes) -> None:
        self.ended += data.endswith(_ANSWER)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def _nothing(self) -> None:
        """Do nothing."""

    pause_reading = resume_reading = close = abort = write_eof = _nothing


class _NoTagger:
    """Has labels; what it would find is put into the answers without it."""

    labels, version = ("PER",), "000000000000"

    def work(self, items: Sequence[Item], /, *, alternatives: int = 0) -> Iterator[Result]:  # type: ignore[misc]
        """Is never asked."""
        raise RuntimeError("this model is never asked")


async def measure(level: str, *, shortcut: bool, requests: Sequence[bytes], rounds: int) -> float:
    """Feed all connections so many times.

    Args:
        level: of the log.
        shortcut: whether plain requests take it.
        requests: what is fed, in turn.
        rounds: how often every connection gets a request; the quickest tenth of them counts.

    Returns:
        Microseconds of this thread a request.
    """
    settings = Settings(log_level=level, max_waiting=CONNECTIONS * 2)  # type: ignore[arg-type]
    lines = logs.configure(settings)
    app = create_app(settings, tagger=_NoTagger())  # type: ignore[arg-type]
    app.state.direct.observer.lines = lines
    server = new_server(app, settings)
    server.config.load()
    kind: Any = server.config.http_protocol_class
    if not shortcut:
        kind.registry.direct = None
    async with app.router.lifespan_context(app):
        _answer_at_once(app.state.service.inference)
        state = ServerState()
        state.default_headers = [(b"date", b"Sun, 29 Nov 2026 12:00:00 GMT")]
        pairs = [(kind(server.config, state, {}), _Transport()) for _ in range(CONNECTIONS)]
        for connection, transport in pairs:
            connection.connection_made(transport)
        seconds = []
        for number in range(rounds):
            due = pairs[0][1].ended + 1
            began = time.thread_time()
            for place, (connection, _) in enumerate(pairs):
                connection.data_received(requests[(number * CONNECTIONS + place) % len(requests)])
            while pairs[-1][1].ended < due:
                await asyncio.sleep(0)
            seconds.append(time.thread_time() - began)
        if {transport.ended for _, transport in pairs} != {rounds}:
            raise RuntimeError("a request was not answered as it should")
        for connection, _ in pairs:
            connection.connection_lost(None)
    return sorted(seconds)[rounds // 10] / CONNECTIONS * 1e6


def _answer_at_once(inference: Any) -> None:  # noqa: ANN401
    """Let all jobs of a turn have their answers in the next one, without the model and its thread."""

    def answer() -> None:
        arrived, inference._arrived = inference._arrived, []
        for job in arrived:
            inference._answer(job, [_ANSWER])

    inference._submit_arrived = answer


@contextmanager
def _log_to_file() -> Iterator[None]:
    """Let standard error be a file: a terminal would be slower."""
    before = sys.stderr
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w", encoding="utf-8") as file:
        sys.stderr = file
        try:
            yield
        finally:
            sys.stderr = before


def main() -> None:
    """Measure both ways, with and without a line of the log for each request, and print a table."""
    options = _parser().parse_args()
    for name in [name for name in os.environ if name.startswith("FENESTRA_")]:
        del os.environ[name]
    requests = [post(json.dumps({"text": text}).encode()) for text in new_sentences(1000)]
    figures: dict[str, dict[str, float]] = {}
    for name, shortcut in (("the shortcut", True), ("the application", False)):
        for level in ("warning", "info"):
            with _log_to_file(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                work = measure(level, shortcut=shortcut, requests=requests, rounds=options.rounds)
                figures.setdefault(name, {})[level] = round(runner.run(work), 1)
    head = ("µs of the event loop a request, but for the system's part", "no log", "a line of the log for each request")
    print(markdown(head, [(name, f"{found['warning']}", f"{found['info']}") for name, found in figures.items()]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.hot_path"
    )
    parser.add_argument("--rounds", type=int, default=1000, help="requests on each of the connections")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
