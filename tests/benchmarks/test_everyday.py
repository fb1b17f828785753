"""The everyday texts, and how answers to them are counted."""

import tomllib

from benchmarks.everyday import FILE, bare, count, unmarked

TEXT, GOLD = unmarked("[PER Анна] из [ORG «Ромашки»], [LOC Тула].")


def everything(_kind, _span):
    return True


def test_every_text_has_its_marks_in_order():
    kinds = tomllib.loads(FILE.read_text(encoding="utf-8"))["texts"]
    marked = [unmarked(text) for texts in kinds.values() for text in texts]
    assert len(marked) == 30
    for text, spans in marked:
        assert "[" not in text
        assert {label for _, _, label in spans} <= {"LOC", "ORG", "PER"}
        assert all(text[start:end].strip() == text[start:end] != "" for start, end, _ in spans)


def test_a_name_is_right_with_its_quotation_marks_or_without():
    assert {TEXT[start:end] for start, end, _ in GOLD} == {"Анна", "«Ромашки»", "Тула"}
    without = {(start + 1, end - 1, label) if label == "ORG" else (start, end, label) for start, end, label in GOLD}
    assert bare(TEXT, GOLD) == bare(TEXT, without)
    assert count([("mail", TEXT, GOLD)], [without], everything) == (3, 3, 3)


def test_a_wrong_label_and_a_wrong_end_are_wrong_twice():
    wrong = [(0, 4, "ORG"), (8, 12, "ORG")]
    found = count([("mail", TEXT, GOLD)], [wrong], everything)
    assert found == (0, 2, 3)
    assert str(found) == "0.0"
    assert count([("mail", TEXT, GOLD)], [wrong], lambda kind, _: kind == "chat") == (0, 0, 0)


def test_nothing_found_where_nothing_is_there_is_right():
    assert str(count([("mail", "Ничего.", set())], [[]], everything)) == "100.0"
