"""Two models on one corpus: figures worked out by hand, an oracle for each test, and what the command writes."""

import json
import shutil
from itertools import product

import numpy as np
import pytest

from fenestra.cli.main import main
from fenestra.model.errors import InputError
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans
from fenestra.training.report.compare import compare_answers
from fenestra.training.report.compare_page import render_comparison, verdict
from fenestra.training.report.markup import flatten
from fenestra.training.report.page import default_fields, made_of
from fenestra.training.report.predictions import Prediction
from fenestra.training.report.significance import mcnemar, paired_bootstrap
from tests.conftest import ROOT
from tests.training.test_report import EVIL, Page

TEST = ROOT / "data" / "sample" / "test.conll"
NO_MISC = ("--rename", "MISC=O")

GOLD = ["B-PER I-PER O B-LOC", "B-LOC O", "O O B-PER", "O B-ORG"]
FIRST = ["B-PER I-PER O B-LOC", "B-ORG O", "B-LOC O O", "O B-ORG"]
SECOND = ["B-PER O O B-LOC", "B-LOC O", "B-LOC O B-PER", "O O"]


def answers(sentences):
    return [Prediction(t, [1.0] * len(t), s := spans(t), [1.0] * len(s)) for t in (tags.split() for tags in sentences)]


def sentence(tags, line=0):
    words = tuple(f"w{place}" for place, _ in enumerate(tags.split()))
    return Sentence(words, tuple(tags.split()), line, line)


@pytest.fixture(scope="module")
def found():
    gold = [sentence(tags, 10 * place) for place, tags in enumerate(GOLD)]
    return compare_answers(gold, answers(FIRST), answers(SECOND))


class TestByHand:
    def test_scores_and_differences(self, found):
        """The first has 3 right of 5 found; the second 3 of 5, too; there are 5. Each F1 is 2·3/(5+5)."""
        assert (found.sentences, found.tokens) == (4, 11)
        assert (found.micro.first.f1, found.micro.second.f1, found.micro.f1.difference) == (0.6, 0.6, 0)
        f1 = {label: (scores.first.f1, scores.second.f1) for label, scores in found.labels.items()}
        assert f1 == {
            "LOC": (2 * 1 / (2 + 2), 2 * 2 / (3 + 2)),
            "ORG": (2 * 1 / (2 + 1), 0),
            "PER": (2 * 1 / (1 + 2), 2 * 1 / (2 + 2)),
        }

    def test_who_is_right_alone(self, found):
        """The first: the tags I-PER and B-ORG, sentences 1 and 4; the second: the tags B-LOC and B-PER, sentence 2."""
        assert (found.token_test.only_first, found.token_test.only_second, found.token_test.p) == (2, 2, 1)
        assert (found.sentence_test.only_first, found.sentence_test.only_second) == (2, 1)

    def test_errors_that_came_and_went(self, found):
        gained = [(e.kind, e.gold, e.predicted, e.text, e.example.line) for e in found.gained]
        assert gained == [("wrong boundary", "PER", "PER", "w0 w1", 0), ("missed", "ORG", None, "w1", 30)]
        lost = [(e.kind, e.gold, e.predicted, e.text, e.example.line) for e in found.lost]
        assert lost == [("wrong label", "LOC", "ORG", "w0", 10), ("missed", "PER", None, "w2", 20)]
        assert found.kept == 1  # the spurious LOC

    def test_a_model_beside_itself_differs_in_nothing(self, found):
        gold = [sentence(tags) for tags in GOLD]
        same = compare_answers(gold, answers(FIRST), answers(FIRST))
        assert (same.micro.f1.low, same.micro.f1.high, same.micro.f1.p, same.token_test.p) == (0, 0, 1, 1)
        assert (same.gained, same.lost, same.kept) == ((), (), 3)

    def test_an_empty_corpus_is_refused(self):
        with pytest.raises(InputError, match="no sentence"):
            compare_answers([], [], [])


class TestSignificance:
    @pytest.mark.parametrize(
        ("only_first", "only_second", "p"), [(0, 0, 1), (0, 6, 2 / 64), (1, 9, 22 / 1024), (5, 5, 1)]
    )
    def test_mcnemar_is_the_binomial_test(self, only_first, only_second, p):
        """2 · P(X ≤ min(b, c)) of b + c tosses, worked out by hand: 2·1/2⁶, 2·(1 + 10)/2¹⁰."""
        first = np.array([True] * 20 + [True] * only_first + [False] * only_second)
        second = np.array([True] * 20 + [False] * only_first + [True] * only_second)
        found = mcnemar(first, second)
        assert (found.only_first, found.only_second) == (only_first, only_second)
        assert found.p == pytest.approx(p)

    def test_the_interval_is_that_of_all_draws(self):
        """The oracle draws every one of the 4⁴ resamples of four sentences."""
        counts = np.array([[1, 2, 2, 2, 2], [0, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 1, 2, 1]])

        def difference(rows):
            right_1, found_1, right_2, found_2, there = counts[list(rows)].sum(0)
            return 2 * right_2 / (found_2 + there) - 2 * right_1 / (found_1 + there)

        every = np.array([difference(rows) for rows in product(range(4), repeat=4)])
        found = paired_bootstrap(counts)
        assert found.difference == pytest.approx(difference(range(4)))
        assert [found.low, found.high] == pytest.approx(list(np.quantile(every, (0.025, 0.975))), abs=0.03)
        assert found.p == pytest.approx(2 * min((every <= 0).mean(), (every >= 0).mean()), abs=0.03)

    def test_the_same_seed_gives_the_same_interval(self):
        counts = np.random.default_rng(1).integers(0, 2, (50, 5)) + np.array([0, 1, 0, 1, 1])
        assert paired_bootstrap(counts) == paired_bootstrap(counts)
        assert paired_bootstrap(counts, seed=2) != paired_bootstrap(counts)

    def test_nothing_found_anywhere_is_no_difference(self):
        found = paired_bootstrap(np.zeros((3, 5), dtype=np.int64))
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_the_sentence_about_an_interval_says_who_is_better():
    assert verdict({"low": 0.01, "high": 0.02}, "a", "b").startswith("b is better")
    assert verdict({"low": -0.02, "high": -0.01}, "a", "b").startswith("a is better")
    assert "does not tell" in verdict({"low": -0.01, "high": 0.01}, "a", "b")


class TestCommand:
    def run(self, *words):
        return main(["compare", *map(str, words)])

    def test_a_corpus_is_tagged_by_both(self, tmp_path, capsys):
        code = self.run(
            "english", "russian", TEST, *NO_MISC, "--json", tmp_path / "c.json", "--html", tmp_path / "c.html"
        )
        out = capsys.readouterr().out
        report = json.loads((tmp_path / "c.json").read_text())
        (corpus,) = report["corpora"]
        micro = corpus["comparison"]["micro"]
        assert code == 0
        assert (report["first"]["name"], report["second"]["name"]) == ("english", "russian")
        assert "A is better, by more than the choice of sentences explains." in out
        assert f"{micro['first']['f1']:.2%}" in out
        assert "data.train" in {change["field"] for change in report["changed"]}
        assert len(corpus["comparison"]["gained"]) > 10
        assert "… and " in out
        page = Page((tmp_path / "c.html").read_text())
        assert not page.open
        assert not page.references
        assert "english → russian" in " ".join(page.text)

    def test_f1_is_that_of_evaluate(self, tmp_path, capsys):
        self.run("english", "russian", TEST, *NO_MISC, "--json", tmp_path / "c.json")
        main(["evaluate", "--model", "english", str(TEST), *NO_MISC, "--json", str(tmp_path / "e.json")])
        capsys.readouterr()
        one = json.loads((tmp_path / "c.json").read_text())["corpora"][0]["comparison"]
        two = json.loads((tmp_path / "e.json").read_text())["scores"]
        assert one["micro"]["first"] == pytest.approx(two["micro"])
        for label, scores in two["labels"].items():
            assert one["labels"][label]["first"] == pytest.approx(scores)

    def test_without_a_corpus_reports_are_compared_where_they_are_about_the_same(self, capsys):
        assert self.run("english", "english") == 0
        out = capsys.readouterr().out
        assert "all (micro)" in out
        assert "configuration: the same" in out
        assert self.run("english", "russian") == 0
        assert "no corpus in common in their reports" in capsys.readouterr().out

    def test_a_model_without_a_report_needs_a_corpus(self, tmp_path, capsys):
        shutil.copytree(ROOT / "data" / "models" / "english", tmp_path / "mine")
        (tmp_path / "mine" / "report.json").unlink()
        assert self.run("english", tmp_path / "mine") == 2
        assert "has no report.json; name a corpus to compare the models on" in capsys.readouterr().err

    def test_a_report_of_something_else_is_named(self, tmp_path, capsys):
        shutil.copytree(ROOT / "data" / "models" / "english", tmp_path / "mine")
        (tmp_path / "mine" / "report.json").write_text('{"trials": []}')
        assert self.run("english", tmp_path / "mine") == 2
        assert "report.json: not the report of a training job" in capsys.readouterr().err


def test_markup_in_data_is_shown_and_not_run(found):
    comparison = json.loads(json.dumps(found.as_dict()))
    comparison["gained"][0] |= {"kind": EVIL, "gold": EVIL}
    comparison["labels"][EVIL] = comparison["micro"]
    about = {"fenestra": "1", "first": {"name": EVIL}, "second": {"name": EVIL}}
    changed = [{"field": EVIL, "first": EVIL, "second": EVIL}]
    reported = {"name": EVIL, "f1": {EVIL: {"first": 0.5, "second": None}}}
    corpora = [{"name": EVIL, "comparison": comparison}, reported]
    page = Page(render_comparison({**about, "changed": changed, "corpora": corpora}))
    assert "script" not in page.names
    assert not page.open
    assert sum(EVIL in text for text in page.text) >= 10


def test_a_report_shows_what_was_set_and_folds_the_rest_away():
    report = json.loads((ROOT / "data" / "models" / "english" / "report.json").read_text())
    report["config"]["of_another_version"] = "kept"
    whole = made_of(report)
    shown, folded = whole.split("<details", 1)
    assert "of_another_version" in shown
    assert "data.train" in shown
    hidden = folded.split("</details>")[0]
    default = dict(default_fields())
    unchanged = [name for name, text in flatten(report["config"]) if default.get(name) == text]
    assert len(unchanged) > 20
    assert f"{len(unchanged)} more fields have their defaults" in hidden
    for name in unchanged:
        assert f"<code>{name}</code>" in hidden
        assert f"<code>{name}</code>" not in shown
