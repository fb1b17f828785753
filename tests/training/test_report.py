"""The report, its page and its card: complete, safe to open, the same bytes for the same run."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from fenestra.model.decode.calibration import Calibration
from fenestra.training.config import parse_config
from fenestra.training.data.corpus import Corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.perturbations import VARIANTS
from fenestra.training.data.spans import spans
from fenestra.training.fit.epoch import Epoch
from fenestra.training.fit.score import from_counts, score
from fenestra.training.report.evaluation import Variant, evaluate
from fenestra.training.report.plots import (
    Line,
    bar_chart,
    heat_map,
    line_chart,
    nice_ticks,
    reliability_chart,
    scatter_chart,
    search_chart,
)
from fenestra.training.report.predictions import Prediction
from fenestra.training.report.report import build_report, render_card, render_html
from fenestra.training.vectors.vectors import Coverage, Found, WordVectors

EVIL = '<script>alert("1")</script>'


def epoch(number, **changes):
    plain = Epoch(
        number=number, train_loss=1 / number, train_accuracy=0.9, dev_loss=0.5 + 1 / number, dev_accuracy=0.9,
        dev_precision=0.8, dev_recall=0.8, dev_f1=0.8, learning_rate=1e-3, gradient_norm=0.5, seconds=2.0,
        tokens_per_second=1e4, is_best=number == 1,
    )  # fmt: skip
    return replace(plain, **changes)


def make_report(*, epochs=None, test=True, name="A <small> model", width=2, root="", **model):
    """A report of a run over one sentence, with markup wherever text can come from outside."""
    sentences = (Sentence(("Ada", EVIL, "in", "Kiel"), ("B-PER", "I-PER", "O", "B-LOC"), 0, 3),)
    tags = ["B-PER", "O", "O", "B-LOC"]
    answer = Prediction(tags, [0.9] * 4, spans(tags), [0.6, 0.95])
    evaluation = evaluate(sentences, [answer], frozenset({("LOC", "Kiel")}), labels=("PER", "LOC"), loss=0.1)
    splits = ("dev", "test") if test else ("dev",)
    corpora = {split: Corpus(f"{split}.conll", sentences, "0" * 64) for split in ("train", *splits)}
    config = parse_config(
        {
            "name": name,
            "description": "Trained on a sentence, *CC0*.",
            "data": {
                "root": root,
                "train": ["train.conll"],
                "dev": ["dev.conll"],
                "test": ["my test.conll"],
                "rename": {"GPE": "LOC"},
            },
            "model": {"labels": ["PER", "LOC"], "context": 3, **model},
        }
    )
    baseline = score([s.tags for s in sentences], [["O"] * 4])
    variants = {
        name: Variant(1, from_counts(number, 4, 4), number / 2, number / 100) for number, name in enumerate(VARIANTS)
    }
    return build_report(
        config=config,
        device="cpu",
        corpora=corpora,
        vectors=WordVectors("glove", ["ada"], np.zeros((1, width), np.float32), "f" * 64, "Public domain"),
        reference=["Brown clusters. MIT"],
        coverage=Coverage(Found(1, 1, 2), Found(1, 1, 2), ((EVIL, 1),)),
        epochs=epochs or [epoch(1), epoch(2), epoch(3, dev_f1=0.9, is_best=True)],
        baselines=dict.fromkeys(splits, baseline),
        evaluations=dict.fromkeys(splits, evaluation),
        by_corpus={"dev": {"news.conll": baseline, EVIL: evaluation.scores}},
        variants=dict.fromkeys(splits, variants),
        calibration=Calibration(1.2, 0.8, 0.1, 0.3),
        seconds=61.0,
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


class Page(HTMLParser):
    """Checks that every element that opens is closed, and collects what a page refers to and shows."""

    EMPTY = frozenset({"meta", "br", "path", "polyline", "rect", "circle", "i"})

    def __init__(self, page):
        super().__init__()
        self.open, self.names, self.references, self.text = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "action")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


class TestReport:
    def test_it_is_json_with_the_promised_keys(self):
        report = make_report()
        assert list(json.loads(json.dumps(report))) == [
            "name", "created", "fenestra", "config", "environment", "corpora", "vectors", "reference", "epochs",
            "best_epoch", "baseline", "scores", "scores_by_corpus", "variants", "calibration", "verdict", "seconds",
        ]  # fmt: skip
        assert report["created"] == "2026-01-02T03:04:05+00:00"
        assert report["corpora"]["train"]["entities"] == {"LOC": 1, "PER": 1}
        assert report["epochs"][0] == asdict(epoch(1))
        assert list(report["variants"]["dev"]) == ["lower", "upper", "typos", "unpunctuated", "alone"]
        assert report["scores"]["test"]["thresholds"][-1]["threshold"] == 0.99

    def test_the_best_epoch_is_the_last_whose_weights_were_kept(self):
        curve = [epoch(1, dev_f1=0.5), epoch(2, dev_f1=0.7, is_best=True), epoch(3, dev_f1=0.7)]
        assert make_report(epochs=curve)["best_epoch"] == 2

    def test_where_the_corpora_lie_is_nobodys_business(self):
        report = make_report(root="/home/ada/corpora")
        assert "/home/ada" not in json.dumps(report)
        assert "/home/ada" not in render_html(report) + render_card(report)

    def test_the_environment_does_not_name_the_machine(self):
        environment = make_report()["environment"]
        assert set(environment) == {"python", "torch", "numpy", "platform", "threads", "device"}
        assert re.fullmatch(r"\w+ \w+", environment["platform"])


class TestPage:
    def test_it_is_well_formed_and_refers_to_nothing_outside(self):
        page = Page(render_html(make_report()))
        assert not page.open
        assert not page.references
        assert "link" not in page.names
        assert "@import" not in render_html(make_report())
        assert "url(" not in render_html(make_report())

    def test_markup_in_data_is_shown_and_not_run(self):
        page = Page(render_html(make_report()))
        assert "script" not in page.names
        assert "small" not in page.names
        assert any(EVIL in text for text in page.text)
        assert "A <small> model" in page.text

    def test_the_same_report_gives_the_same_bytes(self):
        report = make_report()
        stored = json.loads(json.dumps(report))
        assert render_html(report) == render_html(stored)
        assert render_card(report) == render_card(stored)

    def test_it_shows_what_a_run_is_judged_by(self):
        text = " ".join(Page(render_html(make_report())).text)
        for shown in (
            "F1 on test",
            "50.00%",
            "most frequent tag",
            "Verdict",
            "unseen",
            "wrong boundary",
            "model.context",
        ):
            assert shown in text

    def test_it_shows_scores_by_threshold_and_by_variant(self):
        """One of two entities is right, and is scored 0.95; the wrong one has 0.6."""
        page = render_html(make_report())
        cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr.*?</tr>", page)]
        assert ["all", "2", "50.00%", "50.00%", "50.00%"] in cells
        assert ["0.70", "1", "100.00%", "50.00%", "66.67%"] in cells
        assert ["0.99", "0", "0.00%", "0.00%", "0.00%"] in cells
        assert ["original", "50.00%", "50.00%", "50.00%", "100.0%", "32.50%"] in cells
        assert ["typos", "50.00%", "50.00%", "50.00%", "100.0%", "2.00%"] in cells
        assert ["lower", "0.00%", "0.00%", "0.00%", "0.0%", "0.00%"] in cells
        assert "Brier score 0.1812" in page  # (0.6² + 0.05²) / 2

    def test_one_epoch_no_test_corpus_and_no_vectors_are_enough(self):
        page = Page(render_html(make_report(epochs=[epoch(1)], test=False, width=0)))
        assert not page.open
        assert "F1 on test" not in page.text


class TestCard:
    def test_it_says_what_made_its_figures(self):
        card = render_card(make_report())
        assert "    fenestra evaluate --model MODEL --as-trained 'my test.conll'" in card
        assert "| **all (micro)** | 50.00 | 50.00 | 50.00 | 2 |" in card
        assert "| most frequent tag of each word | 0.00 | 0.00 | 0.00 | 2 |" in card

    def test_it_says_what_the_model_is_and_what_not_to_use_it_for(self):
        card = render_card(make_report())
        for said in ("# A \\<small\\> model", "`PER` and `LOC`", "*CC0*", "a word and 3 on each side", "Public domain"):
            assert said in card
        assert "temperature 1.2000, slope 0.8000, offset 0.1000, length 0.3000, strange 0.0000." in card
        assert "Not for decisions about people" in card
        assert card.startswith("# ")
        assert card.endswith("```\n")

    def test_it_has_thresholds_and_variants(self):
        card = render_card(make_report())
        assert "kept, test gives:" in card
        assert "| all | 50.00 | 50.00 | 50.00 | 2 |" in card
        assert "| 0.70 | 100.00 | 50.00 | 66.67 | 1 |" in card
        assert "| split | as it is | lower | upper | typos | unpunctuated | alone |" in card
        assert "| dev | 50.00 | 0.00 (0.0%) | 25.00 (50.0%) | 50.00 (100.0%) | 75.00 (150.0%) |" in card
        assert "`fenestra evaluate --variants all`" in card
        assert "kept, dev gives:" in render_card(make_report(test=False))

    def test_a_report_of_before_there_were_variants_has_a_card_without_them(self):
        report = make_report()
        full = render_card(report)
        del report["variants"], report["calibration"]["length"], report["calibration"]["strange"]
        for evaluation in report["scores"].values():
            evaluation.pop("thresholds", None)  # of both splits, which share one here
        card = render_card(report)
        assert "## Robustness" in full
        assert "## Robustness" not in card
        assert (
            "offset 0.1000. Expected calibration error over ten bins: 0.3250 on dev and 0.3250 on test.\n\n##" in card
        )
        assert "None" not in card

    def test_a_label_cannot_break_the_table(self):
        card = render_card(make_report(labels=["PER", "LOC", "A|B"]))
        rows = [line for line in card.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {6, 7, 8}

    def test_each_corpus_of_several_has_its_figures(self):
        rows = [line for line in render_card(make_report()).splitlines() if "news.conll |" in line]
        assert rows == ["| news.conll | 0.00 | 0.00 | 0.00 | 2 |"]
        assert "news.conll" in Page(render_html(make_report())).text

    def test_features_of_the_document_are_named(self):
        features = {"elsewhere": True, "topic": True}
        card = render_card(make_report(features=features))
        assert "beyond that how the rest of the document cases" in card
        assert card.count("the mean vector of the document") == 2
        assert "beyond that nothing" in render_card(make_report())

    def test_without_vectors_it_claims_none(self):
        assert "pretrained" not in render_card(make_report(width=0))


class TestPlots:
    @pytest.mark.parametrize(
        ("low", "high", "ticks"),
        [
            (0.013, 0.094, [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]),
            (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (0.5, 0.5, [0.5, 0.6]),
            (0, 0, [0.0, 0.2]),
            (-1, 900, [-200.0, 0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]),
        ],
    )
    def test_ticks_are_round_and_enclose(self, low, high, ticks):
        assert nice_ticks(low, high) == pytest.approx(ticks)
        assert ticks[0] <= low
        assert ticks[-1] >= high

    def test_larger_values_stand_higher_and_later_ones_to_the_right(self):
        drawn = line_chart("loss", [Line("a", [1.0, 3.0, 2.0], "first")], x_label="epoch")
        points = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]+)"', drawn)[1].split()]
        (x1, y1), (x2, y2), (x3, y3) = points
        assert x1 < x2 < x3
        assert y2 < y3 < y1  # SVG counts from the top

    def test_a_single_point_is_a_dot(self):
        assert "<circle" in line_chart("loss", [Line("a", [1.0], "first")], x_label="epoch", mark=1)

    def test_a_confusion_matrix_shows_counts_and_shares_of_the_row(self):
        drawn = heat_map("m", ["O", "<PER>"], [[3, 1], [0, 0]])
        assert re.findall(r'class="count[^>]*>([^<]+)<', drawn) == ["3", "1", "0", "0"]
        assert re.findall(r'class="share[^>]*>([^<]+)<', drawn) == ["75.0%", "25.0%", "0.0%", "0.0%"]
        assert "&lt;PER&gt;" in drawn

    def test_a_search_is_a_dot_a_trial_and_a_line_that_only_rises(self):
        drawn = search_chart("s", [(0.5, True), (0.9, False), (None, False), (0.4, True), (0.7, True)], x_label="trial")
        assert re.findall(r'class="dot (\w+)"', drawn) == ["first", "third", "first", "first"]
        line = re.search(r'class="line second" d="([^"]+)"', drawn)[1]
        assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+H[\d.]+", line)
        start, end = re.search(r" ([\d.]+)", line)[1], re.search(r"V([\d.]+)", line)[1]
        assert float(end) < float(start)

    def test_a_hopeless_trial_does_not_flatten_the_others(self):
        """Drawn to scale, the first three would lie 5 pixels apart."""
        drawn = search_chart("s", [(score, True) for score in (0.9, 0.91, 0.92, 0.0)], x_label="trial")
        first, second, third, hopeless = (float(y) for y in re.findall(r'cy="([\d.]+)"', drawn))
        assert third + 30 < second
        assert second + 30 < first
        assert first < hopeless < 300

    @pytest.mark.parametrize("scores", [[0.8333], [0.8333, 0.8333], [0.0, 0.0]])
    def test_trials_that_are_equally_good_lie_beside_each_other(self, scores):
        drawn = search_chart("s", [(score, True) for score in scores], x_label="trial")
        places = re.findall(r'cy="([\d.]+)"', drawn)
        assert len(places) == len(scores)
        assert len(set(places)) == 1

    def test_a_value_lies_where_it_is_on_its_axis_and_the_best_score_stands_out(self):
        drawn = scatter_chart("x", [(1, 0.5), (3, 0.9), (2, 0.7)], [(1, "one"), (3, "<three>")], x_label="value")
        dots = re.findall(r'class="dot (\w+)" cx="([\d.]+)" cy="([\d.]+)"', drawn)
        assert [style for style, _, _ in dots] == ["first", "second", "first"]
        x, y = ([float(dot[place]) for dot in dots] for place in (1, 2))
        assert x[2] == pytest.approx((x[0] + x[1]) / 2)
        assert y[1] < y[2] < y[0]
        assert "&lt;three&gt;" in drawn

    def test_bars_are_as_long_as_their_shares(self):
        drawn = bar_chart("b", {"model.context": 0.6, "<x>": 0.3})
        first, second = (float(width) for width in re.findall(r'width="([\d.]+)" height="20"', drawn))
        assert first == pytest.approx(2 * second)
        assert 200 + first < 520, "the longest one leaves room for its number"
        assert "&lt;x&gt;" in drawn
        assert "60%" in drawn

    def test_empty_bins_draw_no_bar(self):
        drawn = reliability_chart("r", [(0.0, 0.5, 0, None, None), (0.5, 1.0, 4, 0.8, 0.75)])
        assert drawn.count("<rect") == 1
        assert "4 entities, right 75.0%" in drawn
        assert re.findall(r'class="tick"[^>]*>([^<%]+)<', drawn) == ["4"]
        assert "<rect" not in reliability_chart("r", [(0.0, 1.0, 0, None, None)])
