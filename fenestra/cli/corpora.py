"""How verbs read annotated corpora and models: their options, and what these lead to.

Only arguments are described when this module is imported; what reads is imported when it is called.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenestra.cli.arguments import label_list, renaming
from fenestra.cli.shell import CommandParser, complain, need

if TYPE_CHECKING:
    from fenestra.model.tagger import Tagger
    from fenestra.training.data.corpus import Corpus
    from fenestra.training.fit.recurrent_teacher import RecurrentTeacher

FORMATS = (
    "conll", "conllu", "jsonl", "doccano", "prodigy", "spacy-json", "label-studio", "brat", "hf-jsonl", "hf-parquet",
    "spacy",
)  # fmt: skip
_READING = ("format", "scheme", "word_column", "tag_column", "comments", "class_names", "misaligned", "language")


def add_corpus_options(parser: CommandParser, model: str) -> None:
    """Add all options that say how the corpora of a model are read; ``model`` is what the help calls it."""
    parser.add_argument(
        "--rename", metavar="LABEL=LABEL", type=renaming, action="append", default=[],
        help="read a label of the file as one of the model's; O leaves it out",
    )  # fmt: skip
    add_reading(parser, "--format")
    parser.add_argument(
        "--as-trained",
        action="store_true",
        help=f"read corpora as the job of {model} did: its renaming, format, scheme, columns and mentions",
    )
    parser.add_argument(
        "--root", metavar="DIR", type=Path, default=Path(), help="folder that relative files start from"
    )
    parser.add_argument("--drop-mentions", action="store_true", help="leave out user names of social media")


def add_reading(parser: CommandParser, option: str) -> None:
    """Add the options that say how corpora are read, the fields of ReadingConfig; ``option`` is that of the format."""
    reading = parser.add_argument_group("how files are read")
    reading.add_argument(
        option, dest="format", metavar="FORMAT", choices=["auto", *FORMATS], default="auto",
        help=f"format, told from name and contents unless given: {', '.join(FORMATS)}",
    )  # fmt: skip
    reading.add_argument(
        "--scheme", metavar="SCHEME", default="auto",
        choices=["auto", "IOB1", "IOB2", "BIOES", "BILOU", "BMES", "IO", "lenient"],
        help="how tags write spans: IOB1, IOB2, BIOES, BILOU, BMES, IO (labels without a prefix), or lenient, which "
        "reads broken tags as conlleval does (default: found out)",
    )  # fmt: skip
    reading.add_argument(
        "--word-column", metavar="C", default="auto",
        help="column of the word, from 0, -1 is the last; or its name, or the key of a row (default: the first)",
    )  # fmt: skip
    reading.add_argument(
        "--tag-column", metavar="C", default="auto",
        help="column of the tag, likewise; in CoNLL-U also a key of MISC (default: the last; NE, NER … of MISC)",
    )  # fmt: skip
    reading.add_argument(
        "--comments", metavar="PREFIX", default="auto",
        help="what comments begin with, or none (default: # where it cannot be a token and its tag)",
    )  # fmt: skip
    reading.add_argument(
        "--class-names", metavar="A,B,…", type=label_list, default=(),
        help="tags by number, for rows that hold numbers and do not name them: O,B-PER,I-PER",
    )  # fmt: skip
    reading.add_argument(
        "--misaligned", choices=["expand", "drop", "refuse"], default="expand",
        help="what becomes of spans that do not fall on token borders (default: %(default)s)",
    )  # fmt: skip
    reading.add_argument(
        "--language", metavar="CODE", default="en", help="of texts, whose tokens are found so (default: %(default)s)"
    )


def load_model(folder: Path, device: str) -> "Tagger | RecurrentTeacher":
    """A model of either kind; torch is needed for a recurrent one only."""
    from fenestra.model.checkpoint import read_config
    from fenestra.model.tagger import Tagger

    if read_config(folder).kind == "window":
        return Tagger.load(folder, device=device)
    need("torch")
    from fenestra.training.fit.recurrent_teacher import RecurrentTeacher

    return RecurrentTeacher.load(folder, device)


def read_annotated(options: argparse.Namespace, names: Sequence[str], labels: Sequence[str], *, like: Path) -> "Corpus":
    """Read corpora by the options; ``like`` is the model that ``--as-trained`` is about."""
    from fenestra.training.config import DataConfig
    from fenestra.training.data.corpus import read_corpora

    reading = reading_of(options) | {"rename": dict(options.rename), "drop_mentions": options.drop_mentions}
    if options.as_trained:
        reading |= _reading_of(like)
    data = DataConfig(train=tuple(names), dev=tuple(names), root=str(options.root), **reading)
    corpus = read_corpora(names, data, labels)
    complain("\n".join(corpus.notes), code=0)
    return corpus


def reading_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options that say how corpora are read."""
    return {name: getattr(options, name) for name in _READING}


def _reading_of(folder: Path) -> dict[str, Any]:
    """How the job that made a checkpoint read its corpora."""
    from fenestra.model.checkpoint import read_extra
    from fenestra.model.errors import CheckpointError
    from fenestra.training.job import JOB

    try:
        data = read_extra(folder, JOB)["config"]["data"]
        added = {key: data[key] for key in _READING if key in data}  # a checkpoint may be older than a setting
        return added | {key: data[key] for key in ("scheme", "rename", "drop_mentions")}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / JOB}: does not say how its corpora were read ({error})") from error
