"""For every eye and hand: small windows, dark rooms, screen readers, colours that can be told apart."""

import re

import pytest

from fenestra.app.pages.routes import asset

PAIRS = [  # what stands on what
    ("ink", "paper"), ("ink", "card"), ("soft", "card"), ("soft", "paper"), ("accent", "paper"), ("accent", "card"),
    ("on-accent", "accent"), ("warn", "warn-paper"),
]  # fmt: skip
CONTROLS = {"button", "textbox", "combobox", "option", "listbox", "link", "checkbox", "DisclosureTriangle"}

BROKEN_NUMBERS = """() => {
    const broken = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.parentElement.closest("pre, textarea, select, code, .answer")) continue;
        for (const found of node.data.matchAll(/[+−]?\\d[\\d.,]*\\d[\\s]?%?|[+−]?\\d[\\s]?%/g)) {
            const range = document.createRange();
            range.setStart(node, found.index);
            range.setEnd(node, found.index + found[0].trimEnd().length);
            const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.bottom)));
            if (lines.size > 1) broken.push(node.data);
        }
    }
    return broken;
}"""


def open_everything(page):
    """Explain a word, and open what can be opened."""
    page.locator("mark").first.wait_for()
    with page.expect_response("**/explain"):
        page.locator(".token").nth(3).click()
    page.locator("#why-body").wait_for()
    if page.locator("#rivals button").count():
        page.locator("#rivals button").first.click()
        page.locator("#why-title", has_text="and not").wait_for()
    page.get_by_text("The same from a program").click()


@pytest.mark.parametrize("path", ["", "docs"])
def test_nothing_is_wider_than_the_window_and_no_number_breaks(visit, real, path):
    page = visit(real + path)
    page.locator("#post-tag").wait_for() if path else open_everything(page)
    for width in (1280, 1024, 800, 640, 360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(BROKEN_NUMBERS) == []


def test_a_word_without_end_and_a_refusal_fit_a_phone(visit, stub, write):
    page = visit(stub("A" * 60, max_chars=400), viewport={"width": 360, "height": 740}, refusals=True)
    write(page, "It is the Donau" + "dampfschifffahrtsgesellschaft" * 8 + " now")
    open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_label("Your text").fill("Donau" * 100)
    page.get_by_role("alert").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_an_explanation_comes_into_view_on_a_phone(visit, real):
    page = visit(real, viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    open_everything(page)
    page.wait_for_function("document.getElementById('why').getBoundingClientRect().top < innerHeight / 2")


@pytest.mark.parametrize("path", ["", "docs"])
def test_whatever_can_be_used_has_a_name(visit, real, path):
    page = visit(real + path)
    page.locator("#post-tag").wait_for() if path else open_everything(page)
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in tree if not node["ignored"] and node.get("role", {}).get("value") in CONTROLS]
    assert len(seen) > (20 if not path else 5)
    assert [node["role"]["value"] for node in seen if not node.get("name", {}).get("value", "").strip()] == []


def test_the_page_has_landmarks_headings_and_tables_with_heads(visit, real):
    page = visit(real)
    open_everything(page)
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("banner").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    for name in ("Found", "Word by word", "Entities"):
        assert page.get_by_role("region", name=name).count() == 1
    assert page.get_by_role("table", name="What each place of the window adds").count() == 1
    assert page.get_by_role("columnheader").all_inner_texts() == ["Place", "Word", "Share", "Text", "Label", "Score"]
    assert page.locator("html").get_attribute("lang") == "en"
    duplicates = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(duplicates) == len(set(duplicates))


def test_focus_is_seen_on_everything_that_takes_it(visit, real):
    page = visit(real)
    open_everything(page)
    seen = set()
    page.get_by_role("link", name="Fenestra").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        tag, style = page.evaluate(
            "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if tag == "BODY":
            break
        seen.add(tag)
        assert style == "solid", tag
    assert seen >= {"A", "TEXTAREA", "BUTTON", "SPAN", "SELECT", "SUMMARY"}


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """WCAG 2's contrast ratio, 1 … 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(visit, real, scheme):
    page = visit(real, color_scheme=scheme)
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name)"
    colours = {name: page.evaluate(read, f"--{name}") for pair in PAIRS for name in pair}
    weak = {pair: contrast(*(colours[name] for name in pair)) for pair in PAIRS}
    count = len(set(re.findall(r"\.tone-(\d+)", asset("tones.css").decode())))
    assert count == int(re.search(r"TONES = (\d+)", asset("labels.js").decode())[1])
    for number in range(count):
        ink, paper = page.evaluate(
            """(name) => {
                const probe = document.createElement("i");
                probe.className = name;
                document.body.append(probe);
                return ["ink", "paper"].map((part) => getComputedStyle(probe).getPropertyValue(`--tone-${part}`));
            }""",
            f"tone-{number}",
        )
        weak[f"tone-{number}"] = contrast(ink, paper)
        weak[f"ink on tone-{number}"] = contrast(colours["ink"], paper)
    assert {name: ratio for name, ratio in weak.items() if ratio < 4.5} == {}


def test_forced_colours_keep_names_and_bars(visit, real):
    page = visit(real, forced_colors="active")
    open_everything(page)
    borders = page.locator("mark").evaluate_all("all => all.map(one => getComputedStyle(one).borderTopColor)")
    assert borders
    assert all(border != "rgba(0, 0, 0, 0)" for border in borders)
    assert page.locator(".bar .plus").first.is_visible()


def test_motion_is_left_out_where_it_is_not_wanted(visit, real):
    page = visit(real, reduced_motion="reduce")
    page.locator(".token").first.wait_for()
    assert page.locator(".token").first.evaluate("one => getComputedStyle(one).transitionDuration") == "0s"
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
