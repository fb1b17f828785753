"""The report of a search as one page of HTML that needs no other file and no network; everything in it is escaped."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fenestra.training.report.markup import card, duration, flatten, frame, pairs, table, tiles
from fenestra.training.report.page import corpora_table, made_of
from fenestra.training.report.plots import bar_chart, scatter_chart, search_chart
from fenestra.training.tune.space import shown
from fenestra.training.tune.trial import FEWEST_FOR_IMPORTANCE

_FINISHED = ("complete", "pruned", "failed")
_PLACES = ("best", "second", "third")
_TOP = len(_PLACES)  # of the best trials, side by side
_FEWEST_FOR_PICTURES = 3  # complete trials
_LONGEST_TICK = 12  # characters


def render_search(report: Mapping[str, Any]) -> str:
    """Show the report of a search."""
    body = [
        f'<section class="tiles">{_tiles(report)}</section>',
        f'<section class="card"><h3>The best values</h3>{_best(report)}</section>',
        "<h2>The search</h2>",
        f'<section class="pair">{card("Dev F1 of the trials", _history(report))}'
        f"{card('What made the difference', _importances(report))}</section>",
        _fields(report),
        f'<section class="card"><h3>Every trial</h3>{_trials(report)}</section>',
        f'<h2>How</h2>\n<section class="card"><p class="code">{escape(report["command"])}</p>'
        f"{pairs(flatten({'study': report['study']}))}</section>",
        f'<h2>Data</h2>\n<section class="card">{corpora_table(report["corpora"])}{_vectors(report)}</section>',
        made_of(report),
    ]
    when = report["created"][:16].replace("T", " ")
    return frame(
        title=f"{report['name']}: search report",
        name=report["name"],
        summary=f"A search of {len(report['space'])} fields · {when} UTC · Fenestra {report['fenestra']}",
        body="\n".join(body),
    )


def _tiles(report: Mapping[str, Any]) -> str:
    trials, best = report["trials"], report["best"]
    counts = Counter(trial["state"] for trial in trials)
    figures = []
    if best:
        seeds = ", ".join(str(score["seed"]) for score in best["by_seed"])
        figures.append((f"{best['dev_f1']:.2%}", "best F1 on dev", f"trial {best['number']}, mean of seeds {seeds}"))
    start = next((t for t in trials if t["state"] == "complete" and t["values"] == report["as_it_stands"]), None)
    if start:
        figures.append((f"{start['dev_f1']:.2%}", "as the configuration stands", f"trial {start['number']}"))
    figures.append((str(len(trials)), "trials", ", ".join(f"{counts[state]} {state}" for state in _FINISHED)))
    figures.append((duration(report["seconds"]), "in all", f"{sum(t['epochs'] for t in trials):,} epochs"))
    return tiles(figures)


def _best(report: Mapping[str, Any]) -> str:
    """The best trials side by side: where they agree, the search has found something."""
    best = sorted(_complete(report), key=lambda trial: (-trial["dev_f1"], trial["number"]))[:_TOP]
    scores = [f"{trial['dev_f1']:.2%}" for trial in best]
    rows = [
        (
            "",
            [
                f"<code>{escape(name)}</code>",
                *(escape(shown(trial["values"][name])) for trial in best),
                escape(shown(report["as_it_stands"][name])),
                escape(_domain(domain)),
            ],
        )
        for name, domain in report["space"].items()
    ]
    rows.append(("other", ["dev F1", *scores, "", ""]))
    head = [f"{place}: trial {trial['number']}" for place, trial in zip(_PLACES, best, strict=False)]
    return (
        table(("field", *head, "as the configuration stands", "searched"), rows, numbers=0)
        + '<p class="note">The best of many scores on the same corpus is a little too good. The test corpus was not '
        "read: train with the best values, and look at it once.</p>"
    )


def _domain(domain: Mapping[str, Any]) -> str:
    """What a field may be, in words."""
    if "choices" in domain:
        return ", ".join(shown(choice) for choice in domain["choices"])
    step = f", step {shown(domain['step'])}" if domain["step"] is not None else ""
    return f"{shown(domain['low'])} to {shown(domain['high'])}{step}{', logarithmic' if domain['log'] else ''}"


def _history(report: Mapping[str, Any]) -> str:
    scores = [(trial["dev_f1"], trial["state"] == "complete") for trial in report["trials"]]
    if not any(complete for _, complete in scores):
        return '<p class="note">No trial is complete.</p>'
    return search_chart("Dev F1 of the trials", scores, x_label="trial") + (
        '<p class="legend"><i class="first"></i>complete<i class="third"></i>pruned<i class="second"></i>best so far '
        "· trials far below the others are drawn at the lower end</p>"
    )


def _importances(report: Mapping[str, Any]) -> str:
    if not report["importances"]:
        return (
            f'<p class="note">It takes {FEWEST_FOR_IMPORTANCE} complete trials or more, some better than others, '
            "to tell.</p>"
        )
    return (
        bar_chart("What made the difference", report["importances"])
        + '<p class="note">How far the values of the best quarter of the complete trials differ from those of all of '
        "them (PED-ANOVA, Watanabe et al. 2023), as shares. It says what mattered within the space, not which "
        "way.</p>"
    )


def _fields(report: Mapping[str, Any]) -> str:
    """One picture a field: its value in each complete trial, and the score of that trial."""
    complete = [trial for trial in _complete(report) if trial["repeats"] is None]
    if len(complete) < _FEWEST_FOR_PICTURES:
        return ""
    pictures = "".join(card(name, _field(name, domain, complete)) for name, domain in report["space"].items())
    return (
        '<h2>Field by field</h2>\n<p class="note">A dot is a complete trial, the highlighted one the best. All fields '
        "vary at once: what is seen here is a hint, and the fewer trials, the fainter.</p>"
        f'<section class="pair">{pictures}</section>'
    )


def _field(name: str, domain: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> str:
    if "choices" in domain:
        texts = [shown(choice) for choice in domain["choices"]]
        ticks = [(float(place), _cut(text)) for place, text in enumerate(texts)]
        places = [float(texts.index(shown(trial["values"][name]))) for trial in trials]
    else:
        scale, back = (math.log10, lambda x: 10**x) if domain["log"] else (float, float)
        low, high = scale(domain["low"]), scale(domain["high"])
        ticks = [(low, shown(domain["low"])), (high, shown(domain["high"]))]
        if domain["log"] or not isinstance(domain["low"], int) or high - low > 1:
            middle = (low + high) / 2
            ticks.insert(1, (middle, f"{back(middle):.2g}"))
        places = [scale(trial["values"][name]) for trial in trials]
    dots = [(place, trial["dev_f1"]) for place, trial in zip(places, trials, strict=True)]
    return scatter_chart(f"Dev F1 by {name}", dots, ticks, x_label="logarithmic" if domain.get("log") else "")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…"


def _complete(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [trial for trial in report["trials"] if trial["state"] == "complete"]


def _trials(report: Mapping[str, Any]) -> str:
    best = report["best"]["number"] if report["best"] else None
    names = list(report["space"])
    rows = [
        (
            "sum" if trial["number"] == best else "" if trial["state"] == "complete" else "other",
            [
                str(trial["number"]),
                *(escape(shown(trial["values"][name])) for name in names),
                escape(_state(trial)),
                "" if trial["dev_f1"] is None else f"{trial['dev_f1']:.2%}",
                str(trial["epochs"]),
                f"{trial['seconds']:.1f}",
            ],
        )
        for trial in report["trials"]
    ]
    fields = (f"<code>{escape(name)}</code>" for name in names)
    return table(("trial", *fields, "state", "dev F1", "epochs", "seconds"), rows, numbers=3)


def _state(trial: Mapping[str, Any]) -> str:
    why = f"repeats trial {trial['repeats']}" if trial["repeats"] else trial["why"]
    return f"{trial['state']}: {why}" if why else trial["state"]


def _vectors(report: Mapping[str, Any]) -> str:
    rows = [
        (
            "",
            [
                escape(vectors["name"]),
                f"{vectors['words']:,}",
                str(vectors["width"]),
                escape(vectors["licence"]),
                f'<span class="code">{escape(vectors["sha256"][:12])}</span>',
            ],
        )
        for vectors in report["vectors"]
        if vectors["width"]
    ]
    return table(("vectors", "words", "width", "licence", "sha256"), rows, numbers=0) if rows else ""
