"""The report of a run as one page of HTML that needs no other file and no network.

What it is made of stands in :mod:`fenestra.training.report.markup`; everything that comes from a report is escaped.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from fenestra.training.config import parse_config, publishable_config
from fenestra.training.data.perturbations import DESCRIPTION
from fenestra.training.report.markup import card, duration, flatten, frame, pairs, table, tiles
from fenestra.training.report.plots import Line, heat_map, line_chart, reliability_chart

_SPLIT_TITLES = {"test": "Test corpus", "dev": "Development corpus"}


def render_html(report: Mapping[str, Any]) -> str:
    """Show a report as one page that needs no other file and no network; everything in it is escaped."""
    best = report["best_epoch"]
    body = [
        f'<section class="tiles">{_tiles(report)}</section>',
        _verdict(report["verdict"]),
        f'<h2>Curves{_of_first(report)}</h2>\n<section class="pair">{_curves(report["epochs"], best)}</section>',
        "".join(_split(report, split, open_=number == 0) for number, split in enumerate(_shown(report))),
        f'<h2>Data</h2>\n<section class="card">{corpora_table(report["corpora"])}</section>',
        f'<h2>Word vectors</h2>\n<section class="card">{_vectors(report["vectors"])}</section>',
        "<details><summary>Every epoch</summary>"
        f'<section class="card">{_epochs_table(report["epochs"], best)}</section></details>',
        made_of(report),
    ]
    return frame(
        title=f"{report['name']}: training report", name=report["name"], summary=_summary(report), body="\n".join(body)
    )


def made_of(report: Mapping[str, Any]) -> str:
    """The end of a report: configuration and environment."""
    environment = flatten({**report["environment"], "fenestra": report["fenestra"]})
    return (
        f'<h2>Configuration</h2>\n<section class="card">{_configuration(report["config"])}</section>\n'
        f'<h2>Environment</h2>\n<section class="card">{pairs(environment)}</section>'
    )


def _configuration(config: Mapping[str, Any]) -> str:
    """What the job set, and, folded away, what it left at its default."""
    default = default_fields()
    fields = flatten(config)
    left = [field for field in fields if field in default]
    return pairs([field for field in fields if field not in default]) + (
        f'<details class="fold"><summary>{len(left)} more fields have their defaults</summary>{pairs(left)}</details>'
        if left
        else ""
    )


@cache
def default_fields() -> frozenset[tuple[str, str]]:
    """Dotted name and text of every field of a job that sets what it must, and nothing else."""
    must = {"data": {"train": ["train.conll"], "dev": ["dev.conll"]}, "model": {"labels": ["LABEL"]}}
    dumped = publishable_config(parse_config(must))
    return frozenset(flatten(dumped)) - frozenset(flatten(must))


def _of_first(report: Mapping[str, Any]) -> str:
    """Which network the epochs are of, where the model is the mean of several."""
    members = report["config"]["training"].get("members", 1)
    return f" of the first of {members} networks, whose mean the model is" if members > 1 else ""


def _verdict(verdict: Mapping[str, Any]) -> str:
    kind, why, advice = (escape(verdict[key]) for key in ("kind", "why", "advice"))
    return (
        f'<section class="card verdict {kind.replace(" ", "-")}"><h3>Verdict: {kind}</h3>'
        f'<p>{why}</p><p class="soft">{advice}</p></section>'
    )


def _shown(report: Mapping[str, Any]) -> list[str]:
    """The splits that were evaluated, test first."""
    return [split for split in _SPLIT_TITLES if split in report["scores"]]


def _summary(report: Mapping[str, Any]) -> str:
    labels = ", ".join(report["config"]["model"]["labels"])
    when = report["created"][:16].replace("T", " ")
    return f"Labels {labels} · trained {when} UTC · Fenestra {report['fenestra']}"


def _tiles(report: Mapping[str, Any]) -> str:
    figures = []
    for split in _shown(report):
        micro = report["scores"][split]["scores"]["micro"]
        beside = report["baseline"].get(split)
        than = f"most frequent tag alone: {beside['micro']['f1']:.2%}" if beside else "entities, exact spans"
        figures.append((f"{micro['f1']:.2%}", f"F1 on {split}", than))
    epochs = report["epochs"]
    figures.append((str(report["best_epoch"]), "epoch kept", f"of {len(epochs)}"))
    speed = sum(epoch["tokens_per_second"] for epoch in epochs) / len(epochs)
    figures.append((duration(report["seconds"]), "in all", f"{speed:,.0f} tokens/s in training"))
    return tiles(figures)


def _curves(epochs: Sequence[Mapping[str, Any]], best: int) -> str:
    def line(name: str, field: str, style: str) -> Line:
        return Line(name, [epoch[field] for epoch in epochs], style)

    charts = {
        "Loss, nats per token": [line("train", "train_loss", "first"), line("dev", "dev_loss", "second")],
        "F1 and accuracy": [
            line("dev F1", "dev_f1", "first"),
            line("dev accuracy", "dev_accuracy", "second"),
            line("train accuracy", "train_accuracy", "third"),
        ],
    }
    return "".join(
        card(title, line_chart(title, lines, x_label="epoch", mark=best) + _legend(lines))
        for title, lines in charts.items()
    )


def _legend(lines: Sequence[Line]) -> str:
    entries = "".join(f'<i class="{line.style}"></i>{escape(line.name)}' for line in lines)
    return f'<p class="legend">{entries} · dashed: the epoch that was kept</p>'


def _split(report: Mapping[str, Any], split: str, *, open_: bool) -> str:
    """One evaluated corpus; the first is shown unfolded, the others can be unfolded."""
    evaluation = report["scores"][split]
    pairs = (
        card("Scores", _score_table(evaluation, report["baseline"].get(split)))
        + card("Seen and unseen entities", _familiarity_table(evaluation["familiarity"])),
        card("Confusion matrix, tokens", _confusion(evaluation["confusion"]))
        + card("Are the scores calibrated?", _reliability(evaluation["reliability"])),
        card("If only sure entities are kept", _thresholds_table(evaluation["thresholds"]))
        + card("The same text, written otherwise", _variants_table(evaluation, report["variants"][split])),
    )
    body = "".join(f'<section class="pair">{pair}</section>' for pair in pairs)
    if by_corpus := report["scores_by_corpus"].get(split):
        body += f'<section class="pair">{card("Each corpus by itself", _corpus_scores(by_corpus))}</section>'
    body += card("Most frequent errors", _errors_table(evaluation["errors"]))
    title = _SPLIT_TITLES[split]
    return f"<h2>{title}</h2>{body}" if open_ else f"<details><summary>{title}</summary>{body}</details>"


def _score_table(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    scores = evaluation["scores"]
    rows = [("", label, values) for label, values in scores["labels"].items()]
    rows.append(("sum", "all (micro)", scores["micro"]))
    if baseline:
        rows.append(("other", "baseline: most frequent tag", baseline["micro"]))
    loss = "" if evaluation["loss"] is None else f" Loss {evaluation['loss']:.4f} nats per token."
    return (
        table(("label", "precision", "recall", "F1", "entities"), [_score_row(*row) for row in rows], numbers=4)
        + f'<p class="note">Entities count as right if label, start and end are. Of {evaluation["tokens"]:,} tokens in '
        f"{evaluation['sentences']:,} sentences, {scores['token_accuracy']:.2%} have the right tag.{loss}</p>"
    )


def _score_row(style: str, name: str, values: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    return style, [escape(name), *_shares(values), f"{values['support']:,}"]


def _shares(values: Mapping[str, Any]) -> list[str]:
    return [f"{values[key]:.2%}" for key in ("precision", "recall", "f1")]


def _corpus_scores(by_corpus: Mapping[str, Any]) -> str:
    rows = [_score_row("", name, scores["micro"]) for name, scores in by_corpus.items()]
    return table(("corpus", "precision", "recall", "F1", "entities"), rows, numbers=4)


def _familiarity_table(familiarity: Mapping[str, Any]) -> str:
    rows = [_score_row("", name, familiarity[name]) for name in ("seen", "unseen")]
    return (
        table(("entity", "precision", "recall", "F1", "entities"), rows, numbers=4)
        + '<p class="note">Seen: the training corpus has an entity of the same text and label. '
        "What is scored on the unseen ones is what was learnt of contexts and of how names look.</p>"
    )


def _confusion(confusion: Mapping[str, Any]) -> str:
    picture = heat_map("Confusion matrix over tokens", confusion["labels"], confusion["counts"])
    return f'{picture}<p class="note">Per cent of the row: of the tokens that are truly so.</p>'


def _reliability(reliability: Mapping[str, Any]) -> str:
    bins = [(b["low"], b["high"], b["count"], b["mean_score"], b["accuracy"]) for b in reliability["bins"]]
    picture = reliability_chart("How often entities of a score are right", bins)
    return (
        f'{picture}<p class="note">Share of entities that are right by their score; on the dashed line, a score is a '
        f"probability. The number at a bar counts its entities, the dot is their mean score. Expected calibration "
        f"error {reliability['expected_calibration_error']:.2%}, Brier score {reliability['brier_score']:.4f}.</p>"
    )


def _thresholds_table(thresholds: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            "",
            [
                f"{kept['threshold']:.2f}" if kept["threshold"] else "all",
                f"{kept['count']:,}",
                *_shares(kept["scores"]),
            ],
        )
        for kept in thresholds
    ]
    return (
        table(("score from", "kept", "precision", "recall", "F1"), rows, numbers=4)
        + '<p class="note">Recall is of all entities of the corpus, kept or not.</p>'
    )


def _variants_table(evaluation: Mapping[str, Any], variants: Mapping[str, Any]) -> str:
    error = evaluation["reliability"]["expected_calibration_error"]
    rows = [("sum", ["original", *_shares(evaluation["scores"]["micro"]), f"{1:.1%}", f"{error:.2%}"])]
    for name, found in variants.items():
        shares = f"{found['share_of_f1']:.1%}", f"{found['calibration_error']:.2%}"
        rows.append(("", [escape(name), *_shares(found["scores"]), *shares]))
    return (
        table(("variant", "precision", "recall", "F1", "of F1", "calibration"), rows, numbers=5)
        + f'<p class="note">{escape(DESCRIPTION)} Of F1 is the share of the F1 of the original text, calibration the '
        "expected calibration error of the scores.</p>"
    )


def _errors_table(errors: Mapping[str, Any]) -> str:
    totals = " · ".join(f"{count:,} {escape(kind)}" for kind, count in errors["totals"].items())
    rows = [("", _error_row(mistake)) for mistake in errors["frequent"]]
    return f'<p class="note">{totals}</p>' + table(
        ("times", "kind", "gold", "predicted", "for example", "line"), rows, numbers=0
    )


def _error_row(mistake: Mapping[str, Any]) -> Sequence[str]:
    example = mistake["example"]
    context = f"{escape(example['before'])} <mark>{escape(example['text'])}</mark> {escape(example['after'])}"
    predicted = mistake["predicted_text"]
    return [
        f"{mistake['count']:,}",
        escape(mistake["kind"]),
        f"{escape(mistake['text'])} <b>{escape(mistake['gold'])}</b>" if mistake["gold"] else "",
        f"{escape(predicted)} <b>{escape(mistake['predicted'])}</b>" if predicted else "",
        context,
        f"{example['line']:,}",
    ]


def corpora_table(corpora: Mapping[str, Any]) -> str:
    """What was read: a row a split."""
    rows = [
        (
            "",
            [
                escape(split),
                escape(corpus["name"]),
                f"{corpus['sentences']:,}",
                f"{corpus['tokens']:,}",
                escape(", ".join(f"{label} {count:,}" for label, count in corpus["entities"].items())),
                f'<span class="code">{escape(corpus["sha256"][:12])}</span>',
            ],
        )
        for split, corpus in corpora.items()
    ]
    return table(("split", "corpus", "sentences", "tokens", "entities", "sha256"), rows, numbers=0)


def _vectors(vectors: Mapping[str, Any]) -> str:
    if not vectors["width"]:
        return '<p class="note">None: the model learnt all it knows of words from the training corpus.</p>'
    coverage = vectors["coverage"]
    rows = [
        (
            "",
            [
                name,
                f"{found['share']:.1%}",
                *(f"{found[key]:,}" for key in ("as_written", "lowered", "missing")),
            ],
        )
        for name, found in (("tokens", coverage["tokens"]), ("distinct words", coverage["types"]))
    ]
    missing = ", ".join(f"{entry['word']} ({entry['count']:,})" for entry in coverage["missing"])
    about = {key: vectors[key] for key in ("name", "words", "width", "licence", "sha256") if vectors[key]}
    return (
        pairs(flatten(about))
        + "<h3>What of the training corpus has a vector</h3>"
        + table(("of the", "covered", "as written", "lower-cased", "missing"), rows, numbers=4)
        + (f'<p class="note">Most frequent words without one: {escape(missing)}.</p>' if missing else "")
    )


def _epochs_table(epochs: Sequence[Mapping[str, Any]], best: int) -> str:
    losses, shares = ("train loss", "dev loss"), ("train accuracy", "dev accuracy", "dev F1")
    names = ("epoch", *losses, *shares, "rate", "gradient", "seconds")
    rows = [
        (
            "sum" if epoch["number"] == best else "",
            [
                str(epoch["number"]),
                *(f"{epoch[name.lower().replace(' ', '_')]:.4f}" for name in losses),
                *(f"{epoch[name.lower().replace(' ', '_')]:.2%}" for name in shares),
                f"{epoch['learning_rate']:.2g}",
                f"{epoch['gradient_norm']:.3g}",
                f"{epoch['seconds']:.1f}",
            ],
        )
        for epoch in epochs
    ]
    return table(names, rows, numbers=8)
