"""Remarks on what looks like a slip in an annotated corpus: it is legal, and probably not what was meant."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from fenestra.model.tags import OUTSIDE, split_tag
from fenestra.training.data.inspection import Inspection, counted, list_lines
from fenestra.training.data.schemes import read_spans, shown
from fenestra.training.data.spans import spans, touching

_SHOWN = 5
_COUNTING = re.compile(r"(?:\d{1,6}-)?(\d{1,6})[.:)]?")
"""A token that counts the tokens of its sentence: 3, 3., or 12-3 with the number of the sentence."""
_OUTSIDE_NAMES = frozenset({"O", "0", "OUT", "OUTSIDE", "NONE", "NULL", "NIL", "_", "-"})
"""Labels, in capitals, that probably say that there is no entity."""
_PERSONS = frozenset({"PER", "PERS", "PERSON", "PERSONS", "PEOPLE", "HUMAN", "B-PER"})
_TITLES = frozenset(
    "mr mrs ms miss mx messrs dr prof professor rev reverend hon sir dame lord lady gen general col colonel maj major "
    "capt captain lt lieutenant sgt sergeant cpl adm admiral cmdr gov governor sen senator rep president pres "
    "chancellor minister king queen prince princess pope bishop judge justice "
    "herr frau hr fr mme mlle dott sig sra sr srta "
    "г-н г-жа господин госпожа проф профессор ген генерал полковник акад академик д-р доктор президент".split()
)
"""Titles before names, in lower case and without a period."""


def slips(found: Inspection) -> Iterator[str]:
    """The remarks on a file that was read."""
    yield from _counting_column(found)
    yield from _only_begins(found)
    yield from _labels(found)
    yield from _titles(found)


def _counting_column(found: Inspection) -> Iterator[str]:
    """Words that count from 0 or 1, in each sentence or through the file."""
    if found.columns <= 2:
        return
    counting, total, running = 0, 0, None
    for sentence in found.raw:
        numbers = [int(match[1]) if (match := _COUNTING.fullmatch(word)) else None for word in sentence.words]
        total += len(numbers)
        if not numbers or numbers[0] is None:
            continue
        if numbers[0] in (0, 1, running):
            counting += sum(number == numbers[0] + place for place, number in enumerate(numbers))
        running = numbers[0] + len(numbers)
    if total > 1 and counting > 0.9 * total:
        yield (
            "the column of the word counts 1, 2, 3 …; is the word in another one? word_column (--word-column) says in "
            "which, from 0"
        )


def _only_begins(found: Inspection) -> Iterator[str]:
    """Tokens of an entity that each begin one of their own."""
    lines, longer = [], 0
    for sentence in found.sentences:
        named = spans(sentence.tags)
        lines += [sentence.line] * len(touching(named))
        longer += sum(span.end - span.start > 1 for span in named)
    if lines and not longer:
        yield (
            f"no entity is longer than a token, and {counted(len(lines), 'entity', 'entities')} directly behind one of "
            f"the same label: was every token tagged B-? ({list_lines(dict.fromkeys(lines))})"
        )


def _labels(found: Inspection) -> Iterator[str]:
    """Labels that name what is outside of entities, and labels that differ in case only."""
    counts: Counter[str] = Counter()
    for sentence in found.raw:
        counts.update(span.label for span in read_spans(sentence.tags, found.scheme))
    for label in sorted(counts):
        if label.upper() in _OUTSIDE_NAMES and label != OUTSIDE:  # that one is noted by who leaves its entities out
            yield called_outside(label, counts[label])
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        alike[label.casefold()].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            yield f"labels that differ in case only: {', '.join(f'{label} {counts[label]:,}' for label in labels)}"


def called_outside(label: str, count: int) -> str:
    """The remark on a label that names what is outside of entities."""
    what = f"a label is called {shown(label)} ({counted(count, 'entity', 'entities')})"
    became = ", and its entities are left out where tags are written" if label == OUTSIDE else ""
    return f"{what}; {OUTSIDE} without a prefix stands outside of entities{became}"


def _titles(found: Inspection) -> Iterator[str]:
    """Titles of which some are in the names of persons and some before them."""
    inside: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for sentence in found.sentences:
        for start, end, label in spans(sentence.tags):
            if label.upper() not in _PERSONS:
                continue
            if end - start > 1 and _is_title(sentence.words[start]):
                inside[sentence.words[start]] += 1
            if start and split_tag(sentence.tags[start - 1])[0] == OUTSIDE and _is_title(sentence.words[start - 1]):
                before[sentence.words[start - 1]] += 1
    if inside and before:
        yield (
            f"titles are inside of {counted(inside.total(), 'person')} ({_most(inside)}) and before "
            f"{before.total():,} ({_most(before)})"
        )


def _is_title(word: str) -> bool:
    return word[:1].isupper() and word.rstrip(".").lower() in _TITLES


def _most(words: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in words.most_common(_SHOWN))
