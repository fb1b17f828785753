"""The canonical form: what a word looks up, and the place of what stands in the text."""

import html
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fenestra.model.text.canonical import canonical, canonicalise

LETTERS = st.text(st.characters(categories=("L", "M", "N", "P")), min_size=1, max_size=20)
PIECES = st.lists(
    st.sampled_from(
        [*"aAéßжД東ก1.-'’", "e\u0301", "\u00ad", "\u200b", "\u200d", "\ufe0f", "&amp;", "&#769;", "&x;", "ﬁ", "Ａ"]
    ),
    max_size=20,
).map("".join)

FOLDED = {
    # ignorable characters
    "Lon\u00addon": "London", "Lon\u2060don": "London", "Lon\ufeffdon": "London", "Lon\u200edon": "London",
    "Lon\u200bdon": "London", "Lon\ufe0fdon": "London", "Lon\x02don": "London", "Lon\u202adon": "London",
    # apostrophes
    "O’Brien": "O'Brien", "OʼBrien": "O'Brien", "O‘Brien": "O'Brien", "O´Brien": "O'Brien", "O`Brien": "O'Brien",
    "O′Brien": "O'Brien", "Hawaiʻi": "Hawai'i", "O＇Brien": "O'Brien",
    # hyphens
    "Jean‐Luc": "Jean-Luc", "Jean‑Luc": "Jean-Luc", "Санкт‑Петербург": "Санкт-Петербург", "Jean﹣Luc": "Jean-Luc",
    # composition
    "Rene\u0301": "René", "Zu\u0308rich": "Zürich", "A\u030angström": "Ångström", "\u212bngström": "Ångström",
    "И\u0306": "Й", "\u1112\u1161\u11ab": "한",
    # letters that differ in width, font or in being joined
    "Ａｎｎａ": "Anna", "𝐀𝐧𝐧𝐚": "Anna", "Ko\ufb02er": "Kofler",
    # character references
    "AT&amp;T": "AT&T", "O&rsquo;Brien": "O'Brien", "O&#8217;Brien": "O'Brien", "O&#x2019;Brien": "O'Brien",
    "Ren&eacute;": "René", "Rene&#769;": "René", "Tom&nbsp;Kerr": "Tom\u00a0Kerr", "Lon&shy;don": "London",
}  # fmt: skip
AS_IT_IS = [
    "London", "O'Brien", "AT&T", "&x;", "&;", "&amp", "rock&roll;", "``", "‘", "`", "10′", "–", "—", "…", "№", "m²",
    "½", "™", "क्\u200dष", "می\u200cخواهم", "👩\u200d👩\u200d👧", "東京", "İzmir", "ß",
]  # fmt: skip


@pytest.mark.parametrize(("word", "form"), FOLDED.items())
def test_what_looks_alike_is_looked_up_alike(word, form):
    assert canonical(word) == form


@pytest.mark.parametrize("word", AS_IT_IS)
def test_what_means_something_of_its_own_stays(word):
    assert canonical(word) == word
    assert canonicalise(word).places is None


@pytest.mark.parametrize("word", ["\u00ad", "\u200b\u200e", "\ufeff"])
def test_a_word_of_which_nothing_would_be_left_stays(word):
    assert canonical(word) == word


def test_a_space_of_no_width_parts_words_where_no_spaces_do():
    assert canonicalise("กข\u200bคง").text == "กข คง"
    assert canonicalise("Anna\u200bBerg").text == "Anna Berg"


@example("é\u200bA")
@example("é‘é")
@given(LETTERS | PIECES)
def test_decomposed_text_has_the_form_of_composed_text(word):
    decomposed, composed = (canonicalise(unicodedata.normalize(form, word)).text for form in ("NFD", "NFC"))
    assert decomposed == composed


@given(LETTERS)
def test_references_have_the_form_of_what_they_name(word):
    written = "".join(f"&#{ord(character)};" for character in word)
    assert html.unescape(written) == word
    assert canonicalise(written).text == canonicalise(word).text


@given(LETTERS | PIECES)
def test_every_character_has_a_place_and_they_are_in_order(word):
    form, places = canonicalise(word)
    if places is None:
        assert form == word
        return
    assert len(places) == len(form)
    assert all(0 <= start < end <= len(word) for start, end in places)
    assert list(places) == sorted(places)
    for (start, end), (following, _) in pairwise(places):
        assert end <= following or start == following  # one after the other, or of the same origin


@given(PIECES)
def test_a_plain_character_stands_for_itself(word):
    form, places = canonicalise(word)
    for character, (start, end) in zip(form, places or (), strict=bool(places)):
        if end == start + 1 and word[start].isascii() and word[start] != "&":
            assert word[start] == character
