"""axe-core finds nothing that would shut anybody out: whatever is open, wide and narrow, by day and by night."""

import json

import pytest

from tests.conftest import ROOT

AXE = ROOT / ".ci" / "node" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def axe():
    """The program, as text; the page's policy lets no script in but by the debugger."""
    if not AXE.exists():
        pytest.skip("no axe-core here: .ci/browser gets it, where there are npm and a browser")
    return AXE.read_text(encoding="utf-8")


def findings(page, axe):
    """What axe finds: the rule, and where."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", NARROW)])
def test_axe_finds_nothing(visit, real, write, axe, scheme, size):
    page = visit(real, refusals=True, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    page.locator("#second").wait_for()
    page.locator("#second").select_option("second")
    page.locator("#versus .side").first.wait_for()
    page.locator(".token").nth(3).click()
    page.locator("#rivals button").first.click()
    page.locator("#why-title", has_text="and not").wait_for()
    page.locator("#same summary").click()
    lines = "".join(json.dumps({"text": "Ada Lovelace met Bob in Munich."}) + "\n" for _ in range(21))
    page.locator("#file").set_input_files({"name": "x.jsonl", "mimeType": "text/plain", "buffer": lines.encode()})
    page.locator("#many-said", has_text="21 of 21").wait_for()
    page.locator("#correcting").click()
    page.locator("#marked mark").first.click()
    page.locator("#correct .row button").first.wait_for()
    assert findings(page, axe) == []
    page.locator("#correcting").click()
    write(page, "Ada met Bob in London. " * 90)
    page.locator("#pager").wait_for()
    assert findings(page, axe) == []


@pytest.mark.parametrize(("scheme", "size"), [("dark", WIDE), ("light", NARROW)])
def test_axe_finds_nothing_in_the_interface(visit, real, axe, scheme, size):
    page = visit(f"{real}docs", color_scheme=scheme, viewport=size)
    form = page.locator("#post-tag .try")
    form.locator("summary").click()
    form.get_by_role("button", name="Send").click()
    form.get_by_text("200 OK").wait_for()
    assert findings(page, axe) == []
