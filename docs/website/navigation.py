"""The order of the site's pages: section → pages; a page that has others below it is a pair.

A page that is in no section fails the build.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

Page: TypeAlias = "str | tuple[str, Sequence[str]]"

NAVIGATION: dict[str, Sequence[Page]] = {
    "Start": ["docs/start", "docs/tutorial", "README"],
    "How-to": [
        ("docs/own-corpus", ["docs/formats", "docs/recipes", "docs/large-corpora"]),
        ("docs/own-vectors", ["docs/vectors"]),
        ("docs/few-labels", ["docs/teachers", "docs/augmentation"]),
        "docs/learn",
        ("docs/settings-by-size", ["docs/tuning"]),
        "docs/compare",
        "docs/thresholds",
        ("docs/many-texts", ["docs/tagging", "docs/arrow", "docs/ray"]),
        "docs/gpu",
        ("docs/deploy", ["docs/operations"]),
        "docs/monitor",
        (
            "docs/integrations",
            [
                "docs/client",
                "docs/huggingface",
                "docs/kserve",
                "docs/label-studio",
                "docs/mcp",
                "docs/presidio",
                "docs/presidio-service",
                "docs/spacy",
            ],
        ),
    ],
    "Reference": [
        "docs/python",
        "docs/command-line",
        "docs/http",
        "docs/training-settings",
        "docs/settings",
        "docs/glossary",
    ],
    "Explanation": [
        ("docs/idea", ["model/README"]),
        "docs/reproducibility",
        "docs/calibration",
        "docs/speed",
        "docs/accuracy",
        "docs/promises",
    ],
    "Lecture": ["docs/lecture", "docs/lecture.ru"],
    "Project": [
        (
            "data/README",
            ["data/models/english/README", "data/models/russian/README", "data/sample/README"],
        ),
        "CONTRIBUTING",
        "CHANGELOG",
    ],
}
SHORT = {
    "README": "Everything on one page",
    "docs/start": "Five minutes",
    "docs/tutorial": "Tutorial",
    "docs/own-corpus": "Your own corpus",
    "docs/own-vectors": "Your own vectors",
    "docs/few-labels": "Few labels, a teacher",
    "docs/settings-by-size": "Settings by corpus size",
    "docs/tuning": "Searching settings",
    "docs/recipes": "Recipes",
    "docs/thresholds": "Precision or recall",
    "docs/training-settings": "Settings: training",
    "docs/settings": "Settings: service",
    "docs/reproducibility": "Reproducibility",
    "docs/calibration": "Calibration",
    "docs/accuracy": "Accuracy",
    "docs/lecture": "Formula → file → test",
    "docs/lecture.ru": "По-русски",
    "docs/arrow": "Tables: Arrow, DuckDB …",
    "model/README": "The model, file by file",
    "data/README": "Data and models",
}
"""What pages are called in the list, where their own titles are longer."""


def toctree(pages: Sequence[Page], caption: str = "") -> str:
    """The directive that puts pages below another one, without showing them on it."""
    names = [page if isinstance(page, str) else page[0] for page in pages]
    entries = [f"{SHORT[name]} </{name}>" if name in SHORT else f"/{name}" for name in names]
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, *entries, "```", ""])


def below(page: str, front: str) -> str:
    """What has to be added to the source of a page: the pages below it, or for the front page all sections."""
    if page == front:
        return "".join(toctree(pages, caption) for caption, pages in NAVIGATION.items())
    return "".join(toctree(entry[1]) for entry in _entries() if not isinstance(entry, str) and entry[0] == page)


def _entries() -> Iterator[Page]:
    for pages in NAVIGATION.values():
        yield from pages
