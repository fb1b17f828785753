"""Services of several workers, in processes of their own, and the clients of their tests."""

import asyncio
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.clients import Pool
from benchmarks.load import runner
from benchmarks.serving import Server
from benchmarks.wire import Wire, post
from fenestra.model.engine.cores import available_cores

CANARY = post(b'{"text":["Ada Lovelace met Charles Babbage in London.","nobody"],"details":true}')
ODD = (sys.executable, "-m", "tests.workers.odd")
"""A service whose taggers follow commands in their texts, and whose workers end when a file says so."""


@pytest.fixture(scope="session", autouse=True)
def _two_cores():
    if available_cores() < 2 or not sys.platform.startswith("linux"):
        pytest.skip("several workers take Linux and two cores")


@pytest.fixture(scope="module")
def service():
    """Two workers that serve the English model; each test leaves it as it was."""
    with Server(workers=2, drain_seconds=0, keep_alive_seconds=60) as server:
        yield server


def workers_of(server):
    """The process ids of the workers."""
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def connections_of(pid):
    """How many connections of clients a worker has."""
    targets = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            targets.append(str(descriptor.readlink()))
    inodes = {found[1] for target in targets if (found := re.fullmatch(r"socket:\[(\d+)\]", target))}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[9] in inodes and fields[3] in ("01", "08") for fields in lines)


class Client:
    """Keeps a connection, and opens another one when a response says that it was the last."""

    def __init__(self, port):
        self.port = port
        self.wire = Wire(port, 60)

    def ask(self, raw):
        self.wire.send(raw)
        answer = self.wire.answer()
        if answer is not None and answer.headers.get("connection") == "close":
            self.close()
            self.wire = Wire(self.port, 60)
        return answer

    def close(self):
        self.wire.socket.close()


def ask(client, raw=CANARY):
    return client.ask(raw)


def connect(server, count):
    """So many clients, each of which has been answered once."""
    wires = [Client(server.port) for _ in range(count)]
    assert [ask(wire).status for wire in wires] == [200] * count
    return wires


def close(clients):
    for client in clients:
        client.close()


def under_load(server, act, *, clients=12, seconds=0.4):
    """Let clients ask one request after another, and something happen meanwhile; returns all statuses."""
    statuses = []

    async def load():
        pool, going = Pool(server.port, clients), True

        async def client():
            while going:
                statuses.append((await pool.ask(CANARY)).status)

        tasks = [asyncio.create_task(client()) for _ in range(clients)]
        try:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(act)
            await asyncio.sleep(seconds)
        finally:
            going = False
            await asyncio.gather(*tasks)
            pool.close()
            await asyncio.sleep(0)

    with runner() as run:
        run.run(load())
    return statuses
