"""Several workers answer as one process does: the same bytes, one sum of metrics, one rate limit, one version."""

import json
import os
import re
import signal
import tempfile
import time
from pathlib import Path

import pytest

from benchmarks.checkpoints import put_in_place, write_variant
from benchmarks.reloads import reloads_under_load
from benchmarks.serving import Server
from benchmarks.wire import Wire, post
from fenestra.app.learning.files import locked
from tests.app.live import wait_for
from tests.workers.conftest import CANARY, Client, ask, close, connect, connections_of, under_load, workers_of


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """Two models that give other scores."""
    folders = [tmp_path_factory.mktemp("variants") / name for name in ("one", "two")]
    for folder, temperature in zip(folders, (1.0, 1.3), strict=True):
        write_variant(folder, temperature=temperature)
    return folders


@pytest.fixture
def reloadable(variants, tmp_path):
    """A service of two workers, and the folder that it serves."""
    served = tmp_path / "served"
    served.mkdir()
    put_in_place(variants[0], served)
    patient = {"keep_alive_seconds": 60, "body_seconds": 60}
    with Server(workers=2, drain_seconds=0, model=served, watch_seconds=0.2, **patient) as server:
        yield server, served


def version_of(answer):
    return json.loads(answer.body)["model"]["version"]


def reload(server):
    return server.request("POST", "/models/served/reload", b"")


def test_every_worker_gives_the_same_bytes_as_one_process(service):
    with Server(drain_seconds=0) as alone:
        (client,) = connect(alone, 1)
        expected = ask(client).body
        client.close()
    wires = connect(service, 8)
    try:
        assert all(connections_of(pid) for pid in workers_of(service))
        assert {ask(wire).body for wire in wires} == {expected}
    finally:
        close(wires)


def test_connections_are_shared_out(service):
    """Exactly, as the tests of the parts have it; here the machine may be too busy to let both take turns."""
    wires = [Wire(service.port) for _ in range(32)]
    try:
        wait_for(lambda: sum(map(connections_of, workers_of(service))) == 32)
        assert min(connections_of(pid) for pid in workers_of(service)) >= 8
    finally:
        for wire in wires:
            wire.socket.close()


def test_metrics_are_the_sum_whoever_is_asked(service):
    def answered():
        return service.metric(r'fenestra_requests_total\{method="POST",route="/tag",status="200"\}')

    before = answered()
    wires = connect(service, 6)
    try:
        for wire in wires:
            ask(wire)
        assert answered() == before + 12
        scrape = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        texts = [ask(wire, scrape).body.decode() for wire in wires]
        for text in texts:
            assert re.search(r"^fenestra_workers 2\.0$", text, re.MULTILINE)
            assert re.search(r"^fenestra_queue_limit 128\.0$", text, re.MULTILINE)
            assert re.search(rf'^fenestra_requests_total.*"/tag".* {before + 12}$', text, re.MULTILINE)
            assert re.search(r'^fenestra_model_info\{name="english",version="\w+"\} 1\.0$', text, re.MULTILINE)
            assert len(set(lines := [line.rpartition(" ")[0] for line in text.splitlines()])) == len(lines)
    finally:
        close(wires)


def test_each_line_of_the_log_names_its_process(service):
    connect_and_close = connect(service, 4)
    close(connect_and_close)
    lines = [json.loads(line) for line in service.logged().splitlines()]
    pids = {line["pid"] for line in lines if line.get("route") == "/tag"}
    assert set(workers_of(service)) <= pids
    assert service.process.pid in {line["pid"] for line in lines}


def test_labels_go_by_the_same_names_at_every_worker_and_after_a_reload():
    hf = post(b'{"inputs":"Ada Lovelace met Charles Babbage in London."}', path="/hf")
    with Server(workers=2, drain_seconds=0, label_map="PER:PERSON,LOC:", keep_alive_seconds=60) as server:
        wires = [Client(server.port) for _ in range(6)]
        try:
            wait_for(lambda: all(connections_of(pid) for pid in workers_of(server)))
            for _ in range(2):
                answers = [ask(wire, hf) for wire in wires]
                assert {answer.headers["x-fenestra-labels"] for answer in answers} == {"LOC=, PER=PERSON"}
                assert {answer.body.count(b'"PERSON"') for answer in answers} == {2}
                assert server.request("POST", "/models/english/reload")[0] == 200
        finally:
            close(wires)


def test_a_rate_limit_holds_for_all_workers_together():
    with Server(workers=2, drain_seconds=0, rate_limit="12/hour", keep_alive_seconds=60) as server:
        wires = [Client(server.port) for _ in range(6)]
        try:
            wait_for(lambda: all(connections_of(pid) for pid in workers_of(server)))
            statuses = [ask(wire).status for _ in range(4) for wire in wires]
            assert statuses == [200] * 12 + [429] * 12
            refused = server.metric(r'fenestra_refused_total\{reason="rate_limited"\}')
            assert refused == 12
        finally:
            close(wires)


def test_a_reload_is_answered_when_all_workers_serve_the_new_version(reloadable, variants):
    server, served = reloadable
    before = set(workers_of(server))
    wires = connect(server, 6)
    stream = new_stream(server)
    try:
        old = {version_of(ask(wire)) for wire in wires}
        assert line_of(stream, "Ada")["model"]["version"] in old
        assert reload(server)[0] == 200  # the same again
        assert {version_of(ask(wire)) for wire in wires} == old
        put_in_place(variants[1], served)
        status, body = reload(server)
        answer = json.loads(body)
        assert status == 200
        new = [version_of(ask(wire)) for wire in wires]
        assert len(set(new)) == 1
        assert set(new) != old
        assert answer["version"] == new[0]
        assert line_of(stream, "Ada")["model"]["version"] == new[0]

        (served / "manifest.json").write_text("{")
        assert reload(server)[0] == 409
        assert {version_of(ask(wire)) for wire in wires} == set(new)

        # What the folder holds now is not what a new worker serves.
        os.kill(workers_of(server)[0], signal.SIGKILL)
        wait_for(lambda: server.metric("fenestra_worker_restarts_total") == 1 and len(workers_of(server)) == 2)
        again = connect(server, 6)
        assert {version_of(ask(wire)) for wire in again} == set(new)
        close(again)

        stream.socket.close()
        stream = new_stream(server)
        # Workers that loaded the model for themselves are replaced by such that share it; streams go on.
        wait_for(lambda: not before & set(workers_of(server)) or len(workers_of(server)) == 3)
        assert line_of(stream, "Ada")["model"]["version"] == new[0]
    finally:
        close(wires)
        stream.socket.close()
    wait_for(lambda: len(workers_of(server)) == 2 and not before & set(workers_of(server)))
    assert server.metric("fenestra_worker_restarts_total") == 1


def new_stream(server):
    """Begin a request whose lines are still to come."""
    stream = Wire(server.port, 60)
    stream.send(
        b"POST /tag/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    return stream


def line_of(stream, text):
    """Send a line, and read the one that answers it."""
    raw = json.dumps({"text": text}).encode() + b"\n"
    stream.send(b"%x\r\n%s\r\n" % (len(raw), raw))
    received = b""
    while not (found := re.search(rb'^\{"line".*\}$', received, re.MULTILINE)):
        received += (data := stream.socket.recv(65536))
        assert data
    return json.loads(found.group())


def test_sighup_and_a_changed_folder_reload_all_workers(reloadable, variants):
    server, served = reloadable
    wires = connect(server, 6)
    try:
        old = version_of(ask(wires[0]))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.metric(r"fenestra_reloads_total\{.*ok") == 1)
        put_in_place(variants[1], served)
        wait_for(lambda: server.metric(r"fenestra_reloads_total\{.*ok") == 2)
        new = {version_of(ask(wire)) for wire in wires}
        assert len(new) == 1
        assert new != {old}
    finally:
        close(wires)


def test_a_reload_under_load_loses_nothing_and_mixes_nothing():
    with tempfile.TemporaryDirectory() as scratch:
        result = reloads_under_load(Path(scratch), 4, workers=2)
    assert set(result.statuses) == {200}
    assert dict(result.reloads) == {200: 4}
    assert result.mixed == 0
    assert len(result.versions) == 2


def test_workers_that_are_replaced_after_a_reload_lose_nothing(reloadable, variants):
    server, served = reloadable
    before = set(workers_of(server))

    def reload_and_wait():
        put_in_place(variants[1], served)
        assert reload(server)[0] == 200
        wait_for(lambda: len(workers_of(server)) == 2 and not before & set(workers_of(server)))

    assert set(under_load(server, reload_and_wait)) == {200}


def test_no_worker_is_replaced_while_one_of_them_learns(variants, tmp_path):
    served, learn = tmp_path / "served", tmp_path / "learn"
    served.mkdir()
    learn.mkdir()
    put_in_place(variants[0], served)
    settings = {"watch_seconds": 0.2, "drain_seconds": 0, "api_keys": "0" * 64, "learn_folder": learn}
    with Server(workers=2, model=served, **settings) as server:
        before = set(workers_of(server))
        with locked(learn / "lock"):
            put_in_place(variants[1], served)
            wait_for(lambda: "takes the place of" in server.log.read_text())
            time.sleep(4)  # it takes two until they are replaced
            assert set(workers_of(server)) == before
        wait_for(lambda: len(workers_of(server)) == 2 and not before & set(workers_of(server)))


def test_a_request_that_reloads_and_hangs_up_leaves_all_at_one_version(reloadable, variants):
    server, served = reloadable
    put_in_place(variants[1], served)
    for _ in range(10):
        with Wire(server.port) as wire:
            wire.send(post(b"", path="/models/served/reload"))
    time.sleep(0.2)
    assert reload(server)[0] == 200
    wires = connect(server, 6)
    assert len({ask(wire, CANARY).body for wire in wires}) == 1
    close(wires)
