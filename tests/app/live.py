"""A real server on a real socket, in a thread of the test process, and clients that send any bytes."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import threading
import time

from fenestra.app.main import create_app
from fenestra.app.server import bind, new_server
from fenestra.app.settings import Settings
from tests.app.conftest import StubTagger

TIMEOUT = 20  # seconds until a test fails; far above anything that it waits for


class Gate(StubTagger):
    """Blocks until it is opened."""

    def __init__(self):
        self.opened = threading.Event()
        self.begun = 0

    def work(self, items, **options):
        self.begun += 1
        self.opened.wait(TIMEOUT)
        return (yield from super().work(items, **options))


class LiveServer:
    """The service as ``fenestra serve`` runs it, without signals."""

    def __init__(self, tagger=None, **settings):
        self.settings = Settings(**settings)
        self.app = create_app(self.settings, tagger=tagger or StubTagger())
        self.server = new_server(self.app, self.settings)
        self.listener = bind(self.settings.host, 0)
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
            self.loop = runner.get_loop()
            runner.run(self.server.serve(sockets=[self.listener]))

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.server.started or not self.thread.is_alive())
        assert self.server.started
        return self

    def __exit__(self, *error):
        self.server.handle_exit(signal.SIGINT, None)
        self.server.handle_exit(signal.SIGINT, None)
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()

    def on_loop(self, function, *args):
        """Call a function on the server's event loop."""
        self.loop.call_soon_threadsafe(function, *args)

    def connect(self):
        return Wire(self.address)

    def ask(self, sent):
        """Send bytes on a new connection; returns the response."""
        with self.connect() as wire:
            wire.send(sent)
            return wire.answer()

    def count(self, metric):
        """The value of a series; 0 if it does not exist."""
        text = self.app.state.service.metrics.exposition().decode()
        found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def refused(self, reason):
        return self.count(f'fenestra_refused_total{{reason="{reason}"}}')


class Answer:
    def __init__(self, status, headers, content):
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def json(self):
        return json.loads(self.content)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def closes(self):
        return self.headers.get("connection") == "close"


class Wire:
    """One connection."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, TIMEOUT)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """More bytes; raises EOFError at the end."""
        if not (data := self.socket.recv(65536)):
            raise EOFError
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.read()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def take_until(self, mark):
        while mark not in self.buffer:
            self.read()
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken

    def answer(self):
        """The next complete response."""
        first, *lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(headers) == len(lines), "a header comes twice"
        status = int(first.split()[1])
        if headers.get("transfer-encoding") == "chunked":
            content = b""
            while size := int(self.take_until(b"\r\n"), 16):
                content += self.take(size)
                self.take(2)
            self.take(2)
        else:
            content = self.take(int(headers.get("content-length", 0)))
        return Answer(status, headers, content)

    def closed(self):
        """Wait until the server closes; returns what it sent before."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                self.read()
        return self.buffer


def request(path="/livez", body=b"", method=None, host=b"localhost", **headers):
    """The bytes of a plain request."""
    method = method or ("POST" if body else "GET")
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + host]
    lines += [f"{name.replace('_', '-')}: {value}".encode("latin-1") for name, value in headers.items()]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


TEXT = b'{"text":"Ada met Ito."}'
TAG = request("/tag", TEXT)


def wait_for(condition, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)
