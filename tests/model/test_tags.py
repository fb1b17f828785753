"""Tags of the schemes."""

import pytest

from fenestra.model.tags import may_follow, tag_set

LABELS = ["PER", "LOC"]


@pytest.mark.parametrize(("scheme", "count"), [("IOB2", 5), ("BIOES", 9), ("IO", 3)])
def test_a_tag_set_has_outside_first_and_each_label_in_every_place(scheme, count):
    tags = tag_set(LABELS, scheme)
    assert tags[0] == "O"
    assert len(set(tags)) == len(tags) == count


@pytest.mark.parametrize(
    ("before", "tag", "legal"),
    [("O", "I-PER", False), (None, "I-PER", False), ("B-PER", "I-PER", True), ("B-PER", "I-LOC", False),
     ("I-PER", "I-PER", True), ("O", "B-PER", True), ("I-PER", "O", True), (None, "O", True)],
)  # fmt: skip
def test_inside_only_continues_its_own_label(before, tag, legal):
    assert may_follow(before, tag) is legal
