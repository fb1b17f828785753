"""Word vectors of one's own: what text they are made from, what file comes out, what is refused."""

import gzip
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from fenestra.model.errors import ConfigError, DataError, InputError, StorageError
from fenestra.training.config import VectorsConfig
from fenestra.training.job import train
from fenestra.training.vectors.embed import EmbeddingConfig, train_vectors
from fenestra.training.vectors.vectors import load_vectors, neighbours
from tests.conftest import ROOT

SMALL = EmbeddingConfig(width=12, min_count=2, epochs=10, context=3)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Cities and fruits, each among words of its own."""
    rng, file = random.Random(3), tmp_path_factory.mktemp("text") / "texts.txt"
    about = [
        (["Kiel", "Oslo", "Turin", "Lyon"], ["train", "mayor", "street", "tram", "bridge"]),
        (["apple", "pear", "plum", "cherry"], ["ripe", "sweet", "pie", "juice", "tree"]),
    ]
    lines = []
    for _ in range(1500):
        names, words = rng.choice(about)
        lines.append(" ".join([rng.choice(words), rng.choice(names), rng.choice(words), rng.choice(names)]) + ".")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
@pytest.mark.parametrize("suffix", [".txt", ".vec", ".bin"])
def test_words_of_a_kind_are_near_and_the_file_is_read(texts, tmp_path, algorithm, suffix):
    passes = []
    output = tmp_path / f"own{suffix}"
    made = train_vectors([str(texts)], output, EmbeddingConfig(algorithm, 12, 3, 2, 10), passes.append)
    assert (made.words, made.width, made.sentences) == (19, 12, 1500)
    assert made.tokens == 1500 * 5
    assert [one.number for one in passes] == list(range(1, 11))
    assert passes[0].of == 10
    found = load_vectors(VectorsConfig(source=str(output)))
    towns = {"Kiel", "Turin", "Lyon", "train", "mayor", "street", "tram", "bridge"}
    assert {word for word, _ in neighbours(found, "Oslo", 8)} == towns
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_one_worker_gives_the_same_file_again_and_another_seed_another(texts, tmp_path):
    """In processes of their own: what gensim hashes must not depend on the process."""
    made = []
    for number, seed in enumerate([1, 1, 2]):
        output = tmp_path / f"{number}.bin"
        command = [sys.executable, "-m", "fenestra", "vectors", "train", texts, "--output", output]
        options = ["--width", "8", "--min-count", "2", "--epochs", "2", "--workers", "1", "--seed", seed]
        done = subprocess.run([*map(str, [*command, *options])], cwd=ROOT, check=True, capture_output=True, text=True)
        assert done.stdout.startswith(f"{output}: 19 words of 8 numbers, from 7,500 tokens in 1,500 sentences")
        assert "pass 2 of 2: " in done.stderr
        made.append(output.read_bytes())
    assert made[0] == made[1] != made[2]


def test_text_is_read_in_tokens_and_sentences_of_the_tagger_from_every_kind_of_file(tmp_path):
    with gzip.open(tmp_path / "a.txt.gz", "wt", encoding="utf-8") as file:
        file.write("Ada’s U.S. firm didn't move. Tom left.\n\n")
    (tmp_path / "b.conll").write_text("Ada\tB-PER\nmet\tO\nnobody\tO\n\nTom\tB-PER\n\n", encoding="utf-8")
    output = tmp_path / "own.txt"
    made = train_vectors(
        [str(tmp_path / "a.txt.gz"), str(tmp_path / "b.conll")], output, EmbeddingConfig(width=4, min_count=1, epochs=1)
    )
    words = {line.split(" ")[0] for line in output.read_text(encoding="utf-8").splitlines()[1:]}
    assert words == {"Ada", "'s", "U.S.", "firm", "did", "n't", "move", ".", "Tom", "left", "met", "nobody"}
    assert (made.sentences, made.tokens) == (4, 15)


def test_a_job_learns_from_them(texts, tmp_path, quick_job):
    train_vectors([str(ROOT / "data/sample/train.conll")], tmp_path / "own.bin", SMALL)
    model = replace(quick_job.model, features=replace(quick_job.model.features, vectors=True))
    job = replace(quick_job, model=model, vectors=VectorsConfig(source=str(tmp_path / "own.bin")))
    folder = train(replace(job, training=replace(job.training, epochs=1)), tmp_path / "model")
    assert (folder / "words.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("names", "output", "config", "error", "message"),
    [
        (["{t}"], "own.kv", {}, ConfigError, r"--output .*own\.kv: expected a name that ends in \.txt, \.vec, \.bin"),
        (["{d}/absent.txt"], "own.txt", {}, DataError, "absent.txt: cannot be read"),
        (["{t}"], "own.txt", {"min_count": 10**6}, DataError, "no word comes 1000000 times or more; see --min-count"),
        (["{t}"], "no/folder/own.txt", {}, StorageError, "own.txt"),
        (["{t}"], "own.txt", {"language": "tlh"}, InputError, "tlh"),
    ],
)  # fmt: skip
def test_what_gives_no_vectors_says_why_and_leaves_nothing(texts, tmp_path, names, output, config, error, message):
    names = [name.format(t=texts, d=tmp_path) for name in names]
    with pytest.raises(error, match=message):
        train_vectors(names, tmp_path / output, EmbeddingConfig(**{"width": 4, "epochs": 1, **config}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["width", "context", "min_count", "epochs", "workers"])
def test_settings_that_make_no_sense_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name}: expected 1 or more"):
        EmbeddingConfig(**{name: 0})
    with pytest.raises(ConfigError, match="algorithm: expected word2vec or fasttext"):
        EmbeddingConfig("glove")
