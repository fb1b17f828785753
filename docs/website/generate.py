"""Writes every page that is generated from the code: ``python -m docs.website.generate``."""

import sys
from collections.abc import Callable
from pathlib import Path

from docs.website import command_line, http_api, notebook, service_settings, training_settings

DOCS = Path(__file__).parent.parent
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": service_settings.page,
    "training-settings.md": training_settings.page,
    "command-line.md": command_line.page,
    "http.md": http_api.page,
    "tutorial.ipynb": notebook.page,
}


def main() -> None:
    """Write what has changed, and name it."""
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
