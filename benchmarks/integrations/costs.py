"""What a client costs: processor time of the service and of the client, whose process this is."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from benchmarks.serving import Server

T = TypeVar("T")


class Cost(NamedTuple):
    """Seconds on a core: of the service, and of this process with the client in it."""

    service: float
    client: float

    def __str__(self) -> str:
        return f"{self.service:.2f} + {self.client:.2f} s of CPU"


def measure(server: Server, work: Callable[[], T]) -> tuple[Cost, T]:
    """What some work costs, and what comes of it. Processor time: other work on the machine hardly changes it."""
    before = server.usage().cpu
    client, result = timed(work)
    return Cost(server.usage().cpu - before, client), result


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds of this process for some work, and what comes of it."""
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Post JSON, for JSON; what is refused ends the measurement."""
    connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    raw = answer.read()
    if answer.status not in (200, 201):
        raise SystemExit(f"{path}: {answer.status}, {len(raw)} bytes")
    return json.loads(raw)
