"""A service by script, a clock that nobody waits for, and the real service with a stub tagger."""

import json
import os

import httpx
import pytest

from fenestra.client import Client
from tests.app.live import LiveServer

ADDRESS = "http://tagger.example/ner"


class Clock:
    """Stands in for :mod:`time`: a pause is over at once, and counted."""

    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose connection breaks behind these bytes."""

    def __init__(self, body):
        self.body = body

    def __iter__(self):
        yield self.body
        raise httpx.ReadError("broken")

    async def __aiter__(self):
        yield self.body
        raise httpx.ReadError("broken")


def refusal(status, code="overloaded", **headers):
    """What the service answers when it refuses."""
    error = {"code": code, "message": "too many requests", "request_id": "5f0c"}
    return httpx.Response(status, json={"error": error}, headers=headers)


class Script:
    """Answers requests by a list: a response, an error to raise, or a function of the request. Keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(self, **options):
        return Client(ADDRESS, http=httpx.Client(transport=httpx.MockTransport(self)), **options)


def found(item):
    """The result of an item that the scripted service gives: one entity with the whole text."""
    text = item if isinstance(item, str) else " ".join(item)
    return {"entities": [{"start": 0, "end": len(text), "label": "PER", "text": text, "score": 0.5}]}


MODEL = {"name": "english", "version": "1"}


def tag(request):
    """As ``POST /tag`` answers."""
    body = json.loads(request.content)
    items = body.get("text", body.get("tokens"))
    items = [items] if isinstance(items, str) else items
    return httpx.Response(200, json={"model": MODEL, "results": list(map(found, items))})


def stream_lines(request):
    """As ``POST /tag/stream`` answers, line by line."""
    for number, line in enumerate(request.content.splitlines(), 1):
        body = json.loads(line)
        result = found(body.get("text", body.get("tokens")))
        yield json.dumps({"line": number, "model": MODEL, "results": [result]}).encode() + b"\n"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in ("client", "retries"):
        monkeypatch.setattr(f"fenestra.client.{module}.time", clock)
    return clock


@pytest.fixture(autouse=True)
def no_settings_from_the_environment(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("FENESTRA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def live():
    """Start the real service with the stub tagger: ``live(max_texts=3)`` gives a server; it stops with the test."""
    started = []

    def start(**settings):
        server = LiveServer(**{"drain_seconds": 0, **settings})
        started.append(server.__enter__())
        return server

    yield start
    for server in reversed(started):
        server.__exit__()


@pytest.fixture
def connect(live):
    """A client of the real service: ``connect(max_texts=3)``."""
    opened = []

    def start(retries=None, api_key=None, **settings):
        server = live(**settings)
        opened.append(Client("http://{}:{}".format(*server.address), retries=retries, api_key=api_key))
        return opened[-1]

    yield start
    for client in opened:
        client.close()
