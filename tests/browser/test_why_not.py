"""Why this tag and not that one: the runners-up, and the difference of two logits that adds up as it is shown."""

import json

import pytest

from tests.browser.test_page import explain, number

TEXT = "Siemens is based in Munich. Chelsea beat Arsenal."


@pytest.fixture
def page(visit, real, write):
    page = visit(real)
    write(page, TEXT)
    explain(page, page.get_by_role("option", name="Siemens").click)
    page.locator("#rivals button").first.wait_for()
    return page


def test_the_runners_up_stand_beside_the_tag_with_their_chances(page):
    names = page.locator("#rivals button b").all_inner_texts()
    assert 2 <= len(names) == len(set(names)) <= 4
    assert "B-ORG" not in names
    assert "B-LOC" in names
    sure = page.locator("#sure").inner_text()
    own, whole = page.locator("#sure b").all_inner_texts()
    assert "this word’s tag" in sure
    assert "all of “Siemens” is right" in sure
    assert own.replace("\xa0%", "") in page.locator(".token.chosen .tag").inner_text()
    assert whole.replace("\xa0", " ") == page.locator("#rows .score span").first.inner_text()


def test_the_difference_of_two_logits_adds_up_as_it_is_shown(page):
    rival = page.locator("#rivals").get_by_role("button", name="B-LOC")
    answer = explain(page, rival.click)
    page.locator("#why-title", has_text="Why “Siemens” is B-ORG and not B-LOC").wait_for()
    assert rival.get_attribute("aria-pressed") == "true"
    assert (answer["column"], answer["against"]) == ("S-ORG", "S-LOC")
    shown = [number(line) for line in page.locator(".window tbody .number").all()]
    total = number(page.locator(".window tfoot .number"))
    assert sum(shown) == total
    assert abs(float(total) - answer["logit"]) <= 0.01
    summary = page.locator("#summary").inner_text()
    assert "S-ORG: an organisation" in summary
    assert "S-LOC: a place" in summary
    assert "difference of two logits" in page.locator("#method").inner_text()
    assert page.get_by_role("table", name="adds to the score of S-ORG over that of S-LOC").count() == 1
    explain(page, rival.click)
    page.locator("#why-title", has_text="and not").wait_for(state="detached")


def test_the_keyboard_keeps_its_place_among_the_runners_up(page):
    first = page.locator("#rivals button").first
    name = first.locator("b").inner_text()
    first.focus()
    explain(page, lambda: page.keyboard.press("Enter"))
    page.locator("#why-title", has_text="and not").wait_for()
    assert page.evaluate("document.activeElement.dataset.tag") == name


def test_a_comparison_goes_on_while_the_word_stays_and_ends_with_another(page, write):
    explain(page, page.locator("#rivals").get_by_role("button", name="B-LOC").click)
    with page.expect_request("**/explain") as request:
        write(page, TEXT + " And so on.")
    assert json.loads(request.value.post_data)["against"] == "B-LOC"
    with page.expect_request("**/explain") as request:
        page.get_by_role("option", name="Munich").click()
    assert "against" not in json.loads(request.value.post_data)
