"""The documentation site: the pages of ``docs/`` and the others, built by Sphinx into ``build/docs``.

The pages stay Markdown that can be read where it lies; this folder adds the order (:mod:`docs.website.navigation`), the
look (``static/``), and what is generated from the code. ``make docs`` builds and serves it.

Why Sphinx with the theme Furo, by what the package index says of upkeep in November 2026:

* Sphinx 9.2 and myst-parser 5.2 came out in the last two months; Furo's latest release is of December 2025.
* mkdocs-material 9.8 is of this month, but stands on MkDocs 1.6.1, which has had no release since August 2024.
* zensical, by the authors of mkdocs-material, is at 0.1.1.
* pydata-sphinx-theme 0.24, of this month, would do as well; its files are
  eight times as large. A theme is one line of ``conf.py``.

Sphinx also reads the roles that our docstrings are written with, and a file outside of ``docs/`` that a page links to
becomes a part of the site.
"""
