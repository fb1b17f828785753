"""What the model card says of a model that was made from another one and corrections."""

from contextlib import suppress
from pathlib import Path

from fenestra.model import checkpoint
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.errors import CheckpointError
from fenestra.training.fit.score import LabelScore
from fenestra.training.job import JOB
from fenestra.training.learn.figures import Elsewhere, Figures


def described(source: Path, start: Checkpoint, figures: Figures) -> tuple[str, str]:
    """Name and description of the new model.

    What the card of the old one says of sources and licences holds for the new one, and is taken over.
    """
    name, description = source.name, ""
    with suppress(CheckpointError, KeyError, TypeError):  # a model may have been made without a job
        config = checkpoint.read_extra(source, JOB)["config"]
        name, description = str(config["name"]) or name, str(config["description"])
    about = (
        f"Made by `fenestra learn` from {figures.corrections} corrected texts and the model {source.name} "
        f"{start.version}, whose weights it began with.\n\n{_table(figures)}\n\n{_elsewhere(figures.elsewhere)}"
    )
    before = f"\n\nOf the model before:\n\n{description.strip()}" if description.strip() else ""
    title = name if name.endswith(_CORRECTED) else f"{name}{_CORRECTED}"
    return title, about + before


_CORRECTED = ", corrected"


def _elsewhere(found: Elsewhere) -> str:
    if found.lost is None:
        return (
            "Nobody knows what it lost elsewhere: there was no text to ask. "
            "The development corpus below is the corrections themselves."
        )
    return (
        f"Elsewhere it lost {found.lost:.2f} F1 points, as the model before it judges {found.texts:,} sentences "
        "without labels. The development corpus below is these, with its answers."
    )


def _table(figures: Figures) -> str:
    rows = [("the corrections", figures.learned)]
    if figures.held_out:
        rows.append(("corrections that were held out", figures.held_out))
    lines = ["| F1 | before | after |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {_f1(change.before)} | {_f1(change.after)} |" for name, change in rows)])


def _f1(score: LabelScore) -> str:
    return f"{100 * score.f1:.1f}"
