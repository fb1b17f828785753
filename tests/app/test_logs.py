"""The format of the log, and that it holds nothing that a user or a client wrote."""

import asyncio
import contextlib
import gc
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Route, Router

from benchmarks.serving import Server
from fenestra.app.middleware.observe import ObserveMiddleware
from fenestra.app.middleware.request_id import RequestIdMiddleware
from fenestra.app.observability import logs
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from tests.conftest import ROOT

SECRET = "Geheimnis"
LOGGERS = ("", "uvicorn", "uvicorn.error", "app")
log = logging.getLogger("uvicorn.error")


class Screen(io.StringIO):
    """Stands in for standard error."""

    def __init__(self, *, terminal=False):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def lines(self):
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def configure(monkeypatch):
    """Configure the log onto a screen, and put everything back afterwards."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in LOGGERS}
    flags = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def start(*, terminal=False, **settings):
        screen = Screen(terminal=terminal)
        monkeypatch.setattr(sys, "stderr", screen)
        logs.configure(Settings(**settings))
        return screen

    yield start
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags
    logging.captureWarnings(False)


@pytest.fixture
def ask():
    """Send a request through the outer middleware to an application that answers, or breaks at ``/break``."""

    def breaks(request):
        raise ValueError(SECRET)

    routes = [Route("/items/{name}", lambda request: Response(request.path_params["name"])), Route("/break", breaks)]
    app = RequestIdMiddleware(ObserveMiddleware(Router(routes), Metrics()))

    def send(path, method="GET", **options):
        async def once():
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                return await http.request(method, path, **options)

        return asyncio.run(once())

    return send


def test_a_request_is_one_line_with_these_fields(configure, ask):
    screen = configure()
    ask(f"/items/{SECRET}?q={SECRET}", headers={"x-request-id": "order-66", "user-agent": SECRET})
    (line,) = screen.lines()
    assert line.pop("milliseconds") >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert re.fullmatch(r"order-66 GET /items/\{name\} 200 \d+\.\d ms", line.pop("message"))
    assert line == {
        "level": "info", "request_id": "order-66", "method": "GET", "route": "/items/{name}", "status": 200,
    }  # fmt: skip


@pytest.mark.parametrize(
    "identifier", ["a\r\nINFO forged", "\x1b[31mred", "a" * 10_000, '{"level":"critical"}', "a b", "é", ""]
)
def test_a_request_id_cannot_inject_into_the_log(configure, ask, identifier):
    for settings in ({"log_format": "json"}, {"log_format": "text"}):
        screen = configure(**settings)
        answer = ask("/items/x", headers={"x-request-id": identifier.encode()})
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
        (line,) = screen.getvalue().splitlines()
        assert answer.headers["x-request-id"] in line
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 400


def test_people_get_text_and_machines_get_json(configure, ask):
    for terminal, wanted, is_json in [
        (True, "auto", False), (False, "auto", True), (True, "json", True), (False, "text", False)
    ]:  # fmt: skip
        screen = configure(terminal=terminal, log_format=wanted)
        ask("/items/x")
        assert screen.getvalue().startswith("{") == is_json


def test_only_the_type_and_frames_of_an_error_are_logged(configure, ask):
    screen = configure()
    assert ask("/break").status_code == 500
    error, request = screen.lines()
    assert error["level"] == "error"
    assert "ValueError" in error["message"]
    assert "in breaks" in error["message"]
    assert error["message"].split()[1] == request["request_id"]
    assert request["status"] == 500
    assert SECRET not in screen.getvalue()


@pytest.mark.parametrize("wanted", ["json", "text"])
def test_a_logged_traceback_holds_no_message_of_the_error_or_its_causes(configure, wanted):
    screen = configure(log_format=wanted)
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise RuntimeError(f"{SECRET} again") from error
    except RuntimeError:
        log.exception("it broke")
    logged = screen.getvalue()
    assert "RuntimeError" in logged
    assert "KeyError" in logged
    assert "test_a_logged_traceback" in logged
    assert SECRET not in logged.replace(f"raise KeyError({SECRET}", "")
    if wanted == "json":
        (line,) = screen.lines()
        assert line["message"] == "it broke"
        assert line["exc_info"].startswith("RuntimeError\n")


def test_a_failed_task_or_thread_logs_its_frames_and_not_its_message(configure):
    screen = configure()

    async def fails():
        raise ValueError(SECRET)

    async def forget():
        task = asyncio.ensure_future(fails())
        await asyncio.wait({task})

    asyncio.run(forget())
    gc.collect()
    thread = threading.Thread(target=lambda: asyncio.run(fails()), name="loader")
    thread.start()
    thread.join()
    task_line, thread_line = screen.lines()
    assert task_line["message"] == "Task exception was never retrieved"
    assert task_line["exc_info"].startswith("ValueError\n")
    assert thread_line["level"] == "critical"
    assert thread_line["message"].startswith("thread loader ended with ValueError\n")
    assert SECRET not in screen.getvalue()


def test_an_error_in_a_finalizer_logs_its_frames_and_not_its_message(configure):
    screen = configure()

    class Brittle:
        def __del__(self):
            raise ValueError(SECRET)

    Brittle()
    gc.collect()
    (line,) = screen.lines()
    assert line["message"].startswith("not raised: ValueError\n")
    assert SECRET not in screen.getvalue()


def test_the_level_applies_to_fenestra_and_uvicorn_and_libraries_only_log_warnings(configure):
    screen = configure(log_level="debug")
    for name in ("uvicorn.error", "fenestra.app.engine", "some.library"):
        logging.getLogger(name).debug("debug line")
        logging.getLogger(name).warning("warning line")
    assert [(line.get("logger"), line["message"]) for line in screen.lines()] == [
        (None, "debug line"), (None, "warning line"),
        ("fenestra.app.engine", "debug line"), ("fenestra.app.engine", "warning line"),
        ("some.library", "warning line"),
    ]  # fmt: skip
    screen = configure(log_level="error")
    log.warning("not wanted")
    logging.getLogger("some.library").warning("not wanted")
    assert screen.getvalue() == ""


def test_a_python_warning_is_a_line_of_the_log(configure):
    screen = configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # catch_warnings has restored the interpreter's own handler
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = screen.lines()
    assert line["logger"] == "py.warnings"
    assert "old ways" in line["message"]


def test_a_record_with_any_content_is_one_line_of_json(configure):
    screen = configure()
    log.info("a lone surrogate: %s", "\ud800", extra={"folder": object, "color_message": "for a terminal"})
    log.info("two\nlines")
    first, second = screen.lines()
    assert first["message"] == "a lone surrogate: \ud800"
    assert "color_message" not in first
    assert second["message"] == "two\nlines"


def test_configuring_twice_logs_once(configure):
    configure()
    screen = configure()
    log.info("once")
    assert len(screen.lines()) == 1


def test_the_running_service_logs_only_json_and_nothing_that_clients_sent():
    """From the first line to the last: the server's own lines, malformed HTTP, unusual requests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FENESTRA_", "OTEL_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from fenestra.cli.main import main; sys.exit(main())", "serve", "--port",
        "0"], env=environment | {"FENESTRA_LOG_LEVEL": "debug", "FENESTRA_DRAIN_SECONDS": "0"}, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        before = []
        while not (url := re.search(r"http://[\d.]+:\d+", (before or [""])[-1])):
            before.append(process.stderr.readline())
            assert before[-1], before
        with httpx.Client(base_url=url.group(), transport=httpx.HTTPTransport(retries=20)) as http:
            body = {"text": f"{SECRET} met Ada."}
            assert http.post("/tag", json=body, headers={"x-request-id": "seven"}).status_code == 200
            http.post(f"/{SECRET}?{SECRET}", json=body)
            http.post("/tag", content=f'{{"{SECRET}'.encode(), headers={"content-type": "application/json"})
            http.get("/livez", headers={"x-request-id": f"{SECRET} {SECRET}", SECRET: SECRET, "host": SECRET})
        with socket.create_connection((url.group().split("/")[2].split(":")[0], int(url.group().split(":")[2]))) as raw:
            raw.sendall(f"{SECRET} {SECRET}\r\n\r\n".encode())
            assert raw.recv(1024).startswith(b"HTTP/1.1 400")
        process.send_signal(signal.SIGTERM)
        out, after = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in [*before, *after.splitlines()]]
    assert out == ""
    assert process.returncode == 0
    assert SECRET.lower() not in json.dumps(lines).lower()
    assert [line["route"] for line in lines if line.get("request_id") == "seven"] == ["/tag"]
    assert {"time", "level", "message"} <= set.intersection(*map(set, lines))
    assert {line["level"] for line in lines} <= {"debug", "info", "warning"}


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    return reader, writer


@pytest.fixture
def lines_to():
    """Make a handler that writes to a descriptor, with a count of what it dropped."""
    opened = []

    def make(descriptor):
        stream = os.fdopen(descriptor, "w")
        opened.append(stream)
        lines = logs.Lines(stream)
        lines.setFormatter(logging.Formatter("%(message)s"))
        lines.dropped = []
        lines.on_drop = lambda: lines.dropped.append(1)
        return lines

    yield make
    for stream in opened:
        stream.close()


def record(message):
    return logging.LogRecord("x", logging.INFO, "", 0, message, None, None)


def test_a_line_that_nobody_reads_is_dropped_and_the_next_reader_is_told(lines_to):
    reader, writer = full_pipe()
    lines = lines_to(writer)
    for _ in range(3):
        lines.handle(record("lost"))
    assert len(lines.dropped) == 3
    os.read(reader, 1 << 20)
    lines.handle(record("read"))
    assert os.read(reader, 4096) == b"3 lines of the log were dropped\nread\n"
    os.close(reader)
    lines.handle(record("nobody will ever read this"))
    assert len(lines.dropped) == 4


def test_a_line_that_fits_in_part_does_not_spoil_the_next_one(lines_to):
    reader, writer = full_pipe()
    lines = lines_to(writer)
    os.read(reader, 8192)
    lines.handle(record("x" * 100_000))
    assert len(lines.dropped) == 1
    while len(os.read(reader, 1 << 20)) == 1 << 20:
        pass
    lines.handle(record("whole"))
    assert os.read(reader, 4096).endswith(b"\nwhole\n")
    os.close(reader)


def test_a_long_line_is_whole_where_there_is_room(lines_to, tmp_path):
    lines = lines_to(os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY))
    lines.handle(record("é" * 50_000))
    assert (tmp_path / "log").read_text(encoding="utf-8") == "é" * 50_000 + "\n"


def test_without_standard_error_there_is_no_log():
    lines = logs.Lines(None)
    lines.handle(record("nowhere"))


# ── the lines of requests, which are written together ──

FIELDS = {"request_id": "order-66", "method": "POST", "route": "/tag", "status": 200, "milliseconds": 1.24}


@pytest.mark.parametrize("formatter", [logs._Json(), logs._Text()], ids=["json", "text"])
@pytest.mark.parametrize("more", [{}, {"trace_id": "0af7651916cd43dd8448eb211c80319c"}])
def test_the_line_of_a_request_is_that_of_its_record(formatter, more):
    fields = FIELDS | more
    made = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, logs.REQUEST_LINE, (fields,), None)
    vars(made).update(fields)
    for created in (1_700_000_000.0, 1_700_000_000.9996, 1_700_000_000.25):
        made.created, made.msecs = created, float(int(created % 1 * 1000))
        assert formatter.format_request(created, fields) == formatter.format(made)


def requests_of(lines, count, first=0):
    for number in range(first, first + count):
        lines.add_request(FIELDS | {"request_id": f"r{number}"})


@pytest.fixture
def pipe_lines(lines_to):
    """A handler for requests on an empty pipe, and what it has written so far."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    lines = lines_to(writer)
    lines.setFormatter(logs._Text())

    def read():
        with contextlib.suppress(BlockingIOError):
            return re.findall(r"r\d+|other", os.read(reader, 1 << 20).decode())
        return []

    yield lines, read
    os.close(reader)


def test_the_lines_of_one_turn_of_the_event_loop_are_written_at_its_end(pipe_lines):
    lines, read = pipe_lines

    async def act():
        requests_of(lines, 40)
        assert read() == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert read() == [f"r{number}" for number in range(40)]

    asyncio.run(act())


def test_another_line_comes_behind_those_of_the_requests_before_it(pipe_lines):
    lines, read = pipe_lines

    async def act():
        requests_of(lines, 2)
        lines.handle(record("other"))
        requests_of(lines, 2, first=2)
        lines.flush()
        assert read() == ["r0", "r1", "other", "r2", "r3"]
        await asyncio.sleep(0)
        assert read() == []

    asyncio.run(act())


def test_no_line_is_lost_at_the_end(pipe_lines):
    lines, read = pipe_lines

    async def act():
        requests_of(lines, 3)
        lines.close()

    asyncio.run(act())
    assert read() == ["r0", "r1", "r2"]


def test_every_request_whose_line_nobody_reads_is_counted(lines_to):
    reader, writer = full_pipe()
    lines = lines_to(writer)
    lines.setFormatter(logs._Text())

    async def act():
        os.read(reader, 8192)  # room for some of them
        requests_of(lines, 1000)
        lines.flush()

    asyncio.run(act())
    read = b""
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 20):
            read += piece
    whole = re.findall(r" (r\d+) POST /tag 200 1\.2 ms\n", read.decode("latin-1"))
    assert whole == [f"r{number}" for number in range(len(whole))]
    assert 0 < len(whole) < 1000
    assert len(lines.dropped) == 1000 - len(whole)
    lines.handle(record("other"))
    assert b"%d lines of the log were dropped" % len(lines.dropped) in os.read(reader, 1 << 16)
    os.close(reader)


def test_a_server_logs_requests_of_both_ways_alike():
    """Those that the application answers, and those that need none of it."""
    with Server(log_format="json", drain_seconds=0) as server:
        assert server.tag({"text": "Ada"})[0] == 200
        assert server.tag(b"{}", 30)[0] == 422
        assert server.request("POST", "/tag", b"", {"Content-Type": "text/plain"})[0] == 415
        server.terminate()
        assert server.process.wait(30) == 0
        logged = [json.loads(line) for line in server.logged().splitlines()]
    asked = [line for line in logged if line.get("route") == "/tag"]
    assert [line["status"] for line in asked] == [200, 422, 415]
    assert len({tuple(line) for line in asked}) == 1
