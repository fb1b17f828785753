"""Checkpoints of strangers: each is refused in one line, in bounded memory, or it is a good one."""

import json
import os
import shutil
import threading
import tracemalloc
from copy import deepcopy

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fenestra.model import checkpoint, untrusted
from fenestra.model.errors import CheckpointError, RunError
from fenestra.model.tagger import Tagger
from fenestra.model.untrusted import PIECE, RegularFile, parse_json, read_regular
from tests.model.conftest import small_model
from tests.model.hostile import (
    DEEP,
    FORGED,
    HOSTILE,
    MANIFEST,
    NO_FILES,
    change_manifest,
    rewrite,
    sparse,
    write_good,
)

MEGABYTES = 40
"""More than any of these files needs, and far less than what they say they hold."""
FILES = ["README.md", "job.json", MANIFEST, "config.json", "words.txt", "features.json", "clusters.tsv", "lists.tsv",
         "text.json", "weights.safetensors"]  # fmt: skip
FAST = settings(database=None, derandomize=True, deadline=None, max_examples=100,
                suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "model"
    write_good(folder, small_model(documents=True))
    return folder


@pytest.fixture
def folder(good, tmp_path):
    shutil.copytree(good, tmp_path / "model")
    return tmp_path / "model"


def load(folder):
    """Load a checkpoint in little memory; None and what is wrong with it, if it is refused in one printable line."""
    tracemalloc.start()
    try:
        loaded, message = checkpoint.load(folder), ""
    except CheckpointError as error:
        loaded, message = None, str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert message.isprintable()
    assert len(message) <= 2001
    assert peak < MEGABYTES * 1e6
    return loaded, message


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_what_a_stranger_made_is_refused_in_one_line_and_little_memory(folder, damage):
    damage(folder)
    loaded, message = load(folder)
    assert loaded is None
    assert message.startswith(str(folder))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_and_not_waited_for(folder, kind, name):
    NO_FILES[kind](folder / name)
    loaded, message = load(folder)
    assert loaded is None
    assert name in message
    assert str(folder) in message


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_a_file_is_that_file(folder, name):
    """As mounted config maps and caches of downloads have them."""
    (folder / name).rename(folder.parent / "kept")
    (folder / name).symlink_to("../kept")
    assert load(folder)[0]


def test_a_file_that_is_not_listed_is_never_opened(folder):
    os.mkfifo(folder / "pipe")
    (folder / ".#config.json").symlink_to("nowhere")
    assert load(folder)[0]


def test_a_large_file_beside_the_model_is_checked_in_little_memory(folder):
    data = bytes(60_000_000)
    rewrite(folder, "report.html", data)
    assert load(folder)[0]
    sparse(folder / "report.html", len(data) - 1)
    assert "bytes, expected" in load(folder)[1]


def test_a_pipe_that_takes_the_place_of_a_file_meanwhile_is_not_waited_for(folder, monkeypatch):
    """Between the look at it and the opening of it."""
    path = folder / "config.json"
    opened = os.open

    def swap(*arguments):
        if not path.is_fifo():
            path.unlink()
            os.mkfifo(path)
        return opened(*arguments)

    monkeypatch.setattr(untrusted.os, "open", swap)
    with pytest.raises(OSError, match="not a regular file"):
        RegularFile(path, 10_000)


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(folder):
    path = folder / "words.txt"
    with RegularFile(path, 10_000) as file:
        path.write_bytes(b"")
        with pytest.raises(OSError, match="ends before its size"):
            file.read(file.size)


def test_a_file_is_read_piece_by_piece_and_no_further(tmp_path):
    data = os.urandom(2 * PIECE + 7)
    (tmp_path / "file").write_bytes(data + b"more")
    buffer = bytearray(len(data))
    with RegularFile(tmp_path / "file", PIECE * 3) as file:
        assert [len(piece) for piece in file.fill(buffer)] == [PIECE, PIECE, 7]
        assert buffer == data
    assert read_regular(tmp_path / "file", len(data) + 4) == data + b"more"
    with pytest.raises(OSError, match="expected 3 at most"):
        read_regular(tmp_path / "file", 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1, "a": 2}', "twice"), (b'{"a": {"b": 1, "b": 1}}', "twice"), (b"NaN", "NaN"), (b"[-Infinity]", "Inf"),
        (b"1e400", "too large"), (b"9" * 5000, "digits"), (DEEP, "deeply"), (b'{"a":' * 5000, "deeply"),
        (b"[0,0,0,0,0,0,0,0,0,0,0]", "more than 10"), (b"[[],{},[],{},[],{}]", "more than 10"),
        (b"\xff", "utf-8"), (b"\xef\xbb\xbf{}", "BOM"), ("{}".encode("utf-16"), "utf-8"), (b"", "Expecting"),
    ],
)  # fmt: skip
def test_json_that_is_not_strict_is_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(data, 10 if "more than" in reason else 100_000)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
@settings(FAST)
def test_strict_json_is_read_as_it_was_written(value):
    assert parse_json(json.dumps(value).encode()) == value


def test_messages_are_one_printable_line_of_bounded_length():
    assert str(CheckpointError(FORGED)) == FORGED.encode("unicode_escape").decode().replace("\\\\", "\\")
    assert len(str(CheckpointError("x" * 1_000_000))) == 2001
    assert str(CheckpointError("Müller 東京.json: fehlt")) == "Müller 東京.json: fehlt"


# ── mutations ──

ODD = st.sampled_from(
    [None, True, False, 0, -1, 1, 2, 7, 10**6, 10**12, 10**30, -(2**63), 2**64, 0.5, -0.0, 1e-320, 1e300, "", "O",
     "PER", "16", "\n", FORGED, "x" * 5000, [], {}, [[]], [0], [-1], ["O"], ["A", "A"], [0.5], {"a": 1},
     [10**18, 10**18], [1] * 2000, [None], [True], "float16", "int8", "int4", "BIOES", "IO", "transitions", "sigmoid"]
)  # fmt: skip


def paths_of(value, before=()):
    """The paths of all values in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before] * bool(before) + [path for key, some in inner for path in paths_of(some, (*before, key))]


@st.composite
def mutated(draw, document):
    """A document with one to three of its values replaced, removed, or put beside an unknown one."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        *sections, last = draw(st.sampled_from(paths_of(document)))
        place = document
        for section in sections:
            place = place[section]
        kind = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if kind == "replace":
            place[last] = deepcopy(draw(ODD))
        elif kind == "remove":
            del place[last]
        elif isinstance(place, dict):
            place[draw(st.sampled_from(["attention", FORGED, "sentence", "bytes", ""]))] = deepcopy(draw(ODD))
        else:
            place.append(deepcopy(draw(ODD)))
        if not paths_of(document):
            break
    return document


def header_of(folder):
    content = (folder / "weights.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


@given(
    data=st.data(), name=st.sampled_from(["config.json", "features.json", "text.json", MANIFEST, "weights.safetensors"])
)
@settings(FAST, max_examples=300)
def test_a_changed_value_is_refused_or_makes_a_model_that_works(good, tmp_path, data, name):
    folder = tmp_path / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    if name == "weights.safetensors":
        header, content = header_of(folder)
        raw = json.dumps(data.draw(mutated(header))).encode()
        rewrite(folder, name, len(raw).to_bytes(8, "little") + raw + content)
    elif name == MANIFEST:
        document = json.loads((folder / name).read_text())
        change_manifest(folder, lambda _: json.dumps(data.draw(mutated(document))).encode())
    else:
        document = json.loads((folder / name).read_text())
        rewrite(folder, name, json.dumps(data.draw(mutated(document))).encode())
    works_or_is_refused(folder)


@given(data=st.data(), name=st.sampled_from(FILES), listed=st.booleans())
@settings(FAST, max_examples=300)
def test_changed_bytes_are_refused_or_make_a_model_that_works(good, tmp_path, data, name, listed):
    folder = tmp_path / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        end = min(begin + data.draw(st.integers(0, 8)), len(content))
        content[begin:end] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b'"', b"]", b"{", b",", b"-", b"9" * 20])
        )
    if name == MANIFEST or not listed:
        (folder / name).write_bytes(content)
    else:
        rewrite(folder, name, bytes(content))
    works_or_is_refused(folder)


def works_or_is_refused(folder):
    """Check that a folder is refused as :func:`load` has it, or holds a model that tags, or says that it cannot."""
    loaded, _ = load(folder)
    if loaded:
        try:
            (result,) = Tagger(loaded, device="cpu").tag(["Ada Lovelace met Siemens in Munich."])
        except RunError:  # numbers that are too large for one another
            return
        assert len(result.tokens) == 7
        json.dumps(loaded.config.to_json(), ensure_ascii=False).encode()


# ── what a reload shares, and how it gives way ──


def parts_of(model):
    known = model.lexicon
    return {
        "words.txt": known.vector_rows, "features.json": known.field_rows, "clusters.tsv": known.gazetteers.clusters,
        "lists.tsv": known.gazetteers.lists, "weights.safetensors": model.parameters,
    }  # fmt: skip


def test_what_has_not_changed_is_shared_with_the_model_before(folder):
    before = checkpoint.load(folder)
    again = checkpoint.load(folder, before=before)
    assert again.version == before.version
    for name, part in parts_of(again).items():
        assert part is parts_of(before)[name], name


CHANGES = {
    "words.txt": b"Ada\nlovelace\nmet\nsiemens\nin\nmunich\n.\n",
    "clusters.tsv": b"01\tmet\n",
    "lists.tsv": b"last\tSiemens\n",
}


@pytest.mark.parametrize("name", [*CHANGES, "features.json", "weights.safetensors"])
def test_what_has_changed_is_read_again(folder, name):
    before = checkpoint.load(folder)
    if name == "weights.safetensors":
        arrays = safetensors.numpy.load_file(folder / name)
        data = safetensors.numpy.save(arrays | {"bias": arrays["bias"] + np.float32(1)})
    elif name == "features.json":
        known = json.loads((folder / name).read_text())
        data = json.dumps(known | {"word": known["word"][::-1]}).encode()
    else:
        data = CHANGES[name]
    rewrite(folder, name, data)
    alone, beside = checkpoint.load(folder), checkpoint.load(folder, before=before)
    assert beside.version == alone.version != before.version
    assert beside.lexicon == alone.lexicon
    arrays = alone.parameters.to_arrays("float32")
    for array, values in beside.parameters.to_arrays("float32").items():
        np.testing.assert_array_equal(values, arrays[array])
    for other, part in parts_of(beside).items():
        assert (part is parts_of(before)[other]) == (other != name), other


def test_a_file_that_is_damaged_is_found_whatever_the_model_before_knows_of_it(folder):
    before = checkpoint.load(folder)
    for name in FILES:
        if name == MANIFEST:
            continue
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(CheckpointError, match=name):
            checkpoint.load(folder, before=before)
        (folder / name).write_bytes(content)
    assert checkpoint.load(folder, before=before).parameters is before.parameters


def test_a_model_of_another_configuration_shares_only_what_both_have(good, tmp_path):
    before = checkpoint.load(good)
    write_good(tmp_path / "other", small_model(documents=True, hidden=(8,)))
    alone, beside = checkpoint.load(tmp_path / "other"), checkpoint.load(tmp_path / "other", before=before)
    assert beside.lexicon == alone.lexicon
    assert beside.config == alone.config
    assert beside.parameters is not before.parameters
    assert beside.lexicon.vector_rows is before.lexicon.vector_rows


def test_loading_pauses_after_every_piece(folder):
    """A hundred thousand words or a large file are no single step."""
    pauses = []
    words = [f"w{n}" for n in range(100_000)]
    rewrite(folder, "lists.tsv", ("first\t" + "\t".join(words) + "\n").encode())
    rewrite(folder, "report.html", bytes(8 * PIECE))
    checkpoint.load(folder, lambda: pauses.append(threading.get_ident()))
    whole = len(pauses)
    pauses.clear()
    rewrite(folder, "lists.tsv", b"first\tAda\n")
    rewrite(folder, "report.html", b"")
    checkpoint.load(folder, lambda: pauses.append(threading.get_ident()))
    assert whole - len(pauses) >= 8 + 2 * sum(map(len, words)) // (1 << 16)
