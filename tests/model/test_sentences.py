"""Where sentences end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.text.language import language
from fenestra.model.text.sentences import Splitter, sentence_lengths
from fenestra.model.text.tokens import tokenize


def sentences(text):
    tokens, found, begin = tokenize(text), [], 0
    for length in sentence_lengths(text, tokens):
        found.append(" ".join(token.text for token in tokens[begin : begin + length]))
        begin += length
    return found


PIECES = st.sampled_from(
    'He he NEW YORK U.S. Mr. PM AM 1996-08-30 7 7-5 , . ! ... " ” ) AM\n LONDON\n\n Kiel\n'.split(" ")
)


@given(st.lists(PIECES, max_size=30), st.integers(1, 9))
def test_sentences_do_not_depend_on_how_their_words_come_in(words, size):
    """A long text is read in pieces; nothing may be known at once that is not known piece by piece."""
    text = " ".join(words)
    tokens, splitter = tokenize(text), Splitter(text, language())
    for begin in range(0, len(tokens), size):
        piece = tokens[begin : begin + size]
        splitter.read([token.text for token in piece], [token.start for token in piece])
    assert splitter.lengths() == sentence_lengths(text, tokens)


@given(st.text(alphabet="aB.!?\"'()\n 1’”", max_size=80))
def test_every_token_belongs_to_one_sentence_and_none_is_empty(text):
    tokens = tokenize(text)
    lengths = sentence_lengths(text, tokens)
    assert sum(lengths) == len(tokens)
    assert all(length > 0 for length in lengths)


CASES = [
    ("He met Mr. Ito. They left.", ["He met Mr. Ito .", "They left ."]),
    ("She works for Siemens AG in the U.S. The pay is good.",
     ["She works for Siemens AG in the U.S.", "The pay is good ."]),
    ("“Go!” He went.", ["“ Go ! ”", "He went ."]),
    ('He said "Go." Then "Why?" was heard.', ['He said " Go . "', 'Then " Why ? " was heard .']),
    ('It fell . " We lost . " It rose .', ["It fell .", '" We lost . "', "It rose ."]),
    ("Leeds 3 1 Hull 2 0", ["Leeds 3 1", "Hull 2 0"]),
    ("NEW YORK 1996-08-30 Stocks fell.", ["NEW YORK 1996-08-30", "Stocks fell ."]),
    # A dateline begins with its place, which only the date tells from other words in capitals …
    ("Markets fell . Larry Fine NEW YORK 1996-08-30 Stocks fell.",
     ["Markets fell .", "Larry Fine", "NEW YORK 1996-08-30", "Stocks fell ."]),
    ("Rolf Soderlind LONGYEAR, West Bank 1996-08-30 It rose.",
     ["Rolf Soderlind", "LONGYEAR , West Bank 1996-08-30", "It rose ."]),
    # … and words in capitals without a date behind them, or before other words, begin nothing.
    ("Larry Fine of IBM met NATO members", ["Larry Fine of IBM met NATO members"]),
    ("the NATO summit of 1996-08-30 was short", ["the NATO summit of 1996-08-30 was short"]),
    ("It was built by JPL NASA 1996-08-30 and flew.", ["It was built by JPL NASA 1996-08-30 and flew ."]),
    ("Seen at 10:30 PM GMT 1996-08-30 by Ada.", ["Seen at 10:30 PM GMT 1996-08-30 by Ada ."]),
    # Several stops end one sentence.
    ("Stop!!! Why??! He left.", ["Stop ! ! !", "Why ? ? !", "He left ."]),
    # AM and PM belong to the time before them.
    ("Ada Lovelace 03/29/2001 09:01 AM Here it is.", ["Ada Lovelace 03/29/2001 09:01 AM", "Here it is ."]),
    ("It closes at 09:30 PM Pacific time.", ["It closes at 09:30 PM Pacific time ."]),
    ("He resigned. PM Modi will visit.", ["He resigned .", "PM Modi will visit ."]),
    ("India votes\nPM Modi wins", ["India votes", "PM Modi wins"]),
    ("it fell. then it rose.", ["it fell . then it rose ."]),
    ("STORM HITS COAST\nWinds rose in Kiel.", ["STORM HITS COAST", "Winds rose in Kiel ."]),
    ("a line that was broken because the page was full of letters in\nMunich and went on",
     ["a line that was broken because the page was full of letters in Munich and went on"]),
    ("One\n\ntwo", ["One", "two"]),
    # A line ends a sentence if it has 50 characters at most, up to the end of its last word …
    (f"{'x' * 45} Ada \nBob went", [f"{'x' * 45} Ada", "Bob went"]),
    (f"{'x' * 46} Ada\nBob went", [f"{'x' * 46} Ada", "Bob went"]),
    # … with one more, the page was full.
    (f"{'x' * 47} Ada\nBob went", [f"{'x' * 47} Ada Bob went"]),
    (f"{'x' * 51} Ada\nBob went", [f"{'x' * 51} Ada Bob went"]),
    # A quotation mark that stands free opens or closes by turns, within a paragraph.
    ('" We lost\n\n" Why ? " He left .', ['" We lost', '" Why ? "', "He left ."]),
    # Only a full stop reaches through what closes after it: no abbreviation, no date, no number.
    ("He left (at last.) The end.", ["He left ( at last . )", "The end ."]),
    ("He met Ito (of Acme Inc.) The rest left.", ["He met Ito ( of Acme Inc. ) The rest left ."]),
    ("He met Ito (of Acme Inc. The rest left.", ["He met Ito ( of Acme Inc.", "The rest left ."]),
    ("It opened (on 1996-08-30) Kiel said.", ["It opened ( on 1996-08-30 ) Kiel said ."]),
    # A bullet begins an item, the number of an item its row.
    ("Teams: • Leeds • Hull • • Kiel", ["Teams :", "• Leeds", "• Hull", "• • Kiel"]),
    ("1. Ito (Japan) 9.81 2. Moss (Oslo) 9.87", ["1 . Ito ( Japan ) 9.81", "2 . Moss ( Oslo ) 9.87"]),
    ("1. Wash it. 2. Cut it.", ["1 . Wash it .", "2 . Cut it ."]),
    # Nothing begins with a comma or with what closes, and a dash that goes on in small letters begins nothing.
    ('"Do not worry!", she said.', ['" Do not worry ! " , she said .']),
    ("“Go!” — she left. — He stayed.", ["“ Go ! ” — she left .", "— He stayed ."]),
    ("He left. —", ["He left .", "—"]),
    # A question ends also before small letters, a full stop does not.
    ("are you there? i am", ["are you there ?", "i am"]),
    # Initials and abbreviations end nothing, unless a word follows that opens sentences.
    ("He met Malcolm X. He left.", ["He met Malcolm X .", "He left ."]),
    ("Moss J. K. Ito said so.", ["Moss J. K. Ito said so ."]),
    ("It is Berg v. Vik in Sec. 3 of Art. 5. The rest is open.",
     ["It is Berg v. Vik in Sec. 3 of Art. 5 .", "The rest is open ."]),
    ("He knows Phil. 4:8 is old.", ["He knows Phil. 4:8 is old ."]),
    ("He met Phil. They left.", ["He met Phil .", "They left ."]),
    ("in the domain .com Ada said", ["in the domain . com Ada said"]),
    # Lines and cells: a name is not cut behind an initial or a title, and no name reaches into the next cell.
    ("He met Mr.\nIto in Kiel.", ["He met Mr. Ito in Kiel ."]),
    ("Moss J.\nIto K.", ["Moss J.", "Ito K ."]),
    ("Ada\tKiel\nBob\tOslo", ["Ada", "Kiel", "Bob", "Oslo"]),
    ("Ada    Kiel\u2028Bob   Oslo", ["Ada", "Kiel", "Bob", "Oslo"]),
    ("Ada  Lovelace", ["Ada Lovelace"]),
    ("Ada\u2029bob\rkiel\r\nOslo\x85Leeds", ["Ada", "bob kiel", "Oslo", "Leeds"]),
    ("", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_breaks_fall_where_a_reader_puts_them(text, expected):
    assert sentences(text) == expected
