"""Pictures of the page, to be looked at: ``python -m tests.browser.screenshots http://localhost:8000/ FOLDER``.

Wide and narrow, light and dark; as it opens, with an explanation, with a refusal; and the interface.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import BROWSER

WIDTHS = {"wide": 1280, "narrow": 375}
HEIGHT = 900


def shoot(page: Page, url: str, folder: Path, name: str) -> None:
    """Walk through the page, and take a picture at each stop."""
    page.goto(url)
    page.locator("mark").first.wait_for()
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    page.locator("mark").nth(2).click()
    page.locator("#why-body").wait_for()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    page.screenshot(path=folder / f"{name}-explained.png", full_page=True)
    page.locator("#rivals button").first.click()
    page.locator("#why-title", has_text="and not").wait_for()
    page.locator("#correcting").click()
    page.locator("#marked mark").nth(1).click()
    page.locator("#correct .row").first.wait_for()
    page.screenshot(path=folder / f"{name}-why-not-and-corrected.png", full_page=True)
    page.locator("#correcting").click()
    page.get_by_label("Your text").fill("London " * 15_000)
    page.get_by_role("alert").wait_for()
    page.screenshot(path=folder / f"{name}-refused.png", full_page=True)
    page.get_by_role("button", name="News").click()
    page.locator("mark", has_text="Siemens").wait_for()
    page.screenshot(path=folder / f"{name}-news.png", full_page=True)
    if page.locator("#second").is_visible():
        page.locator("#second").select_option(index=page.locator("#second option").count() - 1)
        page.locator("#versus .side").first.wait_for()
    lines = "".join(f"Ada Lovelace met Charles Babbage in London on day {day}.\n" for day in range(2500))
    page.locator("#file").set_input_files({"name": "diary.txt", "mimeType": "text/plain", "buffer": lines.encode()})
    page.locator("#many-said", has_text="2,500 of 2,500").wait_for()
    page.get_by_text("The same from a program").click()
    page.screenshot(path=folder / f"{name}-many.png", full_page=True)
    page.goto(f"{url}docs")
    page.locator("#post-explain .try summary").click()
    page.locator("#post-explain").get_by_role("button", name="Send").click()
    page.locator("#post-explain").get_by_text("200 OK").wait_for()
    page.screenshot(path=folder / f"{name}-interface.png", full_page=True)


def main(url: str, folder: str) -> None:
    """Take all pictures of the service at ``url``."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for width_name, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
                shoot(context.new_page(), url, Path(folder), f"{width_name}-{scheme}")
                context.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
