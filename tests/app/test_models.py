"""Several models at once, and how one takes the place of another while requests go on."""

import asyncio
import json
import os
import threading

import pytest

from fenestra.app.engine import service as service_module
from fenestra.app.engine.models import fingerprint
from fenestra.app.main import create_app
from fenestra.app.settings import Settings
from fenestra.model.errors import CheckpointError, RunError

MANIFEST = json.dumps(
    {
        "format_version": 1,
        "files": {
            name: {"sha256": "", "bytes": 0}
            for name in ("version", "config.json", "words.txt", "features.json", "weights.safetensors")
        },
    }
)


@pytest.fixture
def folders(tmp_path, monkeypatch, stub):
    """Folders whose file ``version`` is the version of their model; ``bad`` is an invalid one."""

    def open_model(folder, before, settings):
        version = (folder / "version").read_text()
        if version == "bad":
            raise CheckpointError(f"{folder}: damaged")
        if version == "nan":
            raise RunError("the model's scores are not numbers")
        if version == "bug":
            raise ZeroDivisionError("secret")
        tagger = type(stub)()
        tagger.version = version
        return tagger

    monkeypatch.setattr(service_module, "open_model", open_model)

    def write(**versions):
        for name, version in versions.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "version").write_text(version)
            (tmp_path / name / "manifest.json").write_text(MANIFEST)
        return tmp_path

    return write


@pytest.fixture
def start(folders, new_client):
    """The service with models ``a`` and ``b``, of versions a1 and b1."""
    root = folders(a="a1", b="b1")
    clients = []

    def begin(**settings):
        models = tuple((name, root / name) for name in "ab")
        client = new_client(create_app(Settings(models=models, **settings)))
        clients.append(client.__enter__())
        return client

    yield begin
    for client in clients:
        client.__exit__()


def reload(client, name):
    return client.request("POST", f"/models/{name}/reload")


def samples(client):
    return client.get("/metrics").text


def test_the_first_model_is_the_default_one_and_each_answers_under_its_name(start):
    client = start()
    assert [(m["name"], m["version"], m["default"]) for m in client.get("/models").json()["models"]] == [
        ("a", "a1", True),
        ("b", "b1", False),
    ]
    assert client.tag({"text": "Ada"}).json()["model"] == {"name": "a", "version": "a1"}
    assert client.tag({"text": "Ada", "model": "b"}).json()["model"] == {"name": "b", "version": "b1"}


@pytest.mark.parametrize("name", ["c", "../a", "%2e%2e", "/etc", "a\x00", "http://169.254.169.254/", ""])
def test_a_name_that_is_not_served_is_not_found(start, refused, name):
    refused(start().tag({"text": "Ada", "model": name}), 404, "not_found")


def test_a_reload_serves_what_is_in_the_folder_now(start, folders):
    client = start()
    folders(a="a2")
    assert reload(client, "a").json() == {"name": "a", "version": "a2", "previous": "a1"}
    assert client.tag({"text": "Ada"}).json()["model"] == {"name": "a", "version": "a2"}
    assert [m["version"] for m in client.get("/models").json()["models"]] == ["a2", "b1"]
    assert 'fenestra_reloads_total{model="a",outcome="ok"} 1.0' in samples(client)
    assert 'version="a1"' not in samples(client)


@pytest.mark.parametrize("fault", ["bad", "nan", "bug"])
def test_a_reload_that_fails_changes_nothing_and_is_counted(start, folders, refused, fault):
    client = start()
    folders(a=fault)
    answer = reload(client, "a")
    refused(answer, 409, "reload_failed")
    assert "secret" not in answer.text
    assert client.tag({"text": "Ada"}).json()["model"] == {"name": "a", "version": "a1"}
    assert client.get("/readyz").status_code == 200
    assert 'fenestra_reload_failures_total{model="a"} 1.0' in samples(client)


def test_a_model_that_is_not_served_cannot_be_reloaded(start, refused):
    refused(reload(start(), "c"), 404, "not_found")


def test_a_request_keeps_the_model_it_started_with(start, folders):
    client = start()
    before = client.app.state.service.models.get("a").tagger
    gate, tag = threading.Event(), before.tag
    before.tag = lambda items: gate.wait(30) and tag(items)

    async def scene():
        asked = asyncio.create_task(client.http.post("/tag", json={"text": ["Ada", "Ito"]}))
        while not client.app.state.service.inference.depth:
            await asyncio.sleep(0.002)
        await client.http.post("/models/a/reload")
        gate.set()
        return await asked

    folders(a="a2")
    answer = client.run(scene()).json()
    assert answer["model"]["version"] == "a1"
    assert client.tag({"text": "Ada"}).json()["model"]["version"] == "a2"


async def until_version(client, version):
    async with asyncio.timeout(10):
        while (await client.http.get("/models")).json()["models"][0]["version"] != version:
            await asyncio.sleep(0.01)


def test_a_watched_folder_is_reloaded_when_it_has_changed(start, folders):
    client = start(watch_seconds=0.02)
    folders(a="a2")
    client.run(until_version(client, "a2"))
    folders(a="bad")
    client.run(asyncio.sleep(0.2))
    assert 'fenestra_reload_failures_total{model="a"} 1.0' in samples(client), "once, not for ever"
    folders(a="a3")
    client.run(until_version(client, "a3"))
    assert 'fenestra_reloads_total{model="b",outcome="ok"} 0.0' in samples(client)


def test_a_fingerprint_changes_with_every_write_and_a_missing_folder_has_none(folders):
    root = folders(a="a1")
    found = [fingerprint(root / "a")]
    (root / "a" / "version").write_text("longer")
    found.append(fingerprint(root / "a"))
    (root / "a" / "config.json").touch()
    found.append(fingerprint(root / "a"))
    (root / "a" / "manifest.json").write_text(MANIFEST + " ")
    assert len({*found, fingerprint(root / "a")}) == 4
    assert fingerprint(root / "missing") == frozenset()


def leave_a_dangling_link(folder):
    """As Emacs does, for its lock."""
    (folder / ".#config.json").symlink_to("someone@host.1234")


@pytest.mark.parametrize(
    "leave",
    [
        leave_a_dangling_link,
        lambda folder: os.mkfifo(folder / "pipe"),
        lambda folder: (folder / "config.json~").touch(),
        lambda folder: (folder / "new").mkdir(),
        lambda folder: (folder / "loop").symlink_to("loop"),
    ],
    ids=["dangling link", "pipe", "copy", "folder", "loop"],
)
def test_only_the_files_of_the_manifest_are_watched(leave, start, folders):
    client = start(watch_seconds=0.02)
    root = folders()
    before = fingerprint(root / "a")
    leave(root / "a")
    assert fingerprint(root / "a") == before
    folders(a="a2")
    client.run(until_version(client, "a2"))
