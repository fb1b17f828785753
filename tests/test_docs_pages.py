"""Every page that is a lesson or a task is run from its first block to its last."""

import ast
import doctest
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from docs.website import pictures
from tests.conftest import ROOT
from tests.doc_session import Session
from tests.pages import blocks, commands

SESSIONS = [
    "start", "tutorial", "own-corpus", "own-vectors", "few-labels", "thresholds", "many-texts", "gpu", "deploy",
    "monitor", "reproducibility", "lecture.ru",
]  # fmt: skip

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "model" / "README.md", *ROOT.glob("data/**/README.md")]


@pytest.mark.training
@pytest.mark.parametrize("name", SESSIONS)
def test_a_page_does_what_it_shows(name, tmp_path):
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    done, left = Session(name, tmp_path).run(page)
    assert done > 0
    assert done + len(left) >= len(re.findall(r"^```(?:python|console)$", page, re.MULTILINE))


def test_python_of_every_other_page_is_typed_in_by_a_test_of_its_own():
    """Those of other tools need their clients, and are run where these are installed."""
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    pages = [path for path in PAGES if re.search(r"^```python$", path.read_text(encoding="utf-8"), re.MULTILINE)]
    assert len(pages) > 12
    others = [path.name for path in pages if path.stem not in SESSIONS]
    assert [name for name in others if not any(f'"{name}"' in test or f"/{name}" in test for test in tests)] == []


def test_nothing_is_marked_as_not_run_but_what_installs():
    marks = {
        block.why.partition(";")[0].partition(" gigabytes")[0]
        for path in PAGES
        for block in blocks(path.read_text(encoding="utf-8"))
        if block.mark == "not run"
    }
    assert marks == {"it installs"}


def test_the_notebook_runs_what_the_page_runs():
    """Cell by cell the statements of the tutorial, which the test above runs."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    python = [cell for cell in cells if not cell.startswith("%%bash")]
    typed = "".join(block.text for block in blocks(page) if block.kind == "python")
    sources = [example.source for example in doctest.DocTestParser().get_examples(typed)]
    assert ast.unparse(ast.parse("\n".join(python))) == ast.unparse(ast.parse("\n".join(sources)))
    asked = [command for block in blocks(page) if block.kind == "console" for command, _ in commands(block.text)]
    assert [cell.partition("\n")[2] for cell in cells if cell.startswith("%%bash")] == asked


def test_commands_of_a_block_are_told_from_what_they_print():
    text = "$ cat > a <<'END'\none\nEND\n$ fenestra \\\n    tag a\n{}\n"
    assert commands(text) == [("cat > a <<'END'\none\nEND", ""), ("fenestra \\\n    tag a", "{}\n")]


def test_a_mark_belongs_to_the_block_below_it():
    page = "<!-- not run: it takes an hour -->\n```console\n$ sleep 3600\n```\n\n```python\n>>> 1\n1\n```\n"
    assert [(block.kind, block.mark, block.why) for block in blocks(page)] == [
        ("console", "not run", "it takes an hour"), ("python", "", ""),
    ]  # fmt: skip


def test_a_page_that_shows_something_else_fails(tmp_path):
    with pytest.raises(AssertionError, match="expected 2"):
        Session("wrong", tmp_path).run("```console\n$ echo 1\n2\n```\n")


def test_a_page_whose_python_gives_something_else_fails(tmp_path):
    with pytest.raises(AssertionError, match="Expected"):
        Session("wrong", tmp_path).run("```python\n>>> 1 + 1\n3\n```\n")


# ── spelling ──

RUSSIAN_TERMS = set("батчи витерби автоградом косинусная косинусное недообучение теггер токены".split())


def test_no_page_has_a_common_misspelling():
    pytest.importorskip("codespell_lib", reason="codespell is not installed: pip install '.[docs]'")
    names = [str(path.relative_to(ROOT)) for path in [*PAGES, *(ROOT / "docs" / "website").glob("*.py")]]
    words = [sys.executable, "-m", "codespell_lib", *names]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_russian_word_is_one():
    """By the dictionary that the Russian name lists are inflected with."""
    morph = pytest.importorskip("pymorphy3", reason="pymorphy3 is not installed").MorphAnalyzer()
    page = (ROOT / "docs" / "lecture.ru.md").read_text(encoding="utf-8")
    words = {word.lower() for word in re.findall(r"[а-яё]+", page, re.IGNORECASE)}
    assert len(words) > 150
    assert {word for word in words if not morph.word_is_known(word)} - RUSSIAN_TERMS == set()


def test_the_russian_lecture_has_the_files_and_tests_of_the_english_one():
    def rows(name):
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")][1:]
        return [re.findall(r"`([^`]+)`", "".join(line[2:])) for line in lines]

    assert rows("lecture.ru.md") == rows("lecture.md")


# ── pictures ──


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_shows_what_was_measured(name):
    drawn = pictures.PICTURES[name]().svg()
    assert drawn == (pictures.FOLDER / name).read_text(encoding="utf-8"), "draw it: python -m docs.website.pictures"


def test_every_picture_is_shown_with_a_text_for_those_who_do_not_see_it():
    shown = {}
    for page in PAGES:
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            shown[(page.parent / target).resolve()] = words
    assert {pictures.FOLDER / name for name in pictures.PICTURES} <= set(shown)
    assert [path.name for path, words in shown.items() if len(words.split()) < 4] == []


def test_a_picture_has_colours_for_the_night():
    for path in [*pictures.FOLDER.glob("*.svg"), ROOT / "docs" / "speed.svg"]:
        text = path.read_text(encoding="utf-8")
        assert "prefers-color-scheme:dark" in text
        assert re.search(r'role="img" aria-label="[^"]{10,}"', text), path.name
