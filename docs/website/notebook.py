"""Makes the notebook of the tutorial from its page: ``python -m docs.website.notebook > docs/tutorial.ipynb``.

The page is the source. Its Python is cells of code with the output that it shows, its commands are cells of bash.
"""

import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PAGE = Path(__file__).parent.parent / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def page() -> str:
    """The notebook, as JSON."""
    cells = [*_cells(PAGE.read_text(encoding="utf-8"))]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    notebook = new_notebook(cells=cells, metadata=_KERNEL)
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n"


def _cells(text: str) -> Iterator[nbformat.NotebookNode]:
    end = 0
    for block in _BLOCK.finditer(text):
        yield from _prose(text[end : block.start()])
        yield from _python(block[2]) if block[1] == "python" else _bash(block[2])
        end = block.end()
    yield from _prose(text[end:])


def _prose(text: str) -> Iterator[nbformat.NotebookNode]:
    """A cell of Markdown; links to pages beside the tutorial lead there from the notebook, too."""
    if text.strip():
        yield new_markdown_cell(text.strip())


def _python(text: str) -> Iterator[nbformat.NotebookNode]:
    """Cells of code, each up to an example that shows something."""
    lines: list[str] = []
    for example in doctest.DocTestParser().get_examples(text):
        lines.append(example.source)
        if example.want:
            yield _code("".join(lines), example.want)
            lines = []
    if lines:
        yield _code("".join(lines))


def _code(source: str, shown: str = "") -> nbformat.NotebookNode:
    """A cell with what it shows: printed by a loop, or the value of its last line."""
    outputs = []
    if shown and source.rstrip().rpartition("\n")[2].startswith((" ", "print")):
        outputs = [new_output("stream", name="stdout", text=shown)]
    elif shown:
        outputs = [new_output("execute_result", data={"text/plain": shown.rstrip("\n")}, execution_count=None)]
    return new_code_cell(source.rstrip("\n"), outputs=outputs)


def _bash(text: str) -> Iterator[nbformat.NotebookNode]:
    """A cell of bash; a service goes on in the background."""
    command = "\n".join(line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ "))
    shown = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("$ "))
    magic = "%%bash --bg" if command.startswith("fenestra serve") else "%%bash"
    outputs = [new_output("stream", name="stdout", text=shown)] if shown else []
    yield new_code_cell(f"{magic}\n{command}", outputs=outputs)


if __name__ == "__main__":
    sys.stdout.write(page())
