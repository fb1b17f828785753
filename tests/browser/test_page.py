"""The page with the real model: writing, looking, asking why, by mouse and by keyboard."""

import json
from decimal import Decimal

import pytest

TEXT = "Ada Lovelace met Charles Babbage in London."


@pytest.fixture
def page(visit, real, write):
    page = visit(real)
    write(page, TEXT)
    page.get_by_role("option", name="Lovelace: I-PER").wait_for()
    return page


def number(locator):
    """What the page shows, as a student would copy it down."""
    return Decimal(locator.inner_text().replace("−", "-").replace("+", ""))


def explain(page, choose):
    with page.expect_response("**/explain") as answer:
        choose()
    page.locator("#why-body").wait_for()
    return answer.value.json()


def test_names_light_up_while_one_writes(page):
    marks = page.locator("#marked mark").all_inner_texts()
    assert [mark.split("\n")[0] for mark in marks] == ["Ada LovelacePER", "Charles BabbagePER", "LondonLOC"]
    assert page.get_by_role("status").first.inner_text() == "3 entities"
    box = page.get_by_label("Your text")
    box.press("End")
    box.press_sequentially(" She likes Munich.")
    page.locator("mark", has_text="Munich").wait_for()


def test_the_table_lists_every_entity_with_its_score(page):
    rows = page.locator("#rows tr")
    assert rows.count() == 3
    assert rows.nth(2).get_by_role("rowheader").inner_text() == "London"
    assert 50 < int(rows.nth(2).locator(".score span").inner_text().removesuffix(" %")) <= 100


def test_every_token_shows_its_tag_and_its_score(page):
    tags = page.locator("[role=option] .tag b").all_inner_texts()
    assert tags == ["B-PER", "I-PER", "O", "B-PER", "I-PER", "O", "B-LOC", "O"]
    for name in page.locator("[role=option]").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))"):
        assert 0 <= int(name.rpartition(", ")[2].removesuffix(" percent")) <= 100


def test_a_label_can_be_hidden(page):
    page.get_by_role("button", name="PER, 2").click()
    assert page.locator("mark").count() == 1
    assert page.locator(".token.named").count() == 1
    page.get_by_role("button", name="PER, 2").click()
    assert page.locator("mark").count() == 3


def test_the_numbers_of_an_explanation_add_up_as_they_are_shown(page):
    answer = explain(page, page.get_by_role("option", name="London").click)
    shown = [number(line) for line in page.locator(".window tbody .number").all()]
    total = number(page.locator(".window tfoot .number"))
    assert sum(shown) == total
    parts = [share["share"] for share in answer["window"]] + [answer["bias"], answer["document"]]
    assert len(shown) == len(parts)
    assert len(answer["window"]) % 2 == 1
    for cell, part in zip(shown, parts, strict=True):
        assert abs(float(cell) - part) <= 0.01
    assert abs(float(total) - answer["logit"]) <= 0.01
    equation = page.locator("#equation b").all_inner_texts()
    assert eval("".join(equation[2:]).replace("−", "-")) == pytest.approx(float(total))  # its own arithmetic
    assert Decimal(equation[0].replace("−", "-")) == total


def test_bars_stand_on_their_side_of_zero_and_are_as_long_as_their_shares(page):
    answer = explain(page, page.get_by_role("option", name="met").click)
    lengths = {}
    for share, row in zip(answer["window"], page.locator("#window tr").all(), strict=True):
        bar, zero = row.locator("rect").bounding_box(), row.locator("line").bounding_box()
        middle = bar["x"] + bar["width"] / 2
        assert (middle - zero["x"]) * share["share"] >= 0
        lengths[abs(share["share"])] = bar["width"]
    longest = max(lengths)
    for share, length in lengths.items():
        assert length / lengths[longest] == pytest.approx(share / longest, abs=0.02)


def test_the_explanation_says_what_it_means(page):
    answer = explain(page, page.get_by_role("option", name="London").click)
    assert page.locator("#why-title").inner_text().startswith("Why “London” is B-LOC")
    summary = page.locator("#summary").inner_text()
    assert answer["column"] in summary
    assert "a place" in summary
    assert answer["method"] == "exact"
    assert "add up exactly" in page.locator("#method").inner_text()
    words = page.locator("#window th").all_inner_texts()
    assert words[len(words) // 2] == "London"
    assert words.count("no word") == sum(share["text"] is None for share in answer["window"]) > 0


def test_another_activation_has_its_method_named(visit, stub):
    def rescale(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"method": "rescale"})

    page = visit(stub(), prepare=lambda page: page.route("**/explain", rescale))
    explain(page, page.locator(".token").first.click)
    assert "rescale rule" in page.locator("#method").inner_text()
    assert "exactly" not in page.locator("#method").inner_text()


def test_the_window_is_drawn_over_the_words(page):
    answer = explain(page, page.get_by_role("option", name="Charles").click)
    inside = sum(share["text"] is not None for share in answer["window"])
    assert page.locator(".token.pane").count() == inside
    assert page.locator(".token.chosen").inner_text().startswith("Charles")


def test_a_name_in_the_text_leads_to_its_explanation(page):
    explain(page, page.locator("mark", has_text="Babbage").click)
    assert page.locator("#why-title").inner_text().startswith("Why “Charles”")


def test_the_keyboard_alone_is_enough(page):
    page.get_by_label("Your text").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.role") == "option":
            break
    assert page.evaluate("document.activeElement.ariaLabel").startswith("Ada: B-PER")
    page.keyboard.press("ArrowRight")
    assert page.locator("#why-body").is_hidden()
    explain(page, lambda: page.keyboard.press("Enter"))
    assert page.locator("#why-title").inner_text().startswith("Why “Lovelace”")
    explain(page, lambda: page.keyboard.press("ArrowRight"))
    page.locator("#why-title", has_text="Why “met”").wait_for()
    explain(page, lambda: page.keyboard.press("End"))
    page.locator("#why-title", has_text="Why “.”").wait_for()
    assert page.locator("[role=option][tabindex='0']").count() == 1
    assert page.locator("[aria-selected=true]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#why-body").is_hidden()
    assert page.locator("[aria-selected=true]").count() == 0
    assert page.evaluate("document.activeElement.ariaLabel").startswith(".: O")
    explain(page, lambda: page.keyboard.press("Space"))


def test_an_explanation_follows_the_text_or_goes_away(page, write):
    explain(page, page.get_by_role("option", name="London").click)
    with page.expect_response("**/explain"):
        write(page, TEXT + " And Paris.")
    assert page.locator("#why-title").inner_text().startswith("Why “London”")
    write(page, "Nothing of that.")
    page.locator("#why-empty").wait_for()


def test_offsets_fit_beyond_the_first_plane(page, write):
    write(page, "🎶👩‍🚀 Ada Lovelace 🇮🇸 met Bob in London.")
    page.locator("mark", has_text="London").wait_for()
    assert "Ada Lovelace" in page.locator("mark").first.inner_text()
    explain(page, page.get_by_role("option", name="Lovelace").click)
    assert page.locator(".token.chosen.pane").inner_text().startswith("Lovelace")


def test_several_models_can_be_chosen_from(page):
    chooser = page.get_by_label("Model")
    assert chooser.locator("option").all_inner_texts() == ["english", "second"]
    with page.expect_request("**/tag") as request:
        chooser.select_option("second")
    assert json.loads(request.value.post_data)["model"] == "second"
    with page.expect_request("**/explain") as request:
        page.get_by_role("option", name="Ada").click()
    assert json.loads(request.value.post_data)["model"] == "second"


def served_as(*names):
    """Let the one model of a stub answer to several names, the first the default one."""
    models = [{"name": name, "version": "1", "labels": [], "default": name == names[0]} for name in names]

    def nameless(route):
        route.continue_(post_data={key: value for key, value in route.request.post_data_json.items() if key != "model"})

    def prepare(page):
        page.route("**/models", lambda route: route.fulfill(json={"models": models}))
        page.route("**/tag", nameless)

    return prepare


def cyrillic(text):
    return any("а" <= letter <= "я" for letter in text)


def test_examples_suit_the_model_that_is_chosen(visit, stub, write):
    page = visit(stub(), prepare=served_as("english", "russian"))
    box, chooser, examples = (
        page.get_by_label("Your text"),
        page.get_by_label("Model"),
        page.locator("#examples button"),
    )
    chooser.wait_for()
    assert not cyrillic(box.input_value())
    chooser.select_option("russian")
    assert cyrillic(box.input_value())
    shown = set()
    for example in examples.all():
        example.click()
        shown.add(box.input_value())
    assert len(shown) == examples.count() == 3
    assert all(map(cyrillic, shown))
    chooser.select_option("english")
    assert not cyrillic(box.input_value())
    assert examples.count() == 5
    write(page, "My own words.")
    chooser.select_option("russian")
    assert box.input_value() == "My own words."
    assert examples.count() == 3


def test_a_russian_model_alone_begins_with_a_russian_text(visit, stub):
    page = visit(stub(), prepare=served_as("russian"))
    page.locator("#marked", has_text="Пушкин").wait_for()
    assert page.locator("#examples button").count() == 3


def test_a_text_at_the_limit_stays_readable(page, write):
    sentence = "Ada met Bob in London. "
    text = (sentence * (100_000 // len(sentence) + 1))[:100_000]
    write(page, text)
    page.get_by_text("Page 1 of ").wait_for()
    assert page.locator("#status").inner_text().endswith(" entities")
    assert page.locator("*").count() < 5000
    explain(page, page.locator(".token").first.click)


def test_the_interface_is_drawn(visit, real):
    page = visit(real)
    page.get_by_role("link", name="API").click()
    page.locator("#post-explain").wait_for()
    assert page.locator("#post-tag table").count() >= 2


def test_a_late_list_of_models_leaves_the_one_that_answered(visit, stub):
    models = [{"name": name, "version": "old", "labels": [], "default": name == "a"} for name in "ab"]
    token = {"text": "Ada", "start": 0, "end": 3, "tag": "O", "score": 1}
    lists = []

    def prepare(page):
        page.route("**/models", lambda route: lists.append(route))
        page.route("**/tag", lambda route: route.fulfill(json={
            "model": {"name": "a", "version": "new"}, "results": [{"entities": [], "tokens": [token]}],
        }))  # fmt: skip

    page = visit(stub(), prepare=prepare)
    page.locator(".token").wait_for()
    assert page.locator("#model").inner_text() == "Model a · new"
    lists[0].fulfill(json={"models": models})
    page.locator("#models option").nth(1).wait_for(state="attached")
    assert page.locator("#model").inner_text() == "new"


def test_the_interface_says_what_is_required_and_which_headers_come(visit, real):
    page = visit(f"{real}docs")
    analyze = page.locator("#post-analyze")
    analyze.wait_for()
    required = analyze.locator("tr", has_text="Required.").locator("td:first-child")
    assert required.all_inner_texts() == ["text", "language"]
    assert analyze.get_by_role("cell", name="X-Fenestra-Labels").count() == 1
    assert page.locator("#post-tag").get_by_text("Required.").count() == 0
    examples = page.locator(r"#post-hf\/\{model\} pre").all_inner_texts()
    assert [f"{real}hf/english " in example for example in examples] == [True] * 3
