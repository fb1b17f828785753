"""A result draws itself in a notebook: all of the text, its entities marked, nothing of it taken for HTML."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.drawing import _TONES
from fenestra.model.results import Entity, Result
from fenestra.model.tagger import Tagger
from tests.model.conftest import small_model

TAGGER = Tagger(small_model(), device="cpu")


class Reader(HTMLParser):
    """What a browser would show: the text, and what is marked with which label and colours."""

    def __init__(self, html):
        super().__init__()
        self.text, self.marks, self.tags, self._open = "", [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open.append(tag)
        if tag == "mark":
            self.marks.append({"style": dict(attrs)["style"], "title": dict(attrs)["title"], "text": "", "label": ""})

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "small" in self._open:
            self.marks[-1]["label"] += data
            return
        if "mark" in self._open:
            self.marks[-1]["text"] += data
            # the space before the label belongs to the label
            data = data[:-1] if data.endswith(" ") else data
        self.text += data


def drawn(source, entities):
    return Result(entities, None, source)._repr_html_()


def test_a_text_is_complete_and_its_entities_are_marked():
    text = "Ada Lovelace met Siemens."
    entities = [Entity(0, 12, "PER", "Ada Lovelace", 0.987), Entity(17, 24, "ORG", "Siemens", 0.5)]
    found = Reader(drawn(text, entities))
    assert found.text == text
    assert [(mark["text"].strip(), mark["label"], mark["title"]) for mark in found.marks] == [
        ("Ada Lovelace", "PER", "0.99"), ("Siemens", "ORG", "0.50"),
    ]  # fmt: skip


def test_words_are_complete_with_a_space_between():
    words = ["Ada", "Lovelace", "met", "Siemens", "&", "Co"]
    found = Reader(drawn(words, [Entity(0, 2, "PER", "Ada Lovelace", 0.9), Entity(3, 4, "ORG", "Siemens", 0.9)]))
    assert found.text.split() == words
    assert [mark["text"].strip() for mark in found.marks] == ["Ada Lovelace", "Siemens"]


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x>', "a & b &lt;", "</mark></div>"])
def test_what_was_tagged_is_not_taken_for_html(hostile):
    """In the text, in an entity, in a label."""
    text = f"{hostile} Ada {hostile}"
    begin = len(hostile) + 1
    html = drawn(text, [Entity(begin, len(text), hostile, text[begin:], 0.5)])
    found = Reader(html)
    assert found.tags == {"div", "mark", "small"}
    assert found.text == text
    assert found.marks[0]["label"] == hostile
    words = Reader(drawn([hostile, "Ada", hostile], [Entity(1, 3, "PER", f"Ada {hostile}", 0.5)]))
    assert words.tags == {"div", "mark", "small"}
    assert "".join(words.text.split()) == "".join(f"{hostile}Ada{hostile}".split())


@given(st.text(alphabet="aB<>&\"' é\n", max_size=40))
def test_any_text_is_complete(text):
    assert Reader(TAGGER(text)._repr_html_()).text == text


def colours(html):
    return re.findall(r"background:(#\w{6});color:(#\w{6})", html)


def test_every_label_has_a_colour_and_the_usual_ones_keep_theirs():
    labels = ["LOC", "PER", "XYZ", "LOC", "ABC"]
    entities = [Entity(n, n + 1, label, "x", 0.5) for n, label in enumerate(labels)]
    found = colours(drawn("x" * 5, entities))
    assert found[0] == found[3]
    assert len(set(found)) == 4
    assert found[:2] == [_TONES[1], _TONES[0]]
    assert found[2] == _TONES[5]
    assert colours(drawn("x", [Entity(0, 1, "ORG", "x", 0.5)])) == [_TONES[2]]


def test_more_labels_than_colours_are_drawn_too():
    entities = [Entity(n, n + 1, f"L{n:02}", "x", 0.5) for n in range(20)]
    found = colours(drawn("x" * 20, entities))
    assert len(found) == 20
    assert set(found) == set(_TONES)


def test_colours_are_those_of_the_page():
    """Of ``app/pages``, which draws entities with the same eight tones."""
    (page,) = (Path(__file__).parents[2] / "app").rglob("tones.css")
    styles = page.read_text(encoding="utf-8").lower()
    assert all(paper in styles and ink in styles for paper, ink in _TONES)


def test_a_result_without_entities_is_its_text():
    assert unescape(re.sub(r"<[^>]*>", "", drawn("a < b", []))) == "a < b"
