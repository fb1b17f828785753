"""The page of all settings, made from the code that reads them: ``python -m fenestra.app.settings_page > docs/settings.md``."""  # noqa: E501

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from fenestra.app.settings import PREFIX, Settings

_INTRODUCTION = """\
# Settings

<!-- Made by `python -m fenestra.app.settings_page > docs/settings.md`: change app/settings.py instead. -->

The service reads its settings from the environment, once, at its start. A variable that is empty counts as unset; one
that is unknown or out of range stops the start with one line that names it. `--model`, `--host`, `--port` and
`--device` of `fenestra serve` win over the environment. What to set when is in [operations.md](operations.md).
"""
_UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "mb": "MB",
    "tokens": "tokens",
    "texts": "texts",
    "chars": "code points",
    "waiting": "requests",
    "threads": "threads",
    "connections": "connections",
}
"""The unit of a setting, by the last word of its name."""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [_section(title, names) for title, names in _groups()]
    return "\n".join([_INTRODUCTION, *sections])


def _groups() -> Iterator[tuple[str, list[str]]]:
    """The headings among the settings' source, each with the settings below it."""
    titles = re.split(r"^    # ── (.+) ──$", inspect.getsource(Settings), flags=re.MULTILINE)[1:]
    for title, source in zip(titles[::2], titles[1::2], strict=True):
        yield (
            title,
            [name for name in re.findall(r"^    (\w+): ", source, re.MULTILINE) if name in Settings.model_fields],
        )


def _section(title: str, names: list[str]) -> str:
    lines = [f"## {title[0].upper()}{title[1:]}", "", "| setting | unit | default | effect |", "|---|---|---|---|"]
    for name in names:
        field = Settings.model_fields[name]
        cells = (f"`{PREFIX}{name.upper()}`", unit(name), _default(field), effect(field))
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join([*lines, ""])


def unit(name: str) -> str:
    """What a setting counts, or a dash.

    >>> unit("max_body_bytes"), unit("host")
    ('bytes', '–')
    """
    return _UNITS.get(name.rpartition("_")[2], "–")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def effect(field: FieldInfo) -> str:
    """What the docstring says, and which values are taken where that is not plain."""
    text = " ".join((field.description or "").split()).replace("``", "`")
    allowed = _choices(field) or _range(field)
    return f"{text} Takes {allowed}." if allowed else text


def _choices(field: FieldInfo) -> str:
    """The values of a literal type."""
    values = [f"`{value}`" for value in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    return f"{', '.join(values[:-1])} or {values[-1]}" if values else ""


def _range(field: FieldInfo) -> str:
    """Between which numbers a setting lies, if it has an upper end: that it is not negative goes without saying."""
    least = [bound.ge for bound in field.metadata if isinstance(bound, annotated_types.Ge)]
    most = [bound.le for bound in field.metadata if isinstance(bound, annotated_types.Le)]
    return f"{least[0]} to {most[0]}" if least and most else ""


if __name__ == "__main__":
    sys.stdout.write(page())
