"""Streams of lines: in order, with an error for each bad line, and a bounded number of lines in memory."""

import asyncio
import gc
import json
import logging
import random
import tracemalloc

import pytest

from fenestra.app.api.ndjson import LineSplitter
from tests.app.live import TAG, Gate, LiveServer, wait_for


def collect(chunks, max_bytes=100):
    splitter, found = LineSplitter(max_bytes), []
    for chunk in chunks:
        splitter.feed(chunk)
        while splitter.unread:
            found += splitter.take()
    return found + splitter.end()


@pytest.mark.parametrize("cut", range(1, 12))
def test_lines_do_not_depend_on_how_the_body_is_split(cut):
    body = b'{"a":1}\n\n{"b":2}\r\nlast'
    chunks = [body[at : at + cut] for at in range(0, len(body), cut)]
    assert collect(chunks) == [(1, b'{"a":1}'), (3, b'{"b":2}\r'), (4, b"last")]


@pytest.mark.parametrize("cut", [1, 3, 7, 100])
def test_a_line_that_is_too_long_is_reported_once_and_the_rest_is_read(cut):
    body = b"0123456789\n" + b"x" * 50 + b"\nshort\n" + b"y" * 11
    chunks = [body[at : at + cut] for at in range(0, len(body), cut)]
    assert collect(chunks, max_bytes=10) == [(1, b"0123456789"), (2, None), (3, b"short"), (4, None)]


def stream(client, body, **headers):
    answer = client.request(
        "POST", "/tag/stream", content=body, headers={"content-type": "application/x-ndjson", **headers}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_line_is_answered_as_tag_would(client):
    asked = [{"text": "Ada met Ito"}, {"tokens": ["Ada"], "details": True}, {"text": ["a", "Bo"], "offsets": "utf16"}]
    found = stream(client, b"".join(json.dumps(line).encode() + b"\n" for line in asked))
    assert [line.pop("line") for line in found] == [1, 2, 3]
    assert found == [client.tag(line).json() for line in asked]


def test_a_bad_line_gets_an_error_line_with_its_number_and_the_rest_is_answered(serve):
    client = serve(max_body_bytes=200)
    body = b"\n".join(
        [b'{"text":"Ada"}', b"nonsense", b"", b'{"text":"a","x":1}', b'{"text":"' + b"x" * 300 + b'"}', b"\xff",
         b'{"text":"\\ud800"}', b'{"text":"Ada","model":"other"}', b'{"text":"Ito"}']
    )  # fmt: skip
    found = stream(client, body)
    assert [(line["line"], line.get("error", {}).get("code")) for line in found] == [
        (1, None), (2, "bad_json"), (4, "unknown_or_duplicate_field"), (5, "too_large"), (6, "bad_json"),
        (7, "invalid_unicode"), (8, "not_found"), (9, None),
    ]  # fmt: skip
    assert set(found[1]["error"]) == {"code", "message", "request_id"}


def test_an_empty_stream_has_an_empty_answer(client):
    assert stream(client, b"") == []


def test_a_stream_may_be_longer_than_a_body_and_than_the_queue(serve):
    client = serve(max_body_bytes=1000, max_waiting=4)
    found = stream(client, b'{"text":"Ada met Ito in Rome"}\n' * 500)
    assert [line["line"] for line in found] == list(range(1, 501))
    assert all(len(line["results"][0]["entities"]) == 3 for line in found)


def test_an_unexpected_error_in_one_line_leaves_the_others(serve, stub):
    tag = stub.tag

    def fail(items):
        if "boom" in items:
            raise ZeroDivisionError
        return tag(items)

    stub.tag = fail
    found = stream(serve(stub), b'{"text":"Ada"}\n{"text":"boom"}\n{"text":"Ito"}\n')
    assert [line.get("error", {}).get("code") for line in found] == [None, "internal", None]


def test_a_stream_has_a_media_type_of_its_own(client, refused):
    answer = client.request("POST", "/tag/stream", content=b"{}", headers={"content-type": "application/json"})
    refused(answer, 415, "unsupported_media_type")


class Connection:
    """One ASGI request, whose body is fed piece by piece."""

    def __init__(self, app):
        self.app = app
        self.incoming = asyncio.Queue()
        self.sent = []
        self.scope = {
            "type": "http", "method": "POST", "path": "/tag/stream", "raw_path": b"/tag/stream", "query_string": b"",
            "headers": [(b"content-type", b"application/x-ndjson"), (b"host", b"localhost")], "http_version": "1.1",
            "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "", "state": {},
        }  # fmt: skip

    def run(self):
        return asyncio.create_task(self.app(self.scope, self.incoming.get, self.send))

    async def send(self, message):
        self.sent.append(message)

    def feed(self, body, more=True):
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    @property
    def lines(self):
        body = b"".join(message.get("body", b"") for message in self.sent)
        return [json.loads(line) for line in body.splitlines()]

    def ends(self, count):
        """Whether as many lines were answered; what was sent is not looked into."""
        return sum(message.get("body", b"").count(b"\n") for message in self.sent) == count

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)


@pytest.mark.parametrize(("streams", "size"), [(2, 400_000), (2, 500_000), (20, 60_000)])
def test_lines_that_together_fill_the_memory_do_not_wait_for_each_other(serve, streams, size):
    """What waits for room frees none: were it counted, each would wait for the others, for ever."""
    client = serve(max_buffered_mb=1)
    memory = client.app.state.service.memory

    async def run():
        connections = [Connection(client.app) for _ in range(streams)]
        tasks = [connection.run() for connection in connections]
        for connection in connections:
            connection.feed(b'{"text":"Ada"' + b" " * size + b"}")
        await connections[0].until(lambda: memory.waiting >= streams * size)
        for connection in connections:
            connection.feed(b"\n", more=False)
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
        assert [len(line["results"]) for connection in connections for line in connection.lines] == [1] * streams
        assert (memory.used, memory.waiting) == (0, 0)

    client.run(run())


def test_a_long_line_of_a_client_that_has_left_is_not_parsed(client, monkeypatch):
    async def fail(*_, **__):
        raise AssertionError("parsed")

    async def run():
        connection = Connection(client.app)
        connection.scope["state"]["is_disconnected"] = lambda: True
        task = connection.run()
        connection.feed(b'{"text":"Ada"' + b" " * 100_000 + b"}\n", more=False)
        async with asyncio.timeout(10):
            await task
        assert connection.lines == []
        assert client.app.state.service.memory.used == 0

    monkeypatch.setattr("fenestra.app.api.ndjson.read_request", fail)
    client.run(run())


def test_a_complete_last_line_waits_for_room_as_any_other(serve):
    """An empty piece that ends the body, as gzip always gives, brings no more of it."""
    client = serve(max_buffered_mb=1)
    memory = client.app.state.service.memory

    async def run():
        connection = Connection(client.app)
        task = connection.run()
        connection.feed(b'{"text":"Ada"' + b" " * 100_000 + b"}")
        await connection.until(lambda: memory.waiting > 100_000)
        memory.take(2**20)  # bodies of others, in between
        connection.feed(b"", more=False)
        await asyncio.sleep(0.05)
        assert connection.lines == []
        memory.give(2**20)
        async with asyncio.timeout(10):
            await task
        assert "results" in connection.lines[0]

    client.run(run())


def test_who_is_woken_and_takes_no_room_wakes_the_next(serve):
    client = serve(max_buffered_mb=1)
    memory = client.app.state.service.memory

    async def run():
        read = asyncio.Event()
        slow, other = Connection(client.app), Connection(client.app)

        async def send(message):
            if message.get("body"):
                await read.wait()

        slow.send = send  # a client that does not read what is wrong with its line
        memory.take(2**20)
        tasks = [slow.run(), other.run()]
        slow.feed(b'{"text":"Ada","model":"none"}\n')
        await asyncio.sleep(0.05)
        other.feed(b'{"text":"Ada"}\n', more=False)
        await asyncio.sleep(0.05)
        memory.give(2**20)
        async with asyncio.timeout(10):
            await tasks[1]
        assert "results" in other.lines[0]
        read.set()
        slow.feed(b"", more=False)
        await tasks[0]

    client.run(run())


@pytest.mark.parametrize("tail", [b"", b'{"text":"a"}\n'])
def test_a_stream_that_is_idle_keeps_neither_lines_nor_answers(serve, tail):
    client = serve()
    memory = client.app.state.service.memory

    async def run():
        text = json.dumps({"text": "Ada met Ito. " * 7000, "details": True}).encode()
        body = text + b" " * 1_000_000 + b"\n" + tail
        connection = Connection(client.app)
        task = connection.run()
        await asyncio.sleep(0.05)
        tracemalloc.start()
        try:
            for _ in range(2):  # the first time imports, and grows what is there once for all
                before = tracemalloc.get_traced_memory()[0]
                for at in range(0, len(body), 60_000):
                    connection.feed(body[at : at + 60_000])
                await connection.until(lambda: connection.ends(body.count(b"\n")))
                connection.sent.clear()
                await asyncio.sleep(0.05)
                gc.collect()
                kept = tracemalloc.get_traced_memory()[0] - before
                connection.feed(b'{"text":"a"}\n')
                await connection.until(lambda: connection.ends(1))
                connection.sent.clear()
        finally:
            tracemalloc.stop()
        assert kept < 300_000
        assert (memory.used, memory.waiting) == (0, 0)
        connection.feed(b"", more=False)
        await task

    client.run(run())


def test_a_stream_that_is_cut_off_before_its_first_byte_leaves_nothing_counted(client):
    async def run():
        memory = client.app.state.service.memory
        connection = Connection(client.app)

        async def send(_):
            await asyncio.Event().wait()

        connection.send = send
        task = connection.run()
        connection.feed(b'{"text":"Ada"' + b" " * 100_000)
        await connection.until(lambda: memory.waiting > 100_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        assert (memory.used, memory.waiting) == (0, 0)
        assert not [left for left in asyncio.all_tasks() if "NdjsonResponse._read" in repr(left)]

    client.run(run())


@pytest.mark.parametrize("seed", range(4))
def test_however_streams_end_nothing_stays_counted(serve, seed):
    rng = random.Random(seed)
    client = serve(max_buffered_mb=1, max_waiting=4, max_body_bytes=300_000)
    service = client.app.state.service
    pieces = [
        b'{"text":"Ada met Ito"}\n' * 60, b'{"text":"Ada"' + b" " * 250_000 + b"}\n", b"x" * 310_000 + b"\n",
        b"\n  \n \t\n", b" " * 90_000, b"nonsense\n", b'{"text":"Ada","model":"none"}\n', b"",
        b'{"text":"' + b"Ada met Ito. " * 2000 + b'","details":true}\n',
    ]  # fmt: skip

    async def one():
        connection, gone = Connection(client.app), False
        connection.scope["state"]["is_disconnected"] = lambda: gone
        task = connection.run()
        for _ in range(rng.randrange(1, 8)):
            connection.feed(rng.choice(pieces))
            await asyncio.sleep(rng.random() * 0.01)
        match rng.randrange(4):
            case 0:
                connection.feed(b'{"text":"last"}', more=False)
            case 1:
                connection.feed(b"   ", more=False)
            case 2:
                gone = True
                connection.incoming.put_nowait({"type": "http.disconnect"})
            case 3:
                task.cancel()
        async with asyncio.timeout(30):
            await asyncio.gather(task, return_exceptions=True)

    async def run():
        await asyncio.gather(*[one() for _ in range(25)])
        memory = service.memory
        async with asyncio.timeout(10):
            while memory.used or memory.waiting or service.inference.depth or service.long_line.locked():
                await asyncio.sleep(0.01)
        assert not [task for task in asyncio.all_tasks() if "NdjsonResponse._read" in repr(task)]

    client.run(run())


def test_a_line_is_answered_before_the_next_one_is_sent(client):
    async def run():
        connection = Connection(client.app)
        task = connection.run()
        for number in (1, 2, 3):
            connection.feed(b'{"text":"Ada"}\n')
            await connection.until(lambda number=number: len(connection.lines) == number)
        connection.feed(b"", more=False)
        await task
        assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    client.run(run())


def test_the_body_is_requested_before_the_response_begins(client):
    """Servers send 100 Continue at the first receive(); after 200 it would be too late."""

    async def run():
        connection = Connection(client.app)
        order = []
        get, send = connection.incoming.get, connection.send

        async def receive():
            order.append("receive")
            return await get()

        async def note(message):
            order.append(message["type"])
            await send(message)

        connection.incoming.get, connection.send = receive, note
        task = connection.run()
        await connection.until(lambda: "http.response.start" in order)
        assert order == ["receive", "http.response.start"]
        connection.feed(b"", more=False)
        await task

    client.run(run())


def hold_bodies(connection):
    """Let nothing be sent beyond the first piece of the response until the event is set that this returns."""
    held = asyncio.Event()

    async def send(message):
        connection.sent.append(message)
        if message["type"] == "http.response.body":
            await held.wait()

    connection.send = send
    return held


def test_a_bounded_number_of_lines_is_read_ahead(client):
    async def run():
        connection = Connection(client.app)
        held = hold_bodies(connection)
        for _ in range(500):
            connection.feed(b'{"text":"Ada"}\n')
        connection.feed(b"", more=False)
        task = connection.run()
        await connection.until(lambda: len(connection.sent) == 2)
        await asyncio.sleep(0.2)
        assert connection.incoming.qsize() > 400
        held.set()
        await task
        assert len(connection.lines) == 500

    client.run(run())


def test_the_lines_in_progress_have_no_more_bytes_than_one_line_may_have(serve):
    client = serve(max_body_bytes=1000)

    async def run():
        connection = Connection(client.app)
        held = hold_bodies(connection)
        for _ in range(20):
            connection.feed(b'{"text":"Ada%s"}\n' % (b" " * 300))
        connection.feed(b"", more=False)
        task = connection.run()
        await connection.until(lambda: len(connection.sent) == 2)
        await asyncio.sleep(0.2)
        assert connection.incoming.qsize() == 21 - 4, "three lines in progress, and one that waits for room"
        held.set()
        await task
        assert len(connection.lines) == 20

    client.run(run())


def test_a_disconnect_leaves_no_line_in_the_queue_and_nothing_in_the_log(caplog):
    gate = Gate()
    with LiveServer(gate) as server:
        with server.connect() as wire:
            head = b"POST /tag/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            wire.send(head + b"Content-Length: 99999\r\n\r\n" + b'{"text":"Ada"}\n' * 100)
            wire.take_until(b"\r\n\r\n")
            wait_for(lambda: server.app.state.service.inference.depth > 20)
        wait_for(lambda: not server.server.server_state.connections)
        gate.opened.set()
        wait_for(lambda: not server.app.state.service.inference.depth)
        wait_for(lambda: server.count("fenestra_cancelled_total") == 1)
        server.on_loop(gc.collect)  # a task whose error was not retrieved logs it when it is collected
        assert server.ask(TAG).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_disconnect_ends_the_stream_and_is_counted(client):
    async def run():
        connection = Connection(client.app)
        task = connection.run()
        connection.feed(b'{"text":"Ada"}\n')
        await connection.until(lambda: connection.lines)
        connection.incoming.put_nowait({"type": "http.disconnect"})
        await task

    client.run(run())
    assert "fenestra_cancelled_total 1.0" in client.get("/metrics").text


def test_a_shutdown_ends_a_stream_with_a_line_that_says_where_to_continue(client):
    async def run():
        connection = Connection(client.app)
        task = connection.run()
        connection.feed(b'{"text":"Ada"}\n{"text":"Ito"}\n{"te')
        await connection.until(lambda: len(connection.lines) == 2)
        client.app.state.service.drain()
        await task
        assert [(line["line"], line.get("error", {}).get("code")) for line in connection.lines] == [
            (1, None),
            (2, None),
            (3, "not_ready"),
        ]

    client.run(run())
