"""A real browser, and services for it to visit: one with the bundled model, and stubs with whatever a model may be."""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from benchmarks.serving import HOST, Server
from fenestra.model.bundled import bundled_model
from fenestra.model.results import Result
from tests.app.conftest import StubTagger
from tests.app.live import LiveServer

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items):
    """Whatever is in this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium():
    """The browser. Not for the whole session: Playwright keeps an event loop running, which other tests start anew."""
    if BROWSER is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[*rootless, "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a page: ``visit(url, color_scheme="dark")``.

    At the end no dialog may have opened, and nothing may have gone wrong: neither an exception nor a violation of the
    policy. ``refusals=True`` expects answers that are not 2xx, which the browser writes into its console.
    """
    contexts, wrong = [], []

    def open_page(url, *, refusals=False, prepare=lambda page: None, **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)  # a busy machine draws thousands of marks in its own time

        def on_console(message):
            expected = refusals and message.text.startswith("Failed to load resource")
            if message.type in ("error", "warning") and not expected:
                wrong.append(message.text)

        def on_dialog(dialog):
            wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("console", on_console)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", on_dialog)
        home = "/".join(url.split("/")[:3])
        page.on("request", lambda request: request.url.startswith(home) or wrong.append(f"left for {request.url}"))
        prepare(page)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="package")
def real(chromium):
    """``fenestra serve`` with the bundled model under two names; its address."""
    with Server(models=f"english={bundled_model()},second={bundled_model()}", drain_seconds=0) as server:
        yield f"http://{HOST}:{server.port}/"


@pytest.fixture(scope="module")
def function(chromium, real):
    """Call functions of the page where they run: ``function("csv.js", "parseCsv")("a,b", ",")``."""
    page = chromium.new_page()
    page.goto(f"{real}docs")
    yield (
        lambda file, name: (
            lambda *given: page.evaluate(
                f"async ([name, given]) => (await import('/static/{file}'))[name](...given)", [name, given]
            )
        )
    )
    page.close()


class NamedTagger(StubTagger):
    """A stub with labels of one's choice: words that begin with a capital get them in turn."""

    def __init__(self, *labels):
        self.labels = labels

    def _result(self, words):
        found = super()._result(words)
        labels = {entity.start: self.labels[n % len(self.labels)] for n, entity in enumerate(found)}
        return Result(
            [entity._replace(label=labels[entity.start]) for entity in found],
            [t._replace(tag=f"B-{labels[t.start]}") if t.start in labels else t for t in found.tokens],
            [],
        )


@pytest.fixture
def stub(monkeypatch):
    """Start a stub service: ``stub("GENE", "DRUG", max_chars=10)`` gives its address; it ends with the test."""
    for name in [name for name in os.environ if name.startswith("FENESTRA_")]:
        monkeypatch.delenv(name)
    with ExitStack() as running:

        def start(*labels, **settings):
            server = running.enter_context(LiveServer(NamedTagger(*labels or ("PER",)), **settings))
            return f"http://{HOST}:{server.address[1]}/"

        yield start


@pytest.fixture(scope="session")
def write():
    """Put a text into the page, and wait until it is marked, its first page at least, with nothing lost."""

    def fill(page, text):
        page.get_by_label("Your text").fill(text)
        page.wait_for_function(
            """(text) => {
                const shown = [...document.getElementById("marked").childNodes]
                    .map((node) => (node.nodeName === "MARK" ? node.firstChild : node).textContent).join("");
                return document.getElementById("pager").hidden ? shown === text : shown && text.startsWith(shown);
            }""",
            arg=text,
        )

    return fill
