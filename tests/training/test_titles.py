"""One convention for titles."""

import pytest

from fenestra.training.data.corpus import Corpus
from fenestra.training.data.titles import titles_outside
from tests.training.test_perturbations import named, sentence


@pytest.mark.parametrize(
    ("text", "persons"),
    [
        ("Mr./B-PER Ito/I-PER left/O", ["Ito"]),
        ("MR/B-PER ./I-PER Ito/I-PER left/O", ["Ito"]),
        ("the/O late/O Vice/O President/B-PER Gen./I-PER Ada/I-PER Ito/I-PER", ["Ada Ito"]),
        ("Mr./O Ito/B-PER left/O", ["Ito"]),
        ("the/O President/B-PER left/O", ["President"]),
        ("Prince/B-PER William/I-PER met/O Lady/B-PER Gaga/I-PER", ["Prince William", "Lady Gaga"]),
        ("Ada/B-PER Major/I-PER left/O", ["Ada Major"]),
    ],
)
def test_a_title_is_outside_of_a_person(text, persons):
    (changed,) = titles_outside(Corpus("c", (sentence(text),), ""), ["LOC", "PER"]).sentences
    assert [" ".join(words) for _, words in named(changed)] == persons
    assert changed.words == sentence(text).words


def test_other_labels_keep_what_they_have():
    corpus = Corpus("c", (sentence("General/B-ORG Electric/I-ORG hired/O Dr./B-PER Who/I-PER"),), "")
    assert titles_outside(corpus, ["ORG"]).sentences == corpus.sentences
    (changed,) = titles_outside(corpus, ["ORG", "PER"]).sentences
    assert named(changed) == [("ORG", ("General", "Electric")), ("PER", ("Who",))]
