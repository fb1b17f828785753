"""One convention for titles: outside of a person.

    Mr. [Ito]    President [Ada Ito]    the late Sen. [Ito]

Corpora differ, some in themselves. A title is what its bearer can leave off: forms of address, offices and ranks. Names
of royals, nobles, popes and artists stay as a corpus has them (``Prince William``, ``Lady Gaga``), since what would be
left is not what such a person is called.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from fenestra.training.data.corpus import Corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.names import usual_label
from fenestra.training.data.packed import pack_sentences
from fenestra.training.data.spans import spans, write_tags

_TITLES = frozenset(
    """mr mrs ms mx dr drs prof rev revd hon sgt capt cpl pvt lt col cmdr cdr brig gen adm maj gov sen sens rep reps
    pres supt insp amb atty messrs mme mlle msgr mister madam madame miss sir dame doctor professor reverend president
    vice-president prime minister secretary chancellor senator representative congressman congresswoman governor mayor
    ambassador judge justice attorney general admiral colonel major captain commander lieutenant sergeant corporal
    private officer detective inspector sheriff chairman chairwoman chief director coach bishop archbishop cardinal
    imam ayatollah""".split()
)


def titles_outside(corpus: Corpus, labels: Sequence[str]) -> Corpus:
    """Take titles off the persons of a corpus.

    Args:
        corpus: to change; the titles are English.
        labels: of the model; without one of persons, nothing changes.
    """
    person = usual_label("person", labels)
    changed = pack_sentences(_without_titles(sentence, person) for sentence in corpus.sentences)
    return replace(corpus, sentences=changed)


def _without_titles(sentence: Sentence, person: str | None) -> Sentence:
    """The same sentence with shorter persons; a person that is titles alone stays."""
    found = spans(sentence.tags)
    short = [
        span._replace(start=span.start + _titles(sentence.words[span.start : span.end]))
        if span.label == person
        else span
        for span in found
    ]
    if short == found:
        return sentence
    return sentence._replace(tags=tuple(write_tags(short, len(sentence.words))))


def _titles(name: Sequence[str]) -> int:
    """How many words at the beginning of a name are titles; 0 if all of them are."""
    count = sum(1 for _ in takewhile(lambda word: word.lower().rstrip(".") in _TITLES or word == ".", name))
    return count if count < len(name) else 0
