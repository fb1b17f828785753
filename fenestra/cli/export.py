"""The verb ``export``: a model as a package of another tool."""

import argparse
from pathlib import Path

from fenestra.cli.arguments import add_model, renaming
from fenestra.cli.shell import Verbs, add_actions, add_verb, need, say


def add_export(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    _add_spacy(
        add_actions(verbs, "export", "write a model as a package of another tool", title="tools", metavar="TOOL")
    )


def _add_spacy(targets: Verbs) -> None:
    parser = add_verb(
        targets,
        "spacy",
        _spacy,
        "a pipeline with the model inside, and a wheel of it that spacy.load finds by its name",
        extra="spacy",
        examples=(
            "  fenestra export spacy en/\n"
            "  pip install en/*.whl     then in Python: spacy.load('en_fenestra')\n"
            "  fenestra export spacy --model russian ru/\n"
            "  fenestra export spacy --model runs/news --name news --version 1.0.0 --rename PER=PERSON news/"
        ),
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="a new folder for both")
    add_model(parser)
    parser.add_argument(
        "--name", default="fenestra", help="of the pipeline, behind the code of its language (default: %(default)s)"
    )
    parser.add_argument("--version", help="of the package (default: Fenestra's, + c and the version of the checkpoint)")
    parser.add_argument(
        "--rename", metavar="LABEL=LABEL", type=renaming, action="append", default=[],
        help="give a label of the model another name in spaCy; O leaves it out",
    )  # fmt: skip


def _spacy(options: argparse.Namespace) -> None:
    need("spacy", "setuptools")
    from fenestra.integrations.spacy.package import export
    from fenestra.model.bundled import bundled_model
    from fenestra.model.tags import OUTSIDE

    label_map = {label: None if name == OUTSIDE else name for label, name in options.rename}
    written = export(
        options.model or bundled_model(), options.output, name=options.name, version=options.version,
        label_map=label_map,
    )  # fmt: skip
    say(f"pipeline: {written.pipeline}\nwheel: {written.wheel}")
