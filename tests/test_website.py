"""The documentation site builds strictly, and loads nothing from anywhere else."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.conftest import ROOT

pytest.importorskip("furo", reason="furo is not installed: pip install '.[docs]'")

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
          "embed": "src", "object": "data", "link": "href"}  # fmt: skip
NAMED_ONLY = {"canonical", "author", "license"}  # links that a browser does not follow by itself


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "docs"
    done = run("docs.website", "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder


def run(module, *words):
    """Sphinx in a process of its own: its warnings of deprecations are not ours."""
    words = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)


class Loads(HTMLParser):
    """What a page loads by itself."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in LOADED and values.get("rel") not in NAMED_ONLY:
            self.found.append(values.get(LOADED[tag]) or "")
        self.found += [part.split()[0] for part in (values.get("srcset") or "").split(",") if part.strip()]


def test_no_page_loads_anything_from_another_host(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 30
    loaded = {(page.name, url) for page in pages for url in Loads(page.read_text(encoding="utf-8")).found}
    assert any(url.endswith(".css") or ".css?" in url for _, url in loaded)
    assert [entry for entry in loaded if re.match(r"(https?:)?//", entry[1])] == []


def test_no_style_or_script_of_the_site_loads_anything_from_another_host(site):
    files = [*site.rglob("*.css"), *site.rglob("*.js"), *site.rglob("*.svg")]
    assert len(files) > 5
    calls = re.compile(r"""(?:url\(|@import |fetch\(|import\(|src\s*=|href\s*=)\s*["']?(?:https?:)?//[^"')\s]+""")
    assert {(path.name, call) for path in files for call in calls.findall(path.read_text(encoding="utf-8"))} == set()


def test_a_page_that_loads_from_elsewhere_would_be_noticed():
    page = '<link rel="stylesheet" href="https://fonts.example/a.css"><script src="//cdn.example/x.js"></script>'
    assert Loads(page).found == ["https://fonts.example/a.css", "//cdn.example/x.js"]


def test_the_front_page_is_where_a_server_looks_for_it(site):
    target = re.search(r"url=([^\"]+)", (site / "index.html").read_text(encoding="utf-8"))[1]
    assert (site / target).is_file()
    assert 'class="sidebar-tree"' in (site / target).read_text(encoding="utf-8")


def test_a_page_says_its_language(site):
    assert '<html class="no-js" lang="en"' in (site / "docs" / "lecture.html").read_text(encoding="utf-8")
    assert '<html class="no-js" lang="ru"' in (site / "docs" / "lecture.ru.html").read_text(encoding="utf-8")


BROKEN = {"a page": "gone-page.md", "a place": "index.md#gone-place", "a place here": "#gone-here"}


def test_links_and_pictures_that_lead_nowhere_fail_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    links = [f"[{name}]({target})" for name, target in BROKEN.items()]
    page = "\n\n".join(["# A page", *links, "![a picture](gone-picture.svg)"])
    (tmp_path / "docs" / "index.md").write_text(page, encoding="utf-8")
    options = ["-q", "-b", "html", "-c", ROOT / "docs" / "website", "--fail-on-warning"]
    done = run("sphinx", *options, tmp_path, tmp_path / "out")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "toctree" not in line]
    for lost in ("gone-page.md", "gone-place", "gone-here", "gone-picture.svg"):
        assert any(lost in line for line in told), lost
