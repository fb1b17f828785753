"""The verb ``evaluate``. What it uses is imported when it runs."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from fenestra.cli.arguments import model_folder, output_file
from fenestra.cli.corpora import add_corpus_options, load_model, read_annotated
from fenestra.cli.shell import Verbs, add_verb, aligned, need, say
from fenestra.cli.waiting import waiting

if TYPE_CHECKING:
    from fenestra.training.fit.score import LabelScore
    from fenestra.training.report.evaluation import Evaluation, Variant


def add_evaluate(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "evaluate",
        _evaluate,
        "score a model on an annotated corpus: per label and together, token accuracy, confusion matrix",
        collect="corpora",
        extra="train",
        examples=(
            "  fenestra evaluate --model runs/sample data/sample/test.conll\n"
            "  fenestra evaluate --model runs/news --rename GPE=LOC --rename DATE=O --json scores.json gum.conll\n"
            "  fenestra evaluate --model runs/news conll2003:test --seen conll2003:train --variants all"
        ),
    )
    parser.add_argument(
        "corpora", metavar="FILE", nargs="+", help="annotated files of any format, or NAME:SPLIT of a fetched one"
    )
    parser.add_argument(
        "--model", metavar="DIR", type=model_folder, required=True,
        help="checkpoint folder, or the name of a bundled model",
    )  # fmt: skip
    parser.add_argument(
        "--json", metavar="OUT", type=output_file, help="also write everything that was measured, as JSON"
    )
    add_corpus_options(parser, "the model")
    parser.add_argument(
        "--seen", metavar="FILE.conll", action="append", default=[],
        help="what the model learnt from: score its entities and all others apart",
    )  # fmt: skip
    parser.add_argument(
        "--variants", metavar="A,B,…", type=_variants, default=(),
        help="score the same text written otherwise: lower, upper, typos, unpunctuated, alone, or all of them",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _variants(text: str) -> tuple[str, ...]:
    from fenestra.training.data.perturbations import VARIANTS

    if text == "all":
        return tuple(VARIANTS)
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in VARIANTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}, expected all, or some of {', '.join(VARIANTS)}")
    return names


def _evaluate(options: argparse.Namespace) -> None:
    need("seqeval")
    from fenestra.training.report.evaluation import known_entities, measure, measure_variants

    with waiting("loading the model") as wait:
        tagger = load_model(options.model, options.device)
        wait.begin("reading the corpora")
        gold = read_annotated(options, options.corpora, tagger.labels, like=options.model)
        known = (
            known_entities(read_annotated(options, options.seen, tagger.labels, like=options.model).sentences)
            if options.seen
            else None
        )
        wait.begin("tagging and scoring")
        found = measure(tagger, gold.sentences, known)
        variants = measure_variants(tagger, gold.sentences, options.variants, found.scores.micro)
    say(_evaluation_text(found))
    if variants:
        say(f"\n{_variants_text(found, variants)}")
    if options.json:
        about = {"model": str(options.model), "version": tagger.version, "corpus": gold.name, "sha256": gold.sha256}
        measured = {**about, **found.as_dict(), "variants": {name: asdict(v) for name, v in variants.items()}}
        options.json.write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _evaluation_text(found: "Evaluation") -> str:
    """The figures as a person reads them in a terminal."""
    scores = found.scores
    rows = [*scores.labels.items(), ("all (micro)", scores.micro)]
    if found.familiarity:
        rows += [("seen in training", found.familiarity.seen), ("unseen", found.familiarity.unseen)]
    table = [["", "precision", "recall", "F1", "entities"]]
    table += [[name, *_shares(scores), f"{scores.support:,}"] for name, scores in rows]
    thresholds = [["score from", "precision", "recall", "F1", "kept"]]
    thresholds += [
        [f"{kept.threshold:.2f}" if kept.threshold else "all", *_shares(kept.scores), f"{kept.count:,}"]
        for kept in found.thresholds
    ]
    matrix = [["gold \\ predicted", *found.confusion.labels]]
    matrix += [
        [label, *(f"{count:,}" for count in counts)]
        for label, counts in zip(found.confusion.labels, found.confusion.counts, strict=True)
    ]
    return (
        f"{aligned(table)}\n\n"
        f"token accuracy {scores.token_accuracy:.2%} of {found.tokens:,} tokens in {found.sentences:,} sentences\n"
        f"expected calibration error {found.reliability.expected_calibration_error:.4f}, "
        f"Brier score {found.reliability.brier_score:.4f}\n\n"
        f"{aligned(thresholds)}\n\n"
        f"{aligned(matrix)}"
    )


def _variants_text(whole: "Evaluation", variants: "dict[str, Variant]") -> str:
    head = ["variant", "precision", "recall", "F1", "share of F1", "calibration error"]
    error = whole.reliability.expected_calibration_error
    table = [head, ["as it is", *_shares(whole.scores.micro), f"{1:.2%}", f"{error:.4f}"]]
    table += [
        [name, *_shares(found.scores), f"{found.share_of_f1:.2%}", f"{found.calibration_error:.4f}"]
        for name, found in variants.items()
    ]
    return aligned(table)


def _shares(scores: "LabelScore") -> list[str]:
    return [f"{value:.2%}" for value in (scores.precision, scores.recall, scores.f1)]
