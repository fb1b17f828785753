"""Long texts: in pages, without a loss, with little to draw while one types."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SENTENCE = "Ada Lovelace met Bob in London.\n"
LONG = SENTENCE * 3100  # 99,200 characters
OBSERVE = """
    window.drawn = 0;
    const count = (all) => (window.drawn += all.length);
    new MutationObserver(count).observe(document.body, { subtree: true, childList: true });
"""


@pytest.fixture(scope="module")
def pages_of(function):
    return function("paging.js", "pagesOf")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.integers(0, 1300),
    names=st.lists(st.tuples(st.integers(0, 1300), st.integers(1, 600)), max_size=6),
    line=st.integers(1, 500),
)
def test_pages_are_the_whole_text_and_cut_no_name(pages_of, words, names, line):
    text, tokens = " ", []
    for number in range(words):
        tokens.append({"start": len(text), "end": len(text) + 2, "text": "ab"})
        text += "ab" + ("\n" if number % line == 0 else " ")
    entities, free = [], 0
    for first, length in sorted(names):
        if free <= first and first + length <= words:
            entities.append({"start": tokens[first]["start"], "end": tokens[first + length - 1]["end"]})
            free = first + length
    pages = pages_of(text, tokens, entities)
    assert "".join(text[page["start"] : page["end"]] for page in pages) == text
    assert [page["first"] for page in pages] == [0, *(page["last"] for page in pages[:-1])]
    assert pages[-1]["last"] == words
    borders = {page["start"] for page in pages[1:]}
    assert not [e for e in entities for border in borders if e["start"] < border < e["end"]]
    assert all(page["last"] - page["first"] <= 400 for page in pages) or entities


@pytest.fixture
def page(visit, real):
    page = visit(real)
    page.locator("#marked mark").first.wait_for()
    box = page.get_by_label("Your text")
    box.evaluate("(box, text) => { box.value = text; box.dispatchEvent(new Event('input')); }", LONG)
    page.locator("#pager").wait_for()
    return page


def test_pages_are_turned_by_buttons_and_by_the_arrows(page):
    first = page.locator("#marked").text_content()
    assert page.get_by_label("The page before").is_disabled()
    page.get_by_label("The next page").click()
    page.locator("#page-number", has_text="Page 2 of ").wait_for()
    assert page.locator("#entities").inner_text() == "Entities on this page"
    assert page.locator("#marked").evaluate("one => Number(one.dataset.start)") % len(SENTENCE) == 0, "begins a line"
    page.locator(".token").first.focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#page-number", has_text="Page 1 of ").wait_for()
    assert page.locator("#marked").text_content() == first
    assert page.evaluate("document.activeElement === document.querySelector('.token:last-child')")
    with page.expect_request("**/explain") as request:
        page.keyboard.press("Enter")
    last = json.loads(request.value.post_data)["token"]
    page.locator("#why-title", has_text="Why").wait_for()
    with page.expect_request("**/explain") as request:
        page.keyboard.press("ArrowRight")
    assert json.loads(request.value.post_data)["token"] == last + 1
    page.locator("#page-number", has_text="Page 2 of ").wait_for()


def test_while_one_types_nothing_is_asked_and_little_is_drawn(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.locator("*").count() < 4000
    page.evaluate(OBSERVE)
    box = page.get_by_label("Your text")
    box.press("Control+End")
    box.evaluate(
        """(box) => {
            for (const letter of "And Paris.") {
                box.setRangeText(letter, box.value.length, box.value.length, "end");
                box.dispatchEvent(new Event("input"));
            }
        }"""
    )
    assert page.evaluate("window.drawn") == 0
    assert asked == []
    with page.expect_response("**/tag"):
        pass
    assert len(asked) == 1


def test_a_text_runs_the_way_of_its_first_letter(visit, stub):
    page = visit(stub())
    box = page.get_by_label("Your text")
    for text, way in (("1. שלום", "rtl"), ("مرحبا Ada", "rtl"), ("Ada مرحبا", "ltr"), ("", "ltr")):
        box.fill(text)
        assert box.get_attribute("dir") == way
