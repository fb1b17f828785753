"""Scores on text that they were not fitted on: no document is fitted on and measured at once."""

from benchmarks import calibration
from fenestra.training.data.inspection import Sentence
from tests.model.conftest import small_model

WORDS = (("Ada", "met", "Siemens"), ("Rain",), ("Munich", "is", "far"), ("no", "name"))
TAGS = (("B-PER", "O", "B-ORG"), ("O",), ("B-LOC", "O", "O"), ("O", "O"))
DEV = [
    Sentence(words, tags, line=number, document=number // 2)
    for number, (words, tags) in enumerate(zip(WORDS * 6, TAGS * 6, strict=True))
]


def test_every_sentence_is_held_back_once_and_no_document_is_on_both_sides():
    held_back = []
    for fit, held in calibration.folds(DEV):
        assert not {one.document for one in fit} & {one.document for one in held}
        assert len(fit) + len(held) == len(DEV)
        held_back += held
    assert sorted(one.line for one in held_back) == [one.line for one in DEV]


def test_every_way_is_measured_on_all_of_dev():
    found = calibration.out_of_fold(small_model(), DEV, small=True)
    assert list(found) == list(calibration.WAYS)
    assert all(0 <= error <= 1 for error in found.values())
