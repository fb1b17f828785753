"""The servers of the cases, and the checks after each."""

import json
import sys
from contextlib import ExitStack

from benchmarks.serving import Server
from benchmarks.wire import Answer, Wire
from tests.faults.cases import SERVERS

CANARY = b'{"text":["Ada Lovelace met Charles Babbage in London.","nobody"],"details":true}'
KEY = {"Authorization": "Bearer open sesame"}
FAULTY = (sys.executable, "-m", "tests.faults.faulty")
WATCHED = (sys.executable, "-m", "tests.faults.watched")
BLOCK_MILLISECONDS = 20
"""Longest time that anything a client sends may keep the event loop busy, on a processor as fast as ours."""
YARDSTICK_MILLISECONDS = 4
"""What :func:`tests.faults.watched.yardstick` takes there; a slower one may take as many times as long."""
AGAIN = 2
"""How often an exchange is repeated before a block of the event loop counts as its own."""
LEAKS = (b"Traceback", b'File "', b".py", b"pydantic", b"starlette", b"0x")
"""Text that an error response must not contain."""


class World:
    """Starts each server when a case first needs it, and keeps it for later cases."""

    def __init__(self, scratch):
        self.scratch = scratch
        self._stack = ExitStack()
        self._servers = {}
        self._golden = {}
        self._asked = set()
        self._failed = set()
        self.repeat = None
        """Does once more what the case did, where that is an exchange."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def server(self, name):
        """One of the servers of cases.yaml."""
        assert name not in self._failed, "the server failed to start for an earlier case"
        if name not in self._servers:
            self._failed.add(name)
            command = FAULTY if name == "faulty" else WATCHED
            server = Server(command, **{"drain_seconds": 0, **SERVERS[name]})
            self._servers[name] = self._stack.enter_context(server)
            self._golden[name] = canary(server)
            if name != "faulty":
                longest_block(server)  # the start may take as long as it likes
            self._failed.remove(name)
        self._asked.add(name)
        return self._servers[name]

    def check_canaries(self):
        """Every server that a case has used answers the fixed request with the same bytes as at first."""
        repeat, self.repeat = self.repeat, None
        for name in self._asked:
            assert canary(self._servers[name]) == self._golden[name], name
            if name != "faulty":
                block = longest_block(self._servers[name])
                for _ in range(AGAIN if repeat else 0):  # what blocks, blocks again; a machine that is busy may not
                    if is_short(block):
                        break
                    repeat()
                    assert canary(self._servers[name]) == self._golden[name], name
                    block = longest_block(self._servers[name])
                assert is_short(block), (name, block)
        self._asked.clear()


def is_short(block):
    """Whether a block is none, as fast as the machine is at the moment."""
    slower = max(block["yardstick"] / YARDSTICK_MILLISECONDS, 1)
    return block["milliseconds"] <= BLOCK_MILLISECONDS * slower + block["stolen"]


def canary(server):
    """The response to a fixed request, on a new connection."""
    status, body = server.request("POST", "/tag", CANARY, {"Content-Type": "application/json", **KEY})
    assert status == 200, body
    return body


def longest_block(server):
    """The longest block of the server's event loop since the last call, as tests/faults/watched.py measures it."""
    status, body = server.request("GET", "/watchdog", headers=KEY)
    assert status == 200, body
    return json.loads(body)


def ask(server, raw, seconds=10, method="POST"):
    """Send one request on a new connection; returns its response or None, and whether the connection ended after it."""
    with Wire(server.port, seconds) as wire:
        wire.send(raw)
        answer = wire.answer(method)
        return answer, answer is None or (answer.headers.get("connection") == "close" and wire.closed())


def check_refusal(answer: Answer, sent=b""):
    """Check the common shape of error responses: short, and without anything of the input or the internals."""
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
    """Whether a response holds a part of the request that is too long to be there by chance."""
    if not isinstance(sent, bytes):
        return False
    sent = sent.partition(b"\r\n\r\n")[2][:100_000]
    return any(sent[at : at + length] in body for at in range(0, len(sent) - length + 1, length // 2))
