"""Names in text as pages write it, found by the bundled models."""

import pytest

import fenestra
from benchmarks.reading import rates
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize

ENGLISH = [
    # initials
    ("Yesterday John F.\u00a0Smith moved to Oslo.", ["John F.\u00a0Smith/PER", "Oslo/LOC"], 1),
    ("Yesterday John F.  Smith moved to Oslo.", ["John F.  Smith/PER", "Oslo/LOC"], 1),
    ("Yesterday John F.\tSmith moved to Oslo.", ["John F.\tSmith/PER", "Oslo/LOC"], 1),
    ("Yesterday John F.\nSmith moved to Oslo.", ["John F.\nSmith/PER", "Oslo/LOC"], 1),
    ("Yesterday John F.\u2009Smith moved to Oslo.", ["John F.\u2009Smith/PER", "Oslo/LOC"], 1),
    ("The novel by J.K.Rowling came out in London.", ["J.K.Rowling/PER", "London/LOC"], 1),
    ("Yesterday John F.Kennedy met A.Berg in Oslo.", ["John F.Kennedy/PER", "A.Berg/PER", "Oslo/LOC"], 1),
    ("Å. Berg met Ö. Kerr in Oslo.", ["Å. Berg/PER", "Ö. Kerr/PER", "Oslo/LOC"], 1),
    ("A\u030a. Berg met O\u0308. Kerr in Oslo.", ["A\u030a. Berg/PER", "O\u0308. Kerr/PER", "Oslo/LOC"], 1),
    ("Lars Vik met Malcolm X. He left Oslo.", ["Lars Vik/PER", "Malcolm X/PER", "Oslo/LOC"], 2),
    ("Yesterday John F.\u00ad Smith moved to Oslo.", ["John F.\u00ad Smith/PER", "Oslo/LOC"], 1),
    ("Yesterday John F. \u200eSmith moved to Oslo.", ["John F. \u200eSmith/PER", "Oslo/LOC"], 1),
    ("&Aring;. Berg met F. &Ouml;berg in Oslo.", ["&Aring;. Berg/PER", "F. &Ouml;berg/PER", "Oslo/LOC"], 1),
    ("J.-P. Sartre met J.-P.Belmondo and M.-C. Berg in Oslo.",
     ["J.-P. Sartre/PER", "J.-P.Belmondo/PER", "M.-C. Berg/PER", "Oslo/LOC"], 1),
    ("He met Dr.A.Kerr and Dr.J.K.Vik in Oslo.", ["A.Kerr/PER", "J.K.Vik/PER", "Oslo/LOC"], 1),
    ("Wm. H. Moss lived in Boston.", ["Wm. H. Moss/PER", "Boston/LOC"], 1),
    ("Jas. Kerr, Edw. Moss and Thos. Berg met in Oslo.",
     ["Jas. Kerr/PER", "Edw. Moss/PER", "Thos. Berg/PER", "Oslo/LOC"], 1),
    ("Yesterday Chas. Kerr met Th. Mann in Zurich.", ["Chas. Kerr/PER", "Th. Mann/PER", "Zurich/LOC"], 1),
    # abbreviations
    ("Lars Vik met Malcolm X. Later he left Oslo.", ["Lars Vik/PER", "Malcolm X/PER", "Oslo/LOC"], 2),
    ("See Art. IV of the Constitution, Fig. A, Sec. B, App. C and Vol. I of the report.", None, 1),
    ("See Fig. A. Then go to Oslo.", ["Oslo/LOC"], 2),
    ("He was born on March 3 1837. Anna Berg was born in Oslo.", ["Anna Berg/PER", "Oslo/LOC"], 2),
    ("The court decided Marbury v. Madison in Sec. 3 of Art. 5.", None, 1),
    ("See Phil. 4:8, Nos. 3 and 5, Vol. 2, pp. 5-7, and MR. KERR of MOSS INC. in capitals.", None, 1),
    ('"Do not worry!", she said.', [], 1),
    ("“Stop!” — she said.", [], 1),
    # invisible and unusual characters
    ("Anna Berg lives in Lon\u00addon.", ["Anna Berg/PER", "Lon\u00addon/LOC"], 1),
    ("Anna\u2060 Berg lives in \ufeffLondon\u200b.", ["Anna\u2060 Berg/PER", "London/LOC"], 1),
    ("Anna Berg\u02bcs flat in Oslo", ["Anna Berg/PER", "Oslo/LOC"], 1),
    ("Jean\u2011Luc Dubois came from Stratford\u2011upon\u2011Avon.",
     ["Jean\u2011Luc Dubois/PER", "Stratford\u2011upon\u2011Avon/LOC"], 1),
    ("Rene\u0301 Descartes lived in Zu\u0308rich.", ["Rene\u0301 Descartes/PER", "Zu\u0308rich/LOC"], 1),
    ("Anna Berg\u00b9 moved to Oslo\u00b2 last year.", ["Anna Berg/PER", "Oslo/LOC"], 1),
    ("Anna Berg① moved to Oslo①.", ["Anna Berg/PER", "Oslo/LOC"], 1),
    ("安娜住在Berlin和London。", ["Berlin/LOC", "London/LOC"], 1),
    # mark-up and layout
    ("_Anna Berg_ lives in _Oslo_.", ["Anna Berg/PER", "Oslo/LOC"], 1),
    ("Tom Kerr________Berlin", ["Tom Kerr/PER", "Berlin/LOC"], 1),
    ("Tom&nbsp;Kerr wrote to Anna Berg&rsquo;s sister at AT&amp;T.",
     ["Tom&nbsp;Kerr/PER", "Anna Berg/PER", "AT&amp;T/ORG"], 1),
    ("Tom Kerr\tBerlin\nAnna Berg\tOslo", ["Tom Kerr/PER", "Berlin/LOC", "Anna Berg/PER", "Oslo/LOC"], 4),
    ("Kerr, J.\tOslo\nBerg, A.\tLondon", ["Kerr/PER", "J./PER", "Oslo/LOC", "Berg/PER", "A./PER", "London/LOC"], 4),
    ("Tom Kerr\u2028Berlin\u2029Anna Berg    Oslo", ["Tom Kerr/PER", "Berlin/LOC", "Anna Berg/PER", "Oslo/LOC"], 4),
]  # fmt: skip
RUSSIAN = [
    ("А. С. Пушкин родился в Москве.", ["А. С. Пушкин/PER", "Москве/LOC"], 1),
    ("А.С.Пушкин родился в Москве.", ["А.С.Пушкин/PER", "Москве/LOC"], 1),
    ("А.\u00a0С.\u00a0Пушкин родился в Москве.", ["А.\u00a0С.\u00a0Пушкин/PER", "Москве/LOC"], 1),
    ("Директор Петров П. П. приехал в Москву.", ["Петров П. П./PER", "Москву/LOC"], 1),
    ("Книгу написал Дж. Р. Р. Толкин.", ["Дж. Р. Р. Толкин/PER"], 1),
    ("Дж.К.Роулинг живёт в Эдинбурге.", ["Дж.К.Роулинг/PER", "Эдинбурге/LOC"], 1),
    ("Президент Дж. Буш прибыл в Москву.", ["Дж. Буш/PER", "Москву/LOC"], 1),
    ("Конст. Симонов вернулся в Москву.", ["Конст. Симонов/PER", "Москву/LOC"], 1),
    ("Петров приехал в г. Казань на ул. Ленина.", None, 1),
    ("Это, т. е. всё остальное, стоит 5 тыс. руб. и 3 млн. руб.", None, 1),
    ("См. стр. 5, рис. 3 и ред. И. О. Волкова.", None, 1),
    ("Он пришёл через час. Иван Петров ушёл.", ["Иван Петров/PER"], 2),
    ("Пришёл отец. Иван Петров ушёл.", ["Иван Петров/PER"], 2),
    ("Население составляет 12 500. Он жил в Москве.", ["Москве/LOC"], 2),
    ("Напр. Москва, зам. Петров и просп. Мира.", None, 1),
    ("См. рис. А и табл. В на стр. 5.", None, 1),
    ("Вчера в Санкт\u2011Петербург приехал Иван Кузнецов.", ["Санкт\u2011Петербург/LOC", "Иван Кузнецов/PER"], 1),
]  # fmt: skip
CASES = [("english", *case) for case in ENGLISH] + [("russian", *case) for case in RUSSIAN]


@pytest.fixture(scope="module")
def taggers():
    return {name: fenestra.load(name) for name in ("english", "russian")}


@pytest.mark.parametrize(("model", "text", "names", "sentences"), CASES)
def test_names_are_found_as_a_reader_finds_them(taggers, model, text, names, sentences):
    tagger = taggers[model]
    found = tagger(text)
    assert all(text[entity.start : entity.end] == entity.text for entity in found)
    assert names is None or [f"{entity.text}/{entity.label}" for entity in found] == names
    tokens = tokenize(text, tagger.language)
    assert len(sentence_lengths(text, tokens, tagger.language)) == sentences


@pytest.mark.parametrize("model", ["english", "russian"])
def test_nine_names_of_ten_are_found_however_a_page_writes_them(taggers, model):
    found = rates(taggers[model], russian=model == "russian")
    assert {kind: rate for kind, rate in found.items() if rate[0] < 0.9 * rate[1]} == {}
    assert len(found) > (10 if model == "russian" else 60)
