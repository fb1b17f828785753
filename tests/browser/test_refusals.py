"""What the page says when the service does not do what is asked, and what it does about it."""

import hashlib
import json

import pytest

from fenestra.app.codes import STATUS
from fenestra.app.pages.routes import asset


def test_a_refusal_is_told_in_words_with_what_the_service_said_below(visit, stub):
    page = visit(stub(max_chars=100), refusals=True)
    page.locator("mark").first.wait_for()
    with page.expect_response("**/tag") as answer:
        page.get_by_label("Your text").fill("London " * 20)
    alert = page.get_by_role("alert")
    alert.wait_for()
    error = answer.value.json()["error"]
    assert "The service does not accept this request." in alert.inner_text()
    assert [f"422 {error['code']}", error["message"], f"request {error['request_id']}"] == page.locator(
        "#problem-said span"
    ).all_inner_texts()
    assert page.locator("#words").is_hidden()
    page.get_by_label("Your text").fill("Ada met Bob.")
    page.locator("mark", has_text="Bob").wait_for()
    assert alert.is_hidden()


def test_half_a_character_is_mended(visit, real):
    page = visit(real)
    page.get_by_label("Your text").evaluate(
        "(box) => { box.value = 'Ada \\ud83d in London'; box.dispatchEvent(new Event('input')); }"
    )
    page.locator("mark", has_text="London").wait_for()
    assert page.get_by_role("alert").is_hidden()


def test_what_the_service_warns_of_is_shown(visit, stub):
    def warn(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"warnings": ["This text is <b>not</b> English."]})

    page = visit(stub(), prepare=lambda page: page.route("**/tag", warn))
    page.locator("#warnings li").wait_for()
    assert page.locator("#warnings li").all_inner_texts() == ["This text is <b>not</b> English."]


def answers(status, code, **headers):
    """A handler for one request after the other: first a refusal, then the service itself."""
    seen = []

    def handle(route):
        seen.append(route.request.url)
        if len(seen) > 1:
            return route.continue_()
        error = {"error": {"code": code, "message": "what the service says", "request_id": "4711"}}
        return route.fulfill(status=status, body=json.dumps(error), content_type="application/json", headers=headers)

    return seen, handle


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (503, "overloaded", "The service is busy with others. This page asks again in 2 seconds."),
        (503, "not_ready", "The service is not ready"),
        (429, "rate_limited", "Too many requests from here. This page asks again in 2 seconds."),
    ],
)
def test_the_page_waits_as_long_as_it_is_told_and_asks_again(visit, stub, status, code, words):
    seen, handle = answers(status, code, **{"Retry-After": "2"})

    def prepare(page):
        page.clock.install(time=0)
        page.clock.pause_at(1000)
        page.route("**/tag", handle)

    page = visit(stub(), refusals=True, prepare=prepare)
    page.clock.run_for(50)
    page.get_by_role("alert").wait_for()
    assert words in page.get_by_role("alert").inner_text()
    page.clock.run_for(1900)
    assert len(seen) == 1
    page.clock.run_for(200)
    page.locator("mark").first.wait_for()
    assert page.get_by_role("alert").is_hidden()
    assert len(seen) == 2


def test_a_service_that_cannot_be_reached_is_asked_again(visit, stub):
    calls = []

    def prepare(page):
        page.clock.install()
        page.route("**/tag", lambda route: calls.append(1) or (route.continue_() if calls[1:] else route.abort()))

    page = visit(stub(), refusals=True, prepare=prepare)
    page.get_by_text("The service cannot be reached.").wait_for()
    page.clock.run_for(3100)
    page.locator("mark").first.wait_for()


def test_a_proxy_that_answers_with_a_page_of_its_own_is_no_riddle(visit, stub):
    page = visit(
        stub(), refusals=True,
        prepare=lambda page: page.route("**/tag", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>")),
    )  # fmt: skip
    page.get_by_text("The service did not answer as expected.").wait_for()
    assert page.locator("#problem-said span").all_inner_texts() == ["502 unexpected"]


def test_a_key_that_is_no_longer_good_is_asked_for(visit, stub):
    page = visit(stub(), refusals=True, prepare=lambda page: page.route("**/tag", answers(401, "unauthorized")[1]))
    page.get_by_role("alert").wait_for()
    assert "those who have a key" in page.get_by_role("alert").inner_text()


def test_a_browser_that_was_given_the_key_has_the_whole_page(visit, stub):
    url = stub(api_keys=(hashlib.sha256(b"open sesame").hexdigest(),))
    page = visit(url, refusals=True, http_credentials={"username": "me", "password": "open sesame"})
    with page.expect_response("**/explain") as answer:
        page.locator(".token").first.click()
    assert answer.value.status == 200
    assert page.get_by_role("alert").is_hidden()


def test_an_explanation_that_is_refused_is_told(visit, stub):
    page = visit(stub(), refusals=True, prepare=lambda page: page.route("**/explain", answers(504, "timeout")[1]))
    page.locator(".token").first.click()
    page.get_by_text("This text took too long.").wait_for()
    with page.expect_response("**/explain"):
        page.locator(".token").nth(1).click()
    page.locator("#why-body").wait_for()
    assert page.get_by_role("alert").is_hidden()


def test_every_refusal_that_the_page_can_meet_has_words():
    elsewhere = {"bad_request", "method_not_allowed", "unsupported_media_type", "headers_too_large", "reload_failed"}
    words = asset("refusals.js").decode()
    assert [code for code in STATUS if f"  {code}: " not in words and code not in elsewhere] == []
