"""JSON and JSONL with character offsets: a text, and the spans in it.

    doccano     {"text": "Ada met …", "label": [[0, 3, "PER"]]}        also: entities with start_offset, end_offset
    prodigy     {"text": "Ada met …", "spans": [{"start": 0, "end": 3, "label": "PER"}], "tokens": […]}
    spacy-json  ["Ada met …", {"entities": [[0, 3, "PER"]]}]           also: {"annotations": [[text, {…}], …]}
    jsonl       {"text": "Ada met …", "entities": [{"start": 0, "end": 3, "label": "PER"}]}, as `fenestra tag` writes;
                {"tokens": ["Ada", …], "entities": […]} counts tokens

Whichever is expected, the others are read as well: their keys tell them apart.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fenestra.model.text.language import language
from fenestra.model.text.tokens import Token
from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output, split_sentences, tokens_of
from fenestra.training.data.formats.records import Record, read_records
from fenestra.training.data.inspection import Annotation, Inspection, Text, list_lines
from fenestra.training.data.schemes import shown

_SPANS = {
    "doccano": ("label", "labels", "entities", "annotations"),
    "prodigy": ("spans",),
    "spacy-json": ("entities",),
    "jsonl": ("entities", "spans", "label", "labels"),
}
"""Keys of the spans, of each format; the first that holds a list counts."""
_START, _END = ("start", "start_offset", "begin", "startOffset"), ("end", "end_offset", "endOffset")
_LABEL = ("label", "labels", "entity_group", "type", "tag", "entity")
_SKIPPED = {"reject": "rejected", "ignore": "ignored"}


def read_offsets(found: Inspection, _: ReadingConfig) -> None:
    """Read texts and spans of any of the formats of this module."""
    keys = dict.fromkeys((*_SPANS[found.format], *(key for keys in _SPANS.values() for key in keys)))
    skipped: Counter[str] = Counter()
    for line, value in _flat(read_records(found)):
        if isinstance(value, dict) and value.get("answer") in _SKIPPED:
            skipped[_SKIPPED[value["answer"]]] += 1
            continue
        text = _read_text(found, line, _as_object(value), tuple(keys))
        if text:
            found.texts.append(text)
    found.notes += [f"texts that the annotator {what}, left out: {count:,}" for what, count in skipped.items()]


def _flat(records: Iterator[Record]) -> Iterator[Record]:
    """Records; those of {"classes": […], "annotations": [[text, {…}], …]} one by one."""
    for line, value in records:
        pairs = value.get("annotations") if isinstance(value, dict) and "text" not in value else None
        if isinstance(pairs, list) and pairs and all(pair is None or isinstance(pair, list) for pair in pairs):
            yield from (Record(line, pair) for pair in pairs if pair is not None)
        else:
            yield Record(line, value)


def _as_object(value: object) -> object:
    """The pair [text, {"entities": …}] as an object; anything else as it is."""
    match value:
        case [str() as text, {"entities": entities}]:
            return {"text": text, "entities": entities}
    return value


def _read_text(found: Inspection, line: int, value: object, keys: Sequence[str]) -> Text | None:
    """The text of a record; None if it has none, which is noted."""
    if not isinstance(value, Mapping):
        found.problem(line, "expected an object with text and spans")
        return None
    tokens = value.get("tokens")
    if "text" not in value and isinstance(tokens, list) and all(isinstance(word, str) and word for word in tokens):
        return _of_words(found, line, value, keys)
    content = value.get("text")
    if not isinstance(content, str) or not is_unicode(content):
        found.problem(line, f"text: expected a string, got {short(content)}")
        return None
    spans = next((value[key] for key in keys if isinstance(value.get(key), list)), None)
    if spans is None:
        found.problem(line, f"expected spans, a list under one of {', '.join(keys)}")
        return None
    text = Text(content, [], line)
    for span in spans:
        add_span(found, text, span)
    if isinstance(tokens, list):
        text.sentences = _given_tokens(found, text, tokens)
    return text


def _of_words(found: Inspection, line: int, value: Mapping[str, Any], keys: Sequence[str]) -> Text | None:
    """A record of words, whose spans count words."""
    words = value["tokens"]
    content = " ".join(words)
    if not is_unicode(content):
        found.problem(line, f"tokens: expected words, got {short(words)}")
        return None
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    tokens = [Token(word, start, start + len(word)) for word, start in zip(words, starts, strict=False)]
    text = Text(content, [], line, "", [tokens] if tokens else [])
    counting = Text("x" * len(words), [], line)
    for span in next((value[key] for key in keys if isinstance(value.get(key), list)), ()):
        add_span(found, counting, {k: v for k, v in span.items() if k != "text"} if isinstance(span, dict) else span)
    text.annotations = [
        Annotation(tokens[start].start, tokens[end - 1].end, label) for start, end, label in counting.annotations
    ]
    return text


def add_span(found: Inspection, text: Text, span: Any) -> None:  # noqa: ANN401 - whatever the file holds
    """Add a span in any of the ways to write one, [start, end, label] or an object, or note what is wrong with it."""
    values: tuple[Any, Any, Any, Any]
    match span:
        case [start, end, label, *_]:
            values = start, end, label, None
        case Mapping():
            values = _first(span, _START), _first(span, _END), _first(span, _LABEL), span.get("text")
        case _:
            found.problem(text.line, f"a span is {short(span)}, expected [start, end, label] or an object", text.file)
            return
    start, end, label, quoted = values
    labels = label if isinstance(label, list) else [label]
    if not labels or not all(isinstance(one, str) and one.strip() and is_unicode(one) for one in labels):
        found.problem(text.line, f"label of a span: expected a name, got {short(label)}", text.file)
        return
    if not _is_place(start) or not _is_place(end) or not start < end <= _length(text.text, quoted):
        where = f"expected 0 ≤ start < end ≤ {len(text.text)}"
        found.problem(text.line, f"span {short(start)} to {short(end)}: {where}", text.file)
        return
    place = (start, end) if quoted is None else located(text.text, start, end, str(quoted))
    if place is None:
        message = (
            f"span {start} to {end}: is {shown(text.text[start:end])} in the text, {shown(str(quoted))} in the span"
        )
        found.problem(text.line, message, text.file)
        return
    text.annotations += [Annotation(place[0], place[1], _without_blanks(found, one)) for one in labels]


def _length(text: str, quoted: object) -> int:
    """How far offsets may count; in UTF-16, if the text of the span can tell."""
    return len(text) if quoted is None or text.isascii() else len(text.encode("utf-16-le")) // 2


def located(text: str, start: int, end: int, quoted: str) -> tuple[int, int] | None:
    """Where a span is whose text is known: its offsets count code points, or else UTF-16 as JavaScript does.

    >>> located("🙂 Ada", 2, 5, "Ada"), located("🙂 Ada", 3, 6, "Ada"), located("🙂 Ada", 0, 3, "Ada")
    ((2, 5), (2, 5), None)
    """
    wanted = _comparable(quoted)
    if end <= len(text) and _comparable(text[start:end]) == wanted:
        return start, end
    units = text.encode("utf-16-le")
    before, inside = (units[2 * a : 2 * b].decode("utf-16-le", "replace") for a, b in ((0, start), (start, end)))
    return (len(before), len(before) + len(inside)) if _comparable(inside) == wanted else None


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def short(value: object) -> str:
    """A value as a message quotes it."""
    return shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)).strip("'")


def write_doccano(output: Output) -> bytes:
    """The JSONL that doccano imports and exports for sequence labelling."""
    return json_lines({"text": text.text, "label": [list(span) for span in text.annotations]} for text in output.texts)


def write_prodigy(output: Output) -> bytes:
    """The JSONL of Prodigy, with tokens."""

    def records() -> Iterator[dict[str, Any]]:
        for text in output.texts:
            tokens = [token for sentence in tokens_of(text) for token in sentence]
            following = [*(token.start for token in tokens[1:]), -1]
            given = [
                {"text": token.text, "start": token.start, "end": token.end, "id": number, "ws": token.end < after}
                for number, (token, after) in enumerate(zip(tokens, following, strict=True))
            ]
            spans = [span._asdict() for span in text.annotations]
            yield {"text": text.text, "tokens": given, "spans": spans, "answer": "accept"}

    return json_lines(records())


def write_spacy_json(output: Output) -> bytes:
    """A JSON list of [text, {"entities": [[start, end, label]]}], the training data of spaCy's examples."""
    return json_list([text.text, {"entities": [list(span) for span in text.annotations]}] for text in output.texts)


def write_jsonl(output: Output) -> bytes:
    """The JSONL that `fenestra tag` writes, without scores."""
    return json_lines(
        {
            "text": text.text,
            "entities": [span._asdict() | {"text": text.text[span.start : span.end]} for span in text.annotations],
        }
        for text in output.texts
    )


def json_lines(records: Iterable[dict[str, Any]]) -> bytes:
    """One object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def json_list(records: Iterable[Any]) -> bytes:
    """One list of all, a record a line."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def _given_tokens(found: Inspection, text: Text, tokens: Sequence[object]) -> list[list[Token]] | None:
    """Tokens that the record brings, as Prodigy does; None if they are others."""
    given = []
    end = 0
    for token in tokens:
        match token:
            case {"start": int() as start, "end": int() as stop} if end <= start < stop <= len(text.text):
                end = stop
            case _:
                found.notes.append(f"tokens of {list_lines([text.line])} do not fit the text and were not used")
                return None
        if text.text[start:stop].strip():
            given.append(Token(text.text[start:stop], start, stop))
    return split_sentences(text.text, given, language(found.language))


def _without_blanks(found: Inspection, label: str) -> str:
    """A label as tags can write it."""
    name = "_".join(label.split())
    note = f"the label {shown(label)} is read as {name}"
    if name != label and note not in found.notes:
        found.notes.append(note)
    return name


def _first(span: Mapping[str, Any], keys: Sequence[str]) -> Any:  # noqa: ANN401 - whatever the file holds
    return next((span[key] for key in keys if key in span), None)


def _is_place(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _comparable(text: str) -> str:
    r"""A text whose blanks are alike; Label Studio writes a line break as backslash and n."""
    return " ".join(text.replace("\\n", " ").split())
