"""Spans, against seqeval and by round trip."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from fenestra.model.tags import tag_set, transitions
from fenestra.training.data.spans import Span, convert, spans, write_tags

LABELS = ["PER", "LOC"]
any_tag = st.sampled_from(["O", *(f"{prefix}-{label}" for prefix in "BI" for label in LABELS)])


@st.composite
def spans_and_length(draw):
    """Spans that neither overlap nor leave the sentence."""
    found, position = [], 0
    for gap, size, label in draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(LABELS)), max_size=6)
    ):
        found.append(Span(position + gap, position + gap + size, label))
        position += gap + size
    return found, position + draw(st.integers(0, 3))


@given(st.lists(any_tag, max_size=12))
def test_spans_reads_even_broken_tags_as_seqeval_does(tags):
    """What the service returns is what the evaluation scores, for any output of a network."""
    expected = [Span(start, end + 1, label) for label, start, end in get_entities(tags)]
    assert spans(tags) == expected


@pytest.mark.parametrize(("scheme", "theirs"), [("IOB2", IOB2), ("BIOES", IOBES)])
@given(case=spans_and_length())
def test_written_tags_mean_the_same_to_seqeval_in_strict_mode(case, scheme, theirs):
    found, length = case
    entities = Entities([write_tags(found, length, scheme)], theirs).entities[0]
    assert [Span(e.start, e.end, e.tag) for e in entities] == found


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
@given(case=spans_and_length())
def test_writing_then_reading_spans_changes_nothing(case, scheme):
    found, length = case
    assert spans(write_tags(found, length, scheme)) == found


def test_iob1_is_read_with_its_b_only_between_touching_spans():
    tags = ["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-PER"]
    assert convert(tags, "IOB2") == ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "B-PER"]


def test_io_melts_touching_spans():
    assert convert(["B-LOC", "B-LOC", "O"], "IO") == ["I-LOC", "I-LOC", "O"]


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
@given(case=spans_and_length())
def test_every_written_sequence_is_legal(case, scheme):
    found, length = case
    tags = tag_set(LABELS, scheme)
    starts, steps, ends = transitions(tags, scheme)
    columns = [tags.index(tag) for tag in write_tags(found, length, scheme)]
    if columns:
        assert starts[columns[0]]
        assert ends[columns[-1]]
    assert all(steps[a, b] for a, b in pairwise(columns))
