"""The most-frequent-tag baseline."""

from fenestra.training.data.inspection import Sentence
from fenestra.training.report.baseline import fit


def sentence(text):
    words, tags = zip(*(pair.rsplit("/", 1) for pair in text.split()), strict=True)
    return Sentence(words, tags, 0, 1)


TRAINING = [
    sentence("Paris/B-LOC is/O big/O"),
    sentence("Paris/B-PER met/O Paris/B-LOC"),
    sentence("New/B-LOC York/I-LOC"),
]


def test_a_word_gets_its_most_frequent_tag_and_an_unknown_one_none():
    assert fit(TRAINING).predict([["Paris", "met", "Texas"]]) == [["B-LOC", "O", "O"]]


def test_words_are_compared_as_they_are_written():
    assert fit(TRAINING).predict([["paris"]]) == [["O"]]


def test_the_result_is_legal_iob2():
    """A word that only ever continued a name may come first, or after a name of another label."""
    training = [*TRAINING, sentence("Ada/B-PER")]
    assert fit(training).predict([["York"], ["Ada", "York"], ["New", "York"]]) == [
        ["B-LOC"],
        ["B-PER", "B-LOC"],
        ["B-LOC", "I-LOC"],
    ]


def test_of_equally_frequent_tags_the_first_seen_wins():
    assert fit([sentence("May/O May/B-PER")]).predict([["May"]]) == [["O"]]
    assert fit([sentence("May/B-PER May/O")]).predict([["May"]]) == [["B-PER"]]


def test_nothing_learnt_means_nothing_found():
    assert fit([]).predict([["Ada"], []]) == [["O"], []]
