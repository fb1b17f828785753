"""Reads the test cases of cases.yaml."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.wire import post
from tests.faults import makers

FILE = Path(__file__).with_name("cases.yaml")
SECTIONS = {"body": "B", "http": "H", "load": "L", "life": "K", "checkpoint": "C"}
CLOSED = "closed"
LONG = bool(os.environ.get("FAULTS_LONG"))


@dataclass(frozen=True)
class Exchange:
    """One request, and the response that it must get."""

    raw: Any
    """The bytes to send, or pieces of them."""
    allowed: tuple[Any, ...]
    """Allowed statuses; ``closed`` if the connection may also end without a response."""
    code: str | None = None
    most: int = 8000
    results: list[Any] | None = None
    closes: bool = False


@dataclass(frozen=True)
class Case:
    """One entry of the file."""

    identifier: str
    title: str
    server: str = "plain"
    exchanges: dict[str, dict[str, Any]] = field(default_factory=dict)
    scenario: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    grows: float | None = None
    load: bool = False
    where: str | None = None
    soak: str | None = None

    @classmethod
    def read(cls, identifier: str, entry: dict[str, Any]) -> "Case":
        """Read one entry; with FAULTS_LONG in full length."""
        known = {name: value for name, value in entry.items() if name not in ("with", "long")}
        arguments = entry.get("with", {}) | (entry.get("long", {}) if LONG else {})
        return cls(identifier, **{**known, "server": arguments.pop("server", known.get("server", "plain"))},
                   arguments=arguments)  # fmt: skip


def exchange(send="", make=None, raw=None, headers=None, *, status, **rest) -> Exchange:
    """Build the request of an entry of ``exchanges``."""
    if raw is None:
        body = made(make) if make else send.encode()
        raw = post(body, headers)
    else:
        raw = made(raw)
    return Exchange(raw, tuple(status) if isinstance(status, list) else (status,), **rest)


def made(call: dict[str, dict[str, Any]]) -> Any:
    """What the named function of makers.py returns."""
    ((name, arguments),) = call.items()
    return getattr(makers, name)(**arguments)


DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVERS: dict[str, dict[str, Any]] = DOCUMENT["servers"]
CASES = [Case.read(identifier, entry) for section in SECTIONS for identifier, entry in DOCUMENT[section].items()]
