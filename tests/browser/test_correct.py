"""Names that are corrected on the page, as the corpus that training reads."""

import json
from pathlib import Path

import pytest

from fenestra.training.data.corpus import read_corpus

TEXT = "🎶 Ada Lovelace met Siemens in Munich on Sunday."


@pytest.fixture
def written(visit, real, write):
    """The text on the page; nobody corrects it yet."""
    page = visit(real, refusals=True)  # it says that it does not learn
    write(page, TEXT)
    page.locator("#models option").first.wait_for(state="attached")
    return page


@pytest.fixture
def page(written):
    begin(written)
    return written


def begin(page):
    page.get_by_role("button", name="Correct the names").click()
    page.get_by_role("group", name="Correct the names").wait_for()


def shown(page):
    """The marked names: words and label."""
    return page.locator("#marked mark").evaluate_all(
        "all => all.map(one => [one.firstChild.data, one.lastChild.textContent])"
    )


def select(page, begin, end):
    """Select a part of the shown text, as a mouse does."""
    page.evaluate(
        """([begin, end]) => {
            const walker = document.createTreeWalker(document.getElementById("marked"), NodeFilter.SHOW_TEXT);
            let place = 0, from = null;
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                if (node.parentElement.localName === "small") continue;
                if (!from && begin < place + node.length) from = [node, begin - place];
                if (end <= place + node.length) return getSelection().setBaseAndExtent(...from, node, end - place);
                place += node.length;
            }
        }""",
        [begin, end],
    )
    page.locator("#correct p bdi").wait_for()


def say(page, word):
    page.locator("#correct").get_by_role("button", name=word, exact=True).click()


def downloaded(page, folder):
    with page.expect_download() as download:
        say(page, "Download for training")
    path = folder / "corrections.jsonl"
    path.write_bytes(Path(download.value.path()).read_bytes())
    return path, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_selected_words_become_a_name_of_whole_words(page):
    assert ["Sunday", "LOC"] not in shown(page)
    begin = TEXT.index("Sunday") + 1  # one more than in UTF-16 units, which the page counts
    select(page, begin + 2, begin + 4)
    assert page.locator("#correct p").inner_text() == "“Sunday” is:"
    say(page, "LOC")
    assert shown(page)[-1] == ["Sunday", "LOC"]
    assert page.locator("#marked mark.changed").count() == 1


def test_a_name_gets_another_label_other_borders_or_goes(page):
    page.locator("#marked mark", has_text="Ada Lovelace").click()
    say(page, "ORG")
    assert shown(page)[0] == ["Ada Lovelace", "ORG"]
    page.get_by_label("Begin one word later").click()
    assert shown(page)[0] == ["Lovelace", "ORG"]
    page.get_by_label("End one word later").click()
    assert shown(page)[0] == ["Lovelace met", "ORG"]
    page.get_by_label("End one word earlier").click()
    page.get_by_label("Begin one word earlier").click()
    say(page, "PER")
    assert page.locator("#marked mark.changed").count() == 0
    page.locator("#marked mark", has_text="Munich").click()
    say(page, "no name")
    assert "Munich" not in dict(shown(page))
    for _ in range(7):
        say(page, "Undo")
    assert dict(shown(page))["Munich"] == "LOC"
    assert page.locator("#correct").get_by_role("button", name="Undo").count() == 0


def test_what_overlaps_a_new_name_gives_way(page):
    begin = TEXT.index("Lovelace") + 1
    select(page, begin, begin + len("Lovelace met Siemens"))
    say(page, "ORG")
    assert shown(page)[:2] == [["Lovelace met Siemens", "ORG"], ["Munich", "LOC"]]


def test_the_keyboard_selects_in_the_box(page):
    page.get_by_label("Your text").focus()
    page.keyboard.press("Control+End")
    page.keyboard.press("ArrowLeft")
    for _ in "Sunday":
        page.keyboard.press("Shift+ArrowLeft")
    page.locator("#correct p", has_text="“Sunday” is:").wait_for()
    button = page.locator("#correct").get_by_role("button", name="PER", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    assert shown(page)[-1] == ["Sunday", "PER"]
    assert page.evaluate("document.activeElement.textContent") == "PER"


def test_corrections_are_kept_and_training_reads_them(page, write, tmp_path):
    page.locator("#marked mark", has_text="Siemens").click()
    say(page, "PER")
    write(page, "Bob went home.")
    page.locator("#marked mark", has_text="Bob").click()
    say(page, "no name")
    path, records = downloaded(page, tmp_path)
    assert [record["text"] for record in records] == [TEXT, "Bob went home."]
    assert [(TEXT[e["start"] : e["end"]], e["label"]) for e in records[0]["entities"]] == [
        ("Ada Lovelace", "PER"), ("Siemens", "PER"), ("Munich", "LOC"),
    ]  # fmt: skip
    corpus = read_corpus(path)
    assert corpus.label_counts() == {"LOC": 1, "PER": 2}
    assert corpus.notes == ()
    page.reload()
    page.locator("#models option").first.wait_for(state="attached")
    begin(page)
    page.get_by_text("2 corrected texts, kept in this browser").wait_for()
    assert shown(page) == []
    say(page, "Forget them")
    page.get_by_text("No corrections in this browser yet").wait_for()
    assert shown(page)[0][0] == "Bob"


def test_correcting_ends_as_it_began(page):
    page.locator("#marked mark", has_text="Munich").click()
    say(page, "no name")
    page.get_by_role("button", name="Correct the names").click()
    page.locator("#correct").wait_for(state="hidden")
    page.locator("#marked mark", has_text="Munich").wait_for()
    assert dict(shown(page))["Munich"] == "LOC"
    page.locator("#marked mark", has_text="Munich").click()
    page.locator("#why-title", has_text="Munich").wait_for()


def test_a_name_can_be_chosen_before_what_corrects_has_come(written):
    held = []
    written.route("**/static/correct.js", lambda route: held.append(route))
    button = written.get_by_role("button", name="Correct the names")
    button.click()
    written.locator("#marked mark", has_text="Munich").click()
    button.click()  # no more
    button.click()
    written.locator("#marked mark", has_text="Ada Lovelace").click()
    assert written.locator("#correct").is_hidden()
    held[0].continue_()
    written.locator("#correct p", has_text="“Ada Lovelace” is:").wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    assert written.locator(".token.chosen").count() == 0


def test_that_what_corrects_does_not_come_is_said(written):
    written.route("**/static/correct.js", lambda route: route.abort())
    button = written.get_by_role("button", name="Correct the names")
    button.click()
    written.get_by_text("The service cannot be reached.").wait_for()
    assert button.get_attribute("aria-pressed") == "false"
    written.unroute("**/static/correct.js")
    begin(written)
    assert written.get_by_text("The service cannot be reached.").is_hidden()


def test_a_part_of_another_version_is_told_and_the_rest_of_the_page_works(written):
    written.route(
        "**/static/correct.js",
        lambda route: route.fulfill(body="import { nope } from './dom.js'", content_type="text/javascript"),
    )
    button = written.get_by_role("button", name="Correct the names")
    button.click()
    written.locator("#marked mark", has_text="Munich").click()
    written.get_by_text("Reload this page.").wait_for()
    written.locator("#marked mark", has_text="Munich").click()
    written.locator("#why-title", has_text="Munich").wait_for()
    assert button.get_attribute("aria-pressed") == "false"


def test_a_name_of_another_text_is_not_chosen(written, write):
    held = []
    written.route("**/static/correct.js", lambda route: held.append(route))
    written.get_by_role("button", name="Correct the names").click()
    written.locator("#marked mark", has_text="Ada Lovelace").click()
    write(written, "🎶 Bob Berger met Siemens in London.")
    held[0].continue_()
    written.locator("#correct p").wait_for()
    assert "Bob" not in written.locator("#correct p").inner_text()
