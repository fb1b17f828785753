"""What the page weighs, and how it bears typing into a long text: ``python -m benchmarks.page [ADDRESS]``.

Weights are of the files that a first visit loads, and of all that are loaded when they are needed. With the address of
a running service and a Chromium, also the nodes that a text of 100 kB is drawn as, and the time of a key press in it.
"""

import gzip
import re
import sys

from fenestra.app.pages.routes import ASSETS, asset

TEXT = "Ada Lovelace met Charles Babbage in London, where it rained. "
LENGTH = 100_000
KEYS = 40
PRESS = """(box, keys) => {
    const times = [];
    for (let key = 0; key < keys; key += 1) {
        const began = performance.now();
        box.setRangeText("x", 50_000, 50_000, "end");
        box.dispatchEvent(new Event("input"));
        document.body.offsetHeight;
        times.push(performance.now() - began);
    }
    return times.sort((one, other) => one - other);
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
    """Draw a long text in a browser, and press keys in the middle of it."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import BROWSER

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.locator("#marked mark").first.wait_for()
        for length in (1000, LENGTH):
            page.get_by_label("Your text").fill((TEXT * (length // len(TEXT) + 1))[:length])
            page.wait_for_timeout(3000)
            times = page.get_by_label("Your text").evaluate(PRESS, KEYS)
            page.wait_for_timeout(3000)
            print(
                f"{length:,} characters: {page.locator('*').count():,} nodes; a key press takes "
                f"{times[KEYS // 2]:.1f} ms (the slowest of {KEYS}: {times[-1]:.1f})"
            )
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
