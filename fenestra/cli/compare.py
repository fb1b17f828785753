"""``fenestra compare``: two models, their configurations, their scores, their errors.

Only its arguments are described when this module is imported; what it uses is imported when it runs.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenestra.cli.arguments import model_folder, output_file
from fenestra.cli.corpora import add_corpus_options, load_model, read_annotated
from fenestra.cli.shell import Verbs, add_verb, aligned, need, say
from fenestra.cli.waiting import waiting
from fenestra.model.version import VERSION

if TYPE_CHECKING:
    from fenestra.training.report.compare import Answer, Comparison

_LISTED = 10  # errors of each list in a terminal


def add_compare(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "compare",
        _compare,
        "compare two models: configuration, scores, whether they differ by more than chance, errors gained and lost",
        collect="corpora",
        extra="train",
        examples=(
            "  fenestra compare runs/before runs/after\n"
            "  fenestra compare runs/before runs/after data/sample/test.conll --html compare.html\n"
            "  fenestra compare english runs/news conll2003:test --json compare.json"
        ),
    )
    parser.add_argument(
        "first", metavar="A", type=model_folder, help="checkpoint folder, or the name of a bundled model"
    )
    parser.add_argument("second", metavar="B", type=model_folder, help="the other one")
    parser.add_argument(
        "corpora", metavar="FILE", nargs="*",
        help="annotated files of any format, or NAME:SPLIT of a fetched one; without any, the reports are compared",
    )  # fmt: skip
    parser.add_argument("--json", metavar="OUT", type=output_file, help="also write everything that was found, as JSON")
    parser.add_argument("--html", metavar="OUT", type=output_file, help="also write it as a page")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add_corpus_options(parser, "A")


def _compare(options: argparse.Namespace) -> None:
    from fenestra.training.report.compare_page import render_comparison

    if options.corpora:
        need("seqeval")
        name, sha256, found = _on_corpora(options)
        say(_text(found))
        corpora = [{"name": name, "sha256": sha256, "comparison": found.as_dict()}]
    else:
        corpora = _of_reports(options.first, options.second)
    report = report_of(options.first, options.second, corpora)
    if not options.corpora:
        say("\n\n".join(_reported_text(corpus) for corpus in corpora) or "no corpus in common in their reports")
    say(_changed_text(report["changed"]))
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if options.html:
        options.html.write_text(render_comparison(report), "utf-8")


def report_of(first: Path, second: Path, corpora: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything about two models as plain JSON values."""
    return {
        "fenestra": VERSION,
        "first": _about(first),
        "second": _about(second),
        "changed": _changed(first, second),
        "corpora": corpora,
    }


def _about(folder: Path) -> dict[str, str]:
    from fenestra.model.manifest import read_manifest, version_of

    return {"name": folder.name, "version": version_of(read_manifest(folder)[1])}


def _changed(first: Path, second: Path) -> list[dict[str, str]] | None:
    """The fields of two jobs that differ; None if one of the checkpoints does not have its job."""
    from fenestra.training.report.markup import flatten

    jobs = [_job(folder) for folder in (first, second)]
    if None in jobs:
        return None
    one, two = (dict(flatten(job)) for job in jobs if job is not None)
    return [
        {"field": field, "first": one.get(field, ""), "second": two.get(field, "")}
        for field in dict.fromkeys([*one, *two])
        if one.get(field) != two.get(field)
    ]


def _job(folder: Path) -> Mapping[str, Any] | None:
    """The configuration that a checkpoint was made by, and the corpora and vectors by their sha256."""
    from fenestra.model.checkpoint import read_extra
    from fenestra.model.manifest import read_manifest
    from fenestra.training.job import JOB

    if JOB not in read_manifest(folder)[0]["files"]:
        return None
    found: dict[str, Any] = read_extra(folder, JOB)
    return {**found["config"], "sha256": {key: value for key, value in found.items() if key != "config"}}


def _on_corpora(options: argparse.Namespace) -> "tuple[str, str, Comparison]":
    from fenestra.training.report.compare import compare

    with waiting("loading the models") as wait:
        first, second = (load_model(folder, options.device) for folder in (options.first, options.second))
        labels = tuple(dict.fromkeys([*first.labels, *second.labels]))
        wait.begin("reading the corpora")
        gold = read_annotated(options, options.corpora, labels, like=options.first)
        wait.begin("tagging and comparing")
        return gold.name, gold.sha256, compare(first, second, gold.sentences)


def _of_reports(first: Path, second: Path) -> list[dict[str, Any]]:
    """F1 of both models by label, on every corpus that both reports have."""
    reports = [_report(folder) for folder in (first, second)]
    found = []
    for split in reports[0]["scores"]:
        corpora = [report["corpora"].get(split) for report in reports]
        if split not in reports[1]["scores"] or corpora[0]["sha256"] != corpora[1]["sha256"]:
            continue
        scores = [report["scores"][split]["scores"] for report in reports]
        labels = dict.fromkeys(label for each in scores for label in each["labels"])
        f1 = {label: [each["labels"].get(label, {}).get("f1") for each in scores] for label in labels}
        f1["all (micro)"] = [each["micro"]["f1"] for each in scores]
        named = {label: {"first": one, "second": two} for label, (one, two) in f1.items()}
        found.append({"name": f"{split}: {corpora[0]['name']}", "sha256": corpora[0]["sha256"], "f1": named})
    return found


def _report(folder: Path) -> dict[str, Any]:
    from fenestra.model.errors import InputError

    try:
        found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        found["scores"], found["corpora"]
    except FileNotFoundError:
        raise InputError(f"{folder}: has no report.json; name a corpus to compare the models on") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'report.json'}: not the report of a training job ({error})") from error
    return found


def _text(found: "Comparison") -> str:
    """The figures as a person reads them in a terminal."""
    from fenestra.training.report.compare import counted
    from fenestra.training.report.compare_page import points, probability, verdict

    rows = [["F1", "A", "B", "difference", "95 % interval", "p", "entities"]]
    for label, scores in [*found.labels.items(), ("all (micro)", found.micro)]:
        f1 = scores.f1
        rows.append(
            [
                label, f"{scores.first.f1:.2%}", f"{scores.second.f1:.2%}", points(f1.difference),
                f"{points(f1.low)} … {points(f1.high)}", probability(f1.p), f"{scores.first.support:,}",
            ]
        )  # fmt: skip
    tests = [["right are", "only in A", "only in B", "p (McNemar)"]]
    for name, test in (("tokens", found.token_test), ("whole sentences", found.sentence_test)):
        tests.append([name, f"{test.only_first:,}", f"{test.only_second:,}", probability(test.p)])
    micro = {"low": found.micro.f1.low, "high": found.micro.f1.high}
    parts = [aligned(rows), verdict(micro, "A", "B"), aligned(tests)]
    for title, errors in (("new in B", found.gained), ("gone in B", found.lost)):
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in counted(errors).items()) or "none"
        parts.append("\n".join([f"errors {title}: {kinds}", *map(_line, errors[:_LISTED]), *_rest(errors)]))
    parts.append(f"errors of both: {found.kept:,}")
    return "\n\n".join(parts)


def _line(error: "Answer") -> str:
    example = error.example
    labels = f"{error.gold or 'O'} → {error.predicted or 'O'}"
    return f"  line {example.line:,}  {labels}  {example.before} [{example.text}] {example.after}".rstrip()


def _rest(errors: "tuple[Answer, ...]") -> list[str]:
    return [f"  … and {len(errors) - _LISTED:,} more; --json or --html has them"] if len(errors) > _LISTED else []


def _reported_text(corpus: Mapping[str, Any]) -> str:
    from fenestra.training.report.compare_page import points

    rows = [["F1", "A", "B", "difference"]]
    for label, scores in corpus["f1"].items():
        one, two = scores["first"], scores["second"]
        shown = ["–" if score is None else f"{score:.2%}" for score in (one, two)]
        rows.append([label, *shown, "–" if one is None or two is None else points(two - one)])
    return f"{corpus['name']}\n{aligned(rows)}"


def _changed_text(changed: list[dict[str, str]] | None) -> str:
    if changed is None:
        return "\nconfiguration: one of the two does not say how it was made"
    lines = [f"  {c['field']}: {c['first']} → {c['second']}" for c in changed]
    return "\n".join(["", "configuration:" if lines else "configuration: the same", *lines])
