"""Tables in Markdown."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""A table with a line at its end; bars inside of cells are written as characters that part none.

    >>> table(["a", "b"], [["x|y", "z"]])
    '| a | b |\n|---|---|\n| x&#124;y | z |\n'
    """
    lines = [header, ["---"] * len(header), *([cell.replace("|", "&#124;") for cell in row] for row in rows)]
    return "".join(f"|{'|'.join(line)}|\n" if line[0] == "---" else f"| {' | '.join(line)} |\n" for line in lines)
