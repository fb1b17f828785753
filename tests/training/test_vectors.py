"""Vectors of every format come out as the numbers gensim put in, and no file can run code."""

import gzip
import json
import pickle
from pathlib import Path

import gensim.downloader
import numpy as np
import pytest
import torch
from gensim.models import FastText, KeyedVectors, Word2Vec
from gensim.models.fasttext import save_facebook_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fenestra.model.bundled import bundled_model, bundled_models
from fenestra.model.checkpoint import save
from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import CheckpointError, ConfigError, DataError, InputError, RunError
from fenestra.training import sources
from fenestra.training.config import VectorsConfig
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.network.export import to_checkpoint
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.sources.interpolate import apply_linear_map, fill_gaps, fit_linear_map
from fenestra.training.vectors.formats import load_file
from fenestra.training.vectors.quantise import VectorTable
from fenestra.training.vectors.table import keyed_vectors
from fenestra.training.vectors.vectors import (
    WordVectors,
    coverage,
    fingerprint,
    load_vectors,
    neighbours,
    standardise,
)

WORDS = ["the", "cat", "Paris", "paris", "été", "東京", "u.s.", "--"]
TABLE = np.random.default_rng(1).normal(size=(len(WORDS), 6)).astype(np.float32)


@pytest.fixture
def kept() -> KeyedVectors:
    made = KeyedVectors(6)
    made.add_vectors(WORDS, TABLE)
    return made


def word_vectors(words=WORDS, table=TABLE) -> WordVectors:
    return WordVectors("test", list(words), table, fingerprint(words, table))


def load(path: Path, **settings) -> WordVectors:
    return load_vectors(VectorsConfig(source=str(path), **settings))


def complaint(work) -> str:
    """What a piece of work refuses its input with; anything else it raises fails the test."""
    try:
        work()
    except InputError as error:
        return str(error)
    return ""


def text(folder: Path, content: str | bytes, name: str = "v.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ── formats ──


@pytest.mark.parametrize("form", ["auto", "word2vec-text", "word2vec", "glove"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_gensim_writes_is_read_back_equal(tmp_path, kept, form, packed):
    names = {"auto": "v.vec", "word2vec-text": "a.dat", "word2vec": "b.dat", "glove": "c.dat"}
    path = tmp_path / names[form]
    kept.save_word2vec_format(str(path), binary=form == "word2vec", write_header=form != "glove")
    if packed:
        data = gzip.compress(path.read_bytes())
        path = text(tmp_path, data, path.name + ".gz")
    found = load(path, format=form)
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors_VD, TABLE)
    assert load(path).sha256 == found.sha256 == word_vectors().sha256
    assert (found.vectors_VD.dtype, found.vectors_VD.flags.c_contiguous) == (np.float32, True)


def test_a_fasttext_model_is_read_back_equal(tmp_path):
    model = FastText([["the", "cat", "été"]] * 3, vector_size=6, min_count=1, bucket=20, epochs=1, workers=1)
    path = tmp_path / "model.bin"
    save_facebook_model(model, str(path))
    found = load(path)
    assert found.words == model.wv.index_to_key
    np.testing.assert_allclose(found.vectors_VD, model.wv.vectors, rtol=1e-6)
    needed = path.stat().st_size - (1 + 2 * 8 + 3 * 6 * 4)  # without the output layer
    assert load(text(tmp_path, path.read_bytes()[:needed], "enough.bin")).sha256 == found.sha256
    for cut in [*range(0, needed, 41), needed - 1]:
        short = text(tmp_path, path.read_bytes()[:cut], "short.bin")
        with pytest.raises(DataError, match=r"short\.bin"):
            load(short, format="fasttext")
    with pytest.raises(DataError, match="expected it uncompressed"):
        load(text(tmp_path, gzip.compress(path.read_bytes()), "model.bin.gz"))


def test_a_kv_file_is_refused_unless_pickles_are_allowed(tmp_path, kept):
    path = tmp_path / "vectors.kv"
    kept.save(str(path))
    with pytest.raises(ConfigError, match=r"runs whatever code is in it.*vectors\.allow_pickle=true"):
        load(path)
    found = load(path, allow_pickle=True)
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors_VD, TABLE)


def test_a_whole_word2vec_model_gives_its_vectors(tmp_path):
    model = Word2Vec([["a", "b"]] * 3, vector_size=4, min_count=1, epochs=1, workers=1)
    model.save(str(tmp_path / "w.model"))
    assert load(tmp_path / "w.model", allow_pickle=True).words == model.wv.index_to_key


class Sentinel:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["vectors.kv", "vectors.txt", "vectors.bin", "vectors.model", "vectors"])
@pytest.mark.parametrize("form", ["auto", "kv", "word2vec", "glove", "word2vec-text", "fasttext"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_no_pickle_is_ever_opened_unasked(tmp_path, name, form, protocol):
    mark = tmp_path / "mark"
    path = text(tmp_path, pickle.dumps(Sentinel(mark), protocol=protocol), name)
    with pytest.raises((ConfigError, DataError)):
        load(path, format=form)
    assert not mark.exists()


def test_a_pickle_of_something_else_is_refused(tmp_path):
    for content in (pickle.dumps({"a": 1}), b"\x80\x04 no pickle"):
        with pytest.raises(DataError, match="KeyedVectors"):
            load(text(tmp_path, content, "x.kv"), allow_pickle=True)


# ── faults ──


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", "v.txt:2: a word with 1 numbers, expected 2 as in line 1"),
        ("2 2\na 1 2\nb 1 2 3\n", "v.txt:3: a word with 3 numbers, expected 2 as the first line says"),
        ("a\n", "v.txt:1: a word with 0 numbers, expected at least 1"),
        ("3 2\na 1 2\nb 1 2\n", "v.txt:3: the file ends after 2 words, expected 3 as the first line says"),
        ("1 2\na 1 2\nb 1 2\n", "v.txt:3: the file ends after 2 words, expected 1 as the first line says"),
        ("a 1 2\nb nan 2\n", "v.txt:2: number 1 of 'b' is nan, expected a finite float32"),
        ("a 1 2\nb 1 inf\n", "v.txt:2: number 2 of 'b' is inf, expected a finite float32"),
        ("a 1 1e39\n", "v.txt:1: number 2 of 'a' is 1e39, expected a finite float32"),
        ("a 1 2\nb 1 x\n", "v.txt:2: could not convert string to float: 'x'"),
        ("a 1 2\n\nb 1 2\n", "v.txt:2: a word with 0 numbers, expected 2 as in line 1"),
        (b"a 1 2\n\xff\xfe 1 2\n", "v.txt:2: byte 1 of the line is 0xff, expected UTF-8"),
        ("", "v.txt: the file ends after 0 words, expected at least 1"),
        ("0 5\n", "v.txt:1: the file ends after 0 words"),
    ],
)
def test_a_fault_in_a_text_format_is_named_by_its_line(tmp_path, content, message):
    with pytest.raises(DataError) as raised:
        load(text(tmp_path, content))
    assert str(raised.value).replace(f"{tmp_path}/", "").startswith(message)


def test_a_single_number_does_not_fill_a_vector(tmp_path):
    """gensim's own reader broadcasts it."""
    with pytest.raises(DataError, match=":3: a word with 1 numbers"):
        load(text(tmp_path, "2 3\na 1 2 3\nb 1\n"))


def test_a_truncated_binary_file_is_named(tmp_path, kept):
    path = tmp_path / "v.bin"
    kept.save_word2vec_format(str(path), binary=True)
    for cut in (3, 10, 60, path.stat().st_size - 3):
        with pytest.raises(DataError, match=r"short\.bin"):
            load(text(tmp_path, path.read_bytes()[:cut], "short.bin"), format="word2vec")


def test_a_first_line_that_promises_too_much_costs_no_memory(tmp_path):
    for content in (b"99999999999 300\nthe \x00\x01\x02\x03", b"1 99999999999\nthe \x00\x01\x02\x03"):
        with pytest.raises(DataError, match="truncated, the first line promises"):
            load(text(tmp_path, content, "v.bin"))


def test_a_number_that_is_not_finite_is_found_in_a_binary_file(tmp_path):
    table = TABLE.copy()
    table[3, 2] = np.nan
    keyed_vectors(WORDS, table).save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    with pytest.raises(DataError, match=r"v\.bin: the vector of 'paris' holds a number that is not finite"):
        load(tmp_path / "v.bin")


@pytest.mark.parametrize("cut", [0.3, 0.95])
def test_a_truncated_gzip_file_is_named(tmp_path, cut):
    content = gzip.compress("".join(f"w{n} {n}.5 {n}.25\n" for n in range(20_000)).encode())
    with pytest.raises(DataError, match=r"v\.txt\.gz.*: truncated or damaged"):
        load(text(tmp_path, content[: int(len(content) * cut)], "v.txt.gz"))


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_missing_file_and_a_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / name)


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("valid")
    made = keyed_vectors(WORDS, TABLE)
    made.save_word2vec_format(str(folder / "b.bin"), binary=True)
    made.save_word2vec_format(str(folder / "t.vec"))
    made.save_word2vec_format(str(folder / "g.txt"), write_header=False)
    model = FastText([["the", "cat"]] * 3, vector_size=3, min_count=1, bucket=9, epochs=1, workers=1)
    save_facebook_model(model, str(folder / "f.bin"))
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"folder": str(folder).encode()}


@given(
    name=st.sampled_from(["b.bin", "t.vec", "g.txt", "f.bin"]),
    noise=st.binary(min_size=1, max_size=12),
    place=st.integers(0, 400),
    cut=st.integers(0, 800),
)
def test_no_damage_raises_anything_but_input_errors(valid, name, noise, place, cut):
    data = bytearray(valid[name])
    data[place : place + len(noise)] = noise
    path = Path(valid["folder"].decode()) / f"damaged-{name}"
    path.write_bytes(bytes(data[: len(data) - cut] if cut < 400 else data))
    message = complaint(lambda: load_file(path))
    assert not message or str(path) in message


# ── words ──


def test_a_word_that_occurs_twice_has_its_first_vector(tmp_path):
    found = load(text(tmp_path, "a 1 2\nb 3 4\na 5 6\n"))
    assert (found.words, found.vectors_VD.tolist()) == (["a", "b"], [[1, 2], [3, 4]])


def test_a_word_that_a_list_of_lines_cannot_hold_is_left_out(tmp_path):
    keyed_vectors(["a", "b\nc", "d"], TABLE[:3]).save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    found = load(tmp_path / "v.bin")
    assert found.words == ["a", "d"]
    np.testing.assert_array_equal(found.vectors_VD, TABLE[[0, 2]])


def test_the_limit_keeps_the_words_of_the_corpus_before_all_others(tmp_path, kept):
    kept.save_word2vec_format(str(tmp_path / "v.vec"))
    found = load_vectors(VectorsConfig(source=str(tmp_path / "v.vec"), limit=4), ["U.S.", "Paris", "nowhere"])
    assert found.words == ["Paris", "u.s.", "the", "cat"]
    np.testing.assert_array_equal(found.vectors_VD, TABLE[[2, 6, 0, 1]])


def test_a_limit_beyond_the_source_changes_nothing(tmp_path, kept):
    kept.save_word2vec_format(str(tmp_path / "v.vec"))
    assert load_vectors(VectorsConfig(source=str(tmp_path / "v.vec"), limit=8), ["--"]).words == WORDS


def test_the_fingerprint_depends_on_words_numbers_and_order():
    prints = {
        fingerprint(WORDS, TABLE),
        fingerprint(WORDS[::-1], TABLE),
        fingerprint(WORDS, TABLE[::-1]),
        fingerprint(WORDS, np.nextafter(TABLE, np.float32(9))),
        fingerprint([], TABLE[:0]),
    }
    assert len(prints) == 5


# ── other sources ──


def test_no_vectors_have_no_width():
    found = load_vectors(VectorsConfig(source="none"))
    assert (found.words, found.vectors_VD.shape, found.width) == ([], (0, 0), 0)


@pytest.fixture
def glove(tmp_path, monkeypatch) -> None:
    """A fetched set named glove."""
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path))
    folder = tmp_path / "glove"
    folder.mkdir()
    sources.write_vector_set(folder, WORDS, TABLE)
    sources.describe(sources.SOURCES["glove"], folder)


def test_a_fetched_set_is_known_by_its_name(glove):
    found = load_vectors(VectorsConfig(source="glove"))
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors_VD, TABLE)
    assert "PDDL" in found.licence


@pytest.mark.parametrize("limit", [0, 2])
def test_words_that_share_rows_have_a_vector_each(tmp_path, monkeypatch, limit):
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path))
    folder = tmp_path / "spacy-md"
    folder.mkdir()
    sources.write_vector_set(folder, ["a", "b", "c"], TABLE[:2], [1, 1, 0])
    sources.describe(sources.SOURCES["spacy-md"], folder)
    found = load_vectors(VectorsConfig(source="spacy-md", limit=limit), ["c"])
    assert found.words == (["c", "a"] if limit else ["a", "b", "c"])
    np.testing.assert_array_equal(found.vectors_VD, TABLE[[0, 1] if limit else [1, 1, 0]])


def test_a_set_that_is_not_fetched_says_how_to(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="run: fenestra data fetch glove"):
        load_vectors(VectorsConfig())


def test_a_set_with_a_word_too_many_is_damaged(tmp_path, glove):
    (tmp_path / "glove" / "words.txt").write_text("a\n" * 8)
    (tmp_path / "glove" / sources.PROVENANCE).unlink()
    sources.describe(sources.SOURCES["glove"], tmp_path / "glove")
    with pytest.raises(DataError, match="fenestra data fetch glove --force"):
        load_vectors(VectorsConfig())


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "int4"])
def test_the_vectors_of_a_checkpoint_can_be_used_again(tmp_path, storage):
    features = FeatureConfig(storage=storage)
    config = ModelConfig(labels=("PER",), features=features)
    lexicon = build_lexicon(features, WORDS, [], 1)
    table = VectorTable.pack(torch.from_numpy(TABLE), storage)
    save(to_checkpoint(config, lexicon, WindowTagger(config, lexicon, table), Calibration()), tmp_path / "model")
    found = load_vectors(VectorsConfig(source=f"checkpoint:{tmp_path / 'model'}"))
    assert found.words == WORDS
    np.testing.assert_allclose(
        found.vectors_VD, TABLE, atol={"float32": 0, "float16": 2e-3, "int8": 2e-2, "int4": 0.3}[storage]
    )
    with pytest.raises(CheckpointError):
        load_vectors(VectorsConfig(source=f"checkpoint:{tmp_path}"))


@pytest.mark.parametrize("name", bundled_models())
def test_the_vectors_of_a_bundled_model_are_found_by_its_name_with_their_licence(name):
    found = load_vectors(VectorsConfig(source=f"bundled:{name}"))
    of_folder = load_vectors(VectorsConfig(source=f"checkpoint:{bundled_model(name)}"))
    assert found.sha256 == of_folder.sha256
    licence = json.loads((bundled_model(name) / "report.json").read_text(encoding="utf-8"))["vectors"]["licence"]
    assert licence in found.licence
    assert found.name == f"bundled:{name}"


def test_bundled_alone_means_the_english_model_and_an_unknown_one_is_refused_by_field():
    alone, named = (load_vectors(VectorsConfig(source=source)) for source in ("bundled", "bundled:english"))
    assert alone.sha256 == named.sha256
    with pytest.raises(InputError, match=r"^vectors\.source: no model 'klingon' is bundled, but .*english"):
        load_vectors(VectorsConfig(source="bundled:klingon"))


def test_gensims_downloader_gives_the_file_and_its_code_is_not_imported(tmp_path, monkeypatch, kept, capsys):
    path = tmp_path / "some-set.gz"
    kept.save_word2vec_format(str(tmp_path / "some-set"))
    path.write_bytes(gzip.compress((tmp_path / "some-set").read_bytes()))

    def stand_in(name, return_path=False):
        assert (name, return_path) == ("some-set", True)
        print("[=====] 100%")
        return str(path)

    monkeypatch.setattr(gensim.downloader, "load", stand_in)
    assert load_vectors(VectorsConfig(source="gensim:some-set")).words == WORDS
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failure", "expected", "message"),
    [
        (
            ValueError("Incorrect model/corpus name"),
            ConfigError,
            "gensim has no vectors called 'glove'; there are glo-25",
        ),
        (ValueError("unable to read local cache"), RunError, "could not get glove .unable to read"),
        (OSError("Name or service not known"), RunError, "`fenestra data fetch glove`"),
        (Exception("Checksum comparison failed, try again"), RunError, "Checksum comparison failed"),
    ],
)
def test_what_gensims_downloader_complains_of_is_one_line(monkeypatch, failure, expected, message):
    def stand_in(name, return_path=False):
        raise failure

    monkeypatch.setattr(gensim.downloader, "load", stand_in)
    monkeypatch.setattr(gensim.downloader, "info", lambda **_: {"models": ["glo-25", "other"]})
    with pytest.raises(expected, match=message) as raised:
        load_vectors(VectorsConfig(source="gensim:glove"))
    assert "\n" not in str(raised.value)


# ── numbers ──


@given(arrays(np.float32, (7, 3), elements=st.floats(-100, 100, width=32)))
def test_standardised_rows_have_mean_0_and_variance_1(table):
    measured = standardise(table, [0, 2, 3, 5])[[0, 2, 3, 5]].astype(np.float64)
    assert np.isfinite(standardise(table, [0, 2, 3, 5])).all()
    np.testing.assert_allclose(measured.mean(axis=0), 0, atol=1e-2)
    spread = table[[0, 2, 3, 5]].std(axis=0, dtype=np.float64)
    wide = spread > 1e-3 * np.abs(table[[0, 2, 3, 5]]).max(axis=0, initial=1e-3)
    np.testing.assert_allclose(measured.std(axis=0)[wide], 1, atol=1e-2)


def test_standardising_agrees_with_the_formula_and_leaves_its_input_alone():
    before = TABLE.copy()
    rows = [0, 1, 4]
    expected = (TABLE - TABLE[rows].mean(axis=0)) / TABLE[rows].std(axis=0)
    np.testing.assert_allclose(standardise(TABLE, rows), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(TABLE, before)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3.3])
def test_a_constant_dimension_stays_finite(value):
    table = TABLE.copy()
    table[:5, 1] = value
    found = standardise(table, range(5))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:5, 1], 0, atol=0.1)


def test_without_rows_all_are_measured_and_an_empty_table_stays_empty():
    np.testing.assert_array_equal(standardise(TABLE, []), standardise(TABLE, range(len(TABLE))))
    assert standardise(TABLE[:0], []).shape == (0, 6)


def test_coverage_counts_as_the_tagger_looks_up():
    lexicon = build_lexicon(FeatureConfig(), WORDS, [], 1)
    found = coverage(lexicon, ["Paris", "Paris", "The", "the", "CAT", "xx", "yy", "yy"])
    assert found.tokens == (3, 2, 3)
    assert found.types == (2, 2, 2)
    assert found.missing == (("yy", 2), ("xx", 1))
    assert found.as_dict()["tokens"] == {"as_written": 3, "lowered": 2, "missing": 3, "share": 0.625}
    assert str(found) == (
        "tokens: 62.5% of 8 have a vector (3 as written, 2 lower-cased, 3 missing)\n"
        "distinct words: 66.7% of 6 have a vector (2 as written, 2 lower-cased, 2 missing)\n"
        "missing most often: yy 2, xx 1"
    )


def test_only_the_twenty_most_frequent_missing_words_are_listed():
    lexicon = build_lexicon(FeatureConfig(), [], [], 1)
    found = coverage(lexicon, [f"w{n}" for n in range(30) for _ in range(n + 1)])
    assert [word for word, _ in found.missing] == [f"w{n}" for n in range(29, 9, -1)]


def test_nothing_is_covered_in_an_empty_text():
    found = coverage(build_lexicon(FeatureConfig(), WORDS, [], 1), [])
    assert found.tokens.share == 0
    assert "0.0% of 0" in str(found)


def test_neighbours_are_those_of_gensim(kept):
    for word in WORDS:
        expected = kept.most_similar(word, topn=5)
        for found in (neighbours(word_vectors(), word, 5), neighbours(kept, word, 5)):
            assert [near for near, _ in found] == [near for near, _ in expected]
            np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], rtol=1e-5)


def test_neighbours_by_hand():
    table = np.array([[1, 0], [3, 3], [0, 2], [-5, 0], [0, 0]], dtype=np.float32)
    found = neighbours(word_vectors(["e", "ne", "n", "w", "zero"], table), "e", 10)
    assert found == [("ne", pytest.approx(2**-0.5)), ("n", 0), ("zero", 0), ("w", pytest.approx(-1))]


def test_a_word_is_looked_up_lower_cased_if_it_has_no_vector_as_written():
    assert neighbours(word_vectors(), "CAT", 1) == neighbours(word_vectors(), "cat", 1)


def test_an_unknown_word_names_near_spellings():
    with pytest.raises(InputError, match="'Pariss' has no vector; there are paris"):
        neighbours(word_vectors(), "Pariss")
    with pytest.raises(InputError, match=r"'qqq' has no vector$"):
        neighbours(word_vectors(), "qqq")


# ── gaps ──


def test_a_linear_map_with_a_bias_is_found_again():
    rng = np.random.default_rng(2)
    source, bias = rng.normal(size=(40, 3)).astype(np.float32), np.float32([5, -1, 0, 2])
    true = rng.normal(size=(3, 4)).astype(np.float32)
    fitted = fit_linear_map(source, source @ true + bias)
    np.testing.assert_allclose(fitted, np.vstack([true, bias]), atol=1e-5)
    np.testing.assert_allclose(apply_linear_map(source, fitted), source @ true + bias, atol=1e-5)


def test_gaps_are_filled_with_what_the_map_says_and_known_words_keep_theirs():
    words = ["a", "b", "c", "d"]
    vectors = np.float32([[0], [1], [2], [10]])
    known = np.float32([[1, 0], [3, -1], [99, 99], [5, -2]])  # 2x + 1, -x; "else" is no word of the other set
    filled = fill_gaps(words, vectors, ["a", "b", "else", "c"], known)
    np.testing.assert_allclose(filled, [[1, 0], [3, -1], [5, -2], [21, -10]], atol=1e-4)
    assert filled.dtype == np.float32
    with pytest.raises(ValueError, match="share no word"):
        fill_gaps(words, vectors, ["else"], known[:1])


def test_vectors_are_compressed_to_the_width_that_is_asked_for(tmp_path):
    path = tmp_path / "vectors.txt"
    rows = np.random.default_rng(3).standard_normal((20, 4))
    path.write_text("\n".join(f"w{n} " + " ".join(map(str, row)) for n, row in enumerate(rows)) + "\n")
    whole, narrow = (load_vectors(VectorsConfig(source=str(path), format="glove", width=width)) for width in (0, 3))
    assert (whole.width, narrow.width) == (4, 3)
    assert whole.words == narrow.words
    assert whole.sha256 == narrow.sha256  # of what was read
    with pytest.raises(ConfigError, match=r"vectors\.width: expected at most the vectors' own, 4"):
        load_vectors(VectorsConfig(source=str(path), format="glove", width=5))
