"""Schemes of files: how their tags write spans, and which tags may follow one another in each.

    tokens   Ada    Lovelace  met  Siemens
    IOB2     B-PER  I-PER     O    B-ORG      also called BIO
    IOB1     I-PER  I-PER     O    I-ORG      B only where two spans of one label touch
    BIOES    B-PER  E-PER     O    S-ORG      also called IOBES
    BILOU    B-PER  L-PER     O    U-ORG      also called BILUO
    BMES     B-PER  E-PER     O    S-ORG      M inside of longer spans; BMEWO writes W for S
    IO       PER    PER       O    ORG        or I-PER; spans that touch melt into one

``lenient`` is no scheme: it takes any of these prefixes and reads broken sequences as conlleval does. Spans are read
from prefixes B, I, E and S (``training/data/spans.py``); :func:`plain` gives the others these names.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from fenestra.model.tags import OUTSIDE, split_tag
from fenestra.training.data.spans import Span, spans, touching, write_tags

FileScheme = Literal["IOB1", "IOB2", "BIOES", "BILOU", "BMES", "IO", "lenient"]
WriteScheme = Literal["IOB2", "IOB1", "BIOES", "BILOU", "BMES", "IO"]

_PREFIXES: dict[FileScheme, str] = {
    "IOB1": "BI",
    "IOB2": "BI",
    "BIOES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMESW",
    "IO": "I",
    "lenient": "BIESLUMW",
}
"""Prefixes that a scheme has, in the order begin, inside, end, single where it has all."""
_WRITTEN_PLAIN = ("IOB2", "IOB1", "BIOES")
_PLAIN = {"L": "E", "U": "S", "M": "I", "W": "S"}
_TAG = re.compile(r"O|[BIESLUMW]-\S+")
_PREFIXED = re.compile(r"[A-Z][-_]")
_BARE = re.compile(r"[^\W_]+")
_LENIENT = 'scheme = "lenient" (--scheme lenient) reads such tags as conlleval does'


def detect_scheme(sentences: Iterable[Sequence[str]]) -> FileScheme:
    """Detect from its tags how a file writes spans; a file without any ``B-`` is IOB1.

    >>> detect_scheme([["I-PER", "I-PER", "O", "I-LOC", "B-LOC"]]), detect_scheme([["B-PER", "I-PER"]])
    ('IOB1', 'IOB2')
    >>> detect_scheme([["B-PER", "L-PER"]]), detect_scheme([["B-PER", "M-PER", "E-PER"]])
    ('BILOU', 'BMES')
    """
    neighbours = {pair for tags in sentences for pair in pairwise((OUTSIDE, *tags))}
    split = [(split_tag(before), split_tag(tag)) for before, tag in neighbours]
    prefixes = {prefix for _, (prefix, _) in split}
    if not prefixes.isdisjoint("LU"):
        return "BILOU"
    if not prefixes.isdisjoint("MW"):
        return "BMES"
    if not prefixes.isdisjoint("ES"):
        return "BIOES"
    return "IOB2" if any(prefix == "B" and last != label for (_, last), (prefix, label) in split) else "IOB1"


def tag_fault(tag: str, *, bare: bool) -> str:
    """What is wrong with a tag by itself; empty if nothing is.

    Args:
        tag: as the file has it.
        bare: whether the scheme is IO, whose tags are labels, with or without ``I-``.
    """
    if bare:
        prefixed = _TAG.fullmatch(tag) and tag != OUTSIDE and tag[0] != "I"
        return f"{shown(tag)} in a file tagged IO, expected O, LABEL or I-LABEL" if prefixed or not tag else ""
    if _TAG.fullmatch(tag):
        return ""
    advice = '; scheme = "IO" (--scheme IO) reads labels without a prefix' if _BARE.fullmatch(tag) else ""
    expected = "expected O, B-LABEL or I-LABEL (in BIOES also E-LABEL, S-LABEL)"
    return f"{shown(tag)} is not a tag, {expected}{advice}"


def could_be_tag(tag: str) -> bool:
    """Whether this is a tag, or looks like one that is misspelt: ``B_PER``."""
    return tag == OUTSIDE or _PREFIXED.match(tag) is not None


@lru_cache(1 << 12)
def plain(tag: str, scheme: FileScheme) -> str:
    """The same tag with the prefixes B, I, E and S.

    >>> plain("U-PER", "BILOU"), plain("PER", "IO"), plain("O", "IO")
    ('S-PER', 'I-PER', 'O')
    """
    if tag == OUTSIDE:
        return tag
    if scheme == "IO":
        return tag if tag.startswith("I-") else f"I-{tag}"
    return _PLAIN.get(tag[0], tag[0]) + tag[1:]


def transition_faults(tags: Sequence[str], scheme: FileScheme) -> Iterator[tuple[int, str]]:
    """Find the tags of a sentence that its scheme does not allow where they stand: position, and what is wrong."""
    if scheme in ("IO", "lenient"):
        return
    prefixes = _PREFIXES[scheme]
    has_ends = len(prefixes) > 2
    for position, (before, tag) in enumerate(pairwise((OUTSIDE, *tags, OUTSIDE))):
        if before == tag == OUTSIDE:
            continue
        (last, last_label), (prefix, label) = split_tag(plain(before, scheme)), split_tag(plain(tag, scheme))
        if has_ends and last in "BI" and not (prefix in "IE" and label == last_label):
            after = f"{prefixes[1]}-{last_label} or {prefixes[2]}-{last_label}"
            yield position - 1, f"{shown(before)} is not closed, expected {after} after it"
        elif tag != OUTSIDE and tag[0] not in prefixes:
            yield position, f"{shown(tag)} in a file tagged {scheme}, expected only {_allowed(prefixes)}"
        elif prefix == "B" and scheme == "IOB1" and last_label != label:
            yield (
                position,
                f"{shown(tag)} after {shown(before)} in a file tagged IOB1, expected B- only after its own label",
            )
        elif prefix in "IE" and scheme != "IOB1" and (last not in "BI" or last_label != label):
            where = f"after {shown(before)}" if position else "at the start of a sentence"
            change = "the label changes inside an entity" if last in "BI" else "no entity is open"
            yield position, f"{shown(tag)} {where}: {change}, expected B-{label} first"


def with_advice(message: str) -> str:
    """The message about a broken sequence, and how to read it nevertheless."""
    return f"{message}; {_LENIENT}"


def write_in(found: Sequence[Span], length: int, scheme: WriteScheme) -> list[str]:
    """Write spans that do not overlap as ``length`` tags of any scheme.

    >>> write_in([Span(0, 2, "PER"), Span(2, 3, "PER")], 3, "BILOU"), write_in([Span(0, 1, "PER")], 1, "IOB1")
    (['B-PER', 'L-PER', 'U-PER'], ['I-PER'])
    """
    if scheme in ("IOB2", "BIOES", "IO"):
        return write_tags(found, length, scheme)
    if scheme == "IOB1":
        tags = write_tags(found, length)
        for start, _, label in set(found).difference(touching(found)):
            tags[start] = f"I-{label}"
        return tags
    names = {"E": "L", "S": "U"} if scheme == "BILOU" else {"I": "M"}
    return [names.get(tag[0], tag[0]) + tag[1:] for tag in write_tags(found, length, "BIOES")]


def read_spans(tags: Sequence[str], scheme: FileScheme) -> list[Span]:
    """The spans that tags of a scheme write."""
    return spans(tags if scheme in _WRITTEN_PLAIN else [plain(tag, scheme) for tag in tags])


def shown(text: str) -> str:
    """A piece of a file as a message quotes it: short, and without control characters."""
    return repr(text) if len(text) <= 40 else repr(text[:40]) + "…"


def _allowed(prefixes: str) -> str:
    *some, last = (OUTSIDE, *(f"{prefix}-LABEL" for prefix in prefixes))
    return f"{', '.join(some)} and {last}"
