"""The OpenAPI document: Spectral has nothing to say, and openapi-python-client writes a client of it that works."""

import importlib.util
import json
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("openapi_python_client", reason="openapi-python-client is not installed")
pytest.importorskip("fastapi", reason="the service is not installed: fenestra-ner[serve]")

SPECTRAL = "@stoplight/spectral-cli@6.16.3"
TEXTS = ["Ada Lovelace met Charles Babbage in London.", "Siemens is based in Munich.", ""]


@pytest.fixture(scope="module")
def server(start):
    return start()


@pytest.fixture(scope="module")
def document(server, tmp_path_factory):
    status, body = server.get("/openapi.json")
    assert status == 200
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(body)
    return file


@pytest.fixture(scope="module")
def spectral(tmp_path_factory):
    """Spectral's command, installed for this test."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("spectral")
    done = subprocess.run(
        ["npm", "install", "--no-save", "--no-audit", "--no-fund", SPECTRAL],
        cwd=folder, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm cannot install {SPECTRAL}")
    (folder / "rules.yaml").write_text('extends: ["spectral:oas"]\n')
    return [
        str(folder / "node_modules" / ".bin" / "spectral"),
        "lint",
        "-q",
        "-r",
        str(folder / "rules.yaml"),
        "-f",
        "json",
    ]


def test_spectral_has_nothing_to_say(spectral, document):
    done = subprocess.run([*spectral, "--fail-severity", "hint", str(document)], capture_output=True, text=True)
    assert json.loads(done.stdout) == []
    assert done.returncode == 0


def test_spectral_would_find_something(spectral, document, tmp_path):
    worse = json.loads(document.read_text())
    del worse["servers"], worse["info"]["contact"]
    (tmp_path / "worse.json").write_text(json.dumps(worse))
    done = subprocess.run([*spectral, str(tmp_path / "worse.json")], capture_output=True, text=True)
    assert {found["code"] for found in json.loads(done.stdout)} == {"oas3-api-servers", "info-contact"}


@pytest.fixture(scope="module")
def generated(document, tmp_path_factory):
    """The client that is generated, imported."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yaml").write_text(
        "content_type_overrides: {application/x-ndjson: application/json}\npost_hooks: []\n"
    )
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    files = ["--path", str(document), "--config", str(folder / "config.yaml")]
    target = ["--output-path", str(folder / "generated_client")]
    done = subprocess.run([*command, *files, *target], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder / "generated_client"
    sys.path.remove(str(folder))


def test_each_operation_has_its_function(generated, document):
    paths = json.loads(document.read_text())["paths"]
    operations = {entry["operationId"] for methods in paths.values() for entry in methods.values()}
    files = {file.stem for file in (generated / "api").rglob("*.py")} - {"__init__"}
    assert files == operations


def test_the_generated_client_tags_as_the_service_does(generated, server):
    assert importlib.util.find_spec("generated_client")
    from generated_client import Client
    from generated_client.api.operation import readyz
    from generated_client.api.tagging import explain, models, tag
    from generated_client.models import ErrorResponse, ExplainRequest, TagRequest, TagRequestLabelsType0Item

    with Client(f"http://127.0.0.1:{server.port}") as client:
        assert readyz.sync(client=client).status == "ready"
        assert models.sync(client=client).models[0].name == "english"
        for body in (
            TagRequest(text=TEXTS),
            TagRequest(text=TEXTS[0], details=True, alternatives=2),
            TagRequest(tokens=[["Ada", "Lovelace"], ["Munich"]]),
            TagRequest(text=TEXTS[0], labels=[TagRequestLabelsType0Item.LOC]),
        ):
            status, raw = server.tag(body.to_dict())
            assert status == 200
            assert tag.sync(client=client, body=body).to_dict() == json.loads(raw)
        assert explain.sync(client=client, body=ExplainRequest(text=TEXTS[0], token=0)).token.text == "Ada"
        refused = tag.sync(client=client, body=TagRequest())
        assert isinstance(refused, ErrorResponse)
        assert refused.error.code == "invalid_request"
