"""Sphinx's configuration. The source folder is that of the project, so links lead where they lead in the repository."""

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.website import formulas  # noqa: E402
from docs.website.navigation import below  # noqa: E402
from fenestra.model.version import VERSION  # noqa: E402

project = "Fenestra"
release = VERSION
language = "en"
root_doc = "docs/index"
include_patterns = [
    "docs/*.md", "*.md", "model/README.md", "data/README.md", "data/*/README.md", "data/models/*/README.md",
]  # fmt: skip
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

# ── Markdown: what is read in the repository, and nothing that is not ──
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # those of GitHub
suppress_warnings = ["myst.header"]

# ── strict: a name in a docstring that leads nowhere fails the build, as a link does ──
nitpicky = True
nitpick_ignore_regex = [  # types of signatures that are of other projects, or inside of ours
    ("py:.*", r"(pathlib|collections|numpy|typing|types|httpx|pydantic|pyarrow)\..*"),
    ("py:.*", r"fenestra\.(model|app)\..*"),
    ("py:.*", r"fenestra\.client\.Line(Error|Response)"),
]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 72

html_theme = "furo"
html_title = "Fenestra"
html_logo = "../../app/pages/static/icon.svg"
html_favicon = html_logo
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["root"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
_PLAIN = {"font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"}
html_theme_options = {
    "light_css_variables": {
        **_PLAIN,
        "color-brand-primary": "#1f6f78",
        "color-brand-content": "#1f6f78",
        "color-brand-visited": "#1f6f78",
        "color-background-primary": "#fffefb",
        "color-background-secondary": "#f7f5f0",
        "color-background-border": "#dfdad0",
        "color-foreground-primary": "#20262b",
        "color-foreground-secondary": "#5a646b",
        "color-foreground-muted": "#5a646b",
        "color-highlight-on-target": "#e4eeee",
    },
    "dark_css_variables": {
        **_PLAIN,
        "color-brand-primary": "#6cc5cf",
        "color-brand-content": "#6cc5cf",
        "color-brand-visited": "#6cc5cf",
        "color-background-primary": "#14181b",
        "color-background-secondary": "#1c2226",
        "color-background-border": "#333b41",
        "color-foreground-primary": "#e7e6e1",
        "color-foreground-secondary": "#a2adb3",
        "color-foreground-muted": "#a2adb3",
        "color-highlight-on-target": "#20343a",
    },
}


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] += below(page, app.config.root_doc)


def _say_language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """What a page is read aloud in: that of ``NAME.ru.md`` is Russian."""
    context["language"] = "ru" if page.endswith(".ru") else app.config.language


_ATTRIBUTES: dict[str, list[str]] = {}
"""Docstrings of attributes, kept from napoleon: it takes what stands before a colon in the first line for a type."""


def _hide_attribute(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    if what in {"attribute", "data", "property"}:
        _ATTRIBUTES[name], lines[:] = [*lines], []


def _show_attribute(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    lines[:] = _ATTRIBUTES.pop(name, lines)


def setup(app: Sphinx) -> None:
    """Connect what is our own."""
    app.connect("autodoc-process-docstring", _hide_attribute, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _show_attribute, priority=600)
    app.connect("html-page-context", _say_language)
    app.connect("source-read", _add_navigation)
    formulas.add_renderer(app)
