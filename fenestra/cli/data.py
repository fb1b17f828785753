"""The verbs ``data fetch``, ``check``, ``convert`` and ``split``. What they use is imported when they run."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fenestra.cli.arguments import count, label_list, output_file
from fenestra.cli.corpora import FORMATS, add_reading, reading_of
from fenestra.cli.shell import Verbs, add_actions, add_verb, complain, say
from fenestra.cli.waiting import waiting

if TYPE_CHECKING:
    from fenestra.training.data.split import Size

_add_verb = partial(add_verb, extra="train")
_FETCHED = (
    "a corpus: conll2003; vectors: glove, glove50, navec, spacy-md; clusters: brown, brown-es, brown-de; "
    "lexicon: names, names-ru, brands, brands-ru"
)


def add_data(verbs: Verbs) -> None:
    """Add the verbs to a command line."""
    actions = add_actions(verbs, "data", "get a known corpus, vectors or lists; check, convert or split a corpus")
    fetch = _add_verb(
        actions,
        "fetch",
        _fetch,
        "get a known corpus, vectors, clusters or names and print where they are",
        examples="  fenestra data fetch conll2003\n  fenestra data fetch glove --force",
    )
    fetch.add_argument("name", metavar="NAME", help=_FETCHED)
    fetch.add_argument("--force", action="store_true", help="get it again although it is there")
    check = _add_verb(
        actions,
        "check",
        _check,
        "say what is in a corpus and what is wrong with it, by path:line",
        collect="files",
        examples=(
            "  fenestra data check corpus.conll --labels PER,LOC,ORG\n"
            "  fenestra data check germeval.tsv --word-column 1 --tag-column 2\n"
            "  fenestra data check dev.conll test.conll --against train.conll --vectors glove"
        ),
    )
    check.add_argument("files", metavar="FILE", nargs="+", help="annotated files of any format; or NAME:SPLIT")
    check.add_argument(
        "--against", metavar="FILE", action="append", default=[], help="training data: what of it comes back in FILE"
    )
    check.add_argument("--vectors", metavar="SOURCE", help="word vectors: how many of the words they know")
    add_reading(check, "--format")
    check.add_argument("--labels", metavar="A,B,…", type=label_list, help="the labels there may be; any unless given")
    check.add_argument("--json", action="store_true", help="print JSON")
    _add_convert(actions)
    split = _add_verb(
        actions,
        "split",
        _split,
        "cut a corpus in two between documents, or between sentences where it marks none",
        examples=(
            "  fenestra data split corpus.conll 80% train.conll dev.conll\n"
            "  fenestra data split corpus.conll 110 first.conll others.conll\n"
            "  fenestra data split corpus.conll 80% train.conll dev.conll --shuffle --seed 7"
        ),
    )
    split.add_argument("file", metavar="FILE", type=Path, help="one token a line, plain or compressed")
    split.add_argument(
        "size",
        metavar="SIZE",
        type=_size,
        help="documents of the first part, or their share, 80%%; sentences, where no document is marked",
    )
    split.add_argument("first", metavar="FIRST", type=output_file, help="new file for the first part")
    split.add_argument("rest", metavar="REST", type=output_file, help="new file for the others")
    split.add_argument(
        "--shuffle", action="store_true",
        help="choose the documents of the first part at random: for a corpus that is sorted by date or topic; each "
        "file keeps their order",
    )  # fmt: skip
    split.add_argument(
        "--seed", metavar="NUMBER", type=count, help="of --shuffle: the same number chooses the same (default: 1)"
    )


def _add_convert(actions: Verbs) -> None:
    parser = _add_verb(
        actions,
        "convert",
        _convert,
        "write a corpus in another format; what a file is, its name and contents tell (docs/formats.md)",
        examples=(
            "  fenestra data convert export.jsonl train.conll\n"
            "  fenestra data convert project-1.json train.conll --from label-studio --misaligned drop\n"
            "  fenestra data convert brat/ train.parquet\n"
            "  fenestra data convert train.conllu train.conll --tag-column NE --to-scheme BIOES\n"
            "  fenestra data convert train.conll train.doccano.jsonl\n"
            "  fenestra data convert train.conll train.jsonl --to prodigy"
        ),
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a file, compressed or not, or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="a new file; for brat a new folder")
    add_reading(parser, "--from")
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        choices=FORMATS,
        help="format of OUT, one of the same; by its name unless given: x.conllu, x.doccano.jsonl",
    )
    parser.add_argument(
        "--to-scheme", metavar="SCHEME", choices=["IOB2", "IOB1", "BIOES", "BILOU", "BMES", "IO"], default="IOB2",
        help="how OUT writes spans as tags, where it has tags: IOB2, IOB1, BIOES, BILOU, BMES or IO (default: IOB2)",
    )  # fmt: skip


def _size(text: str) -> "Size":
    from fenestra.training.data.split import Size

    try:
        return Size.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number such as 110 or a share such as 80%, got {text!r}"
        ) from None


def _fetch(options: argparse.Namespace) -> None:
    from fenestra.training.sources import fetch

    say(str(fetch(options.name, force=options.force)))


def _check(options: argparse.Namespace) -> int:
    from fenestra.training.config import VectorsConfig
    from fenestra.training.data.check import check_corpus
    from fenestra.training.data.corpus import find_corpus
    from fenestra.training.vectors.vectors import load_vectors

    with waiting("reading the vectors") as wait:
        vectors = load_vectors(VectorsConfig(source=options.vectors)) if options.vectors else None
        wait.begin("reading the corpora")
        found = check_corpus(
            [find_corpus(name, Path()) for name in options.files],
            against=[find_corpus(name, Path()) for name in options.against],
            vectors=vectors,
            labels=options.labels,
            **reading_of(options),
        )
    say(json.dumps(found.as_dict(), ensure_ascii=False, indent=1) if options.json else str(found))
    if found.ok:
        return 0
    return complain(f"the corpus has errors, which the report lists: {found.error_count:,}", code=2)


def _convert(options: argparse.Namespace) -> None:
    from fenestra.training.data.convert import convert_corpus

    with waiting("converting"):
        done = convert_corpus(
            options.source, options.target, to=options.to, to_scheme=options.to_scheme, **reading_of(options)
        )
    complain("\n".join(f"{options.source}: {note}" for note in done.notes), code=0)
    say(str(done))


def _split(options: argparse.Namespace) -> None:
    from fenestra.training.data.split import split_corpus

    if options.seed is not None and not options.shuffle:
        options.parser.error("--seed: expected --shuffle beside it")
    seed = (1 if options.seed is None else options.seed) if options.shuffle else None
    for part in split_corpus(options.file, options.size, options.first, options.rest, seed=seed):
        say(str(part))
