"""Russian names in all their cases, from the dictionary of OpenCorpora.

    phrases.tsv     KIND<TAB>name, the kinds as below, each in alphabetical order

    first           first names
    last            surnames, of men, women and families
    place           names of places: countries, towns, rivers
    organisation    names of organisations, mostly Soviet abbreviations: Воронежагропромтранс
    common          those names above that are also other words: Вера, Орёл

Russian names are declined, so a list of nominatives, as in a gazetteer, would miss most occurrences in a text.
The dictionary, as the package holds it for pymorphy, has every form with its grammemes (Name, Surn, Geox, Orgn), in
small letters. A name is written capitalised here, in each of its parts, and also with ``е`` for ``ё``, as it is
mostly printed. Left out: patronymics, which their suffixes show, and plurals of first names and organisations, which
are rare.
"""

import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from fenestra.training.sources.names import write_phrases
from fenestra.training.sources.source import Package, Source

DICTIONARY = Package(
    "pip",
    "pymorphy3-dicts-ru",
    "2.4.417150.4580142",
    "718bac64c73c10c16073a199402657283d9b64c04188b694f6d3e9b0d85440f4",
    8,
)
_KINDS = {"Name": "first", "Surn": "last", "Geox": "place", "Orgn": "organisation"}
_SAID_OF_ONE = {"Name", "Orgn"}
_NAMES = {*_KINDS, "Patr"}
_PLURAL, _COMMON = "plur", "common"


def _build(files: Sequence[Path], folder: Path) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    other = set()
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(files[0]) as package:
        package.extractall(unpacked)
        for word, grammemes in known_words(Path(unpacked) / "pymorphy3_dicts_ru" / "data"):
            named = grammemes & _KINDS.keys()
            if _PLURAL in grammemes:
                named -= _SAID_OF_ONE
            for form in {word, word.replace("ё", "е")}:
                if named:
                    kinds[form].update(_KINDS[name] for name in named)
                if not grammemes & _NAMES:
                    other.add(form)
    for form in kinds.keys() & other:
        kinds[form].add(_COMMON)
    write_phrases(folder, sorted((kind, form.title()) for form, found in kinds.items() for kind in found))


def known_words(folder: Path, prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Every form in a dictionary of pymorphy, with its grammemes; a form of several words comes as often.

    Args:
        folder: of the dictionary.
        prefix: only forms that begin so.
    """
    from pymorphy3.opencorpora_dict import Dictionary  # only here

    dictionary = Dictionary(str(folder))
    grammemes_of = cache(lambda paradigm, place: dictionary.build_tag_info(paradigm, place).grammemes)
    for word, (paradigm, place) in dictionary.words.iteritems(prefix):
        yield word, grammemes_of(paradigm, place)


NAMES_RU = Source(
    "names-ru",
    "lexicon",
    "Russian names in all their cases: the dictionary of OpenCorpora as pymorphy has it",
    "CC BY-SA 3.0 (OpenCorpora contributors)",
    (DICTIONARY,),
    _build,
    7,
)
