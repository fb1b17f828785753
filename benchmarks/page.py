"""What the page weighs, and how it bears typing into a long text: ``python -m benchmarks.page [ADDRESS]``.

Weights are of the files that a first visit loads, and of all that are loaded when they are needed. With the address of
a running service and a Chromium, also the nodes that a text of 100 kB is drawn as, and the time of a key press in it.
"""

import gzip
import re
import statistics
import sys
from typing import TYPE_CHECKING

from fenestra.app.pages.routes import ASSETS, asset

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEXT = "Ada Lovelace met Charles Babbage in London, where it rained. "
LENGTHS = (1000, 99_000)
KEYS = 30
LISTEN = """() => {
    window.times = [];
    let began = 0;
    addEventListener("keydown", () => (began = performance.now()), true);
    addEventListener("input", () => {
        const mine = began;
        requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - mine)));
    }, true);
}"""
"""Notes the time from a key to the picture that shows it."""
BARE = """(text) => {
    const box = document.createElement("textarea");
    box.value = text;
    box.rows = 6;
    document.body.replaceChildren(box);
}"""


def first_visit(page: str = "page.html") -> list[str]:
    """The files that a page loads by itself: what its markup names, and what these scripts import at once."""
    found = [page]
    for name in found:
        source = asset(name).decode()
        named = re.findall(r'(?:src|href)="static/([^"]+)"', source) if name.endswith(".html") else []
        imported = re.findall(r'^import .+ from "\./(.+)";$', source, re.MULTILINE) if name.endswith(".js") else []
        found += [other for other in [*named, *imported] if other not in found]
    return found


def weight(names: list[str]) -> tuple[float, float]:
    """Raw and compressed, in kB (10³ bytes); each file is compressed for itself, as the service does."""
    return (
        sum(len(asset(name)) for name in names) / 1000,
        sum(len(gzip.compress(asset(name))) for name in names) / 1000,
    )


def main(address: str | None = None) -> None:
    """Print weights, and with an address what a long text costs."""
    rows = {
        "the page, at the first visit": first_visit(),
        "the page of the interface": first_visit("docs.html"),
        "all files of both": ["page.html", "docs.html", *sorted(ASSETS)],
    }
    for what, names in rows.items():
        raw, packed = weight(names)
        print(f"{what}: {len(names)} files, {raw:.1f} kB, {packed:.1f} kB with gzip")
    if address:
        type_into(address)


def type_into(address: str) -> None:
    """Draw a long text in a browser, and press keys in the middle of it: on the page, and in a text box alone."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import BROWSER

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        for length in LENGTHS:
            text = (TEXT * (length // len(TEXT) + 1))[:length]
            page.goto(address)
            page.locator("#marked mark").first.wait_for()
            page.locator("#text").fill(text)
            page.wait_for_timeout(3000)
            nodes, here = page.locator("*").count(), press(page, length // 2)
            page.goto("about:blank")
            page.evaluate(BARE, text)
            alone = press(page, length // 2)
            print(
                f"{length:,} characters: {nodes:,} nodes; from a key to its picture {here:.1f} ms, "
                f"in a text box alone {alone:.1f} ms, medians of {KEYS}"
            )
        browser.close()


def press(page: "Page", place: int) -> float:
    """The median time of a key press in the text box, in milliseconds."""
    page.evaluate(LISTEN)
    page.locator("textarea").first.evaluate("(box, place) => (box.focus(), box.setSelectionRange(place, place))", place)
    for _ in range(KEYS):
        page.keyboard.press("x")
        page.wait_for_timeout(60)
    page.wait_for_timeout(300)
    return statistics.median(page.evaluate("times"))


if __name__ == "__main__":
    main(*sys.argv[1:])
