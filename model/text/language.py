"""What reading knows of a language: how words are shortened, and with which words sentences begin.

Rules are code and the same for all; words are data, which a checkpoint keeps (``text.json``), so that a text is read
when it is served as it was when the model was made. The languages that come along are files in ``languages/``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Self

from fenestra.model.errors import ConfigError

_FOLDER = Path(__file__).parent / "languages"
_LONGEST = 64  # characters of an entry
_MOST = 10_000  # entries of a list
DEFAULT = "en"
"""The language of a model that says nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The words that reading asks for."""

    code: str
    """ISO 639-1, such as ``en``."""
    keep_stops: bool = True
    """Whether the full stop of an abbreviation or an initial belongs to it (``Mr.``, ``J.``), as in the Penn Treebank,
    or is a token by itself."""
    titles: tuple[str, ...] = ()
    """Abbreviations, without their last full stop, that a name follows: ``Mr``. Neither line nor cell ends there."""
    abbreviations: tuple[str, ...] = ()
    """Other abbreviations. A sentence ends behind one only if one of ``openers`` follows."""
    numbered: tuple[str, ...] = ()
    """Words that a number or a letter follows: ``Phil. 4:8``, ``Fig. A``. Unless among the abbreviations, they are
    abbreviations before one only."""
    openers: tuple[str, ...] = ()
    """Words, as they are written where a sentence begins, that are no names."""
    clitics: tuple[str, ...] = ()
    """What is cut off the end of a word, in small letters, with a straight apostrophe: ``n't``."""
    particles: tuple[str, ...] = ()
    """What such an apostrophe and the letters behind it may be where they stand by themselves: ``'em``."""
    clocks: tuple[str, ...] = ()
    """What follows the time of day: ``AM``."""

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Self:  # noqa: ANN401 - JSON
        """Read back what :meth:`to_json` wrote.

        Raises:
            ConfigError: a field is unknown or missing, or a value is not what it should be.
        """
        if not isinstance(values, Mapping):
            raise ConfigError("text: expected an object")
        if strange := values.keys() - {field.name for field in fields(cls)}:
            raise ConfigError(f"text.{min(strange)}: unknown")
        code, keep = values.get("code"), values.get("keep_stops", True)
        if not isinstance(code, str) or not code.isascii() or not code.isalpha() or len(code) > _LONGEST:
            raise ConfigError("text.code: expected the code of a language, such as en")
        if not isinstance(keep, bool):
            raise ConfigError("text.keep_stops: expected true or false")
        lists = {name: values.get(name, ()) for name in _LISTS}
        for name, entries in lists.items():
            if not isinstance(entries, list | tuple) or len(entries) > _MOST or not all(map(_is_entry, entries)):
                raise ConfigError(f"text.{name}: expected a list of words without white space")
        return cls(code=code, keep_stops=keep, **{name: tuple(entries) for name, entries in lists.items()})


_LISTS = ("titles", "abbreviations", "numbered", "openers", "clitics", "particles", "clocks")


def _is_entry(entry: object) -> bool:
    return isinstance(entry, str) and 0 < len(entry) <= _LONGEST and entry.isprintable() and not set(entry) & set(" ")


@cache
def language(code: str = DEFAULT) -> Language:
    """A language that comes along.

    Raises:
        ConfigError: there is none of that code.
    """
    if code not in codes():
        raise ConfigError(f"language: {code!r} is none of {', '.join(codes())}")
    return Language.from_json(json.loads((_FOLDER / f"{code}.json").read_text(encoding="utf-8")))


@cache
def codes() -> tuple[str, ...]:
    """The codes of the languages that come along."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
