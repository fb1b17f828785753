"""The model card of a checkpoint: its ``README.md``, written from the report alone.

The cards of the bundled models are part of their version, so another wording here means that they are built anew.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fenestra.training.data.perturbations import DESCRIPTION

_SPLITS = {"dev": "Development", "test": "Test"}
_OF_DOCUMENT = {
    "elsewhere": "how the rest of the document cases the word",
    "topic": "the mean vector of the document",
}


def render_card(report: Mapping[str, Any]) -> str:
    """Write a model card in Markdown: architecture, training data, scores, intended use and limits.

    The description in the configuration is inserted as Markdown; it is the place for licences. A section is left out
    where the report, of an earlier version, has no data for it.
    """
    sections = (
        _introduction(report),
        _architecture(report),
        _data(report),
        _scores(report),
        _robustness(report),
        _calibration(report),
        _use(report),
        _loading(report),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _introduction(report: Mapping[str, Any]) -> str:
    labels = _listed(f"`{label}`" for label in report["config"]["model"]["labels"])
    description = str(report["config"]["description"]).strip()
    return (
        f"# {_plain(report['name'])}\n\n"
        f"A named-entity tagger for Fenestra, made by Fenestra {report['fenestra']} on {report['created'][:10]}. "
        f"It finds {labels} in text." + (f"\n\n{description}" if description else "")
    )


def _architecture(report: Mapping[str, Any]) -> str:
    model = report["config"]["model"]
    layers = " and ".join(f"{units:,}" for units in model["hidden"])
    network = (
        _recurrent(model["recurrent"], layers)
        if model.get("kind") == "recurrent"
        else f"A window network: a word and {model['context']} on each side of it, {layers} hidden units "
        f"({model['activation']})"
    )
    members = report["config"]["training"].get("members", 1)
    several = f" The mean of {members} such networks, written as one {members} times as wide." if members > 1 else ""
    crf = (
        " and learned scores of the transitions between them (a linear-chain CRF)"
        if model.get("decoder") == "transitions"
        else ""
    )
    consistency = ", after the tokens of a word have heard of each other" if model.get("agreement") else ""
    return (
        "## What it is\n\n"
        f"{network}, a softmax over {model['scheme']} tags{crf}, and the most probable legal "
        f"sequence of them{consistency}.{several} "
        f"What it knows of a word: {_features(model['features'], report['vectors'], report.get('reference', ()))}. "
        "The configuration of the whole job is in `job.json`, every figure of it in `report.json` and `report.html`."
    )


def _recurrent(recurrent: Mapping[str, Any], layers: str) -> str:
    reads = (
        f"sentences of a document, until they have {recurrent['sequence']} tokens"
        if recurrent["sequence"]
        else "one sentence"
    )
    characters = (
        f", with what {recurrent['filters']} filters over {recurrent['filter_width']} characters find in each word"
        if recurrent["character"]
        else ""
    )
    return (
        "A recurrent network, which teaches window networks and tags nothing itself: an LSTM of "
        f"{layers} units in either direction that reads {reads} in one go{characters}"
    )


def _features(features: Mapping[str, Any], vectors: Mapping[str, Any], reference: Sequence[str]) -> str:
    """The parts of e(w) with their widths."""
    parts = []
    if features["vectors"] and vectors["width"]:
        source = f"{_plain(vectors['name'])}, {vectors['words']:,} words"
        parts.append(f"a pretrained vector ({vectors['width']} wide; {source})")
    kinds = {
        "word": "the word",
        "case": "its case",
        "shape": "its shape",
        "affix": "each affix",
        "cluster": "each beginning of its cluster's path",
        "lists": "the name lists that hold it",
        "ngram": "its n-grams",
    }
    learned = [f"{kind} ({features[key]})" for key, kind in kinds.items() if features.get(key)]
    if learned:
        parts.append(f"learned rows for {_listed(learned)}")
    parts += [phrase for key, phrase in _OF_DOCUMENT.items() if features.get(key)]
    sources = [f"Vectors: {_plain(vectors['licence'])}"] if vectors["licence"] else []
    return ". ".join([_listed(parts), *(source.rstrip(".") for source in (*sources, *map(_plain, reference)))])


def _data(report: Mapping[str, Any]) -> str:
    rows = [
        (
            split,
            _plain(corpus["name"]),
            f"{corpus['sentences']:,}",
            f"{corpus['tokens']:,}",
            _plain(", ".join(f"{label} {count:,}" for label, count in corpus["entities"].items())),
            f"`{corpus['sha256'][:12]}`",
        )
        for split, corpus in report["corpora"].items()
    ]
    table = _table(("split", "corpus", "sentences", "tokens", "entities", "sha256"), rows)
    kept_last = report["config"]["training"].get("keep") == "last"
    epoch = "the calibration; the last epoch was kept" if kept_last else "which epoch was kept, and the calibration"
    decided = f"Development data decided {epoch}."
    return "\n\n".join(filter(None, (f"## Training data\n\n{table}", _besides(report["config"]), decided)))


def _besides(config: Mapping[str, Any]) -> str:
    """What was learnt from that no corpus holds: the answers of teachers, and text that was made."""
    training, augmentation = config["training"], config.get("augmentation", {})
    found = []
    if teachers := training.get("teachers", ()):
        names = _listed(f"`{_plain(name)}`" for name in teachers)
        found.append(f"The text of `unlabelled` was learnt from as {names} tag{'s' * (len(teachers) == 1)} it.")
    elif config["data"].get("unlabelled"):
        found.append("The text of `unlabelled` was learnt from as the model that training began with tags it.")
    made = [
        f"{what} ({amount:g} for each sentence)"
        for what, amount in (
            ("other names of the same labels", augmentation.get("renamed")),
            ("parts of sentences around a name", augmentation.get("fragments")),
            ("headlines", augmentation.get("headlines")),
            ("first names as initials", training.get("initials")),
            ("words of other scripts around the names", training.get("foreign")),
            ("names alone", training.get("bare")),
        )
        if amount
    ]
    if contexts := augmentation.get("contexts"):
        made.append(f"{contexts:,} short texts made of the patterns in `{_plain(augmentation['contexts_file'])}`")
    if made:
        found.append(f"Learnt from besides, made of the training text and of lists: {_listed(made)}.")
    return " ".join(found)


def _scores(report: Mapping[str, Any]) -> str:
    parts = ["## Scores\n\nEntities are right if label, start and end are; words as the corpus splits them."]
    for split, title in _SPLITS.items():
        if split not in report["scores"]:
            continue
        evaluation, baseline = report["scores"][split], report["baseline"].get(split)
        scores = evaluation["scores"]
        rows = [_score_row(label, values) for label, values in scores["labels"].items()]
        rows.append(_score_row("**all (micro)**", scores["micro"]))
        if baseline:
            rows.append(_score_row("most frequent tag of each word", baseline["micro"]))
        table = _table(("label", "precision", "recall", "F1", "entities"), rows)
        if by_corpus := report["scores_by_corpus"].get(split):
            table += f"\n\n{_by_corpus(by_corpus)}"
        accuracy = f"Token accuracy {scores['token_accuracy']:.2%}."
        command = _command(report["config"], split)
        parts.append(f"### {title}\n\n{table}\n\n{accuracy} Made, where the corpora are, with\n\n    {command}")
    return "\n\n".join(parts)


def _score_row(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    return (name if name.startswith("**") else _plain(name), *_shares(values), f"{values['support']:,}")


def _shares(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{100 * values[key]:.2f}" for key in ("precision", "recall", "f1"))


def _by_corpus(by_corpus: Mapping[str, Any]) -> str:
    """F1 of each corpus, together and for each label."""
    labels = sorted({label for scores in by_corpus.values() for label in scores["labels"]})
    rows = [
        (
            _plain(name),
            f"{100 * scores['micro']['f1']:.2f}",
            *(f"{100 * scores['labels'][label]['f1']:.2f}" if label in scores["labels"] else "–" for label in labels),
            f"{scores['micro']['support']:,}",
        )
        for name, scores in by_corpus.items()
    ]
    return _table(("corpus", "F1", *labels, "entities"), rows)


def _command(config: Mapping[str, Any], split: str) -> str:
    """The command that measures the same again, from the folder that the corpora lie in."""
    return shlex.join(["fenestra", "evaluate", "--model", "MODEL", "--as-trained", *config["data"][split]])


def _robustness(report: Mapping[str, Any]) -> str:
    """F1 on perturbed copies of the text."""
    measured = report.get("variants", {})
    names = list(dict.fromkeys(name for variants in measured.values() for name in variants))
    if not names:
        return ""
    rows = [
        (
            split,
            f"{100 * report['scores'][split]['scores']['micro']['f1']:.2f}",
            *(f"{100 * variants[name]['scores']['f1']:.2f} ({variants[name]['share_of_f1']:.1%})" for name in names),
        )
        for split, variants in measured.items()
    ]
    return (
        "## Robustness\n\n"
        "F1 on the same text written otherwise, and its share of the F1 of the text as it is. "
        f"{DESCRIPTION} `fenestra evaluate --variants all` measures it again.\n\n"
        f"{_table(('split', 'as it is', *names), rows)}"
    )


def _calibration(report: Mapping[str, Any]) -> str:
    numbers = report["calibration"]
    rows = len(numbers.get("tag_by_tag", ()))
    pairs = f", and tag_by_tag for the {rows} × {rows} pairs of tags (config.json)" if rows else ""
    errors = _listed(
        f"{evaluation['reliability']['expected_calibration_error']:.4f} on {split}"
        for split, evaluation in report["scores"].items()
    )
    return (
        "## Calibration\n\n"
        "An entity's `score` is the probability that label, start and end are right, fitted on development data: "
        f"{', '.join(f'{name} {value:.4f}' for name, value in numbers.items() if name != 'tag_by_tag')}{pairs}. "
        f"Expected calibration error over ten bins: {errors}.{_thresholds(report)}"
    )


def _thresholds(report: Mapping[str, Any]) -> str:
    """Scores if only entities from a threshold of the score on are kept."""
    split = _last(report)
    rows = [
        (f"{kept['threshold']:.2f}" if kept["threshold"] else "all", *_shares(kept["scores"]), f"{kept['count']:,}")
        for kept in report["scores"][split].get("thresholds", ())
    ]
    if not rows:
        return ""
    table = _table(("score from", "precision", "recall", "F1", "kept"), rows)
    return f" If only entities of some score or more are kept, {split} gives:\n\n{table}"


def _use(report: Mapping[str, Any]) -> str:
    """Intended use, and the limits that follow from the figures and from how the model works."""
    split = _last(report)
    familiarity = report["scores"][split]["familiarity"]
    model = report["config"]["model"]
    of_document = [phrase for key, phrase in _OF_DOCUMENT.items() if model["features"].get(key)]
    of_document += ["what the word is taken for elsewhere in it"] if model.get("agreement") else []
    sees = "the sentence" if model.get("kind") == "recurrent" else f"{model['context']} words to either side"
    limits = [
        f"It sees {sees} and beyond that {_listed(of_document)}: what else the text says of a name is lost.",
        f"Of the {split} entities that training had with the same text and label it finds "
        f"{familiarity['seen']['recall']:.1%}, of the others {familiarity['unseen']['recall']:.1%}.",
        "Text of another kind, time or language than the training data will be tagged worse than the figures say, "
        "and the scores will be less honest there.",
        "Entities do not nest or overlap, and each has one label.",
        "Names that are rare in the training data and vectors are missed more often, and whose names are rare is "
        "not chance: measure it on your own text before people depend on it.",
    ]
    return (
        "## Intended use and limits\n\n"
        "For finding names in text like the training data, where mistakes can be seen and mended: search, indexing, "
        "pre-annotation. Not for decisions about people, and not as the only means of removing personal data.\n\n"
        + "\n".join(f"- {limit}" for limit in limits)
    )


def _last(report: Mapping[str, Any]) -> str:
    """The split to quote: test, or dev where there is no test."""
    return "test" if "test" in report["scores"] else "dev"


def _loading(report: Mapping[str, Any]) -> str:
    label = report["config"]["model"]["labels"][0]
    if report["config"]["model"].get("kind") == "recurrent":
        return (
            "## How to learn from it\n\n"
            "    fenestra train JOB.toml 'training.teachers=[\"TEACHER\"]' 'data.unlabelled=[\"TEXT.conll\"]' \\\n"
            "        --output MODEL\n\n"
            "`fenestra evaluate` measures it; `fenestra serve`, `fenestra tag` and `fenestra.load` refuse it."
        )
    return (
        "## How to load it\n\n"
        "    fenestra serve --model .\n"
        "    fenestra tag --model . TEXT.txt\n\n"
        "```python\n"
        "import fenestra\n\n"
        'tagger = fenestra.load(".")\n'
        f'tagger("…")  # [Entity(…, {label}, start:end, score), …]\n'
        "```"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(text: str) -> str:
    """Escape text for Markdown, also inside a table."""
    flat = " ".join(str(text).split())
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in flat)


def _listed(names: Iterable[str]) -> str:
    """Join names as a sentence does.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = list(names) or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
