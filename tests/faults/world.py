"""The servers that the cases are tried on, and what has to hold after each."""

import json
import sys
from contextlib import ExitStack

from benchmarks.serving import FENESTRA, Server
from benchmarks.wire import Answer, Wire
from tests.faults.cases import SERVERS

CANARY = b'{"text":["Ada Lovelace met Charles Babbage in London.","nobody"],"details":true}'
KEY = {"Authorization": "Bearer open sesame"}
FAULTY = (sys.executable, "-m", "tests.faults.faulty")
LEAKS = (b"Traceback", b'File "', b".py", b"pydantic", b"starlette", b"0x")
"""What a refusal never says."""


class World:
    """Starts each server when a case first needs it, and keeps it for those after."""

    def __init__(self, scratch):
        self.scratch = scratch
        self._stack = ExitStack()
        self._servers = {}
        self._golden = {}
        self._asked = set()
        self._failed = set()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def server(self, name):
        """One of those in cases.yaml."""
        assert name not in self._failed, "the server has not come up for a case before"
        if name not in self._servers:
            self._failed.add(name)
            command = FAULTY if name == "faulty" else FENESTRA
            server = Server(command, **{"drain_seconds": 0, **SERVERS[name]})
            self._servers[name] = self._stack.enter_context(server)
            self._golden[name] = canary(server)
            self._failed.remove(name)
        self._asked.add(name)
        return self._servers[name]

    def check_canaries(self):
        """Every server that a case has asked gives the fixed request the bytes that it gave at first."""
        for name in self._asked:
            assert canary(self._servers[name]) == self._golden[name], name
        self._asked.clear()


def canary(server):
    """The answer to a fixed request, on a new connection."""
    status, body = server.request("POST", "/tag", CANARY, {"Content-Type": "application/json", **KEY})
    assert status == 200, body
    return body


def ask(server, raw, seconds=10, method="POST"):
    """One request on a connection of its own: its answer, or None; and whether the connection ended after it."""
    with Wire(server.port, seconds) as wire:
        wire.send(raw)
        answer = wire.answer(method)
        return answer, answer is None or (answer.headers.get("connection") == "close" and wire.closed())


def check_refusal(answer: Answer, sent=b""):
    """The one shape of every refusal: short, in its envelope, without a word of what was sent or of our inside."""
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.body) <= 8000
    document = json.loads(answer.body)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message", "request_id"}
    assert all(isinstance(value, str) for value in document["error"].values())
    assert document["error"]["message"]
    assert not [leak for leak in LEAKS if leak in answer.body]
    assert not repeats(sent, answer.body)


def repeats(sent, body, length=16):
    """Whether an answer holds any stretch of what was sent that is long enough not to be chance."""
    if not isinstance(sent, bytes):
        return False
    sent = sent.partition(b"\r\n\r\n")[2][:100_000]
    return any(sent[at : at + length] in body for at in range(0, len(sent) - length + 1, length // 2))
