"""How many names are found in text as pages write it: ``python -m benchmarks.reading``.

Ten invented names of persons and ten places stand in plain sentences, in every kind of writing that once lost names:
initials with and without spaces, invisible and look-alike characters, footnotes, mark-up, character references, cells
of tables. A name counts as found if label, start and end are right.
"""

import argparse
import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

import fenestra
from fenestra.model.tagger import Tagger

Write = Callable[[str], str]


class Kind(NamedTuple):
    """A way of writing: a sentence with places for a person and a place, and how each is written there."""

    name: str
    sentence: str
    person: Write
    place: Write


ENGLISH = [
    ("Anna", "Berg", "Oslo"), ("Lars", "Vik", "Bergen"), ("Tom", "Kerr", "London"), ("Maria", "Lindt", "Vienna"),
    ("Jonas", "Falk", "Hamburg"), ("Clara", "Moss", "Dublin"), ("Peter", "Holm", "Chicago"), ("Ruth", "Adler", "Paris"),
    ("Simon", "Price", "Toronto"), ("Nora", "Winter", "Boston"),
]  # fmt: skip
RUSSIAN = [
    ("Анна", "Павел", "Кузнецов", "Москве"), ("Ольга", "Иван", "Лебедев", "Казани"),
    ("Мария", "Олег", "Соколов", "Самаре"), ("Елена", "Антон", "Орлов", "Туле"),
    ("Вера", "Борис", "Волков", "Омске"), ("Нина", "Сергей", "Морозов", "Перми"),
    ("Дарья", "Виктор", "Зайцев", "Твери"), ("Ирина", "Роман", "Белов", "Минске"),
    ("Юлия", "Денис", "Крылов", "Киеве"), ("Тамара", "Андрей", "Громов", "Париже"),
]  # fmt: skip


def plain(name: str) -> str:
    """As it is."""
    return name


def inside(sign: str) -> Write:
    """With a sign inside of each word, behind its third letter."""
    return lambda name: " ".join(word[:3] + sign + word[3:] for word in name.split(" "))


def between(sign: str) -> Write:
    """With a sign in place of the space."""
    return lambda name: name.replace(" ", sign)


def after(sign: str) -> Write:
    """The name alone; the sign behind it stands in the sentence."""
    return plain


def initials(count: int, glue: str, stop_glue: str) -> Write:
    """First names as initials before the last name."""

    def write(name: str) -> str:
        first, last = name.split(" ")
        letters = [first[0], "BKMR"[len(last) % 4] if first[0].isascii() else "БКМР"[len(last) % 4]][:count]
        return stop_glue.join(f"{letter}." for letter in letters) + glue + last

    return write


def last_first(count: int, glue: str) -> Write:
    """The last name, and initials behind it."""

    def write(name: str) -> str:
        first, last = name.split(" ")
        second = "B" if first[0].isascii() else "Б"
        return f"{last} " + glue.join(f"{letter}." for letter in (first[0], second)[:count])

    return write


def middle(space: str) -> Write:
    """First name, an initial, some space, last name."""

    def write(name: str) -> str:
        first, last = name.split(" ")
        return f"{first} F.{space}{last}"

    return write


def accented(form: str) -> Write:
    """With an accent on the last e, o, a or u, composed (NFC) or not (NFD)."""

    def write(name: str) -> str:
        at = max(map(name.rfind, "eoau"))
        return unicodedata.normalize(form, name[:at] + "éöáü"["eoau".index(name[at])] + name[at + 1 :])

    return write


def wide(name: str) -> str:
    """In letters of double width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


def bold(name: str) -> str:
    """In mathematical bold letters."""
    return "".join(
        chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c
        for c in name
    )


MET = "Yesterday {person} moved to {place}."
SPACES = {"nbsp": "\u00a0", "thin": "\u2009", "narrow": "\u202f", "two": "  ", "tab": "\t", "newline": "\n",
          "crlf": "\r\n", "no": ""}  # fmt: skip
INVISIBLE = {
    "soft hyphen": "\u00ad", "word joiner": "\u2060", "no-break space of zero width": "\ufeff", "control": "\x02",
    "space of zero width": "\u200b", "joiner": "\u200d", "mark of direction": "\u200e", "variation selector": "\ufe0f",
}  # fmt: skip
BORDERS = {"tab": "\t", "four spaces": "    ", "two tabs": "\t\t", "line": "\n", "U+2028": "\u2028", "U+2029": "\u2029",
           "CR": "\r"}  # fmt: skip
HYPHENS = {"U+2010": "‐", "U+2011": "‑", "U+FE63": "﹣", "-": "-"}
FROM = "Yesterday Jean{0}Luc {{person}} came from Stratford{0}upon{0}Avon."
KINDS = [
    Kind("plain", MET, plain, plain),
    *(Kind(f"F. Smith, {name} space", MET, middle(space), plain) for name, space in SPACES.items()),
    Kind("J.K.Rowling", MET, initials(2, "", ""), plain),
    Kind("J.K. Rowling", MET, initials(2, " ", ""), plain),
    Kind("J. K. Rowling", MET, initials(2, " ", " "), plain),
    Kind("J. Rowling, nbsp", MET, initials(1, "\u00a0", ""), plain),
    Kind("A.Berg", MET, initials(1, "", ""), plain),
    Kind("Rowling J. K.", MET, last_first(2, " "), plain),
    Kind("Dr.Kerr", "Yesterday Dr.{person} moved to {place}.", lambda name: name.split(" ")[1], plain),
    *(Kind(f"{name} inside", MET, inside(sign), inside(sign)) for name, sign in INVISIBLE.items()),
    *(Kind(f"{sign}s", f"It is {{person}}{sign}s flat in {{place}}.", plain, plain) for sign in "'’ʼʻ′´`＇"),
    Kind("NFC", MET, accented("NFC"), accented("NFC")),
    Kind("NFD", MET, accented("NFD"), accented("NFD")),
    Kind("wide", MET, wide, wide),
    Kind("bold", MET, bold, bold),
    *(Kind(f"footnote {sign}", f"Yesterday {{person}}{sign} moved to {{place}}{sign} again.", plain, plain)
      for sign in "¹²³⁴⁵ªº†‡§*"),
    Kind("Han around", "昨天{person}住在{place}。", plain, plain),
    Kind("Kana around", "きのう{person}さんは{place}へ。", plain, plain),
    Kind("Hangul around", "어제 {person}는 {place}로 갔다.", plain, plain),
    Kind("Thai around", "คุณ{person}อยู่ที่{place}ครับ", plain, plain),
    *(Kind("emphasis", f"Yesterday {sign}{{person}}{sign} moved to {sign}{{place}}{sign}.", plain, plain)
      for sign in ("_", "__", "*", "**", "~~", "==")),
    Kind("rows of underscores", "Name: ___{person}___ Town: ___{place}___", plain, plain),
    *(Kind(sign, MET, between(sign), plain) for sign in ("&nbsp;", "&#160;", "&#xA0;", "&ensp;")),
    *(Kind(f"{sign}s", f"It is {{person}}{sign}s flat in {{place}}.", plain, plain)
      for sign in ("&rsquo;", "&#8217;", "&#x2019;", "&apos;")),
    Kind("&shy;", MET, inside("&shy;"), inside("&shy;")),
    Kind("&quot;", "&quot;Yesterday I moved to {place},&quot; said {person}.", plain, plain),
    *(Kind(f"cells: {name}", f"{{person}}{sign}{{place}}", plain, plain) for name, sign in BORDERS.items()),
    *(Kind(f"hyphen {name}", FROM.format(sign), plain, plain) for name, sign in HYPHENS.items()),
]  # fmt: skip

RUSSIAN_KINDS = [
    Kind("plain", "Вчера {person} приехал в Москву.", plain, plain),
    Kind("А. С. Пушкин", "Вчера {person} был в {place}.", initials(2, " ", " "), plain),
    Kind("А. С. Пушкин first", "{person} родился в {place}.", initials(2, " ", " "), plain),
    Kind("А.С. Пушкин", "Вчера {person} был в {place}.", initials(2, " ", ""), plain),
    Kind("А.С.Пушкин", "Вчера {person} был в {place}.", initials(2, "", ""), plain),
    Kind("А. Пушкин", "Вчера {person} был в {place}.", initials(1, " ", ""), plain),
    Kind("nbsp", "Вчера {person} был в {place}.", initials(2, "\u00a0", "\u00a0"), plain),
    Kind("Петров П. П.", "Вчера {person} был в {place}.", last_first(2, " "), plain),
    Kind("Петров П.П.", "Вчера {person} был в {place}.", last_first(2, ""), plain),
    Kind("Петров П. П. first", "{person} родился в {place}.", last_first(2, " "), plain),
    Kind("soft hyphen", "Вчера {person} был в {place}.", inside("\u00ad"), inside("\u00ad")),
    Kind("г. Казань", "Вчера {person} приехал в г. Казань на ул. Ленина.", plain, plain),
    Kind("проф. Орлов", "Вчера проф. {person} был в {place}.", lambda name: name.split(" ")[1], plain),
    *(Kind(f"cells: {name}", f"{{person}}{sign}Москва", plain, plain) for name, sign in BORDERS.items()),
]


def cases(russian: bool) -> Iterator[tuple[Kind, str, list[tuple[int, int, str]]]]:
    """Texts of every kind, and the names in them."""
    names = [(f"{first} {last}", place) for _, first, last, place in RUSSIAN] if russian else [
        (f"{first} {last}", place) for first, last, place in ENGLISH]  # fmt: skip
    for kind in RUSSIAN_KINDS if russian else KINDS:
        for person, place in names:
            written = {"person": kind.person(person), "place": kind.place(place)}
            text = kind.sentence.format(**written)
            gold = []
            for label, field in (("PER", "person"), ("LOC", "place")):
                if f"{{{field}}}" in kind.sentence:
                    start = text.index(written[field])
                    if field == "person" and kind.name.startswith("hyphen"):
                        start, written[field] = 10, text[10 : text.index(" came")]
                    gold.append((start, start + len(written[field]), label))
            if kind.name.startswith("hyphen"):
                gold.append((text.index("Stratford"), len(text) - 1, "LOC"))
            yield kind, text, gold


def rates(tagger: Tagger, *, russian: bool) -> dict[str, tuple[int, int]]:
    """How many names of each kind are found, and how many there are."""
    found: dict[str, tuple[int, int]] = {}
    for kind, text, gold in cases(russian):
        answers = {(entity.start, entity.end, entity.label) for entity in tagger(text)}
        right, there = found.get(kind.name, (0, 0))
        found[kind.name] = right + len(answers & set(gold)), there + len(gold)
    return found


def main() -> None:
    """Print the rate of each kind, for a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="english", help="a bundled model, or a checkpoint folder")
    parser.add_argument("--russian", action="store_true", help="the sentences in Russian")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = rates(fenestra.load(options.model), russian=options.russian or options.model == "russian")
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, (right, there) in found.items():
        print(f"{name:34}{right:4} of {there}" + "  <" * (right < 0.9 * there))


if __name__ == "__main__":
    main()
