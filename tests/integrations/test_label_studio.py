"""The real Label Studio, with its real interface in a real browser: predictions are shown where the entities are, and
annotations change the next ones.

Label Studio runs on loopback with SQLite in a folder of its own, and calls nobody: telemetry, error reports and the
look for newer versions are off.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD, TOKEN = "ada@example.org", "engine-1843", "0123456789abcdef0123456789abcdef01234567"
BACKEND_USER, BACKEND_PASSWORD = "fenestra", "a pass:word/1843"
BASIC = "Basic " + base64.b64encode(f"{BACKEND_USER}:{BACKEND_PASSWORD}".encode()).decode()
QUIET = {
    "COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "false",
    "ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false",
}  # fmt: skip
CONFIG = (
    '<View><Labels name="label" toName="text"><Label value="Person" background="red"/>'
    '<Label value="Organization" background="blue"/><Label value="Place" background="green"/></Labels>'
    '<Text name="text" value="$text"/></View>'
)
TEXTS = [
    "👩‍🚀🚀 Ada Lovelace met Angela Merkel in Paris.",
    "First line\r\nAda Lovelace went to London 🚀\nand Charles Babbage stayed.",
    "Quibberly is late again.",
]
ANNOTATED = [
    ("👍 Order the parts from Quibberly before Friday.", "Quibberly"),
    ("The contract with Quibberly ends in May.", "Quibberly"),
    ("Quibberly sent the invoice twice.", "Quibberly"),
    ("A spokesman for Quibberly declined to comment.", "Quibberly"),
]
LONG = 600  # seconds that a busy machine may take for anything here

SERVER = next(
    filter(None, (shutil.which(place) for place in (f"{sys.prefix}/server/bin/label-studio", "label-studio"))), None
)
pytestmark = pytest.mark.skipif(
    SERVER is None, reason="no Label Studio here: make test-integrations INTEGRATIONS=label_studio"
)


def call(url, body=None, *, method=None, authorization=f"Token {TOKEN}"):
    """One request; its answer as JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    request = urllib.request.Request(url, data, headers, method=method or ("GET" if data is None else "POST"))
    try:
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{error.code}: {error.read()[-3000:]!r}") from None


def eventually(check):
    """What a check returns as soon as it is true."""
    end = time.monotonic() + LONG
    while not (found := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)
    return found


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(command, health, log, **environment):
    """A program, from when it answers to its end."""
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines
        )
    try:

        def answers():
            assert process.poll() is None, log.read_text()
            try:
                return call(health)
            except (urllib.error.URLError, ConnectionError):
                return None

        eventually(answers)
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """`fenestra label-studio` with a password; its address and its log."""
    folder, port = tmp_path_factory.mktemp("backend"), free_port()
    command = [
        sys.executable, "-m", "fenestra", "label-studio", "--output", folder / "out", "--port", str(port),
        "--retrain-after", "4",
    ]  # fmt: skip
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    with running(command, f"{url}/health", log, BASIC_AUTH_USER=BACKEND_USER, BASIC_AUTH_PASS=BACKEND_PASSWORD):
        yield url, log


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Label Studio with a user; its address."""
    folder, port = tmp_path_factory.mktemp("studio"), free_port()
    command = [
        SERVER, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port), "--username", USER,
        "--password", PASSWORD, "--user-token", TOKEN, "--enable-legacy-api-token",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/api/version", folder / "log", LABEL_STUDIO_BASE_DATA_DIR=str(folder), **QUIET):
        yield url


@pytest.fixture(scope="module")
def project(studio, backend):
    """A project with texts and the backend, whose webhook knows the password; its id."""
    number = call(f"{studio}/api/projects", {"title": "letters", "label_config": CONFIG})["id"]
    call(f"{studio}/api/projects/{number}/import", [{"text": text} for text in TEXTS])
    connected = call(
        f"{studio}/api/ml",
        {
            "project": number, "url": backend[0], "title": "Fenestra", "auth_method": "BASIC_AUTH",
            "basic_auth_user": BACKEND_USER, "basic_auth_pass": BACKEND_PASSWORD,
        },
    )  # fmt: skip
    assert connected["state"] == "CO"
    (hook,) = call(f"{studio}/api/webhooks/?project={number}")
    assert hook["url"] == f"{backend[0]}/webhook"
    call(f"{studio}/api/webhooks/{hook['id']}/", {"headers": {"Authorization": BASIC}}, method="PATCH")
    return number


def predictions(studio, project):
    """The newest prediction of every task, by its text."""
    url = f"{studio}/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
    call(url, {"selectedItems": {"all": True, "excluded": []}})
    texts = {task["id"]: task["data"]["text"] for task in tasks(studio, project)}
    found = sorted(call(f"{studio}/api/predictions?project={project}"), key=lambda one: one["id"])
    return {texts[one["task"]]: one for one in found}


def tasks(studio, project):
    return call(f"{studio}/api/tasks?project={project}&fields=all&page_size=100")["tasks"]


def shown(prediction):
    return [(region["value"]["text"], region["value"]["labels"]) for region in prediction["result"]]


def test_tasks_are_predicted(studio, backend, project):
    found = predictions(studio, project)
    assert set(found) >= set(TEXTS)
    assert shown(found[TEXTS[0]]) == [("Ada Lovelace", ["Person"]), ("Angela Merkel", ["Person"]), ("Paris", ["Place"])]
    for text, one in found.items():
        for region in one["result"]:
            value = region["value"]
            assert text[value["start"] : value["end"]] == value["text"]
        assert one["score"] == min((region["score"] for region in one["result"]), default=one["score"])


@pytest.mark.browser
def test_the_interface_highlights_each_entity_and_nothing_else(studio, project, tmp_path):
    found, numbers = predictions(studio, project), {task["data"]["text"]: task["id"] for task in tasks(studio, project)}
    with page_of(studio) as (page, left):
        for place, text in enumerate(TEXTS[:2]):
            page.goto(f"{studio}/projects/{project}/data?task={numbers[text]}")
            page.wait_for_selector("[data-start][data-end]")
            marked = page.eval_on_selector_all(
                "[data-start][data-end]", "found => found.map(one => [one.textContent, one.dataset.label])"
            )
            expected = [(value, labels[0]) for value, labels in shown(found[text])]
            assert [(content, label.split(":")[1]) for content, label in marked] == expected
            page.screenshot(path=Path(os.environ.get("SCREENSHOTS", tmp_path)) / f"label-studio-{place}.png")
        assert left == []


@pytest.mark.browser
def test_what_is_selected_in_the_interface_is_learnt_where_it_stands(studio, backend, project):
    text = "👩‍🚀🚀 Grace Hopper\r\nwrote 🎉 a compiler in Arlington."
    call(f"{studio}/api/projects/{project}/import", [{"text": text}])
    (number,) = [task["id"] for task in tasks(studio, project) if task["data"]["text"] == text]
    with page_of(studio) as (page, _):
        page.goto(f"{studio}/projects/{project}/data?task={number}")
        page.wait_for_selector("[class*=richtext__line]")
        page.get_by_role("button", name="Submit").first.wait_for()
        page.keyboard.press("3")
        x, y, width, height = page.evaluate(_PLACE_OF, "Arlington")
        page.mouse.move(x + 1, y + height / 2)
        page.mouse.down()
        page.mouse.move(x + width / 2, y + height / 2, steps=5)
        page.mouse.move(x + width - 1, y + height / 2, steps=5)
        page.mouse.up()
        page.wait_for_selector("[data-start][data-end]")
        page.get_by_role("button", name="Submit").first.click()
        (made,) = eventually(lambda: call(f"{studio}/api/tasks/{number}/annotations"))
    selected = [region for region in made["result"] if region["origin"] != "prediction"]  # which may be there, too
    (value,) = [region["value"] for region in selected if region["value"]["text"] == "Arlington"]
    assert text[value["start"] : value["end"]] == "Arlington"
    assert state(backend, project)["changed_annotations"] == 1


def test_annotations_retrain_and_change_the_next_prediction(studio, backend, project):
    before = predictions(studio, project)[TEXTS[2]]
    assert ("Quibberly", ["Organization"]) not in shown(before)
    for text, name in ANNOTATED:
        call(f"{studio}/api/projects/{project}/import", [{"text": text}])
        (number,) = [task["id"] for task in tasks(studio, project) if task["data"]["text"] == text]
        start = text.index(name)
        value = {"start": start, "end": start + len(name), "text": name, "labels": ["Organization"]}
        region = {"id": "r1", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        call(f"{studio}/api/tasks/{number}/annotations", {"result": [region]})
    eventually(lambda: trained(backend, project))
    after = predictions(studio, project)[TEXTS[2]]
    assert after["model_version"] != before["model_version"]
    assert shown(after) == [("Quibberly", ["Organization"])]
    assert shown(predictions(studio, project)[TEXTS[0]])[:2] == [
        ("Ada Lovelace", ["Person"]),
        ("Angela Merkel", ["Person"]),
    ]


def test_no_text_token_or_password_is_logged(studio, backend, project):
    predictions(studio, project)
    lines = backend[1].read_text()
    assert f"project {project}" in lines
    for secret in (TOKEN, BACKEND_PASSWORD, BASIC, "Lovelace", "Quibberly"):
        assert secret not in lines


def state(backend, project):
    return call(f"{backend[0]}/versions?project={project}", authorization=BASIC)["training"]


def trained(backend, project):
    """Whether the last training is over; it must have made a model."""
    now = state(backend, project)
    if now["state"] != "idle" or now["last"] is None:
        return False
    assert now["last"]["state"] == "done", now
    return True


_PLACE_OF = """name => {
    const walk = document.createTreeWalker(document.querySelector("[class*=htx-richtext]"), NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const at = node.data.indexOf(name);
        if (at < 0) continue;
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + name.length);
        const {x, y, width, height} = range.getBoundingClientRect();
        return [x, y, width, height];
    }
}"""


@contextmanager
def page_of(studio):
    """A page of a browser in which the user has logged in, and the list of what it asks of other hosts."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    left = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*rootless, "--disable-dev-shm-usage"])
        try:
            page = browser.new_page(viewport={"width": 1500, "height": 900})
            page.set_default_timeout(LONG * 1000)
            page.on("request", lambda r: r.url.startswith((studio, "data:", "blob:")) or left.append(r.url))
            page.goto(f"{studio}/user/login/")
            page.fill("input[name=email]", USER)
            page.fill("input[name=password]", PASSWORD)
            with page.expect_navigation():
                page.click("button[type=submit]")
            yield page, left
        finally:
            browser.close()
