"""Markup in texts, labels and names is text: it is shown, and never done. The `visit` fixture watches for the rest."""

import json

EVIL = [
    "<img src=x onerror=alert(1)>",
    '</script><script>alert("London")</script>',
    "<a href='javascript:alert(1)'>Ada</a>",
    '" onfocus=alert(1) autofocus x="',
    "<svg/onload=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
]


def holds_only_text(page):
    """Nothing but what the page itself is made of is in it."""
    assert page.locator("img").count() == 2
    assert page.locator("script").count() == 1
    assert page.locator("main a").count() == 0
    assert page.locator("[onerror], [onload], [onfocus], [style], iframe, base, form").count() == 0


def test_markup_in_a_text_is_shown(visit, real, write):
    page = visit(real)
    write(page, f"Ada Lovelace {' '.join(EVIL)} in Munich")
    page.locator("mark", has_text="Munich").wait_for()
    for place in range(2, page.locator(".token").count(), 9):
        with page.expect_response("**/explain"):
            page.locator(".token").nth(place).click()
    page.locator("#why-body").wait_for()
    page.get_by_text("The same from a program").click()
    for evil in EVIL:
        assert json.dumps(evil)[1:-1].replace("'", "'\\''") in page.locator("#curl").text_content()
    holds_only_text(page)


def test_markup_in_labels_is_shown(visit, stub, write):
    page = visit(stub(*EVIL))
    write(page, "One Two Three Four Five Six")
    assert page.locator("#labels button").count() == len(EVIL)
    chips = page.locator("#rows .chip").all_inner_texts()
    assert chips == EVIL
    with page.expect_response("**/explain"):
        page.locator(".token").nth(1).click()
    page.locator("#why-body").wait_for()
    page.locator("#labels button").first.click()
    assert page.locator("mark").count() == len(EVIL) - 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    holds_only_text(page)


def test_markup_in_the_names_of_models_is_shown(visit, stub):
    models = [{"name": evil, "version": evil, "labels": [evil], "default": False} for evil in EVIL]
    token = {"text": EVIL[0], "start": 0, "end": 3, "tag": EVIL[2], "score": 1}

    def prepare(page):
        page.route("**/models", lambda route: route.fulfill(json={"models": models}))
        page.route("**/tag", lambda route: route.fulfill(json={
            "model": {"name": EVIL[0], "version": EVIL[1]},
            "results": [{"entities": [], "tokens": [token]}],
        }))  # fmt: skip

    page = visit(stub(), prepare=prepare)
    page.locator(".token", has_text=EVIL[0]).wait_for()
    page.locator("#models option").nth(5).wait_for(state="attached")
    assert page.locator("#models option").all_inner_texts() == EVIL
    assert page.locator("#model").inner_text() == EVIL[1]
    holds_only_text(page)


def test_markup_in_a_refusal_is_shown(visit, stub):
    error = {"error": {"code": EVIL[0], "message": EVIL[1], "request_id": EVIL[2]}}
    page = visit(
        stub(), refusals=True,
        prepare=lambda page: page.route("**/tag", lambda route: route.fulfill(status=418, json=error)),
    )  # fmt: skip
    page.get_by_role("alert").wait_for()
    assert page.locator("#problem-said span").all_inner_texts() == [f"418 {EVIL[0]}", EVIL[1], f"request {EVIL[2]}"]
    holds_only_text(page)
