"""The client and the service, each in a process of its own: what is lost on the way is found again."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("fastapi", reason="the service is not installed: fenestra-ner[serve]")

from benchmarks.refusing_proxy import RefusingProxy
from benchmarks.serving import Server
from fenestra.client import AsyncClient, BatchSize, Client, Retries

ROOT = Path(__file__).parents[2]
COUNT = 10_000
PATIENT = Retries(seconds=60, first_pause=0.02, longest_pause=0.5)


@pytest.fixture(scope="module")
def texts():
    """Pairs of sentences of the sample corpus, no two alike."""
    blocks = (ROOT / "data" / "sample" / "train.conll").read_text(encoding="utf-8").split("\n\n")
    sentences = list(dict.fromkeys(" ".join(line.split("\t")[0] for line in block.splitlines()) for block in blocks))
    pairs = [f"{first} {second}" for first in sentences[1:101] for second in sentences[101:201]]
    assert len(set(pairs)) == COUNT
    return pairs


@pytest.fixture(scope="module")
def undisturbed(texts):
    """What the service says of each text, asked in peace."""
    with Server(log_level="warning") as server, Client(f"http://127.0.0.1:{server.port}") as client:
        return [entities(client.tag(text)) for text in texts[:200]], [
            plain(result) for result in client.tag_many(texts)
        ]


def entities(answer):
    (result,) = answer.results
    return plain(result)


def plain(result):
    return [entity.model_dump(exclude_none=True) for entity in result.entities]


def many(url, texts):
    with Client(url, retries=PATIENT) as client:
        return [plain(result) for result in client.tag_many(texts, batch=BatchSize(texts=100))]


def streamed(url, texts):
    with Client(url, retries=PATIENT) as client:
        lines = list(client.stream(texts))
    assert [line.line for line in lines] == list(range(1, COUNT + 1))
    return [plain(line.results[0]) for line in lines]


def concurrent(url, texts):
    async def run():
        async with AsyncClient(url, retries=PATIENT) as client:
            return [plain(result) async for result in client.tag_many(texts, batch=BatchSize(texts=100))]

    return asyncio.run(run())


@pytest.mark.load
@pytest.mark.parametrize(
    ("way", "stop"),
    [(many, Server.kill), (concurrent, Server.kill), (streamed, Server.kill), (streamed, Server.terminate)],
    ids=lambda function: function.__name__,
)
def test_all_texts_are_answered_by_a_service_that_refuses_half_and_restarts(texts, undisturbed, way, stop):
    alone, together = undisturbed
    assert together[: len(alone)] == alone
    with Server(log_level="warning", drain_seconds=0) as server:

        def restart():
            stop(server)
            server.process.wait()
            server.start()

        restarts = [threading.Thread(target=restart)]

        def on_forward(number):
            if number == 15:
                restarts[0].start()

        with RefusingProxy(server.port, on_forward=on_forward) as proxy:
            assert way(proxy.url, texts) == together
        restarts[0].join()
    assert proxy.lost > 0 or stop is Server.terminate  # which ends a stream in order, and may be up again in time
    requests = proxy.refused + proxy.forwarded
    assert 0.3 < proxy.refused / requests < 0.7


PROGRAM = """
import asyncio
from fenestra.client import AsyncClient, BatchSize, Client, ClientError, Entity, LineError, Result, Retries


def names(url: str, texts: list[str]) -> list[str]:
    with Client(url, api_key="key", retries=Retries(seconds=5)) as client:
        found: list[Entity] = client("Ada")
        results: list[Result] = client.tag(texts, details=True, labels=["PER"], offsets="utf16").results
        many: list[Result] = list(client.tag_many(texts, batch=BatchSize(texts=10), min_score=0.5))
        lines: list[str] = [
            line.error.code if isinstance(line, LineError) else line.results[0].entities[0].text
            for line in client.stream(texts)
        ]
        share: float = client.explain("Ada", token=0).window[0].share
        label: str = client.models()[0].labels[0]
        ready: bool = client.ready()
        version: str = client.reload("english").previous
    return [*lines, label, version, str((found, results, many, share, ready))]


async def first(url: str) -> Entity | None:
    async with AsyncClient(url) as client:
        try:
            async for result in client.tag_many(["Ada"], concurrency=2):
                return result.entities[0]
        except ClientError as error:
            code: str = error.code
            print(code, error.status, error.request_id)
    return None
"""
MISTAKES = """
from fenestra.client import Client

client = Client("http://localhost:8000")
client.tag("Ada", colour="red")
client.tag("Ada", min_score="high")
number: int = client.tag("Ada").results[0].entities[0].text
client.tag_many(5)
"""


def test_a_program_that_uses_the_client_passes_strict_mypy_and_mistakes_are_found(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "mistakes.py").write_text(MISTAKES, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "program.py", "mistakes.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    errors = [line.split(":")[:2] for line in done.stdout.splitlines() if ": error: " in line]
    assert errors == [["mistakes.py", line] for line in ("5", "6", "7", "8")], done.stdout
    assert done.stdout.endswith("(checked 2 source files)\n")


BARE = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import fenestra.client
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def run_without(*absent):
    program = BARE.format(absent=absent)
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_client_loads_neither_the_service_nor_the_model():
    done = run_without("fastapi", "starlette", "uvicorn", "pydantic_settings", "limits", "prometheus_client")
    loaded = set(done.stdout.split())
    assert "httpx" in loaded, done.stderr
    assert not loaded & {"numpy", "safetensors", "torch"}


@pytest.mark.parametrize("absent", ["httpx", "pydantic"])
def test_without_its_extra_the_client_says_how_to_install_it(absent):
    done = run_without(absent)
    assert f"{absent} is not installed: pip install 'fenestra-ner[client]'" in done.stderr
