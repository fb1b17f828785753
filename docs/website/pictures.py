r"""Draws the pictures of the documents, from the bundled model and from what was measured.

    python -m docs.website.pictures

What was measured lies beside the pictures, as JSON. It was made by

    python -m benchmarks.stages --model english --corpus data/sample/test.conll --tokens 60000 --repeats 3 \
        --json docs/pictures/stages.json
    python -m benchmarks.learning_curve conll2003:train conll2003:dev --output runs/curve \
        --json docs/pictures/sizes.json
    fenestra evaluate --model english --rename MISC=O conll2003:dev --json evaluation.json
    fenestra train training/configs/sample.toml --output runs/sample
    python -m docs.website.pictures --keep evaluation.json evaluation.json
    python -m docs.website.pictures --keep training.json runs/sample/report.json

where the last two keep those parts of the two reports that are drawn.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fenestra
from docs.website.drawing import Axes, Picture

FOLDER = Path(__file__).parent.parent / "pictures"
TEXT = "Ada Lovelace moved from London to join Siemens in Munich."
TOKEN = 4  # London
_FEWEST = 20
"""Entities of which a share is drawn: of fewer it is chance."""


def _read(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


# ── what the model does ──


def window() -> Picture:
    """The window around a word, and what the bundled model says of it."""
    tagger = fenestra.load("english")
    shares = tagger.explain(TEXT, TOKEN).shares
    token = tagger(TEXT, alternatives=3).tokens[TOKEN]
    found = [(token.tag, token.score), *((other.name, other.score) for other in token.alternatives)][:3]
    told = ", ".join(f"{tag} {score:.2f}" for tag, score in found)
    picture = Picture(
        730, 330, "A window",
        "The word London with three words on each side; each is a vector, laid end to end they go through a hidden "
        f"layer and a softmax, which gives {told}.",
    )  # fmt: skip
    width, left = 96, 29
    for place, share in enumerate(shares):
        x = left + place * width
        middle = x + width / 2
        centre = share.position == 0
        picture.text(middle, 24, share.text, style="head" if centre else "", anchor="middle")
        for part, name in enumerate(("meaning", "writing", "lists")):
            picture.box(x + 12, 36 + part * 24, width - 24, 22)
            picture.text(middle, 51 + part * 24, name, style="small soft", anchor="middle")
        picture.text(middle, 124, f"e(w{_signed(share.position)})", style="small mono", anchor="middle")
        picture.line([(middle, 132), (365, 168)])
    picture.box(185, 168, 360, 34)
    picture.text(365, 190, "hidden layer: ReLU(Wx + b)", anchor="middle")
    picture.line([(365, 202), (365, 222)])
    picture.text(377, 217, "softmax", style="small soft")
    for number, (tag, score) in enumerate(found):
        y = 226 + number * 30
        picture.text(285, y + 16, tag, style="mono", anchor="end")
        picture.box(295, y + 2, max(1.5, 200 * score), 20, "ours")
        picture.text(303 + 200 * score, y + 17, f"{score:.2f}", style="small")
    return picture


def _signed(position: int) -> str:
    return "₀" if position == 0 else ("₊" if position > 0 else "₋") + "₀₁₂₃₄₅₆₇₈₉"[abs(position)]


def rows() -> Picture:
    """A table with a row for each word and a column for each place: the numbers are shares of a score of the model."""
    tagger = fenestra.load("english")
    why = tagger.explain(TEXT, TOKEN)
    total = sum(share.share for share in why.shares)
    picture = Picture(
        730, 330, "A table of rows", "Each word of the window adds what its row holds for its place; for the tag "
        f"{why.column} of London the seven numbers are added to {total:.1f}.",
    )  # fmt: skip
    places = [share.position for share in why.shares]
    left, width, height = 130, 74, 28
    picture.text(left - 12, 40, "row of", style="small soft", anchor="end")
    for column, place in enumerate(places):
        name = "the word itself" if place == 0 else f"{abs(place)} {'before' if place < 0 else 'behind'}"
        picture.text(left + column * width + width / 2, 40, name, style="small soft", anchor="middle")
    for row, share in enumerate(why.shares):
        y = 50 + row * (height + 4)
        picture.text(left - 12, y + 19, share.text, style="head" if share.position == 0 else "", anchor="end")
        for column, place in enumerate(places):
            used = place == share.position
            picture.box(left + column * width + 2, y, width - 4, height, "ours" if used else "box")
            if used:
                middle = left + column * width + width / 2
                picture.text(middle, y + 19, _number(share.share), style="on", anchor="middle")
    bottom = 50 + 7 * (height + 4)
    picture.line([(left, bottom + 6), (left + 7 * width, bottom + 6)])
    picture.text(left - 12, bottom + 28, "their sum", style="head", anchor="end")
    picture.text(left + 2, bottom + 28, _number(total), style="head")
    rest = f"with the bias and what the document says, the score of the tag {why.column} is {_number(why.logit)}"
    picture.text(left + 48, bottom + 28, rest, style="soft")
    return picture


def _number(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


# ── what was measured ──


def stages() -> Picture:
    """Where the time of a token goes."""
    found = _read("stages.json")["ns_per_token"]["raw documents"]
    parts = [(name, found[name][0]) for name in ("tokenize", "rows", "network", "decode")]
    total = sum(nanoseconds for _, nanoseconds in parts)
    told = ", ".join(f"{name} {100 * share / total:.0f} %" for name, share in parts)
    picture = Picture(730, 120, "Where the time goes", f"Of the {total:.0f} nanoseconds of a token: {told}.")
    picture.text(20, 24, f"{total:.0f} ns a token, the bundled English model on one core", style="head")
    x, titles = 20.0, {"tokenize": "read", "rows": "look up", "network": "score", "decode": "decode"}
    for letter, (name, share) in zip("abcd", parts, strict=True):
        width = 690 * share / total
        picture.box(x, 36, width - 2, 34, f"f{letter}")
        if width > 40:
            picture.text(x + width / 2, 58, f"{100 * share / total:.0f} %", style="on", anchor="middle")
        picture.text(x + width / 2, 90, titles[name], style="small", anchor="middle")
        x += width
    return picture


def reliability() -> Picture:
    """How many of the entities with a score are right."""
    found = _read("evaluation.json")
    bins = [one for one in found["bins"] if one["count"] >= _FEWEST]
    error = found["expected_calibration_error"]
    picture = Picture(
        520, 400, "Reliability",
        "For each tenth of the score the share of entities that are right, beside the diagonal; the expected "
        f"calibration error is {error:.3f}.",
    )  # fmt: skip
    axes = Axes(picture, (60, 40, 500, 340), (0, 1), (0, 1))
    tenths = [(value / 5, f"{value / 5:.1f}") for value in range(6)]
    axes.ticks(tenths, tenths)
    picture.line([axes.at(0, 0), axes.at(1, 1)], "line dash")
    axes.curve([(one["mean_score"], one["accuracy"]) for one in bins], "a", dots=False)
    most = max(one["count"] for one in bins)
    for one in bins:
        picture.dot(*axes.at(one["mean_score"], one["accuracy"]), "fa", 3 + 7 * math.sqrt(one["count"] / most))
    picture.text(60, 24, "share that is right", style="small soft")
    picture.text(
        500, 378, "score; a larger dot is more entities, fewer than 20 are left out", style="small soft", anchor="end"
    )
    return picture


def epochs() -> Picture:
    """The loss on both corpora, and F1 on dev, by epoch."""
    found = _read("training.json")["epochs"]
    best = max(found, key=lambda epoch: epoch["dev_f1"])
    picture = Picture(
        730, 300, "Learning curves",
        "By epoch the loss on what is learnt from and on dev, and dev F1, which is best in epoch "
        f"{best['number']} with {best['dev_f1']:.2f}.",
    )  # fmt: skip
    last = len(found)
    numbers = [(number, str(number)) for number in range(1, last + 1) if number == 1 or number % 5 == 0]
    top = math.ceil(10 * max(max(epoch["train_loss"], epoch["dev_loss"]) for epoch in found)) / 10
    losses = Axes(picture, (60, 50, 350, 250), (1, last), (0, top))
    losses.ticks(numbers, [(value, f"{value:.2f}") for value in (0, top / 2, top)])
    losses.curve([(epoch["number"], epoch["train_loss"]) for epoch in found], "a", dots=False)
    losses.curve([(epoch["number"], epoch["dev_loss"]) for epoch in found], "b", dots=False)
    picture.text(60, 24, "loss, nats a token", style="head")
    picture.text(200, 24, "train", style="fa head")
    picture.text(240, 24, "dev", style="fb head")
    scores = Axes(picture, (430, 50, 710, 250), (1, last), (0, 1))
    scores.ticks(numbers, [(value / 4, f"{value / 4:.2f}") for value in range(5)])
    scores.curve([(epoch["number"], epoch["dev_f1"]) for epoch in found], "c", dots=False)
    picture.dot(*scores.at(best["number"], best["dev_f1"]), "fc")
    picture.text(430, 24, f"dev F1, best in epoch {best['number']}", style="head")
    picture.text(205, 285, "epoch", style="small soft", anchor="middle")
    picture.text(570, 285, "epoch", style="small soft", anchor="middle")
    return picture


def sizes() -> Picture:
    """F1 by how much is learnt from."""
    found = _read("sizes.json")
    names = [*found[0]["jobs"]]
    first, last = found[0], found[-1]
    told = "; ".join(f"{name}: {first['jobs'][name]['f1']:.2f} to {last['jobs'][name]['f1']:.2f}" for name in names)
    picture = Picture(
        730, 360, "F1 by size of the corpus", f"From {first['sentences']} to {last['sentences']} sentences. {told}.",
    )  # fmt: skip
    ends = (math.log10(first["sentences"]), math.log10(last["sentences"]))
    axes = Axes(picture, (60, 70, 710, 310), ends, (0, 1))
    axes.ticks(
        [(math.log10(one["sentences"]), f"{one['sentences']:,}") for one in found],
        [(value / 5, f"{value / 5:.1f}") for value in range(6)],
    )
    base = [(math.log10(one["sentences"]), one["jobs"][names[0]]["baseline"]) for one in found]
    axes.curve(base, "d")
    picture.text(60, 24, "F1", style="head")
    for x, letter, name in zip((90, 230, 395, 575), "abcd", [*names, "most frequent tag"], strict=True):
        if letter != "d":
            axes.curve([(math.log10(one["sentences"]), one["jobs"][name]["f1"]) for one in found], letter)
        picture.text(x, 24, name, style=f"head f{letter}")
    picture.text(385, 345, "sentences learnt from", style="small soft", anchor="middle")
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "window.svg": window,
    "rows.svg": rows,
    "stages.svg": stages,
    "reliability.svg": reliability,
    "epochs.svg": epochs,
    "sizes.svg": sizes,
}


def keep(name: str, report: Path) -> None:
    """Write those parts of a report that are drawn: of an evaluation, or of a training."""
    found = json.loads(report.read_text(encoding="utf-8"))
    if name == "evaluation.json":
        kept = found["reliability"]
    else:
        fields = ("number", "train_loss", "dev_loss", "dev_f1")
        kept = {"epochs": [{field: epoch[field] for field in fields} for epoch in found["epochs"]]}
    (FOLDER / name).write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")


def main() -> None:
    """Draw all of them, or keep what a report says: ``--keep evaluation.json REPORT``."""
    if sys.argv[1:2] == ["--keep"]:
        keep(sys.argv[2], Path(sys.argv[3]))
        return
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
