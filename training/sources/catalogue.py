"""All sets that can be fetched, by name."""

from typing import get_args

from fenestra.model.errors import ConfigError
from fenestra.model.suggest import did_you_mean
from fenestra.training.sources.brands import BRANDS, BRANDS_RU
from fenestra.training.sources.brown import BROWN, BROWN_DE, BROWN_ES
from fenestra.training.sources.conll2003 import CONLL2003
from fenestra.training.sources.glove import GLOVE, GLOVE50
from fenestra.training.sources.names import NAMES
from fenestra.training.sources.names_ru import NAMES_RU
from fenestra.training.sources.navec import NAVEC
from fenestra.training.sources.source import Kind, Source
from fenestra.training.sources.spacy_md import SPACY_MD

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        CONLL2003,
        GLOVE,
        GLOVE50,
        NAVEC,
        SPACY_MD,
        BROWN,
        BROWN_ES,
        BROWN_DE,
        NAMES,
        NAMES_RU,
        BRANDS,
        BRANDS_RU,
    )
}


def available(kind: Kind | None = None) -> list[str]:
    """Names of the sets that can be fetched, of one kind or of all."""
    return [source.name for source in SOURCES.values() if kind in (None, source.kind)]


def find(name: str) -> Source:
    """Look a set up.

    Raises:
        ConfigError: there is no such set; lists those there are by their kind.
    """
    if name not in SOURCES:
        known = "; ".join(f"{kind}: {', '.join(available(kind))}" for kind in get_args(Kind))
        raise ConfigError(f"{name}: unknown set, expected one of these: {known}{did_you_mean(name, SOURCES)}")
    return SOURCES[name]
