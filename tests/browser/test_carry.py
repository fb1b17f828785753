"""What is carried: by this browser from visit to visit, by a link from one to another, by a copy into a program."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def page(visit, real, write):
    page = visit(real, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#second").wait_for()
    write(page, "Ada Lovelace met Bob in Köln 🎶.")
    page.locator("mark", has_text="Köln").wait_for()
    return page


def copied(page):
    return page.evaluate("navigator.clipboard.readText()")


def set_threshold(page, value):
    page.get_by_label("Score from").fill(str(value))
    page.get_by_label("Score from").dispatch_event("change")


def test_the_next_visit_finds_text_models_threshold_and_labels_again(page, real):
    with page.expect_response("**/tag"):
        page.locator("#models").select_option("second")
    set_threshold(page, 60)
    page.get_by_role("button", name="LOC, 1").click()
    page.goto("about:blank")
    page.goto(real)
    page.locator("#models").wait_for()
    assert page.get_by_label("Your text").input_value() == "Ada Lovelace met Bob in Köln 🎶."
    page.wait_for_function("document.getElementById('models').value === 'second'")
    assert page.locator("#least-shown").inner_text() == "60 %"
    page.locator("#labels [aria-pressed=false]").wait_for()
    assert page.locator("mark", has_text="Köln").count() == 0


def test_what_somebody_else_wrote_into_the_store_does_no_harm(page, real):
    for junk in (
        "nonsense",
        "7",
        '{"text": 5, "model": [], "least": "x", "hidden": {}}',
        '{"least": 1e9, "hidden": [7]}',
    ):
        page.evaluate("(junk) => localStorage.setItem('fenestra.page', junk)", junk)
        page.reload()
        page.locator("#marked mark").first.wait_for()
        assert page.locator("#least-shown").inner_text() == "0 %"


def test_a_link_carries_the_text_and_no_server_sees_it(page, visit, real):
    set_threshold(page, 30)
    page.get_by_role("button", name="Copy a link").click()
    page.get_by_text("The link is copied.").wait_for()
    link = copied(page)
    assert link.startswith(f"{real}#")
    asked = []
    other = visit(link, prepare=lambda page: page.on("request", lambda request: asked.append(request.url)))
    other.locator("mark", has_text="Köln").wait_for()
    assert other.get_by_label("Your text").input_value() == "Ada Lovelace met Bob in Köln 🎶."
    assert other.locator("#least-shown").inner_text() == "30 %"
    assert other.url == real, "a text that was edited since is not under an old address"
    assert all("#" not in url for url in asked)


@pytest.mark.parametrize("broken", ["#1.", "#1.AAAA", "#1.%%%", "#1.q1YqSa0oUbJSUgIA=="])
def test_a_link_that_was_cut_says_so(visit, real, broken):
    page = visit(real + broken)
    page.get_by_text("This link cannot be read").wait_for()
    page.locator("#marked mark").first.wait_for()


def test_a_link_that_unfolds_into_too_much_is_not_followed(visit, real):
    page = visit(real)
    bomb = page.evaluate(
        """async () => {
            const { linkTo } = await import("/static/link.js");
            return (await linkTo("a".repeat(5e6))).split("#")[1];
        }"""
    )
    page.evaluate("(bomb) => (location.hash = bomb)", bomb)
    page.get_by_text("This link cannot be read").wait_for()


def test_a_text_that_is_too_long_for_a_link_is_told(page):
    words = " ".join(f"w{number * 7919 % 99991}" for number in range(5000))
    page.get_by_label("Your text").fill(words)
    page.get_by_role("button", name="Copy a link").click()
    page.get_by_text("too long for a link").wait_for()


def test_what_is_copied_for_a_program_gives_what_the_page_shows(page, real):
    page.locator(".token", has_text="Bob").click()
    page.locator("#why-body").wait_for()
    set_threshold(page, 10)
    page.get_by_role("button", name="LOC, 1").click()
    page.get_by_text("The same from a program").click()
    texts = {}
    for title in ("curl", "Python", "The answer in JSON"):
        page.get_by_role("button", name=f"Copy: {title}").click()
        page.get_by_role("button", name=f"Copy: {title}").get_by_text("Copied").wait_for()
        texts[title] = copied(page)
    shown = json.loads(texts["The answer in JSON"])["results"][0]["entities"]
    assert [entity["text"] for entity in shown] == ["Ada Lovelace", "Bob"]
    tag, explain = texts["curl"].split("\n\n")
    answer = json.loads(subprocess.run(["bash", "-c", f"{tag} -s"], check=True, capture_output=True).stdout)
    assert answer["results"][0]["entities"] == shown
    assert json.loads(subprocess.run(["bash", "-c", f"{explain} -s"], check=True, capture_output=True).stdout)["window"]
    done = subprocess.run([sys.executable, "-c", texts["Python"]], check=True, capture_output=True, encoding="utf-8")
    assert [line.split()[0] for line in done.stdout.splitlines()[:2]] == ["PER", "PER"]
    assert "Bob" in done.stdout
