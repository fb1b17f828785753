"""Responses are rendered in pieces, which together are one JSON document."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.app.api.rendering import tag_answer
from fenestra.app.api.schemas import TagRequest
from fenestra.model.results import Entity, Result, TaggedToken

SIZES = st.sampled_from([0, 1, 2, 7, 499, 500, 501, 998, 999, 1000, 1001, 1999, 2000, 2001, 3100])
ROCKETS = "🚀é "


def item(tokens, entities):
    """A text of some tokens of two characters each, the first of which are entities too."""
    places = [(3 * number, 3 * number + 2) for number in range(max(tokens, entities))]
    names = [("PER", "LOC")[number % 2] for number in range(entities)]
    found = [
        Entity(start, end, name, "🚀é", number % 10 / 10)
        for number, ((start, end), name) in enumerate(zip(places, names, strict=False))
    ]
    listed = [TaggedToken("🚀é", start, end, "O", 0.5) for start, end in places[:tokens]]
    return ROCKETS * len(places), Result(found, listed, [])


def expected(request, text, analysis):
    """The same, at once and in plain words."""
    codec, width = {"codepoint": ("utf-32-le", 4), "utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}[request.offsets]
    unit = len(ROCKETS.encode(codec)) // width
    size = len(ROCKETS[:2].encode(codec)) // width

    def place(found):
        return {"start": found.start // 3 * unit, "end": found.start // 3 * unit + size}

    wanted = ("PER", "LOC") if request.labels is None else request.labels
    result = {
        "entities": [
            {"label": found.label, "text": found.text, "score": found.score, **place(found)}
            for found in analysis
            if found.score >= request.min_score and found.label in wanted
        ]
    }
    if request.details:
        result["tokens"] = [
            {"text": found.text, "tag": found.tag, "score": found.score, **place(found)} for found in analysis.tokens
        ]
    return result


@settings(max_examples=60)
@given(
    st.lists(st.tuples(SIZES, SIZES), max_size=4),
    st.sampled_from(["codepoint", "utf16", "utf8"]),
    st.booleans(),
    st.sampled_from([None, [], ["PER"]]),
    st.sampled_from([0.0, 0.45, 1.0]),
    st.sampled_from([None, 7]),
)
def test_a_response_in_pieces_of_any_size_is_one_json_document(sizes, unit, details, labels, min_score, line):
    items = [item(*size) for size in sizes]
    request = TagRequest(
        text=[text for text, _ in items], offsets=unit, details=details, labels=labels, min_score=min_score
    )
    written = b"".join(tag_answer(request, "m", "1", [analysis for _, analysis in items], line))
    head = {} if line is None else {"line": line}
    results = [expected(request, *one) for one in items]
    assert json.loads(written) == head | {"model": {"name": "m", "version": "1"}, "results": results}


class Counted(list):
    """Tokens that know how many of them were asked for."""

    taken = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        self.taken += len(found) if isinstance(place, slice) else 1
        return found

    def __iter__(self):
        self.taken += len(self)
        return super().__iter__()


@pytest.mark.parametrize("unit", ["codepoint", "utf16"])
def test_a_large_result_is_rendered_in_pieces(unit):
    """What is made at once holds up all other requests."""
    text, analysis = item(20_000, 0)
    tokens = Counted(analysis.tokens)
    request = TagRequest(text=text, details=True, offsets=unit)
    most = before = 0
    for _ in tag_answer(request, "m", "1", [Result([], tokens, [])]):
        most, before = max(most, tokens.taken - before), tokens.taken
    assert tokens.taken == 20_000
    assert most <= 1000
