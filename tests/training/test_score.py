"""Scores: seqeval is the judge, and our own counting has to agree with it."""

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from fenestra.model.errors import DataError
from fenestra.training.data.spans import Span, spans, write_tags
from fenestra.training.fit.score import LabelScore, f1_of_spans, from_counts, score

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-date.time", "I-date.time")


@st.composite
def tagged_pairs(draw):
    """Gold and predicted tags of a few sentences, legal or not."""
    lengths = draw(st.lists(st.integers(0, 6), max_size=5))
    tags = st.sampled_from(TAGS)
    return tuple([draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths] for _ in range(2))


@given(tagged_pairs())
def test_counting_spans_agrees_with_seqeval(pair):
    """The loop counts spans after every epoch; the report asks seqeval. The figures must be the same."""
    gold, predicted = pair
    counted = f1_of_spans(map(spans, gold), map(spans, predicted))
    assert asdict(score(gold, predicted).micro) == pytest.approx(asdict(counted))


@settings(max_examples=50)
@given(tagged_pairs())
def test_every_label_is_scored_under_its_own_name(pair):
    gold, predicted = pair
    found = score(gold, predicted).labels
    names = {span.label for tags in (*gold, *predicted) for span in spans(tags)}
    assert list(found) == sorted(names)
    for name in names:
        mine = f1_of_spans(
            [[s for s in spans(tags) if s.label == name] for tags in gold],
            [[s for s in spans(tags) if s.label == name] for tags in predicted],
        )
        assert found[name].f1 == pytest.approx(mine.f1)
        assert found[name].support == mine.support


@settings(max_examples=50)
@given(tagged_pairs())
def test_on_legal_tags_the_strict_mode_says_the_same(pair):
    """What the tagger and the corpora hand out is legal IOB2, where the two modes cannot differ."""
    gold, predicted = ([write_tags(spans(tags), len(tags)) for tags in side] for side in pair)
    if not any(tag != "O" for tags in gold for tag in tags):
        return  # the report has nothing to say then
    strict = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    found = score(gold, predicted)
    assert found.micro.f1 == pytest.approx(strict["micro avg"]["f1-score"])
    assert found.micro.precision == pytest.approx(strict["micro avg"]["precision"])


def test_the_worked_example_of_a_lecture():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "B-LOC"]]
    found = score(gold, predicted)
    assert found.micro == LabelScore(precision=0.5, recall=2 / 3, f1=pytest.approx(4 / 7), support=3)
    assert found.labels["PER"] == LabelScore(0, 0, 0, 1)
    assert found.labels["LOC"] == LabelScore(0.5, 1, pytest.approx(2 / 3), 1)
    assert found.token_accuracy == pytest.approx(4 / 6)


@pytest.mark.parametrize("predicted", [[["O", "O"]], [["B-PER", "I-PER"]]])
def test_a_side_without_entities_scores_zero_and_warns_of_nothing(predicted):
    assert score(predicted, [["O", "O"]]).micro.f1 == 0
    assert score([["O", "O"]], predicted).micro.f1 == 0


def test_no_sentence_at_all_scores_zero():
    assert score([], []).micro == LabelScore(0, 0, 0, 0)
    assert score([], []).token_accuracy == 0


def test_tuples_score_like_lists():
    """seqeval silently reads a list of tuples as one flat sequence."""
    gold, predicted = [["B-PER"], ["I-PER"]], [["B-PER"], ["O"]]
    assert score([tuple(t) for t in gold], [tuple(t) for t in predicted]) == score(gold, predicted)


def test_a_sentence_of_another_length_is_named():
    with pytest.raises(DataError, match="sentence 2: 1 gold tags, 2 predicted"):
        score([["O"], ["O"]], [["O"], ["O", "O"]])


def test_a_missing_sentence_is_counted():
    with pytest.raises(DataError, match="2 gold sentences, 1 predicted"):
        score([["O"], ["O"]], [["O"]])


def test_a_span_is_right_only_with_label_start_and_end():
    gold = [[Span(0, 2, "PER")]]
    for wrong in (Span(0, 1, "PER"), Span(1, 2, "PER"), Span(0, 2, "LOC")):
        assert f1_of_spans(gold, [[wrong]]).f1 == 0
    assert f1_of_spans(gold, gold).f1 == 1


def test_counts_become_fractions():
    assert from_counts(right=3, found=4, support=6) == LabelScore(0.75, 0.5, 0.6, 6)
