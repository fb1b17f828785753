"""The comparison of two models as one page of HTML that needs no other file; everything in it is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fenestra.training.report.markup import card, frame, table, tiles

_MOST = 200  # errors of a list; report.json has all of them


def render_comparison(report: Mapping[str, Any]) -> str:
    """Show the report that :func:`fenestra.cli.compare.report_of` makes."""
    one, two = report["first"]["name"], report["second"]["name"]
    corpora = report["corpora"]
    body = [_changes(report["changed"], one, two)]
    for corpus in corpora:
        body.append(f"<h2>{escape(corpus['name'])}</h2>")
        body.append(_tested(corpus, one, two) if "comparison" in corpus else _reported(corpus, one, two))
    if not corpora:
        body.append('<p class="note">The two have no corpus in common in their reports.</p>')
    return frame(
        title=f"{one} and {two}: comparison",
        name=f"{one} → {two}",
        summary=f"What changed from the first model to the second · Fenestra {report['fenestra']}",
        body="\n".join(body),
    )


def points(value: float) -> str:
    """A difference of two shares, in percentage points.

    >>> points(0.0123), points(-0.5), points(0.0)
    ('+1.23', '−50.00', '0.00')
    """
    shown = f"{abs(value):.2%}".removesuffix("%")
    return f"{'' if float(shown) == 0 else '+' if value > 0 else '−'}{shown}"


def probability(p: float) -> str:
    """A p-value.

    >>> probability(0.0321), probability(0.00001)
    ('0.032', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _changes(changed: Sequence[Mapping[str, str]] | None, one: str, two: str) -> str:
    if changed is None:
        text = '<p class="note">One of the two does not say how it was made.</p>'
    elif not changed:
        text = '<p class="note">Nothing: both were made by the same configuration.</p>'
    else:
        rows = [("", [f"<code>{escape(c['field'])}</code>", escape(c["first"]), escape(c["second"])]) for c in changed]
        text = table(("field", escape(one), escape(two)), rows, numbers=0)
    return f'<section class="card"><h3>What changed in the configuration</h3>{text}</section>'


def _tested(corpus: Mapping[str, Any], one: str, two: str) -> str:
    found = corpus["comparison"]
    micro = found["micro"]
    f1 = micro["f1"]
    figures = [
        (f"{micro['first']['f1']:.2%}", f"F1 of {one}", f"{micro['first']['support']:,} entities"),
        (f"{micro['second']['f1']:.2%}", f"F1 of {two}", f"{found['sentences']:,} sentences"),
        (points(f1["difference"]), "points of F1", f"95 %: {points(f1['low'])} to {points(f1['high'])}"),
        (f"{len(found['lost']):,} / {len(found['gained']):,}", "errors gone / new", f"{found['kept']:,} in both"),
    ]
    return (
        f'<section class="tiles">{tiles(figures)}</section>'
        f'<section class="card"><h3>F1 by label</h3><p>{escape(verdict(f1, one, two))}</p>'
        f"{_labels(found, one, two)}</section>"
        f'<section class="card"><h3>More than chance?</h3>{_tests(found, one, two)}</section>'
        f"{_errors('New errors', found['gained'], two)}{_errors('Errors that are gone', found['lost'], one)}"
    )


def verdict(f1: Mapping[str, float], one: str, two: str) -> str:
    """What the interval says, in a sentence."""
    if f1["low"] > 0:
        return f"{two} is better, by more than the choice of sentences explains."
    if f1["high"] < 0:
        return f"{one} is better, by more than the choice of sentences explains."
    return "The corpus does not tell which one is better: the interval holds 0."


def _labels(found: Mapping[str, Any], one: str, two: str) -> str:
    rows = [("", _label_row(label, scores)) for label, scores in found["labels"].items()]
    rows.append(("sum", _label_row("all (micro)", found["micro"])))
    head = ("label", f"F1 {escape(one)}", f"F1 {escape(two)}", "difference", "95 % interval", "p", "entities")
    return table(head, rows, numbers=6)


def _label_row(label: str, scores: Mapping[str, Any]) -> list[str]:
    f1 = scores["f1"]
    return [
        escape(label),
        f"{scores['first']['f1']:.2%}",
        f"{scores['second']['f1']:.2%}",
        points(f1["difference"]),
        f"{points(f1['low'])} … {points(f1['high'])}",
        probability(f1["p"]),
        f"{scores['first']['support']:,}",
    ]


def _tests(found: Mapping[str, Any], one: str, two: str) -> str:
    rows = [
        ("", [name, f"{test['only_first']:,}", f"{test['only_second']:,}", probability(test["p"])])
        for name, test in (("tokens", found["token_test"]), ("whole sentences", found["sentence_test"]))
    ]
    head = ("right are", f"only in {escape(one)}", f"only in {escape(two)}", "p (McNemar)")
    return table(head, rows, numbers=3) + (
        '<p class="note">The intervals above and their p resample the sentences 10,000 times (paired bootstrap). The '
        "tokens of a sentence depend on each other, so of the two tests here that of sentences is the careful one. Of "
        "many labels, some differ by chance: the line of all labels decides.</p>"
    )


def _errors(title: str, errors: Sequence[Mapping[str, Any]], model: str) -> str:
    rows = [("", _error_row(error)) for error in errors[:_MOST]]
    more = f'<p class="note">… and {len(errors) - _MOST:,} more.</p>' if len(errors) > _MOST else ""
    heading = f"{title}: {len(errors):,}, made by {model} only"
    listed = table(("kind", "gold", "predicted", "in the text", "line"), rows, numbers=1) + more if errors else ""
    return (
        f"<details{' open' if errors else ''}><summary>{escape(heading)}</summary>"
        f'<section class="card">{listed or "None."}</section></details>'
    )


def _error_row(error: Mapping[str, Any]) -> list[str]:
    example = error["example"]
    return [
        escape(error["kind"]),
        f"<b>{escape(error['gold'])}</b>" if error["gold"] else "",
        f"<b>{escape(error['predicted'])}</b>" if error["predicted"] else "",
        f"{escape(example['before'])} <mark>{escape(example['text'])}</mark> {escape(example['after'])}",
        f"{example['line']:,}",
    ]


def _reported(corpus: Mapping[str, Any], one: str, two: str) -> str:
    rows = [
        (
            "sum" if label == "all (micro)" else "",
            [
                escape(label),
                *("" if score is None else f"{score:.2%}" for score in (scores["first"], scores["second"])),
                "" if None in scores.values() else points(scores["second"] - scores["first"]),
            ],
        )
        for label, scores in corpus["f1"].items()
    ]
    note = "Scores of the two reports. Whether they differ by more than chance, the corpus itself tells: name it."
    return card(
        "F1", table(("label", escape(one), escape(two), "difference"), rows, numbers=3) + f'<p class="note">{note}</p>'
    )
