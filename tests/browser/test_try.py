"""The interface's "try it": every operation is sent and answered where it is described."""

import re

import pytest


@pytest.fixture
def page(visit, real):
    page = visit(f"{real}docs", refusals=True)
    page.locator("#get-health").wait_for()
    return page


def send(page, operation):
    """Send what stands there; the status line and the answer."""
    form = page.locator(f"[id='{operation}'] .try")
    button = form.get_by_role("button", name="Send")
    button.click()
    form.locator("button.send:not(:disabled)").wait_for()
    return form.get_by_role("status").inner_text(), form.locator(".answer").inner_text()


def test_every_operation_can_be_tried(page):
    operations = page.locator(".operation").evaluate_all("all => all.map(one => one.id)")
    assert len(operations) >= 14
    for operation in operations:
        if re.search(r"\{name\}/(learn|corrections|undo)", operation):  # off in this service
            continue
        page.locator(f"[id='{operation}'] .try summary").click()
        said, answer = send(page, operation)
        assert said.startswith("200 OK in "), (operation, said)
        assert answer


def test_a_body_can_be_chosen_and_edited(page):
    page.locator("#post-tag .try summary").click()
    page.locator("#post-tag").get_by_role("button", name="Example 2").click()
    assert '"text": "Munich"' in send(page, "post-tag")[1]
    page.get_by_label("Body of POST /tag", exact=True).fill('{"text": "Ada met Bob."}')
    assert '"text": "Bob"' in send(page, "post-tag")[1]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("Too long", 422, "at most 100000"),
        ("Half a character", 422, "invalid_unicode"),
        ("Empty", 200, '"entities": []'),
        ("Markup", 200, '"text": "London"'),
        ("Not JSON", 400, "bad_json"),
        ("Unknown label", 422, "it knows LOC, ORG, PER"),
    ],
)
def test_bad_input_shows_how_the_service_answers(page, fault, status, words):
    page.locator("#post-tag .try summary").click()
    page.locator("#post-tag").get_by_role("button", name=fault).click()
    said, answer = send(page, "post-tag")
    assert said.startswith(str(status))
    assert words in answer


def test_a_path_takes_what_is_written_and_nothing_gets_out_of_it(page):
    form = page.locator("[id='post-models/{name}/reload'] .try")
    form.locator("summary").click()
    form.get_by_role("textbox").fill("../../tag?x=#y")
    with page.expect_request("**/reload") as request:
        form.get_by_role("button", name="Send").click()
    assert request.value.url.endswith("/models/..%2F..%2Ftag%3Fx%3D%23y/reload")


def test_a_service_that_has_gone_is_told(page):
    page.route("**/models", lambda route: route.abort())
    page.locator("#get-models .try summary").click()
    assert send(page, "get-models")[0] == "The service cannot be reached. Is it running?"
