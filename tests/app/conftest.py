"""The real application with a stub tagger that needs no weights: every capitalised word is a PER."""

import asyncio
import os
import re

import httpx
import pytest

from fenestra.app.engine import models
from fenestra.app.main import create_app
from fenestra.app.settings import Settings
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation, Share
from fenestra.model.progress import Progress
from fenestra.model.results import Alternative, Entity, Result, TaggedToken
from fenestra.model.tagger import Tagger
from fenestra.model.text.language import language
from tests.model.conftest import small_model


class StubTagger:
    """Tags words that begin with a capital. Its scores grow with the length of the word, up to 0.99."""

    labels = ("PER", "LOC")
    language = language("en")
    version = "stub-1"

    def work(self, items, *, alternatives=0):
        """As the real one: bounded pieces of work, here one an item."""
        found = []
        for item in items:
            found += self.tag([item])
            yield Progress("network", tokens=len(found[-1].tokens))
        return found

    def tag(self, items):
        return [
            self._result(
                [(m.group(), *m.span()) for m in re.finditer(r"\w+|[^\w\s]", item)]
                if isinstance(item, str)
                else [(word, i, i + 1) for i, word in enumerate(item)]
            )
            for item in items
        ]

    def explain_work(self, item, token, *, tag=None, against=None, alternatives=0):
        (found,) = yield from self.work([item])
        if token >= len(found.tokens):
            raise InputError(f"token: {token}, of {len(found.tokens)}")
        shares = [
            Share(place - token, *found.tokens[place][:3], share=0.5) if 0 <= place < len(found.tokens)
            else Share(place - token, None, None, None, share=0.0)
            for place in range(token - 1, token + 2)
        ]  # fmt: skip
        total = 1.0 + sum(share.share for share in shares)
        if against not in (None, "O", *self.labels):
            raise InputError("against: expected another tag, or a label, of this model")
        names = f"S-{tag or 'PER'}", against if against in (None, "O") else f"S-{against}"
        others = [Alternative("O", 0.2)][:alternatives]
        return Explanation(found.tokens[token], names[0], total, 0.75, 0.25, "exact", shares, names[1], others)

    def _result(self, words):
        tokens = [
            TaggedToken(word, start, end, "B-PER" if word[0].isupper() else "O", min(len(word) / 10, 0.99))
            for word, start, end in words
        ]
        entities = [Entity(t.start, t.end, "PER", t.text, t.score) for t in tokens if t.tag == "B-PER"]
        return Result(entities, tokens, [])


class Client:
    """A synchronous client in the application's own process, which also runs its lifespan."""

    def __init__(self, app):
        self.app = app
        self.runner = asyncio.Runner()
        self.lifespan = app.router.lifespan_context(app)
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def __enter__(self):
        try:
            self.run(self.lifespan.__aenter__())
        except BaseException:
            self.runner.close()
            raise
        return self

    def __exit__(self, *error):
        self.run(self.http.aclose())
        self.run(self.lifespan.__aexit__(None, None, None))
        self.runner.close()

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def request(self, method, path, **options):
        return self.run(self.http.request(method, path, **options))

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def tag(self, body, **headers):
        """Post a body to /tag: bytes as they are, anything else as JSON."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.request("POST", "/tag", headers={"content-type": "application/json", **headers}, **content)

    def results(self, **body):
        answer = self.tag(body)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]


def assert_refused(answer, status, code):
    """Check the common shape of every error response."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert len(answer.content) <= 8000
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]


@pytest.fixture(autouse=True)
def no_settings_from_the_environment(monkeypatch):
    """Remove the developer's own FENESTRA_* variables."""
    for name in [name for name in os.environ if name.upper().startswith("FENESTRA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_garbage_collection(monkeypatch):
    """Each start would visit all objects of the process, which takes longer than most tests."""
    monkeypatch.setattr(models, "freeze_objects", lambda: None)


@pytest.fixture
def stub():
    return StubTagger()


@pytest.fixture
def serve():
    """Start the service: ``serve(tagger=…, max_chars=10)`` gives a client; it stops with the test."""
    started = []

    def start(tagger=None, **settings):
        app = create_app(Settings(**settings), tagger=StubTagger() if tagger is None else tagger)
        client = Client(app)
        started.append(client.__enter__())
        return client

    yield start
    for client in reversed(started):
        client.__exit__()


@pytest.fixture
def client(serve):
    return serve()


@pytest.fixture
def new_client():
    """For a test that starts and stops the application itself."""
    return Client


@pytest.fixture
def refused():
    return assert_refused


@pytest.fixture
def small_tagger():
    """A real tagger with random weights."""
    return Tagger(small_model(documents=True, scheme="BIOES"), device="cpu")
