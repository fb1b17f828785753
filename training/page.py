"""The report as one page of HTML that needs no other file and no network.

``report.html`` beside this module holds the frame and the style; everything that comes from a report is escaped here.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from training.plots import Line, heat_map, line_chart, reliability_chart
from training.variants import DESCRIPTION

_TEMPLATE = Path(__file__).with_name("report.html")
_SPLIT_TITLES = {"test": "Test corpus", "dev": "Development corpus"}


def render_html(report: Mapping[str, Any]) -> str:
    """Show a report as one page that needs no other file and no network; everything in it is escaped."""
    best = report["best_epoch"]
    entries = {
        "name": escape(report["name"]),
        "summary": _summary(report),
        "tiles": _tiles(report),
        "verdict_class": escape(report["verdict"]["kind"].replace(" ", "-")),
        "verdict_kind": escape(report["verdict"]["kind"]),
        "verdict_why": escape(report["verdict"]["why"]),
        "verdict_advice": escape(report["verdict"]["advice"]),
        "curves": _curves(report["epochs"], best),
        "splits": "".join(_split(report, split, open_=number == 0) for number, split in enumerate(_shown(report))),
        "corpora": _corpora_table(report["corpora"]),
        "vectors": _vectors(report["vectors"]),
        "epochs": _epochs_table(report["epochs"], best),
        "config": _pairs(flatten(report["config"])),
        "environment": _pairs(flatten({**report["environment"], "fenestra": report["fenestra"]})),
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(entries)


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names and texts of nested values.

    >>> flatten({"model": {"hidden": [300, 100], "context": 2}})
    [('model.hidden', '300, 100'), ('model.context', '2')]
    """
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            found.append((f"{prefix}{key}", f"{value:.6g}"))
        elif isinstance(value, list | tuple | Mapping):
            found.append((f"{prefix}{key}", ", ".join(map(str, value)) or "none"))
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found


def _shown(report: Mapping[str, Any]) -> list[str]:
    """The splits that were evaluated, test first."""
    return [split for split in _SPLIT_TITLES if split in report["scores"]]


def _summary(report: Mapping[str, Any]) -> str:
    labels = ", ".join(report["config"]["model"]["labels"])
    when = report["created"][:16].replace("T", " ")
    return escape(f"Labels {labels} · trained {when} UTC · Fenestra {report['fenestra']}")


def _tiles(report: Mapping[str, Any]) -> str:
    tiles = []
    for split in _shown(report):
        micro = report["scores"][split]["scores"]["micro"]
        beside = report["baseline"].get(split)
        than = f"most frequent tag alone: {beside['micro']['f1']:.2%}" if beside else "entities, exact spans"
        tiles.append((f"{micro['f1']:.2%}", f"F1 on {split}", than))
    epochs = report["epochs"]
    tiles.append((str(report["best_epoch"]), "best epoch", f"of {len(epochs)}"))
    speed = sum(epoch["tokens_per_second"] for epoch in epochs) / len(epochs)
    tiles.append((_duration(report["seconds"]), "in all", f"{speed:,.0f} tokens/s in training"))
    return "".join(
        f'<div class="tile"><span>{escape(what)}</span><b>{escape(value)}</b><span>{escape(more)}</span></div>'
        for value, what, more in tiles
    )


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
        _card(title, line_chart(title, lines, x_label="epoch", mark=best) + _legend(lines))
        for title, lines in charts.items()
    )


def _legend(lines: Sequence[Line]) -> str:
    entries = "".join(f'<i class="{line.style}"></i>{escape(line.name)}' for line in lines)
    return f'<p class="legend">{entries} · dashed: the epoch that was kept</p>'


def _split(report: Mapping[str, Any], split: str, *, open_: bool) -> str:
    """All about one evaluated corpus; the first one stands open, the rest can be unfolded."""
    evaluation = report["scores"][split]
    pairs = (
        _card("Scores", _score_table(evaluation, report["baseline"].get(split)))
        + _card("Seen and unseen entities", _familiarity_table(evaluation["familiarity"])),
        _card("Confusion matrix, tokens", _confusion(evaluation["confusion"]))
        + _card("Do the scores mean what they say?", _reliability(evaluation["reliability"])),
        _card("If only sure entities are kept", _thresholds_table(evaluation["thresholds"]))
        + _card("The same text, written otherwise", _variants_table(evaluation, report["variants"][split])),
    )
    body = "".join(f'<section class="pair">{pair}</section>' for pair in pairs)
    if apart := report["scores_by_corpus"].get(split):
        body += f'<section class="pair">{_card("Each corpus by itself", _corpus_scores(apart))}</section>'
    body += _card("Most frequent errors", _errors_table(evaluation["errors"]))
    title = _SPLIT_TITLES[split]
    return f"<h2>{title}</h2>{body}" if open_ else f"<details><summary>{title}</summary>{body}</details>"


def _card(title: str, body: str) -> str:
    return f'<div class="card"><h3>{escape(title)}</h3>{body}</div>'


def _score_table(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    scores = evaluation["scores"]
    rows = [("", label, values) for label, values in scores["labels"].items()]
    rows.append(("sum", "all (micro)", scores["micro"]))
    if baseline:
        rows.append(("other", "baseline: most frequent tag", baseline["micro"]))
    loss = "" if evaluation["loss"] is None else f" Loss {evaluation['loss']:.4f} nats per token."
    return (
        _table(("label", "precision", "recall", "F1", "entities"), [_score_row(*row) for row in rows], numbers=4)
        + f'<p class="note">Entities count as right if label, start and end are. Of {evaluation["tokens"]:,} tokens in '
        f"{evaluation['sentences']:,} sentences, {scores['token_accuracy']:.2%} have the right tag.{loss}</p>"
    )


def _score_row(style: str, name: str, values: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    return style, [escape(name), *_shares(values), f"{values['support']:,}"]


def _shares(values: Mapping[str, Any]) -> list[str]:
    return [f"{values[key]:.2%}" for key in ("precision", "recall", "f1")]


def _corpus_scores(apart: Mapping[str, Any]) -> str:
    rows = [_score_row("", name, scores["micro"]) for name, scores in apart.items()]
    return _table(("corpus", "precision", "recall", "F1", "entities"), rows, numbers=4)


def _familiarity_table(familiarity: Mapping[str, Any]) -> str:
    rows = [_score_row("", name, familiarity[name]) for name in ("seen", "unseen")]
    return (
        _table(("entity", "precision", "recall", "F1", "entities"), rows, numbers=4)
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
        _table(("score from", "kept", "precision", "recall", "F1"), rows, numbers=4)
        + '<p class="note">Recall is of all entities of the corpus, kept or not.</p>'
    )


def _variants_table(evaluation: Mapping[str, Any], variants: Mapping[str, Any]) -> str:
    rows = [("sum", ["as it is", *_shares(evaluation["scores"]["micro"]), f"{1:.1%}"])]
    rows += [
        ("", [escape(name), *_shares(found["scores"]), f"{found['share_of_f1']:.1%}"])
        for name, found in variants.items()
    ]
    return (
        _table(("variant", "precision", "recall", "F1", "of F1"), rows, numbers=4)
        + f'<p class="note">{escape(DESCRIPTION)} The last column is the share of the F1 of the text as it is.</p>'
    )


def _errors_table(errors: Mapping[str, Any]) -> str:
    totals = " · ".join(f"{count:,} {escape(kind)}" for kind, count in errors["totals"].items())
    rows = [("", _error_row(mistake)) for mistake in errors["frequent"]]
    return f'<p class="note">{totals}</p>' + _table(
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


def _corpora_table(corpora: Mapping[str, Any]) -> str:
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
    return _table(("split", "corpus", "sentences", "tokens", "entities", "sha256"), rows, numbers=0)


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
        _pairs(flatten(about))
        + "<h3>What of the training corpus has a vector</h3>"
        + _table(("of the", "covered", "as written", "lower-cased", "missing"), rows, numbers=4)
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
    return _table(names, rows, numbers=8)


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = [("", [f"<code>{escape(name)}</code>", escape(text)]) for name, text in pairs]
    return _table(("field", "value"), rows, numbers=0)


def _table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], *, numbers: int) -> str:
    """Lay out cells that are HTML already; the last ``numbers`` columns stand to the right."""
    left = len(head) - numbers

    def cells(kind: str, texts: Sequence[str]) -> str:
        styled = (f' class="{"n" if place >= left else "wrap"}"' for place in range(len(texts)))
        return "".join(f"<{kind}{style}>{text}</{kind}>" for style, text in zip(styled, texts, strict=True))

    body = "".join(f'<tr class="{style}">{cells("td", texts)}</tr>' for style, texts in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
