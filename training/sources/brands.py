"""Brands that people meet in the street and in advertisements: shops, banks, restaurants, fuel, phones, hotels.

    phrases.tsv     KIND<TAB>phrase, the most frequent first

    brand           as the brand writes itself: Tesco; Пятёрочка
    brand_gent, brand_datv, brand_ablt, brand_loct
                    brands-ru only: those of one word in the other cases: Пятёрочки, Пятёрочке, Пятёрочкой

The Name Suggestion Index of OpenStreetMap says how often each brand stands on the map; one that stands there fewer than
fifty times is left out. Stock indices have the names of groups of companies; these are the names that people use.
``brands`` are those in Latin letters, ``brands-ru`` those in the letters of Russian. A phrase is written as in the set
``names``, a Russian one also with ``е`` for ``ё``. The cases are as pymorphy has them, or guesses them by the ending.
"""

import json
import re
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fenestra.model.errors import InputError
from fenestra.training.sources.names import phrases, tokens_of, write_phrases
from fenestra.training.sources.names_ru import DICTIONARY
from fenestra.training.sources.source import Package, Source

_INDEX = Package(
    "npm",
    "name-suggestion-index",
    "8.0.20260918",
    "3ee22f0f0a99528ac9c65a57211575defd968e21fd6374e746bfd02e94422121",
    22,
)
_KEPT = "package/dist/json/filtered/brands_keep.min.json"
_LATIN = re.compile(r"[\x20-\u024f’–]*[A-Za-z][\x20-\u024f’–]*")
_RUSSIAN = re.compile(r"[\x20-\x7e«»№—А-Яа-яЁё]*[А-Яа-яЁё][\x20-\x7e«»№—А-Яа-яЁё]*")
_WORD = re.compile(r"[А-ЯЁ][а-яё]{2,}")
_CASES = ("gent", "datv", "ablt", "loct")


def _build_latin(files: Sequence[Path], folder: Path) -> None:
    write_phrases(folder, (("brand", name) for name in phrases(filter(_LATIN.fullmatch, _read_brands(files[0])))))


def _build_russian(files: Sequence[Path], folder: Path) -> None:
    brands = list(dict.fromkeys(map(tokens_of, filter(_RUSSIAN.fullmatch, _read_brands(files[0])))))
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(files[1]) as package:
        package.extractall(unpacked)
        declined = list(_declined(brands, _dictionary(Path(unpacked))))
    named = [*(("brand", name) for name in brands), *declined]
    forms = ((kind, form) for kind, name in named for form in (name, name.replace("ё", "е")))
    write_phrases(folder, dict.fromkeys(forms))


def _read_brands(tarball: Path) -> list[str]:
    """The names of all brands, the most frequent first; a brand of several trades once."""
    with tarfile.open(tarball) as package:
        member = package.extractfile(_KEPT)
        if member is None:
            raise InputError(f"{tarball.name}: holds no brands")
        kept = json.load(member)["keep"]
    counts: Counter[str] = Counter()
    for trade_and_name, count in kept.items():
        counts[trade_and_name.partition("|")[2]] += count
    return sorted(counts, key=lambda name: (-counts[name], name))


def _dictionary(unpacked: Path) -> Path:
    """The folder that pymorphy reads."""
    return unpacked / "pymorphy3_dicts_ru" / "data"


def _declined(brands: Iterable[str], dictionary: Path) -> Iterator[tuple[str, str]]:
    """The brands of one word in the cases that differ from how they are listed, by kind."""
    from pymorphy3 import MorphAnalyzer  # only here

    analyzer = MorphAnalyzer(str(dictionary))
    parsed = (analyzer.parse(name) for name in brands if _WORD.fullmatch(name))
    found = [next((of for of in readings if {"nomn", "sing"} <= of.tag.grammemes), None) for readings in parsed]
    nominatives = [nominative for nominative in found if nominative]
    for case in _CASES:
        for nominative in nominatives:
            if (form := nominative.inflect({case})) and form.word != nominative.word:
                yield f"brand_{case}", form.word.capitalize()


_LICENCE = "Names: OpenStreetMap's Name Suggestion Index, BSD-3-Clause"
BRANDS = Source(
    "brands",
    "lexicon",
    "Brands in Latin letters, the most frequent first: the Name Suggestion Index of OpenStreetMap",
    _LICENCE,
    (_INDEX,),
    _build_latin,
    1,
)
BRANDS_RU = Source(
    "brands-ru",
    "lexicon",
    "Brands in Russian letters, in all their cases: the Name Suggestion Index of OpenStreetMap",
    f"{_LICENCE}; cases: OpenCorpora as pymorphy has it, CC BY-SA 3.0",
    (_INDEX, DICTIONARY),
    _build_russian,
    1,
)
