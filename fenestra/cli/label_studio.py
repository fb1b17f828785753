"""The verb ``label-studio``. What it uses is imported when it runs."""

import argparse
from pathlib import Path

from fenestra.cli.arguments import count, model_folder, output_folder
from fenestra.cli.shell import Verbs, add_verb


def add_label_studio(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "label-studio",
        _label_studio,
        "be an ML backend of Label Studio: predict its tasks, and learn from its annotations",
        extra="label-studio",
        examples=(
            "  fenestra label-studio --output runs/label-studio\n"
            "  fenestra label-studio --model runs/sample --label-map PER:Person,LOC:Place --retrain-after 20\n"
            "  BASIC_AUTH_USER=fenestra BASIC_AUTH_PASS=… fenestra label-studio --host 0.0.0.0"
        ),
    )
    parser.add_argument(
        "--model", metavar="DIR", type=model_folder,
        help="checkpoint folder, or the name of a bundled model, that every project begins with (default: the bundled "
        "English model)",
    )  # fmt: skip
    parser.add_argument(
        "--job", metavar="JOB.toml", type=Path,
        help="training job to which annotated texts are added (default: training goes on from the weights of --model)",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="DIR", type=output_folder, default=Path("label-studio"),
        help="folder for annotations, texts and retrained models (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--label-map", metavar="MODEL:PROJECT,…", type=label_map, default={},
        help="which label of the project a label of the model is, where their names do not tell",
    )  # fmt: skip
    parser.add_argument(
        "--retrain-after", metavar="N", type=count, default=5,
        help="changed annotations that start a training; 0 trains only when Label Studio asks (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-texts", metavar="N", type=count, default=2_000,
        help="texts of each project that are kept, and learnt from as the model labels them, so that it does not "
        "forget; 0 keeps none (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", metavar="P", default="9090", help="TCP port to listen on; 0 takes a free one (default: %(default)s)"
    )


def label_map(text: str) -> dict[str, str]:
    """The type of an argument that maps labels.

    >>> label_map("PER:Person, LOC:Place of birth")
    {'PER': 'Person', 'LOC': 'Place of birth'}
    """
    pairs = [pair.partition(":") for pair in text.split(",")]
    found = {model.strip(): project.strip() for model, _, project in pairs}
    if not all((*found, *found.values())) or len(found) != len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r}, expected pairs such as PER:Person,LOC:Place")
    return found


def _label_studio(options: argparse.Namespace) -> int:
    from fenestra.app.settings import Settings
    from fenestra.integrations.label_studio.server import serve

    settings = Settings.read(model=options.model, host=options.host, port=options.port)
    return serve(
        settings,
        options.output,
        job=options.job,
        label_map=options.label_map,
        after=options.retrain_after,
        most_texts=options.keep_texts,
    )
