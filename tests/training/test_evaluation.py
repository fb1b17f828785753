"""What an evaluation counts, on sentences small enough to count by hand."""

import json
from dataclasses import asdict

import pytest

from fenestra.model.errors import DataError
from fenestra.model.results import Entity, Result, TaggedToken
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans
from fenestra.training.fit.score import f1_of_spans, from_counts
from fenestra.training.report.evaluation import THRESHOLDS, evaluate, known_entities, measure_variants
from fenestra.training.report.predictions import Prediction


def sentence(text, line=1):
    """``word/TAG`` pairs as a sentence."""
    words, tags = zip(*(pair.rsplit("/", 1) for pair in text.split()), strict=True)
    return Sentence(words, tags, 0, line)


def predicted(tags, scores=()):
    """A prediction; spans without a score of their own have 0.95."""
    found = spans(tags.split())
    return Prediction(tags.split(), [0.9] * len(tags.split()), found, [*scores, *[0.95] * len(found)][: len(found)])


GOLD = [
    sentence("Ada/B-PER Lovelace/I-PER met/O Siemens/B-ORG in/O Paris/B-LOC"),
    sentence("May/B-PER may/O visit/O New/B-LOC York/I-LOC", line=8),
    sentence("No/O name/O here/O", line=14),
]
PREDICTED = [
    predicted("B-PER O O B-LOC O B-LOC"),  # a boundary, a label, and Paris right
    predicted("O O O B-LOC I-LOC"),  # May missed
    predicted("B-ORG O O"),  # nothing was there
]


def test_scores_are_those_of_the_tags():
    found = evaluate(GOLD, PREDICTED, None)
    assert (found.scores.micro.support, found.sentences, found.tokens) == (5, 3, 14)
    assert found.scores.micro.recall == pytest.approx(2 / 5)
    assert found.scores.micro.precision == pytest.approx(2 / 5)


def test_the_confusion_matrix_counts_tokens_by_label():
    found = evaluate(GOLD, PREDICTED, None, labels=("PER", "LOC")).confusion
    assert found.labels == ("O", "PER", "LOC", "ORG")
    assert found.counts == (
        (6, 0, 0, 1),  # gold O: the spurious ORG
        (2, 1, 0, 0),  # gold PER: Lovelace and May are lost
        (0, 0, 3, 0),
        (0, 0, 1, 0),  # Siemens was taken for a place
    )
    assert sum(map(sum, found.counts)) == 14


def test_every_error_has_one_kind():
    errors = evaluate(GOLD, PREDICTED, None).errors
    assert errors.totals == {"missed": 1, "spurious": 1, "wrong label": 1, "wrong boundary": 1}
    by_kind = {mistake.kind: mistake for mistake in errors.frequent}
    boundary, spurious = by_kind["wrong boundary"], by_kind["spurious"]
    assert (boundary.text, boundary.gold, boundary.predicted_text, boundary.predicted) == (
        "Ada Lovelace", "PER", "Ada", "PER",
    )  # fmt: skip
    assert (spurious.text, spurious.gold, spurious.predicted_text, spurious.predicted) == ("No", None, "No", "ORG")
    assert by_kind["missed"].predicted is None
    assert (by_kind["wrong label"].gold, by_kind["wrong label"].predicted) == ("ORG", "LOC")


def test_a_wrong_boundary_is_compared_with_the_overlap_of_the_right_label():
    """Two predicted spans overlap the gold one; the first of them has another label."""
    gold, found = sentence("Ada/B-PER King/I-PER Lovelace/I-PER"), predicted("B-LOC B-PER I-PER")
    (mistake,) = evaluate([gold], [found], None).errors.frequent
    assert (mistake.kind, mistake.predicted, mistake.predicted_text) == ("wrong boundary", "PER", "King Lovelace")


def test_an_overlap_with_another_label_is_a_wrong_label():
    errors = evaluate([sentence("Bank/B-ORG of/I-ORG Paris/I-ORG")], [predicted("O O B-LOC")], None).errors
    assert errors.totals["wrong label"] == 1
    assert sum(errors.totals.values()) == 1


def test_equal_errors_are_counted_together_most_frequent_first_with_the_first_as_example():
    gold = [sentence("Ada/B-PER", 1), sentence("in/O May/B-PER", 3), sentence("of/O May/B-PER left/O", 6)]
    first, second = evaluate(gold, [predicted("O"), predicted("O O"), predicted("O O O")], None).errors.frequent
    assert (first.text, first.count, second.text, second.count) == ("May", 2, "Ada", 1)
    assert (first.example.before, first.example.after, first.example.line) == ("in", "", 3)


def test_an_example_shows_a_few_words_on_either_side():
    long = sentence(" ".join([f"w{n}/O" for n in range(9)] + ["Ada/B-PER"] + [f"v{n}/O" for n in range(9)]))
    (mistake,) = evaluate([long], [predicted(" ".join(["O"] * 19))], None).errors.frequent
    assert mistake.example.before == "w3 w4 w5 w6 w7 w8"
    assert mistake.example.after == "v0 v1 v2 v3 v4 v5"


def test_an_example_near_an_end_of_its_sentence_shows_what_there_is():
    words = ["of/O", "old/O", "Ada/B-PER", *(f"w{n}/O" for n in range(9)), "Ito/B-PER", "left/O"]
    mistakes = evaluate([sentence(" ".join(words))], [predicted(" ".join(["O"] * 14))], None).errors.frequent
    assert [(m.text, m.example.before, m.example.after) for m in mistakes] == [
        ("Ada", "of old", "w0 w1 w2 w3 w4 w5"), ("Ito", "w3 w4 w5 w6 w7 w8", "left"),
    ]  # fmt: skip


def test_seen_and_unseen_entities_are_scored_apart():
    """Seen is the same text with the same label: Paris the place says nothing of Paris the person."""
    known = known_entities([sentence("Paris/B-LOC hit/O New/B-LOC York/I-LOC"), sentence("May/B-LOC")])
    assert known == {("LOC", "Paris"), ("LOC", "New York"), ("LOC", "May")}
    found = evaluate(GOLD, PREDICTED, known).familiarity
    assert (found.seen.support, found.unseen.support) == (2, 3)
    assert (found.seen.recall, found.seen.precision) == (1, 1)
    assert (found.unseen.recall, found.unseen.precision) == (0, 0)


def test_without_the_training_corpus_nothing_is_said_of_seen_entities():
    assert evaluate(GOLD, PREDICTED, None).familiarity is None


def test_reliability_compares_scores_with_how_often_they_are_right():
    gold = [sentence("a/B-PER b/O c/B-PER d/B-PER e/B-PER")]
    found = evaluate(gold, [predicted("B-PER B-PER B-PER B-LOC B-PER", [0.95, 0.65, 0.65, 0.0, 1.0])], None).reliability
    counts = {bin_.low: (bin_.count, bin_.mean_score, bin_.accuracy) for bin_ in found.bins if bin_.count}
    assert counts == {0.0: (1, 0.0, 0.0), 0.6: (2, 0.65, 0.5), 0.9: (2, 0.975, 1.0)}
    assert found.expected_calibration_error == pytest.approx((2 * 0.15 + 2 * 0.025) / 5)
    assert found.brier_score == pytest.approx((0.05**2 + 0.65**2 + 0.35**2 + 0 + 0) / 5)
    assert [bin_.low for bin_ in found.bins] == pytest.approx([n / 10 for n in range(10)])


@pytest.mark.parametrize("score", [0.07, 0.17, 0.38, 0.59, 0.97])
def test_a_score_falls_into_the_bin_that_contains_it(score):
    found = evaluate([sentence("a/B-PER")], [predicted("B-PER", [score])], None).reliability
    (bin_,) = [bin_ for bin_ in found.bins if bin_.count]
    assert bin_.low <= score < bin_.high


def test_thresholds_keep_what_is_sure_and_count_all_gold_entities():
    """Scores of 0.5, 0.6, 0.95 (right), 0.99 (right) and 0.4; five gold entities."""
    answers = [
        predicted("B-PER O O B-LOC O B-LOC", [0.5, 0.6, 0.95]),
        predicted("O O O B-LOC I-LOC", [0.99]),
        predicted("B-ORG O O", [0.4]),
    ]
    found = {kept.threshold: kept for kept in evaluate(GOLD, answers, None).thresholds}
    assert tuple(found) == THRESHOLDS == (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    assert [kept.count for kept in found.values()] == [5, 4, 3, 2, 2, 2, 2, 1]
    assert asdict(found[0.0].scores) == pytest.approx(asdict(evaluate(GOLD, answers, None).scores.micro))
    assert found[0.6].scores == from_counts(2, 3, 5)
    assert found[0.99].scores == from_counts(1, 1, 5)


def test_a_threshold_that_keeps_nothing_scores_nothing():
    answers = [predicted("B-PER O O O O O", [0.5]), predicted("O O O O O"), predicted("O O O")]
    kept = evaluate(GOLD, answers, None).thresholds[-1]
    assert (kept.count, kept.scores) == (0, from_counts(0, 0, 5))


class Remembers:
    """A tagger that knows Ada as she is written, and nobody else."""

    def tag_documents(self, documents):
        return [[self.tag(words) for words in document] for document in documents]

    def tag(self, words):
        tags = ["B-PER" if word == "Ada" else "O" for word in words]
        tokens = [TaggedToken(word, n, n + 1, tag, 0.9) for n, (word, tag) in enumerate(zip(words, tags, strict=True))]
        return Result([Entity(t.start, t.end, "PER", t.text, 0.95) for t in tokens if t.tag != "O"], tokens, None)


def test_variants_are_scored_against_the_same_entities():
    gold = [sentence("Ada/B-PER ,/O Bob/B-PER"), sentence("!/O", 5)]
    plain = f1_of_spans([spans(s.tags) for s in gold], [spans(["B-PER", "O", "O"]), []])
    found = measure_variants(Remembers(), gold, ["unpunctuated", "lower"], plain)
    assert list(found) == ["unpunctuated", "lower"]
    assert found["unpunctuated"].sentences == 1
    assert (found["unpunctuated"].scores, found["unpunctuated"].share_of_f1) == (plain, 1)
    assert (found["lower"].sentences, found["lower"].scores.support, found["lower"].share_of_f1) == (2, 2, 0)
    assert found["unpunctuated"].calibration_error == pytest.approx(0.05)  # Ada at 0.95, and right
    assert found["lower"].calibration_error == 0


def test_a_share_of_nothing_is_nothing():
    gold = [sentence("Bob/B-PER")]
    assert measure_variants(Remembers(), gold, ["upper"], from_counts(0, 0, 1))["upper"].share_of_f1 == 0


def test_nothing_found_and_nothing_there_is_no_error():
    found = evaluate([sentence("no/O")], [predicted("O")], frozenset())
    assert found.reliability.expected_calibration_error == 0
    assert found.reliability.brier_score == 0
    assert {kept.count for kept in found.thresholds} == {0}
    assert found.scores.micro.f1 == 0
    assert evaluate([], [], frozenset()).tokens == 0


def test_it_is_json_ready_under_stable_names():
    plain = evaluate(GOLD, PREDICTED, frozenset(), loss=0.25).as_dict()
    assert json.loads(json.dumps(plain))["scores"]["labels"]["LOC"]["support"] == 2
    assert list(plain) == [
        "sentences", "tokens", "scores", "confusion", "familiarity", "errors", "reliability", "thresholds", "loss",
    ]  # fmt: skip
    assert set(plain["errors"]["frequent"][0]) == {
        "kind", "text", "gold", "predicted", "predicted_text", "count", "example",
    }  # fmt: skip
    assert plain["loss"] == 0.25


def test_a_prediction_of_another_length_is_refused():
    with pytest.raises(DataError, match="sentence 1"):
        evaluate(GOLD[:1], [predicted("O O")], None)
