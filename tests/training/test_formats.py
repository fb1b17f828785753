"""Formats with character offsets and rows: told apart, read as their tools write them, refused by path and line."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import ConfigError, DataError
from fenestra.model.text.tokens import tokenize
from fenestra.training.data import alignment
from fenestra.training.data.corpus import inspect_corpus, read_corpus
from fenestra.training.data.formats import FORMATS, detect_format

TEXT = "Anna Berg met Tom in Oslo."
SPANS = [[0, 9, "PER"], [14, 17, "PER"], [21, 25, "LOC"]]
TAGS = [
    ("Anna", "B-PER"),
    ("Berg", "I-PER"),
    ("met", "O"),
    ("Tom", "B-PER"),
    ("in", "O"),
    ("Oslo", "B-LOC"),
    (".", "O"),
]
OBJECTS = [{"start": start, "end": end, "label": label} for start, end, label in SPANS]
DOCCANO = [{"id": n, "start_offset": s, "end_offset": e, "label": label} for n, (s, e, label) in enumerate(SPANS)]
STUDIO = [
    {
        "id": f"r{start}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]},
    }
    for start, end, label in SPANS
]
WORDS = [word for word, _ in TAGS]
BRAT = "".join(f"T{n}\t{label} {s} {e}\t{TEXT[s:e]}\n" for n, (s, e, label) in enumerate(SPANS, 1))


def write(folder: Path, content: object, name: str) -> Path:
    """Write bytes or text as they are, a list of records as JSON lines, any other value as JSON."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def tagged(path: Path, **reading) -> list[list[tuple[str, str]]]:
    return [list(zip(s.words, s.tags, strict=True)) for s in read_corpus(path, **reading).sentences]


def complaint(folder: Path, content: object, name: str, **reading) -> list[str]:
    path = write(folder, content, name)
    with pytest.raises(DataError) as raised:
        read_corpus(path, **reading)
    return str(raised.value).replace(f"{folder}/", "").split("\n")


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


OFFSETS = {
    "doccano, label": ("doccano", "x.jsonl", lines({"id": 1, "text": TEXT, "label": SPANS, "Comments": []})),
    "doccano, labels": ("doccano", "x.jsonl", lines({"text": TEXT, "labels": SPANS})),
    "doccano, entities": ("doccano", "x.jsonl", lines({"text": TEXT, "entities": DOCCANO, "relations": []})),
    "doccano, annotations": ("doccano", "x.jsonl", lines({"text": TEXT, "annotations": DOCCANO})),
    "doccano, a list": ("doccano", "x.json", json.dumps([{"text": TEXT, "label": SPANS}], indent=2)),
    "doccano, no name": ("doccano", "x", lines({"text": TEXT, "label": SPANS})),
    "prodigy": ("prodigy", "x.jsonl", lines({"text": TEXT, "spans": OBJECTS, "answer": "accept", "_task_hash": 1})),
    "prodigy, tokens": (
        "prodigy",
        "x.jsonl",
        lines({"text": TEXT, "tokens": [{**t._asdict(), "ws": True} for t in tokenize(TEXT)], "spans": OBJECTS}),
    ),
    "fenestra tag": (
        "jsonl",
        "x.jsonl",
        lines({"text": TEXT, "entities": [{**span, "text": TEXT[span["start"] : span["end"]]} for span in OBJECTS]}),
    ),
    "fenestra tag, words": (
        "jsonl",
        "x.jsonl",
        lines(
            {
                "tokens": WORDS,
                "entities": [
                    {"start": 0, "end": 2, "label": "PER", "text": "Anna Berg"},
                    {"start": 3, "end": 4, "label": "PER", "text": "Tom"},
                    {"start": 5, "end": 6, "label": "LOC", "text": "Oslo"},
                ],
            }
        ),
    ),
    "spacy, a list": ("spacy-json", "x.json", json.dumps([[TEXT, {"entities": SPANS}]])),
    "spacy, indented": ("spacy-json", "x.json", json.dumps([[TEXT, {"entities": SPANS}]], indent=1)),
    "spacy, lines": ("spacy-json", "x.jsonl", lines([TEXT, {"entities": SPANS}])),
    "spacy, classes": (
        "spacy-json", "x.json", json.dumps({"classes": ["PER"], "annotations": [[TEXT, {"entities": SPANS}], None]}),
    ),
    "label studio": (
        "label-studio", "x.json", json.dumps([{"id": 1, "data": {"text": TEXT}, "annotations": [{"result": STUDIO}]}]),
    ),
    "label studio, another key": (
        "label-studio",
        "x.json",
        json.dumps([{"data": {"body": TEXT, "n": 1}, "annotations": [{"result": STUDIO}]}], indent=2),
    ),
    "label studio, completions": (
        "label-studio", "x.json", json.dumps([{"data": {"text": TEXT}, "completions": [{"result": STUDIO}]}]),
    ),
    "label studio, JSON-MIN": (
        "label-studio",
        "x.json",
        json.dumps([{"text": TEXT, "id": 1, "label": [result["value"] for result in STUDIO], "annotator": 1}]),
    ),
    "hf strings": ("hf-jsonl", "x.jsonl", lines({"id": "0", "tokens": WORDS, "ner_tags": [tag for _, tag in TAGS]})),
    "hf, one list": ("hf-jsonl", "x.json", json.dumps([{"words": WORDS, "ner": [tag for _, tag in TAGS]}])),
}  # fmt: skip


@pytest.mark.parametrize("case", OFFSETS)
def test_a_format_is_told_from_its_contents_and_read(tmp_path, case):
    form, name, content = OFFSETS[case]
    path = write(tmp_path, content, name)
    assert detect_format(path) == form
    assert tagged(path) == [TAGS]
    assert tagged(path, format=form) == [TAGS]


@pytest.mark.parametrize("case", OFFSETS)
def test_gzip_byte_order_marks_and_windows_line_ends_change_nothing(tmp_path, case):
    _, name, content = OFFSETS[case]
    changed = ("\ufeff" + content.replace("\n", "\r\n")).encode()
    assert tagged(write(tmp_path, changed, name)) == [TAGS]
    assert tagged(write(tmp_path, gzip.compress(changed), f"{name}.gz")) == [TAGS]


def test_line_separators_inside_a_text_end_no_line(tmp_path):
    text = "Anna\u2028met\x85Tom"
    record = json.dumps({"text": text, "label": [[0, 4, "PER"]]}, ensure_ascii=False)
    (sentence,) = tagged(write(tmp_path, record + "\n", "x.jsonl"))[:1]
    assert sentence[0] == ("Anna", "B-PER")


def test_a_text_is_a_document_of_its_sentences(tmp_path):
    text = "Anna Berg left.\n\nShe went to Oslo.\n\nIt rained."
    path = write(tmp_path, lines({"text": text, "label": [[0, 9, "PER"]]}, {"text": "Oslo.", "label": []}), "x.jsonl")
    found = read_corpus(path).sentences
    assert [s.document for s in found] == [0, 0, 0, 3]
    assert [s.line for s in found] == [1, 1, 1, 2]


def test_no_sentence_ends_inside_a_span(tmp_path):
    text = "He read Who? What? Where? A book."
    path = write(tmp_path, lines({"text": text, "label": [[8, 25, "WORK"]]}), "x.jsonl")
    assert len(alignment.tokens_of(alignment.Text(text, [], 1))) == 4
    first, second = tagged(path)
    assert [word for word, tag in first if tag != "O"] == ["Who", "?", "What", "?", "Where", "?"]
    assert [word for word, _ in second] == ["A", "book", "."]


def test_texts_are_parted_into_tokens_by_their_language(tmp_path):
    """Russian cuts the full stop off an initial."""
    path = write(tmp_path, lines({"text": "А. С. Пушкин родился.", "label": [[0, 12, "PER"]]}), "x.jsonl")
    words = {code: [word for word, _ in tagged(path, language=code)[0]] for code in ("en", "ru")}
    assert words["en"] != words["ru"]
    with pytest.raises(ConfigError, match=r"data\.language: 'xx' is none of"):
        tagged(path, language="xx")


# ── token borders ──


@pytest.mark.parametrize(
    ("text", "span", "words"),
    [
        ("a New York-based firm", [2, 10, "LOC"], ["New", "York-based"]),
        ("the Osloer Zeitung", [4, 8, "LOC"], ["Osloer"]),
        ("in pre-Oslo days", [7, 11, "LOC"], ["pre-Oslo"]),
    ],
)
def test_spans_off_token_borders_are_counted_shown_and_widened_dropped_or_refused(tmp_path, text, span, words):
    content = lines({"text": "Anna met Tom", "label": [[0, 4, "PER"]]}, {"text": text, "label": [span]})
    path = write(tmp_path, content, "x.jsonl")
    found = inspect_corpus(path)
    quoted = f"LOC {text[span[0] : span[1]]!r} in {' '.join(words)!r}"
    assert found.notes == [
        f"spans that do not fall on token borders: 1 of 2; tags widen them to whole tokens (line 2: {quoted})"
    ]
    assert [word for word, tag in tagged(path)[1] if tag != "O"] == words
    assert [tag for _, tag in tagged(path, misaligned="drop")[1] if tag != "O"] == []
    assert "tags leave them out" in inspect_corpus(path, misaligned="drop").notes[0]
    assert complaint(tmp_path, content, "x.jsonl", misaligned="refuse") == [
        f"x.jsonl:2: {quoted}: does not fall on token borders"
    ]


@pytest.mark.parametrize("span", [[4, 10, "PER"], [5, 10, "PER"], [4, 9, "PER"], [5, 9, "PER"]])
def test_blanks_at_the_ends_of_a_span_do_not_count(tmp_path, span):
    path = write(tmp_path, lines({"text": "met  Anna  .", "label": [span]}), "x.jsonl")
    assert inspect_corpus(path).notes == []
    assert tagged(path) == [[("met", "O"), ("Anna", "B-PER"), (".", "O")]]


def test_of_spans_that_overlap_the_longest_stays_and_the_others_are_counted(tmp_path):
    spans = [[14, 18, "LOC"], [0, 18, "ORG"], [0, 4, "LOC"], [20, 24, "PER"], [20, 24, "LOC"]]
    path = write(tmp_path, lines({"text": "Bank of South Oslo, Anna", "label": spans}), "x.jsonl")
    (sentence,) = tagged(path)
    assert [tag for _, tag in sentence] == ["B-ORG", "I-ORG", "I-ORG", "I-ORG", "O", "B-PER"]
    (note,) = inspect_corpus(path).notes
    assert note.startswith("spans that overlap a longer span: 3 of 5; tags leave them out (line 1: ")


def test_a_span_of_blanks_is_counted(tmp_path):
    path = write(tmp_path, lines({"text": "a   b", "label": [[1, 3, "PER"]]}), "x.jsonl")
    assert "spans that hold nothing but blanks: 1 of 1" in inspect_corpus(path).notes[0]


def test_only_the_first_spans_are_shown(tmp_path):
    path = write(
        tmp_path, lines({"text": "Osloer " * 9, "label": [[n * 7, n * 7 + 4, "LOC"] for n in range(9)]}), "x.jsonl"
    )
    (note,) = inspect_corpus(path).notes
    assert note.startswith("spans that do not fall on token borders: 9 of 9; ")
    assert note.count("Osloer") == 3


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=5))
def test_any_spans_in_any_text_become_tags_of_its_tokens(text, places):
    drawn = [alignment.Annotation(s, min(s + n, len(text)), "X") for s, n in places if s < len(text)]
    misfits = alignment.Misfits()
    found = list(alignment.tagged_sentences(alignment.Text(text, drawn, 1), "expand", misfits))
    words = [word for sentence in found for word in sentence.words]
    assert words == [token.text for token in tokenize(text)]
    begins = sum(tag == "B-X" for sentence in found for tag in sentence.tags)
    assert begins == len(drawn) - len(misfits.blank) - len(misfits.overlapping)


# ── offsets of other units ──


@pytest.mark.parametrize(
    ("text", "start", "end", "quoted"),
    [
        ("🙂 Anna met", 2, 6, "Anna"),
        ("🙂 Anna met", 3, 7, "Anna"),
        ("𝔸 𝔹 Anna", 6, 10, "Anna"),
        ("met 🙂", 4, 6, "🙂"),
        ("🙂🙂 Anna", 5, 9, "Anna"),
    ],
    ids=["code points", "UTF-16", "two of them", "a sign of two units", "beyond the last code point"],
)
def test_offsets_that_a_browser_counted_are_found_by_the_text_of_the_span(tmp_path, text, start, end, quoted):
    value = {"start": start, "end": end, "text": quoted, "labels": ["PER"]}
    task = {"data": {"text": text}, "annotations": [{"result": [{**STUDIO[0], "value": value}]}]}
    (sentence,) = tagged(write(tmp_path, json.dumps([task]), "x.json"))
    assert [word for word, tag in sentence if tag != "O"] == [quoted]


def test_a_span_whose_text_stands_elsewhere_is_refused(tmp_path):
    span = {"start": 0, "end": 4, "label": "PER", "text": "Anne"}
    (line,) = complaint(tmp_path, lines({"text": "Anna met", "entities": [span]}), "x.jsonl")
    assert line == "x.jsonl:1: span 0 to 4: is 'Anna' in the text, 'Anne' in the span"


# ── what tools add ──


def test_texts_that_an_annotator_rejected_or_ignored_are_left_out_and_counted(tmp_path):
    records = [
        {"text": TEXT, "spans": OBJECTS, "answer": answer} for answer in ("accept", "reject", "ignore", "reject")
    ]
    path = write(tmp_path, lines(*records), "x.jsonl")
    assert tagged(path) == [TAGS]
    assert inspect_corpus(path).notes == [
        "texts that the annotator rejected, left out: 2", "texts that the annotator ignored, left out: 1",
    ]  # fmt: skip


def test_tokens_of_prodigy_are_kept_unless_they_do_not_fit(tmp_path):
    tokens = [{"text": "New-", "start": 0, "end": 4}, {"text": "York", "start": 4, "end": 8}, {"start": 8, "end": 9}]
    record = {"text": "New-York ", "tokens": tokens, "spans": [{"start": 4, "end": 8, "label": "LOC"}]}
    path = write(tmp_path, lines(record), "x.jsonl")
    assert tagged(path) == [[("New-", "O"), ("York", "B-LOC")]]
    record["tokens"][1]["start"] = 3
    path = write(tmp_path, lines(record), "x.jsonl")
    assert tagged(path) == [[("New-York", "B-LOC")]]
    assert "tokens of line 1 do not fit the text and were not used" in inspect_corpus(path).notes


def test_of_a_task_the_first_annotation_that_was_not_cancelled_counts(tmp_path):
    tasks = [
        {
            "data": {"text": TEXT},
            "annotations": [{"was_cancelled": True, "result": []}, {"result": STUDIO}, {"result": []}],
        },
        {"data": {"text": "Nobody was here."}, "annotations": [], "predictions": [{"result": STUDIO}]},
        {
            "data": {"text": "No names."},
            "annotations": [{"result": [{"type": "choices", "value": {"choices": ["x"]}}]}],
        },
    ]
    path = write(tmp_path, json.dumps(tasks), "x.json")
    assert len(tagged(path)) == 2
    assert inspect_corpus(path).notes == [
        "tasks without an annotation left out: 1",
        "further annotations of a task that has one left out: 1",
        "results that mark no span of the text left out: 1",
    ]


def test_spans_of_a_page_count_from_its_begin(tmp_path):
    value = {
        "start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 4,
        "hypertextlabels": ["PER"], "globalOffsets": {"start": 14, "end": 17}, "text": "Tom",
    }  # fmt: skip
    task = {
        "data": {"text": TEXT},
        "annotations": [{"result": [{**STUDIO[0], "type": "hypertextlabels", "value": value}]}],
    }
    assert [pair for pair in tagged(write(tmp_path, json.dumps([task]), "x.json"))[0] if pair[1] != "O"] == [
        ("Tom", "B-PER")
    ]


def test_blanks_in_a_label_become_underscores_with_a_remark(tmp_path):
    path = write(tmp_path, lines({"text": TEXT, "label": [[0, 9, "a person"], [14, 17, "a person"]]}), "x.jsonl")
    assert read_corpus(path).label_counts() == {"a_person": 2}
    assert inspect_corpus(path).notes == ["the label 'a person' is read as a_person"]


# ── brat ──


def brat(folder: Path, ann: str = BRAT, text: str = TEXT, name: str = "one") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    (folder / f"{name}.ann").write_text(ann, encoding="utf-8", newline="")
    return folder


def test_brat_is_read_from_a_folder_or_one_of_its_files(tmp_path):
    folder = brat(tmp_path / "brat")
    brat(folder / "deeper", name="two")
    assert detect_format(folder) == "brat"
    assert tagged(folder) == [TAGS, TAGS]
    assert tagged(folder / "one.ann") == [TAGS]
    assert read_corpus(folder).sha256 != read_corpus(folder / "one.ann").sha256


@pytest.mark.parametrize(
    ("misaligned", "found"), [("expand", ["Anna", "Berg", "met", "Tom"]), ("drop", []), ("refuse", None)]
)
def test_spans_of_several_pieces_are_fused_dropped_or_refused_and_counted(tmp_path, misaligned, found):
    folder = brat(tmp_path / "brat", "T1\tPER 0 4;14 17\tAnna Tom\n")
    if found is None:
        with pytest.raises(DataError, match=r"brat/one\.ann:1: PER Anna Tom has 2 pieces, expected one"):
            read_corpus(folder, misaligned=misaligned)
        return
    assert [word for word, tag in tagged(folder, misaligned=misaligned)[0] if tag != "O"] == found
    assert inspect_corpus(folder, misaligned=misaligned).notes[0].startswith("spans of several pieces ")


def test_lines_that_mark_no_span_are_left_out_and_counted(tmp_path):
    others = (
        "R1\tknows Arg1:T1 Arg2:T2\nE1\tMeet:T1\nA1\tOld T1\n*\tEquiv T1 T2\n#1\tNote T1\thm\nN1\tRef T1 W:1\tAnna\n\n"
    )
    folder = brat(tmp_path / "brat", BRAT + others)
    assert tagged(folder) == [TAGS]
    assert inspect_corpus(folder).notes == [
        "lines that mark no span left out: 6 (relations, events, attributes, notes)"
    ]


@pytest.mark.parametrize(
    ("ann", "said"),
    [
        ("T1\tPER 0 4 Anna\n", "one.ann:1: T1\\tPER 0 4 Anna is no span; expected T1<TAB>LABEL START END<TAB>TEXT"),
        (BRAT + "T4\tPER 0 400\tAnna\n", "one.ann:4: span 0 to 400: expected 0 ≤ start < end ≤ 26"),
        (BRAT + "T4\tPER 5 9\tAnna\n", "one.ann:4: span 5 to 9: is 'Berg' in the text, 'Anna' in the span"),
        (BRAT + "PER 0 4\n", "one.ann:4: PER 0 4 is no span"),
    ],
)
def test_a_broken_line_of_brat_is_named_with_its_file(tmp_path, ann, said):
    with pytest.raises(DataError) as raised:
        read_corpus(brat(tmp_path / "brat", ann))
    assert str(raised.value).startswith(f"{tmp_path}/brat/{said}")


@pytest.mark.parametrize("place", [11, 8], ids=["brat counts both signs", "others count one"])
def test_windows_line_ends_in_a_text_of_brat_are_counted_as_its_spans_do(tmp_path, place):
    folder = brat(tmp_path / "brat", f"T1\tPER {place} {place + 4}\tAnna\n", "It\r\nwas\r\n\r\nAnna")
    assert tagged(folder)[-1] == [("Anna", "B-PER")]


def test_spans_without_a_text_beside_them_are_refused(tmp_path):
    (brat(tmp_path / "brat") / "one.txt").unlink()
    with pytest.raises(DataError, match=r"one\.txt: cannot be read"):
        read_corpus(tmp_path / "brat")


# ── rows ──

NAMES = ["O", "B-PER", "I-PER", "B-LOC"]
NUMBERS = [NAMES.index(tag) for _, tag in TAGS]
LABELS = {"_type": "ClassLabel", "names": NAMES}


@pytest.mark.parametrize(
    "feature", [{"feature": LABELS, "_type": "Sequence"}, {"feature": LABELS, "_type": "List"}, [LABELS]]
)
@pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file"])
def test_numbers_of_a_table_are_named_by_its_features(tmp_path, feature, kind):
    import pyarrow
    from pyarrow import ipc, parquet

    described = json.dumps({"info": {"features": {"ner_tags": feature}}})
    table = pyarrow.table({"tokens": [WORDS, ["Oslo"]], "ner_tags": [NUMBERS, [3]]}).replace_schema_metadata(
        {"huggingface": described}
    )
    buffer = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, buffer)
    else:
        opener = ipc.new_stream if kind == "arrow stream" else ipc.new_file
        with opener(buffer, table.schema) as writer:
            writer.write_table(table)
    path = write(tmp_path, buffer.getvalue(), "x.parquet" if kind == "parquet" else "x.arrow")
    assert detect_format(path) == "hf-parquet"
    assert tagged(path) == [TAGS, [("Oslo", "B-LOC")]]


@pytest.mark.parametrize(
    "description",
    [
        ("dataset_info.json", {"features": {"ner_tags": {"feature": LABELS, "_type": "Sequence"}}}),
        ("dataset_infos.json", {"default": {"features": {"ner_tags": {"feature": LABELS, "_type": "Sequence"}}}}),
    ],
)
def test_numbers_of_lines_are_named_by_a_description_beside_them(tmp_path, description):
    name, content = description
    write(tmp_path, content, name)
    assert tagged(write(tmp_path, lines({"tokens": WORDS, "ner_tags": NUMBERS}), "x.jsonl")) == [TAGS]


def test_numbers_are_named_by_a_setting(tmp_path):
    path = write(tmp_path, lines({"tokens": WORDS, "ner_tags": NUMBERS}), "x.jsonl")
    assert tagged(path, class_names=NAMES) == [TAGS]


def test_keys_of_a_row_can_be_set(tmp_path):
    path = write(tmp_path, lines({"tokens": WORDS, "fine": [tag for _, tag in TAGS], "ner_tags": ["O"] * 7}), "x.jsonl")
    assert tagged(path, tag_column="fine") == [TAGS]
    path = write(tmp_path, lines({"w": WORDS, "t": [tag for _, tag in TAGS]}), "y.jsonl")
    assert tagged(path, format="hf-jsonl", word_column="w", tag_column="t") == [TAGS]


def test_tags_of_rows_may_be_of_any_scheme(tmp_path):
    path = write(tmp_path, lines({"tokens": ["Anna", "Berg", "met"], "ner_tags": ["B-PER", "L-PER", "O"]}), "x.jsonl")
    assert tagged(path) == [[("Anna", "B-PER"), ("Berg", "I-PER"), ("met", "O")]]
    path = write(tmp_path, lines({"tokens": ["Anna", "Berg", "met"], "ner_tags": ["PER", "PER", "O"]}), "x.jsonl")
    assert tagged(path, scheme="IO") == [[("Anna", "B-PER"), ("Berg", "I-PER"), ("met", "O")]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"tokens": ["a"], "ner_tags": [1]},
            "ner_tags: numbers without names; name the tags in their order: class_names",
        ),
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "ner_tags: 1 tags, expected 2, as many as tokens"),
        ({"tokens": "a b", "ner_tags": ["O"]}, "tokens: expected a list of words, got a b"),
        ({"tokens": [1], "ner_tags": ["O"]}, "tokens: expected a list of words"),
        ({"tokens": ["a"], "ner_tags": [None]}, "ner_tags: a tag is null, expected a string or a number"),
        ({"tokens": ["a"], "ner_tags": ["PER"]}, "'PER' is not a tag"),
        ({"tokens": ["a"], "ner_tags": ["I-PER"], "x": 1}, "'I-PER' at the start of a sentence"),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path, row, said):
    content = lines({"tokens": ["a"], "ner_tags": ["B-X"]}, row)
    assert complaint(tmp_path, content, "x.jsonl")[0].startswith(f"x.jsonl:2: {said}")


def test_a_number_without_a_name_is_named(tmp_path):
    content = lines({"tokens": ["a"], "ner_tags": [9]})
    assert complaint(tmp_path, content, "x.jsonl", class_names=NAMES) == [
        "x.jsonl:1: ner_tags: tag 9, expected 0 to 3: O, B-PER, I-PER, B-LOC"
    ]


def test_blank_tokens_of_a_row_are_left_out_with_a_remark(tmp_path):
    path = write(tmp_path, lines({"tokens": ["Anna", " ", "met"], "ner_tags": ["B-PER", "O", "O"]}), "x.jsonl")
    assert tagged(path) == [[("Anna", "B-PER"), ("met", "O")]]
    assert inspect_corpus(path).notes == ["tokens without a sign left out: line 1"]


def test_a_folder_is_one_split(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"tokens": [["Oslo"]], "ner_tags": [["B-LOC"]]})
    for name in ("train-00000-of-00002", "train-00001-of-00002"):
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    assert tagged(tmp_path) == [[("Oslo", "B-LOC")]] * 2
    parquet.write_table(table, tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"holds several splits \(test, train\)"):
        read_corpus(tmp_path)


# ── what is broken ──


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"label": SPANS}, "text: expected a string, got null"),
        ({"text": 5, "label": SPANS}, "text: expected a string, got 5"),
        ({"text": "a\ud800", "label": []}, "text: expected a string"),
        ({"text": TEXT}, "expected spans, a list under one of label"),
        ({"text": TEXT, "label": "PER"}, "expected spans, a list under one of label"),
        ({"text": TEXT, "label": [[0, 99, "PER"]]}, "span 0 to 99: expected 0 ≤ start < end ≤ 26"),
        ({"text": TEXT, "label": [[-1, 3, "PER"]]}, "span -1 to 3: expected"),
        ({"text": TEXT, "label": [[3, 3, "PER"]]}, "span 3 to 3: expected"),
        ({"text": TEXT, "label": [["0", 3, "PER"]]}, "span 0 to 3: expected"),
        ({"text": TEXT, "label": [[True, 3, "PER"]]}, "span true to 3: expected"),
        ({"text": TEXT, "label": [[0, 3]]}, "a span is [0, 3], expected [start, end, label] or an object"),
        ({"text": TEXT, "label": ["PER"]}, "a span is PER, expected [start, end, label] or an object"),
        ({"text": TEXT, "label": [[0, 3, ""]]}, "label of a span: expected a name, got "),
        ({"text": TEXT, "label": [[0, 3, None]]}, "label of a span: expected a name, got null"),
        ("text", "expected an object with text and spans"),
    ],
)
def test_a_broken_record_is_named_by_its_line(tmp_path, record, said):
    content = lines({"text": TEXT, "label": SPANS}, record, {"text": TEXT, "label": SPANS})
    (line,) = complaint(tmp_path, content, "x.jsonl")
    assert line.startswith(f"x.jsonl:2: {said}")


def test_a_line_that_is_no_json_is_named_and_the_reading_goes_on(tmp_path):
    content = lines({"text": TEXT, "label": SPANS}) + '{"text": \n' + lines({"text": TEXT}) + "]\n"
    assert [line.split(":")[1] for line in complaint(tmp_path, content, "x.jsonl")] == ["2", "3", "4"]


def test_records_of_a_list_are_named_by_the_line_where_they_begin(tmp_path):
    content = json.dumps([{"text": TEXT, "label": SPANS}, {"text": TEXT, "label": [[0, 0, "X"]]}], indent=1)
    number = content[: content.rindex("{")].count("\n") + 1
    assert complaint(tmp_path, content, "x.json")[0].startswith(f"x.json:{number}: span 0 to 0")


@pytest.mark.parametrize("content", ['[{"text": "a"', "[1, 2", "[", '[{"text": "a", "label": []}] x', "{", ""])
@pytest.mark.parametrize("form", ["doccano", "label-studio", "hf-jsonl"])
def test_json_that_ends_early_is_refused(tmp_path, content, form):
    assert complaint(tmp_path, content, "x.json", format=form)[0].startswith("x.json")


def test_bytes_that_are_no_utf_8_are_placed(tmp_path):
    content = b'{"text": "a", "label": []}\n{"text": "\xe9", "label": []}\n'
    assert complaint(tmp_path, content, "x.jsonl") == ["x.jsonl:2: byte 11 of the line is 0xe9; expected UTF-8"]


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\x00" * 40 + b"PAR1", b"ARROW1\x00\x00", b"\xff" * 64])
def test_a_table_that_is_none_is_refused(tmp_path, name, content):
    assert "not a Parquet or Arrow table" in complaint(tmp_path, content, name)[0]


def test_spacy_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)  # as if it were not installed
    (line,) = complaint(tmp_path, b"x", "x.spacy")
    assert "run: pip install spacy" in line


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in {"spacy", "brat"}])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["text", "label", "spans", "entities", "tokens", "ner_tags", "data", "annotations", "result",
                     "value", "type", "start", "end", "labels"]
                ),
                inner,
                max_size=4,
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)  # fmt: skip
def test_nothing_raises_anything_but_data_error(tmp_path_factory, form, data):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(data)
    for options in ({"format": form}, {}):
        message = refusal(path, **options)
        assert all(line.startswith((str(path), "… and")) for line in message.split("\n") if message)


def refusal(path: Path, **reading) -> str:
    """What a file is refused with, empty if it is read; anything but DataError fails the test."""
    try:
        read_corpus(path, **reading)
    except DataError as error:
        return str(error)
    return ""
