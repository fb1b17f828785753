"""Two models side by side: what is alike, what differs, and where."""

import pytest


@pytest.fixture(scope="module")
def compare(function):
    return function("compare.js", "differences")


def entity(start, end, label="PER"):
    return {"start": start, "end": end, "label": label, "text": "", "score": 1}


def test_entities_are_alike_if_place_and_label_are(compare):
    found = compare([entity(0, 3), entity(5, 9)], [entity(0, 3), entity(5, 9, "LOC")])
    assert found["alike"] == 1
    (other,) = found["differences"]
    assert (other["start"], other["end"]) == (5, 9)
    assert [one["label"] for one in other["ones"] + other["others"]] == ["PER", "LOC"]


def test_what_overlaps_is_one_difference_and_what_does_not_is_another(compare):
    found = compare([entity(0, 5), entity(6, 9), entity(20, 22)], [entity(3, 8), entity(30, 33)])
    places = [(one["start"], one["end"], len(one["ones"]), len(one["others"])) for one in found["differences"]]
    assert places == [(0, 9, 2, 1), (20, 22, 1, 0), (30, 33, 0, 1)]
    assert found["alike"] == 0


def other_answers(route):
    """The second model calls Bob a place, and does not know Ada."""
    asked = route.request.post_data_json
    answer = route.fetch()
    found = answer.json()
    if asked.get("model") == "second":
        found["model"]["name"] = "second"
        entities = [one for one in found["results"][0]["entities"] if one["text"] != "Ada Lovelace"]
        found["results"][0]["entities"] = [one | {"label": "LOC"} if one["text"] == "Bob" else one for one in entities]
    route.fulfill(response=answer, json=found)


def test_differences_are_marked_and_listed(visit, real, write):
    page = visit(real, prepare=lambda page: page.route("**/tag", other_answers))
    write(page, "Ada Lovelace met Bob in Munich.")
    page.locator("#second").wait_for()
    assert page.locator("#versus").is_hidden()
    page.get_by_label("beside").select_option("second")
    page.get_by_text("1 entity alike, 2 differences").wait_for()
    assert page.locator("#versus h3").all_inner_texts() == ["english", "second"]
    assert page.locator("#versus .differs").all_inner_texts() == ["Ada LovelacePER", "BobPER", "BobLOC"]
    assert page.locator("#versus .agrees").all_inner_texts() == ["MunichLOC", "MunichLOC"]
    rows = page.get_by_role("table", name="Differences").locator("tbody tr")
    assert [row.locator("th, .chip, td.soft").all_inner_texts() for row in rows.all()] == [
        ["Ada Lovelace", "PER", "nothing"],
        ["Bob", "PER", "LOC"],
    ]
    page.locator("#labels").get_by_role("button", name="PER").click()
    page.get_by_text("1 entity alike, 1 difference").wait_for()
    page.get_by_label("beside").select_option("")
    page.locator("#versus").wait_for(state="hidden")


def test_a_service_with_one_model_offers_no_second(visit, stub):
    page = visit(stub())
    page.locator("mark").first.wait_for()
    page.wait_for_function("document.querySelectorAll('#second option').length === 2")
    assert page.locator("#second").is_hidden()
