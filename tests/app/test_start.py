"""The start of the service until it is ready, and failed starts."""

import asyncio
import logging
import signal
import subprocess
import sys
import threading

import pytest

from fenestra.app import settings as settings_module
from fenestra.app.engine import service as service_module
from fenestra.app.engine.inference import Inference
from fenestra.app.main import create_app
from fenestra.app.settings import Settings
from fenestra.model.errors import CheckpointError, InputError
from tests.app.conftest import StubTagger


@pytest.fixture
def loader(monkeypatch):
    """Replace the function that loads a checkpoint."""

    def use(load):
        monkeypatch.setattr(service_module, "open_model", load)

    return use


def test_while_the_model_loads_the_process_is_alive_and_not_ready(loader, new_client, stub, refused):
    gate = threading.Event()

    def load(folder, *_, settings):
        gate.wait(30)
        return stub

    loader(load)
    with new_client(create_app(Settings(start_wait_seconds=0))) as client:
        assert client.get("/livez").json() == {"status": "alive"}
        for answer in (client.get("/readyz"), client.get("/models"), client.tag({"text": "Ada"})):
            refused(answer, 503, "not_ready")
            assert answer.headers["retry-after"]
        gate.set()

        async def ready():
            while (await client.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.005)

        client.run(asyncio.wait_for(ready(), 10))
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.tag({"text": "Ada"}).status_code == 200


def test_a_model_that_loads_at_once_is_there_for_the_first_request(loader, new_client, stub):
    loader(lambda folder, *_, settings: stub)
    with new_client(create_app(Settings())) as client:
        assert client.get("/readyz").status_code == 200


def test_a_draining_service_is_not_ready_and_still_answers(client, refused):
    client.app.state.service.drain()
    refused(client.get("/readyz"), 503, "not_ready")
    assert client.get("/livez").status_code == 200
    assert client.tag({"text": "Ada"}).status_code == 200


@pytest.mark.parametrize("folder", ["missing", "empty", "file"])
def test_a_bad_folder_stops_the_start(new_client, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    app = create_app(Settings(model=tmp_path / folder))
    with pytest.raises(CheckpointError, match=folder), new_client(app):
        pass


def test_a_device_that_is_not_there_stops_the_start(new_client, loader):
    def load(folder, *_, settings):
        raise InputError("device 'cuda:7': this machine offers 0 CUDA devices")

    loader(load)
    with pytest.raises(InputError, match="cuda:7"), new_client(create_app(Settings())):
        pass


def test_a_failed_start_is_reported_in_one_line(tmp_path):
    app = create_app(Settings(model=tmp_path / "missing"))
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    with pytest.raises(CheckpointError):
        asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert sent[0]["message"].startswith(f"{tmp_path / 'missing'}: not a checkpoint")
    assert "\n" not in sent[0]["message"]


def test_an_unexpected_error_at_the_start_keeps_its_traceback(loader):
    def load(folder, *_, settings):
        raise ZeroDivisionError

    loader(load)
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "lifespan.startup"}

    with pytest.raises(ZeroDivisionError):
        asyncio.run(create_app(Settings())({"type": "lifespan", "state": {}}, receive, send))
    assert "Traceback" in sent[0]["message"]


def test_a_model_that_turns_out_bad_after_the_start_stops_the_server(loader, new_client, monkeypatch, caplog):
    gate, stopped = threading.Event(), []

    def load(folder, *_, settings):
        gate.wait(30)
        raise CheckpointError("models/x: sha256 differs")

    loader(load)
    monkeypatch.setattr(signal, "getsignal", lambda number: print)
    monkeypatch.setattr(signal, "raise_signal", stopped.append)
    with new_client(create_app(Settings(start_wait_seconds=0))) as client:
        gate.set()

        async def until_stopped():
            while not stopped:
                await asyncio.sleep(0.005)

        client.run(asyncio.wait_for(until_stopped(), 10))
        assert client.get("/readyz").status_code == 503
        assert client.app.state.service.failure == "the model cannot be loaded: models/x: sha256 differs"
    assert stopped == [signal.SIGTERM]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert line == "the model cannot be loaded: models/x: sha256 differs"


def test_a_stop_does_not_wait_for_a_model_that_is_still_being_loaded(loader, new_client, stub):
    begun, gate, loaded = threading.Event(), threading.Event(), threading.Event()

    def load(folder, *_, settings):
        begun.set()
        gate.wait(30)
        loaded.set()
        return stub

    loader(load)
    with new_client(create_app(Settings(start_wait_seconds=0))):
        assert begun.wait(10)
    assert not loaded.is_set()
    gate.set()
    assert loaded.wait(10), "the thread ends later, without a caller"


def test_a_single_check_does_not_make_a_model_stuck(new_client, monkeypatch):
    """As after the whole process was suspended in the middle of a step."""
    looks = iter([1e6, 0.0, 1e6])
    seen = []

    def busy_seconds(_):
        seen.append(next(looks, 0.0))
        return seen[-1]

    monkeypatch.setattr(Inference, "busy_seconds", property(busy_seconds))
    monkeypatch.setattr(service_module, "_CHECK_SECONDS", 0.01)

    async def until_looked():
        while len(seen) < 5:
            await asyncio.sleep(0.005)

    with new_client(create_app(Settings(), tagger=StubTagger())) as client:
        client.run(asyncio.wait_for(until_looked(), 10))
        assert client.app.state.service.failure is None
        assert client.get("/livez").status_code == 200


def test_making_the_application_reads_no_file(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a model was loaded before the lifespan")

    monkeypatch.setattr(service_module, "open_model", refuse)
    monkeypatch.setattr(settings_module, "bundled_model", refuse)
    create_app()


WITHOUT_TRAINING = """
import sys
for name in ("gensim", "seqeval", "training", "tensorboard", "pyarrow", "msgpack"):
    sys.modules[name] = None
from fenestra.app.main import create_app
create_app()
"""


def test_the_service_needs_nothing_of_the_training_package():
    subprocess.run([sys.executable, "-c", WITHOUT_TRAINING], check=True, timeout=120)
