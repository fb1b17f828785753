"""The compiled library: what C and Python both say is said alike, and what does not fit is refused before the call."""

import ctypes
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from fenestra.model.config import Activation, Storage
from fenestra.model.engine import library, native, reader, row_cache, vocabulary, weights
from fenestra.model.engine.library import DECLARED, Declarations
from fenestra.model.engine.row_cache import Numbers
from fenestra.model.engine.sources import BUILDS as BUILDS_BY_LEVEL
from fenestra.model.engine.sources import ROOM, c_sources, digest, library_name
from fenestra.model.network import context, windows
from fenestra.model.text import characters, plain, sentences, tokens
from fenestra.model.words import vectors

needs_kernel = pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")
BUILDS = [pytest.param(build, id=build.name) for build in library.builds()]


# ── constants ──

CHARACTERS = "ODD ALPHA DIGIT ALNUM LOWER UPPER TITLE ONE_CASE ODD_TITLE OF_WORD DASH QUOTE LETTER STRESSED".split()
SAME = {
    "SHORT_LINE": sentences._SHORT_LINE,
    "ROLE_ENDS": sentences._ENDS,
    "ROLE_ABBREVIATED": sentences._ABBREVIATED,
    "ROLE_DATE": sentences._DATE,
    "ROLE_NUMBER": sentences._COUNTS,
    "ROLE_MAY_END": sentences._MAY_END,
    "ROLE_CLOSES": sentences._CLOSES,
    "ROLE_QUOTE": sentences._QUOTE,
    "ROLE_LOWER": sentences._SMALL,
    "ROLE_CAPITAL": sentences._CAPITAL,
    "ROLE_OPENER": sentences._OPENS,
    "ROLE_UPPER": sentences._LOUD,
    "ROLE_COMMA": sentences._COMMA,
    "ROLE_CLOCK": sentences._CLOCK,
    "ROLE_BEFORE_NAME": sentences._BEFORE_NAME,
    "ROLE_DASH": sentences._DASH,
    "ROLE_SHORTENED": sentences._SHORTENED,
    "ROLE_CONTINUING": sentences._CONTINUING,
    "ROLE_BULLET": sentences._BULLET,
    "ROLE_LABELS": sentences._LABELS,
    "FEW_WORDS": sentences._FEW_WORDS,
    "ITEM_DIGITS": sentences._ITEM,
    "GAP": sentences._GAP,
    "GAP_LINE": sentences.LINE,
    "GAP_BLANK_LINE": sentences.BLANK_LINE,
    "GAP_CELL": sentences.CELL,
    "PARAGRAPH": ord(sentences._PARAGRAPH),
    "NOTHING_FOLLOWS": tokens.NOTHING,
    "NAME_FOLLOWS": tokens.NAME,
    "NUMBER_FOLLOWS": tokens.NUMBER,
    "KINDS": characters.PLANES,
    "KIND_UPPER": characters._UPPER,
    "KIND_LETTER": characters._LETTER,
    "KIND_MARK": characters._MARK,
    "KIND_OF_WORD": characters._OF_WORD,
    "KIND_INVISIBLE": characters._INVISIBLE,
    "SEEN_LOWER": context._LOWER,
    "CASE_IS_FORCED": context._FORCED,
    "LONGEST_RUN": tokens._LONGEST_RUN,
    "PANEL": weights._PANEL,
    "READ_UNKNOWN_RUN": reader._UNKNOWN_RUN,
    "READ_FULL": reader._FULL,
    "READ_NO_NUMBERS": reader._NO_NUMBERS,
    "NO_NUMBERS": vocabulary._NO_NUMBERS,
    "KEY_BYTES": vocabulary._KEY,
    "PLAIN": plain.PLAIN,
    "NO_SLOT": windows.PAD,
    "HAD_SLOT": row_cache._HAD_SLOT,
    **{f"CHAR_{name}": getattr(plain, name) for name in CHARACTERS},
    "STRESS": ord(plain.STRESS),
    "OK": False,  # a call that returns it has not failed
}
"""Constants whose numbers stand in Python too."""
BY_NAME = {
    *(name.upper() for name in (*get_args(Numbers), *get_args(Storage))),  # number types
    *map(str.upper, get_args(Activation)),
    "READ_ALL",  # anything but the other three
    "WORD_IS_ODD",  # anything but NO_NUMBERS
    *(f"STRING_{kind}" for kind in "VECTOR CLUSTER LISTS ROLE STOPPED CLITIC PARTICLE FIELD".split()),
    *(f"FIELD_{kind}" for kind in "WORD CASE SHAPE PREFIX SUFFIX CLUSTER LISTS".split()),
    "STOP_IS_ITS_OWN",
    "STOP_IS_ODD",
    "EMPTY",
    "LARGEST_PAIRED",
    "SUMMED",
    "NO_MEMORY",  # anything but OK and NOT_FINITE
    "NOT_FINITE",
}
"""Constants that Python looks up by their names, or does not ask for."""


def test_every_constant_of_the_header_is_held_to_python_here():
    assert DECLARED.constants.keys() == SAME.keys() | BY_NAME
    assert not SAME.keys() & BY_NAME


@pytest.mark.parametrize("name", SAME)
def test_a_constant_is_the_same_in_c_and_in_python(name):
    assert DECLARED.constants[name] == SAME[name]


def test_constants_of_one_kind_differ():
    found = DECLARED.constants
    kinds = [
        {name.upper() for name in (*get_args(Numbers), *get_args(Storage))},
        {"RELU", "SIGMOID", "TANH", "GELU", "SILU"},
        {"READ_ALL", "READ_FULL", "READ_UNKNOWN_RUN", "READ_NO_NUMBERS"},
        {"WORD_IS_ODD", "NO_NUMBERS"},
        {name for name in found if name.startswith("STRING_")},
        {name for name in found if name.startswith("FIELD_")},
        {name for name in found if name.startswith("CHAR_")},
        {"OK", "NO_MEMORY", "NOT_FINITE"},
    ]
    for names in kinds:
        assert len({found[name] for name in names}) == len(names)


def test_every_activation_and_every_number_type_has_a_constant():
    found = DECLARED.constants
    assert found.keys() >= {name.upper() for name in (*vectors.NUMBERS, *get_args(Numbers), *get_args(Activation))}


def test_what_stands_in_python_alone_is_the_same_wherever_it_stands():
    """PAD is row 0 everywhere: C lays out zeros, case classes begin behind it."""
    assert windows.PAD == 0
    assert vocabulary.LONG == tokens._LONGEST_RUN
    assert context.CASE_CLASSES == 2 * context._FORCED
    assert native.PIECE == reader.PIECE


def test_enumerations_are_read_as_c_counts_them():
    found = Declarations("/* enum { NOT = 1 }; */ enum { A, B, C = 7, D };\nenum {\n  E = -2,\n  F, };").constants
    assert found == {"A": 0, "B": 1, "C": 7, "D": 8, "E": -2, "F": -1}


# ── prototypes ──


def types_of(taken):
    """The types of parameters, without their names."""
    parts = [" ".join(part.replace("restrict ", "").split()) for part in taken.split(",")]
    return [re.match(r"(.*?)\w*$", part)[1].strip() if part != "void" else part for part in parts]


def defined():
    """The functions that the sources define for others: name → types of their parameters."""
    texts = [source.read_text(encoding="utf-8") for source in c_sources()]
    found = [pair for text in texts for pair in re.findall(r"^API [^(;]*?(\w+)\(([^)]*)\) \{", text, re.MULTILINE)]
    assert len(found) == len(dict(found))
    return {name: types_of(taken) for name, taken in found}


def declared():
    """The same of the prototypes in the header."""
    text = (ROOM / "kernel.h").read_text(encoding="utf-8")
    found = re.findall(r"^API [^(;]*?(\w+)\(([^)]*)\);", text, re.MULTILINE)
    return {name: types_of(taken) for name, taken in found}


def test_every_prototype_is_defined_and_every_definition_declared():
    assert defined() == declared()
    assert DECLARED.functions.keys() == declared().keys()


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_has_every_function_and_no_other(build):
    for name in declared():
        assert isinstance(getattr(build.short, name), library.Function)
        assert isinstance(getattr(build.long, name), library.Function)
    with pytest.raises(AttributeError, match="the compiled kernel has no function forget_all"):
        _ = build.short.forget_all


def test_parameters_have_the_types_of_their_prototypes():
    functions = DECLARED.functions
    parameters, result = functions["largest_probabilities"]
    assert [(p.name, p.type) for p in parameters] == [
        ("log_TK", ctypes.c_void_p), ("token_N", ctypes.c_void_p), ("group_N", ctypes.c_void_p),
        ("count", ctypes.c_int64), ("tags", ctypes.c_int64), ("first_QK", ctypes.c_void_p),
        ("second_QK", ctypes.c_void_p),
    ]  # fmt: skip
    assert result == "void"
    assert functions["source_digest"] == ([], None)
    assert functions["cpu_level"] == ([], "int32_t")


NETWORK = {
    "width": 5, "hidden": 2, "numbers": 0, "activation": 0, "layers": 1, "weight": np.zeros(1, np.uint64),
    "bias": np.zeros(1, np.uint64), "outputs": np.array([8]), "tags": 2, "temperature": 1.5,
    "unit_H": np.ones(2, np.float32),
}  # fmt: skip


def test_structures_have_the_fields_of_the_header():
    structures = DECLARED.structures
    assert set(structures) == {
        "Strings", "Lookups", "Words", "Runs", "Reading", "Features", "Network", "TagTables",
    }  # fmt: skip
    assert list(structures["Network"].declared) == list(NETWORK)
    assert ctypes.sizeof(structures["Network"]) == 88
    assert ctypes.sizeof(structures["Reading"]) == 56


def test_a_declaration_that_cannot_be_read_is_an_error():
    with pytest.raises(ValueError, match=r"kernel\.h: cannot read '.*int32_t a\[3\]'"):
        Declarations("typedef struct {\n    int32_t a[3];\n} Wrong;")


# ── calls ──


def largest_of_two(**changed):
    """The arguments of ``largest_probabilities`` for two tokens of one word, some of them changed."""
    arguments = {
        "log_TK": np.log(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)),
        "token_N": np.array([0, 1]), "group_N": np.array([0, 0]), "count": 2, "tags": 2,
        "first_QK": np.zeros((1, 2), np.float32), "second_QK": np.zeros((1, 2), np.float32),
    }  # fmt: skip
    return {**arguments, **changed}


@pytest.mark.parametrize("build", BUILDS)
def test_a_call_that_fits_computes(build):
    arguments = largest_of_two()
    for functions in (build.short, build.long):
        functions.largest_probabilities(*arguments.values())
    np.testing.assert_allclose(arguments["first_QK"], [[0.5, 0.75]], atol=1e-6)
    np.testing.assert_allclose(arguments["second_QK"], [[0.5, 0.75]], atol=1e-6)  # as found by the second call


@needs_kernel
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"log_TK": np.zeros((2, 2))}, "log_TK: expected an array of float32, got float64"),
        ({"token_N": np.zeros(2, np.int32)}, "token_N: expected an array of int64, got int32"),
        ({"token_N": np.zeros(2, np.uint64)}, "token_N: expected an array of int64, got uint64"),
        ({"group_N": np.zeros(2, np.bool_)}, "group_N: expected an array of int64, got bool"),
        ({"first_QK": np.zeros((1, 2), ">f4")}, "first_QK: expected an array of float32, got >f4"),
        ({"log_TK": np.zeros((2, 4), np.float32)[:, ::2]}, "lie end to end"),
        ({"log_TK": np.asfortranarray(np.zeros((2, 2), np.float32))}, "lie end to end"),
        ({"first_QK": np.zeros((2, 2), np.float32).T[:1]}, "lie end to end"),
        ({"count": np.zeros(2, np.int64)}, "largest_probabilities"),
        ({"count": 2.5}, "largest_probabilities"),
        ({"token_N": 2}, "largest_probabilities"),
        ({"token_N": [0, 1]}, "largest_probabilities"),
    ],
)  # fmt: skip
def test_an_argument_that_is_not_what_the_prototype_says_is_refused(changed, message):
    with pytest.raises(TypeError, match=message):
        library.load().short.largest_probabilities(*largest_of_two(**changed).values())


@needs_kernel
@pytest.mark.parametrize(
    ("one", "other"), [("log_TK", "token_N"), ("group_N", "count"), ("tags", "first_QK"), ("token_N", "first_QK")]
)
def test_arguments_in_another_order_are_refused(one, other):
    arguments = largest_of_two()
    arguments[one], arguments[other] = arguments[other], arguments[one]
    with pytest.raises(TypeError):
        library.load().short.largest_probabilities(*arguments.values())


@needs_kernel
@pytest.mark.parametrize("count", [0, 6, 8])
def test_too_few_or_too_many_arguments_are_refused(count):
    arguments = [*largest_of_two().values(), 1][:count]
    with pytest.raises(TypeError, match="largest_probabilities"):
        library.load().short.largest_probabilities(*arguments)


@needs_kernel
def test_a_structure_of_another_kind_is_refused():
    structures = DECLARED.structures
    reading = structures["Reading"].zeros()
    with pytest.raises(TypeError):
        library.load().short.decode_paths(None, None, 0, reading, *[None] * 7)


def test_a_structure_holds_what_it_was_given_and_keeps_arrays_alive():
    kind = DECLARED.structures["Network"]
    found = kind(**{**NETWORK, "outputs": np.arange(1000)})
    np.zeros(1000, np.int64)
    held = np.ctypeslib.as_array(ctypes.cast(found.outputs, ctypes.POINTER(ctypes.c_int64)), (1000,))
    assert held.tolist() == list(range(1000))
    assert (found.tags, found.temperature) == (2, 1.5)


def test_a_structure_of_zeros_holds_no_array():
    found = DECLARED.structures["Network"].zeros()
    assert (found.tags, found.outputs, found.temperature) == (0, None, 0)


@pytest.mark.parametrize("name", NETWORK)
def test_a_structure_with_a_missing_field_is_refused(name):
    with pytest.raises(TypeError, match=r"Network: expected width, hidden, .*, unit_H, got"):
        DECLARED.structures["Network"](**{k: v for k, v in NETWORK.items() if k != name})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"other": 1}, "Network: expected"),
        ({"outputs": np.zeros(2, np.int32)}, "outputs: expected an array of int64, got int32"),
        ({"outputs": np.zeros(4, np.int64)[::2]}, "lie end to end"),
        ({"temperature": "much"}, "real number"),
        ({"tags": 1.5}, "int"),
    ],
)
def test_a_structure_with_a_field_that_does_not_fit_is_refused(changed, message):
    with pytest.raises(TypeError, match=message):
        DECLARED.structures["Network"](**{**NETWORK, **changed})


def test_an_array_of_addresses_is_one_of_uint64():
    """A pointer to pointers; and a pointer to void takes any numbers."""
    features = DECLARED.structures["Features"].declared
    assert features["table"].field(np.zeros(2, np.uint64))
    with pytest.raises(TypeError, match="table: expected an array of uint64, got int64"):
        features["table"].field(np.zeros(2, np.int64))
    for number in (np.int8, np.uint8, np.float16, np.float32):
        assert features["codes"].field(np.zeros(2, number))
    assert features["codes"].field(None) is None


def test_the_address_of_an_array_is_where_its_numbers_begin():
    array = np.arange(6, dtype=np.int32)
    for some in (array, array[2:], np.zeros((0, 3)), np.broadcast_to(np.float32(1), ())):
        assert library.address(some) == some.__array_interface__["data"][0]
    fixed = array.copy()
    fixed.flags.writeable = False
    assert library.address(fixed) == fixed.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 7)])
@pytest.mark.parametrize("number", [np.float32, np.int8, "int16"])
def test_memory_begins_with_a_line_of_the_cache(shape, number):
    found = library.empty(shape, number)
    assert (found.shape, found.dtype) == (shape, np.dtype(number))
    assert library.address(found) % 64 == 0
    found[...] = 1


# ── builds ──


def copied(folder):
    """The room's C and its builds, somewhere else."""
    for path in [path for path in ROOM.rglob("*") if path.suffix in (".c", ".h", Path(library_name("any")).suffix)]:
        copy = folder / path.relative_to(ROOM)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", [str(path.relative_to(ROOM)) for path in [*c_sources(), *ROOM.glob("*.h")]])
def test_the_digest_follows_every_source(name, tmp_path):
    room = copied(tmp_path)
    assert digest(room) == digest()
    with (room / name).open("a") as file:
        file.write("\n")
    assert digest(room) != digest()


@needs_kernel
def test_a_build_of_other_sources_is_refused(tmp_path, monkeypatch):
    room = copied(tmp_path)
    (room / "text" / "text.c").write_text("/* changed */")
    monkeypatch.setattr(library, "FOLDER", room / "engine")
    with pytest.warns(RuntimeWarning, match="compiled from other sources; install the project again"):
        assert list(library.builds()) == []


@needs_kernel
@pytest.mark.parametrize(
    ("damaged", "left"),
    [("kernel-x86*", ["kernel-any"]), ("kernel-any*", [])],
    ids=["a wider build", "the one that is asked which processor this is"],
)
def test_a_file_that_is_no_library_is_passed_over_with_a_warning(damaged, left, tmp_path, monkeypatch):
    room = copied(tmp_path)
    broken = list((room / "engine").glob(damaged))
    for path in broken:
        path.write_bytes(b"not a library")
    monkeypatch.setattr(library, "FOLDER", room / "engine")
    if broken and len(BUILDS) > 1:
        with pytest.warns(RuntimeWarning, match="the compiled kernel is not used"):
            assert [build.name for build in library.builds()] == left


@needs_kernel
def test_a_processor_gets_the_builds_that_it_can_run(monkeypatch):
    level = ctypes.CDLL(str(library.FOLDER / library_name("any"))).cpu_level()
    names = [name for name, needed in BUILDS_BY_LEVEL.items() if needed <= level]
    assert names == ["x86-64-v4-vnni", "x86-64-v4", "x86-64-v3", "any"][{5: 0, 4: 1, 3: 2}.get(level, 3) :]
    there = [name for name in names if (library.FOLDER / library_name(name)).is_file()]
    assert [build.name for build in library.builds()] == [f"kernel-{name}" for name in there]
    assert library.load().name == f"kernel-{there[0]}"


@needs_kernel
def test_a_long_call_lets_other_threads_run_and_a_short_one_does_not_stop_to():
    kernel = library.load()
    assert kernel.call(10) is kernel.short
    assert kernel.call(1_000_000) is kernel.long
    assert kernel.call(10, each=10_000) is kernel.long


@needs_kernel
def test_an_interrupt_while_a_call_is_made_is_an_interrupt(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "_first_byte", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.load().short.hash_ngrams(
            np.zeros(1, np.uint8), np.zeros(1, np.int64), 0, np.ones(1, np.int64), 1, 7, np.zeros(1, np.int64), 1
        )
