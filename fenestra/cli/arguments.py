"""The types of arguments: what a verb takes is refused here, before any work, in words that say what was expected."""

import argparse
import math
import os
import sys
from pathlib import Path

from fenestra.cli.places import as_path, is_remote
from fenestra.cli.shell import CommandParser


def output_file(text: str) -> Path:
    """The type of an argument that names a file to write: refused before the work, not after it."""
    path = Path(text)
    if text == "-":
        raise argparse.ArgumentTypeError("- is standard output, where results go without it; for such a file say ./-")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, expected a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no folder {path.parent}")
    return path


def result_file(text: str) -> Path:
    """The type of an argument that names a file to write, or its URL."""
    path = as_path(text)
    return path if is_remote(path) else output_file(str(path) if "://" in text else text)


def output_folder(text: str) -> Path:
    """The type of an argument that names a folder to write to; it need not be there."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file, expected a folder")
    return path


def result_folder(text: str) -> Path:
    """The type of an argument that names a folder to write to, or its URL; it need not be there."""
    path = as_path(text)
    return path if is_remote(path) else output_folder(str(path))


def output_place(text: str) -> tuple[Path | None, Path | None]:
    """The type of an argument that names a file to write or, with a slash at its end, a folder; gives one of both."""
    return (None, result_folder(text)) if text.endswith(("/", os.sep)) else (result_file(text), None)


def model_folder(text: str) -> Path:
    """The type of an argument that names a model: a checkpoint folder, or a bundled model by its name."""
    from fenestra.model.bundled import find_model
    from fenestra.model.errors import InputError

    try:
        return find_model(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_model(parser: CommandParser) -> None:
    """Add the option that names a model."""
    parser.add_argument(
        "--model", metavar="DIR", type=model_folder,
        help="checkpoint folder, or the name of a bundled model (default: the bundled English model)",
    )  # fmt: skip


def whole_number(text: str) -> int:
    """The type of an argument that counts something."""
    return _count(text, "a whole number", 1_000_000)


def count(text: str) -> int:
    """The type of an argument that counts something, of which there may be none."""
    return _count(text, "a whole number", 1_000_000, least=0)


def seed_number(text: str) -> int:
    """The type of an argument that seeds random generators."""
    return _count(text, "a whole number", 2**31 - 1, least=0)


def port_number(text: str) -> int:
    """The type of an argument that is a TCP port; 0 takes a free one."""
    return _count(text, "a TCP port", 65_535, least=0)


def worker_count(text: str) -> int | None:
    """The type of an argument that says how many processes; ``auto`` is None, as if it were not given."""
    return None if text == "auto" else whole_number(text)


def byte_count(text: str) -> int:
    """The type of an argument that limits a length in bytes."""
    return _count(text, "a whole number of bytes", 10**12)


def _count(text: str, what: str, most: int, *, least: int = 1) -> int:
    if not text.isascii() or not text.isdecimal() or not least <= (found := int(text[:20])) <= most:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}, expected {what} from {least} to {most}")
    return found


def points(text: str) -> float:
    """The type of an argument in points of F1, of which all are 100."""
    return _number(text, "points from 0 to 100", 100)


def megabytes(text: str) -> float:
    """The type of an argument in units of 10⁶ bytes."""
    return _number(text, "a number of MB, 0 or more", sys.float_info.max)


def probability(text: str) -> float:
    """The type of an argument from 0 to 1."""
    return _number(text, "a number from 0 to 1", 1)


def _number(text: str, what: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}, expected {what}")
    return value


def label_list(text: str) -> tuple[str, ...]:
    """The type of an argument that lists labels, or tags, in order, with commas between."""
    labels = tuple(label.strip() for label in text.split(","))
    if "" in labels:
        raise argparse.ArgumentTypeError(f"{text!r}, expected labels with commas between, such as LOC,PER")
    return labels


def label_names(text: str) -> frozenset[str]:
    """The type of an argument that lists labels whose order says nothing."""
    return frozenset(label_list(text))


def renaming(text: str) -> tuple[str, str]:
    """The type of an argument that gives a label another name."""
    label, equals, target = text.partition("=")
    if not (label and equals and target):
        raise argparse.ArgumentTypeError(f"{text!r}, expected LABEL=LABEL")
    return label, target


def entities_key(text: str) -> str:
    """The type of an argument that names the key of an object that entities go to."""
    if text in ("", "text", "tokens"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected another key than those of the input")
    return text
