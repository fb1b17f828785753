"""Who takes part: ours always, and the peers that the environment names.

    PEER_PYTHON, SPACY_MODEL           a Python with spaCy and a pipeline, which runs as installed and with OpenBLAS
    CRF_PYTHON, CRF_MODEL, PEER_DIR    a Python with sklearn-crfsuite, a model, the folder of the crf.py that trained it

A peer is any model that was trained on the same data, in a virtual environment that has what it needs.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SPACY = ("PEER_PYTHON", "SPACY_MODEL")
CRF = ("CRF_PYTHON", "CRF_MODEL", "PEER_DIR")
WAYS = ("raw", "tokens")
OURS, COLUMNAR = "ours", "ours, columnar"


class Entrant(NamedTuple):
    """What starts a contender with so many threads, and what it can be asked."""

    name: str
    threads: int
    command: list[str]
    ways: tuple[str, ...] = WAYS
    forgets: bool = False
    """Whether a first pass, with nothing remembered, is told apart."""
    large_only: bool = False
    """Whether it has no calls of a single sentence of its own."""


def entrants(
    model: Path, material: Path, copies: int, threads: Sequence[int], environment: Mapping[str, str] = os.environ
) -> tuple[list[Entrant], list[str]]:
    """Who can take part.

    Args:
        model: our checkpoint.
        material: the file for :class:`benchmarks.contest.protocol.Material`.
        copies: of the documents, of which there may be passes.
        threads: numbers of threads to compare with.
        environment: names the peers.

    Returns:
        Entrants, those of equal threads together, ours first; and a line for each peer that is left out.
    """
    paths = {name: str(Path(environment[name]).absolute()) for name in (*SPACY, *CRF) if environment.get(name)}
    skipped = [f"no {peer}: {', '.join(missing)} not set" for peer, missing in _missing(paths).items()]
    found = []
    for count in threads:
        shared = [str(material), str(copies)]
        mine = [sys.executable, "-m", "benchmarks.contest.ours", *shared, str(model.absolute()), str(count)]
        found.append(Entrant(OURS, count, mine, forgets=True))
        found.append(Entrant(COLUMNAR, count, [*mine, "arrow"], large_only=True))
        found.append(Entrant("ours, int8", count, [*mine, "int8"]))
        found.append(Entrant("ours, reference", count, [*mine, "reference"], ways=("raw",)))
        if not _missing(paths).get("spaCy"):
            spacy = [
                paths["PEER_PYTHON"],
                "-m",
                "benchmarks.contest.spacy_peer",
                *shared,
                paths["SPACY_MODEL"],
                str(count),
            ]
            found += [Entrant("spaCy, BLIS", count, spacy), Entrant("spaCy, OpenBLAS", count, [*spacy, "openblas"])]
        if count == 1 and not _missing(paths).get("CRF"):
            crf = [paths["CRF_PYTHON"], "-m", "benchmarks.contest.crf_peer", *shared]
            found.append(Entrant("CRF", count, [*crf, paths["CRF_MODEL"], paths["PEER_DIR"]], ways=("tokens",)))
    return found, skipped


def _missing(paths: Mapping[str, str]) -> dict[str, list[str]]:
    """What each peer that cannot take part lacks."""
    lacks = {peer: [name for name in names if name not in paths] for peer, names in (("spaCy", SPACY), ("CRF", CRF))}
    return {peer: names for peer, names in lacks.items() if names}
