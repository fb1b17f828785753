"""The compiled kernel against the same tagger in Python, numpy and torch: other code, the same answers."""

import contextlib
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model import engine as kernel
from fenestra.model.batch import Batch as PlainBatch
from fenestra.model.batch import look_up
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.crf import step_scores
from fenestra.model.decode.decoding import read_paths, scheme_tables
from fenestra.model.engine import library, vocabulary
from fenestra.model.engine.native import Compiled
from fenestra.model.engine.reader import PIECE, Reader
from fenestra.model.engine.reference import Plain
from fenestra.model.engine.vocabulary import Vocabulary
from fenestra.model.errors import InputError
from fenestra.model.network.network import ACTIVATIONS
from fenestra.model.steps import Step, run
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize
from fenestra.model.words.surface import ngrams
from tests.model.conftest import small_model
from tests.model.test_bits import generated_texts
from tests.model.test_sentences import PIECES

pytestmark = pytest.mark.skipif(kernel.load() is None, reason="no compiled kernel here")

BUILDS = list(library.builds())


def tame_model(**options):
    """As small_model, with sums as large as those of a trained network: its probabilities are not all 0 or 1."""
    model = small_model(**{"documents": True, "scheme": "BIOES", **options})
    for layer in (model.network.project, *model.network.layers(), model.network.output):
        layer.weight.data *= layer.in_features**-0.5
    model.network.topic.data *= 0.5
    if model.network.sentence is not None:
        model.network.sentence.weight.data *= 0.5
    return model


MODEL = tame_model()
FLOAT = {"cache_numbers": "float32"}
LETTERS = st.sampled_from(
    [*"abzABZ019 .,;:!?'\"’`()[]{}-–—_/@#&%$€+\n\t\r\x0b\x1c\x85\xa0\u2028\u3000\u200d\u0301ÄäßİıДд東🙂🇩🇪", "\ud800",
     "J. ", "Mr. ", "U.S. ", "n't ", "'s ", "\n\n", "  ", "http://", "1996-08-22 ", "3.5 ", "The ", "the ", " \" "]
)  # fmt: skip
TEXT = st.lists(LETTERS, max_size=60).map("".join)


def pair(model, **options):
    """The same model, compiled and not."""
    return (
        Tagger(model, device="cpu", compiled=True, **{**FLOAT, **options}),
        Tagger(model, device="cpu", compiled=False),
    )


def assert_alike(compiled, plain, *, atol=1e-5):
    for ours, theirs in zip(compiled, plain, strict=True):
        tokens, oracle = list(ours.tokens), list(theirs.tokens)
        assert [token[:4] for token in tokens] == [token[:4] for token in oracle]
        assert [entity[:4] for entity in ours.entities] == [entity[:4] for entity in theirs.entities]
        np.testing.assert_allclose([t.score for t in tokens], [t.score for t in oracle], atol=atol)
        np.testing.assert_allclose([e.score for e in ours.entities], [e.score for e in theirs.entities], atol=10 * atol)


# ── text ──


def test_white_space_is_what_python_calls_so():
    """Of all code points."""
    white = kernel.load().short.is_white
    assert [code for code in range(sys.maxunicode + 1) if bool(white(code)) != chr(code).isspace()] == []


def read(texts):
    """Words, starts and sentences of texts by the kernel."""
    reader = Reader(kernel.load(), Vocabulary(kernel.load(), MODEL.lexicon))
    list(reader.read(texts))
    batch = reader.batch
    words = [batch.text(number) for number in batch.word_T.tolist()]
    lengths = iter(batch.lengths)
    found, begin = [], 0
    for size, sentences, place in zip(batch.sizes, batch.sentences, reader.places, strict=True):
        places = [place.of(token, token + 1) for token in range(size)]
        assert [text for _, _, text in places] == words[begin : begin + size]
        found.append((places, [next(lengths) for _ in range(sentences)]))
        begin += size
    return found


@settings(max_examples=300)
@given(st.lists(TEXT | st.text(max_size=40), max_size=6))
def test_text_is_cut_and_parted_as_in_python(texts):
    for text, (places, lengths) in zip(texts, read(texts), strict=True):
        tokens = tokenize(text)
        assert places == [(token.start, token.end, token.text) for token in tokens]
        assert lengths == sentence_lengths(text, tokens)


@given(st.lists(st.lists(PIECES, max_size=30).map(" ".join), max_size=4))
def test_sentences_end_where_they_do_in_python(texts):
    for text, (_, lengths) in zip(texts, read(texts), strict=True):
        assert lengths == sentence_lengths(text, tokenize(text))


@pytest.mark.parametrize(
    "text",
    ["a " * 20_000, "!" * 20_000, "x" * 20_000 + " y", "Ab 1\n" * 5000, " ".join(f"w{n}." for n in range(9000)),
     "Prof. J. Б. Smith met A. Ä. He left.", "x" * 64 + " " + "y" * 65 + ".", "don't " * 3000],
    ids=["words", "signs", "monster", "lines", "all different", "initials", "edge of what is remembered", "clitics"],
)  # fmt: skip
def test_long_and_odd_texts_are_cut_as_in_python(text):
    ((places, lengths),) = read([text])
    tokens = tokenize(text)
    assert places == [(token.start, token.end, token.text) for token in tokens]
    assert lengths == sentence_lengths(text, tokens)


def test_a_crowded_vocabulary_reads_on_and_makes_room_for_a_new_one(monkeypatch):
    """More words and runs than it has room for, in one text and in many; the table's words come along."""
    tagger, plain = pair(MODEL)
    way = tagger._way
    way._vocabulary = Vocabulary(kernel.load(), MODEL.lexicon, most_words=50, most_runs=40)
    rng = random.Random(4)
    for turn in range(30):
        texts = [" ".join(f"W{rng.randrange(turn * 9, turn * 9 + 40)}." for _ in range(30)) for _ in range(4)]
        texts.append("ada met Siemens in Munich. " * 20)
        assert_alike(tagger.analyse(texts), plain.analyse(texts))
    assert len(way._vocabulary.words) < 200
    huge = " ".join(f"{n}th" for n in range(3000))
    assert_alike(tagger.analyse([huge]), plain.analyse([huge]))
    way._current_vocabulary()
    vocabulary, pair_S = way._vocabulary, way._table._pair
    held = np.flatnonzero(pair_S >= 0)
    assert vocabulary.slots[pair_S[held]].tolist() == held.tolist()
    assert "Munich" in {vocabulary.words[number] for number in (pair_S[held] // vocabulary.classes).tolist()}
    assert len(vocabulary.words) == 25


def test_a_request_goes_on_with_the_vocabulary_that_it_began_with():
    """Two large texts by turns, while the vocabulary changes between their steps."""
    tagger, plain = pair(MODEL)
    tagger._way._vocabulary = Vocabulary(kernel.load(), MODEL.lexicon, most_words=20, most_runs=20)
    items = [[" ".join(f"{head}{n % 900}" for n in range(9000))] for head in ("a", "B", "Mc")]
    works, found = [tagger.steps(item) for item in items], [None] * 3
    while None in found:
        for place, work in enumerate(works):
            if found[place] is None:
                try:
                    next(work)
                except StopIteration as end:
                    found[place] = end.value
    for item, analyses in zip(items, found, strict=True):
        assert_alike(analyses, plain.analyse(item))


def test_monstrous_words_take_no_room():
    tagger, plain = pair(MODEL)
    texts = ["x" * 100_000 + " Ada " + "İ" * 33 + " " + "i̇" * 33, "x" * 100_001]
    for _ in range(2):
        assert_alike(tagger.analyse(texts), plain.analyse(texts))
        assert_alike(tagger.analyse_tokens([texts]), plain.analyse_tokens([texts]))
    kept = [word for word in tagger._way._vocabulary.words if word is not None]
    assert max(map(len, kept)) <= 64


def test_runs_that_are_not_remembered_give_way_too():
    tagger = Tagger(MODEL, device="cpu")
    tagger._way._vocabulary = Vocabulary(kernel.load(), MODEL.lexicon, most_words=50, most_runs=40)
    for text in (" ".join(f"w{n}" for n in range(6000)), " ".join(f"{n:066}" for n in range(2000))):
        reader = Reader(kernel.load(), tagger._way._current_vocabulary())
        assert len(list(reader.read([text]))) >= 25


def test_texts_of_a_batch_share_their_numbers():
    reader = Reader(kernel.load(), Vocabulary(kernel.load(), MODEL.lexicon))
    list(reader.read(["a b c"] * 500))
    assert len({id(place.start_T.base) for place in reader.places}) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_an_empty_word_of_a_document_is_refused_every_time(compiled):
    tagger = Tagger(MODEL, device="cpu", compiled=compiled)
    for _ in range(2):
        with pytest.raises(InputError, match="empty word"):
            tagger.analyse_documents([[["Ada", ""]]])


# ── interruptions: Ctrl-C may come anywhere ──


@pytest.mark.parametrize("name", ["case_evidence", "role"])
def test_an_interrupted_word_is_not_half_known(name, monkeypatch):
    tagger, plain = pair(MODEL)
    text = "Siemens met ada. Unheard of, Munich."
    real, calls = getattr(vocabulary, name), []

    def interrupted(word):
        calls.append(word)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return real(word)

    monkeypatch.setattr(vocabulary, name, interrupted)
    for _ in range(12):
        with contextlib.suppress(KeyboardInterrupt):
            tagger.analyse([text])
    monkeypatch.undo()
    assert_alike(tagger.analyse([text]), plain.analyse([text]))


def test_an_interrupted_growth_leaves_room_for_all_that_is_said_to_be_there(monkeypatch):
    found = Vocabulary(kernel.load(), MODEL.lexicon)
    real, calls = np.zeros, []

    def interrupted(*shape):
        calls.append(shape)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*shape)

    monkeypatch.setattr(vocabulary.np, "zeros", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found._grow(4096)
    monkeypatch.undo()
    sizes = {len(array) for array in (found.lowered, found.evidence, found.role, found.size, found.seen)}
    assert min(*sizes, len(found.slots) // found.classes) >= len(found.vector)


def test_an_interrupted_change_of_vocabularies_leaves_no_row_to_another_word(monkeypatch):
    tagger, plain = pair(MODEL)
    texts = [" ".join(f"W{n}" for n in range(300)), "ada met Siemens in Munich."]
    tagger.analyse(texts)
    tagger._way._vocabulary.most = 10
    real, calls = Vocabulary.number, []

    def interrupted(self, word, long):
        calls.append(word)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, word, long)

    monkeypatch.setattr(Vocabulary, "number", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tagger.analyse(texts)
    monkeypatch.undo()
    assert_alike(tagger.analyse(texts[::-1]), plain.analyse(texts[::-1]))


def test_a_failure_to_work_rows_out_costs_no_slot(monkeypatch):
    tagger, plain = pair(MODEL)
    table = tagger._way._table
    free = len(table._free)
    monkeypatch.setattr(table._weights, "project", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        tagger.analyse(["Ada met"])
    monkeypatch.undo()
    assert len(table._free) == free
    assert_alike(tagger.analyse(["Ada met"]), plain.analyse(["Ada met"]))


# ── the network ──


def log_probabilities(tagger, documents):
    return tagger.log_probabilities(documents)


DOCUMENTS = [
    [["Ada", "Lovelace", "met", "SIEMENS", "in", "munich", "."], ["Siemens", "Won", "."], []],
    [[]],
    [["Rose"], ["a", "rose", ",", "1996-08-22", "東京", "x" * 70]],
    [["in"] * 9000],
    [["Ada", "met", "."]] * 40,
    [["Munich", "met", "Ada"] * 50, ["in", "."], [*["Siemens"] * 128, "Ada"]],
]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("numbers", ["float32", "int16", "int8"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"context": 0},
        {"context": 7, "hidden": (33,)},
        {"hidden": (300,), "storage": "int8"},
        {"hidden": (513, 70, 5), "storage": "float16", "scheme": "IOB2"},
        {"documents": False, "scheme": "IO"},
        {"sentence": False},
        {"topic": False, "storage": "int8"},
        {"storage": "int4"},
        {"vectors": False, "documents": False},
        {"ngram": 0, "word": 0, "shape": 0, "affix": 0, "case": 0},
        *({"activation": name} for name in ACTIVATIONS if name != "relu"),
    ],
    ids=str,
)
def test_every_build_gives_the_scores_of_the_network(build, numbers, options):
    model = tame_model(**options)
    way, plain = Compiled(build, model, 96, numbers), Plain(model, 0)
    check_scores(way, plain, numbers)


@pytest.mark.parametrize("options", [{}, {"activation": "tanh", "hidden": (33, 7)}, {"documents": False}], ids=str)
@pytest.mark.parametrize("cache_mb", [0, 0.05, 96])
def test_the_way_of_a_gpu_gives_the_scores_of_the_network(cache_mb, options):
    """On the CPU, where there is no GPU: the same code but for the copies."""
    model = tame_model(**options)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plain = Plain(model, 0)
    expected = run(plain.log_probabilities(plain.documents(DOCUMENTS)))
    model.network.to(device)
    way = Compiled(kernel.load(), model, cache_mb, "int16", device=device)
    found = run(way.log_probabilities(way.documents(DOCUMENTS)))
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"topic": False}], ids=str)
@pytest.mark.parametrize("size", [37, 128, 1000])
def test_a_bag_may_begin_and_end_in_the_middle_of_a_sentence(size, options):
    """Its windows see the means of whole passages, and have the bits that they have in bags of another size."""
    model = tame_model(**options)
    way, plain = Compiled(kernel.load(), model, 96, "float32"), Plain(model, 0)
    expected, oracle = (run(w.log_probabilities(w.documents(DOCUMENTS))) for w in (way, plain))
    way._piece = size
    batch = way.documents(DOCUMENTS)
    np.testing.assert_array_equal(run(way.log_probabilities(batch)), expected)
    for begin, end in ((0, 1), (8000, 8300), (9100, batch.tokens), (batch.tokens - 1, batch.tokens)):
        np.testing.assert_array_equal(run(way.log_probabilities(batch, (begin, end))), expected[begin:end])
        found = run(plain.log_probabilities(plain.documents(DOCUMENTS), (begin, end)))
        np.testing.assert_array_equal(found, oracle[begin:end])


def test_a_bag_of_many_short_sentences_gives_way():
    """Each has a row to be worked out."""
    way = Compiled(kernel.load(), MODEL, 96, "float32")
    batch = way.documents([[["Ada"]] * 3000])
    run(way.log_probabilities(batch))
    steps = list(way._surroundings.rows(batch, run(way._look_up(batch)).starts, 0, 3000))
    assert len(steps) == 5


def check_scores(way, plain, numbers):
    ours, theirs = (run(w.log_probabilities(w.documents(DOCUMENTS))) for w in (way, plain))
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(np.exp(ours).sum(axis=1), 1, atol=1e-5)
    tolerance = {"float32": 5e-6, "int16": 1e-4, "int8": 0.1}[numbers]
    np.testing.assert_allclose(np.exp(ours), np.exp(theirs), atol=tolerance)
    if numbers == "float32":
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_integers_cost_what_is_said_of_them():
    """Of a model whose rows are of usual size: int16 below 1e-4, int8 a few hundredths, and hardly a tag."""
    model = tame_model(hidden=(64,))
    exact = Tagger(model, device="cpu", **FLOAT).log_probabilities(DOCUMENTS)
    for numbers, most in (("int16", 1e-4), ("int8", 0.05)):
        found = Tagger(model, device="cpu", cache_numbers=numbers).log_probabilities(DOCUMENTS)
        assert np.abs(np.exp(found) - np.exp(exact)).max() < most


@settings(max_examples=150)
@given(st.lists(st.lists(st.lists(st.sampled_from("Rose rose ROSE Ito ito 1996 . I iPhone".split()), max_size=6),
                         max_size=4), max_size=4))  # fmt: skip
def test_documents_say_the_same_of_their_words(documents):
    way = Compiled(kernel.load(), MODEL, 1, "float32")
    batch = way.documents(documents)
    facts = run(way._look_up(batch))
    inputs = run(look_up(PlainBatch.of(documents), MODEL.lexicon, MODEL.network.vectors, MODEL.config))
    assert facts.class_T.tolist() == (inputs.class_Q[inputs.place_T + MODEL.config.context] - 1).tolist()
    assert facts.starts.document_T.tolist() == inputs.document_T.tolist()


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5), st.sampled_from([1, 7, 20_000]))
def test_ngrams_fall_into_the_buckets_that_python_says(words, buckets):
    model = small_model(ngram_buckets=buckets)
    way = Compiled(kernel.load(), model, 1, "float32")
    sizes = model.config.features.ngram_sizes
    for word, row in zip(words, way._weights._hash_ngrams(words, sizes, buckets).tolist(), strict=True):
        assert [bucket for bucket in row if bucket] == ngrams(word, sizes, buckets)


# ── paths ──


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_paths_are_those_of_the_search_in_python(build, decoder, scheme):
    """Scores at random, so that most sentences have an illegal best tag somewhere; ties too."""
    model = replace(small_model(scheme=scheme, decoder=decoder), calibration=Calibration(2.0))
    way, tags = Compiled(build, model, 1, "float32"), tag_set(model.config.labels, scheme)
    learned = step_scores(model.network.chain, 2.0)
    rng = np.random.default_rng(1)
    for sharp in (0.1, 3.0, 30.0):
        lengths = [*rng.integers(0, 12, size=400).tolist(), 1, 700]
        z_TK = (sharp * rng.standard_normal((sum(lengths), len(tags)))).astype(np.float32)
        z_TK[::7] = np.round(z_TK[::7])
        log_TK = (
            z_TK - np.log(np.exp(z_TK - z_TK.max(1, keepdims=True)).sum(1, keepdims=True)) - z_TK.max(1, keepdims=True)
        )
        ours, theirs = run(way.paths(log_TK, lengths)), run(read_paths(log_TK, lengths, tags, scheme, learned))
        for name in ("column_T", "tag_T", "begin_M", "end_M", "label_M"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_allclose(ours.probability_T, theirs.probability_T, atol=1e-6)
        np.testing.assert_allclose(ours.log_product_M, theirs.log_product_M, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
def test_a_very_long_sentence_is_searched_in_python_and_gives_way(decoder):
    way = Compiled(kernel.load(), tame_model(decoder=decoder), 1, "float32")
    tags = len(scheme_tables(way._tags, "BIOES").starts_K)
    log_TK = np.log(np.random.default_rng(2).dirichlet(np.ones(tags), size=9 * PIECE)).astype(np.float32)
    assert len(list(way.paths(log_TK, [len(log_TK)]))) > len(log_TK) // PIECE


# ── the whole way ──


@pytest.mark.parametrize("numbers", ["float32", "int16"])
@pytest.mark.parametrize("cache_mb", [0, 0.01, 96])
def test_texts_are_tagged_as_without_the_kernel(numbers, cache_mb):
    tagger, plain = pair(MODEL, cache_numbers=numbers, cache_mb=cache_mb)
    texts = generated_texts(300, seed=5)
    for _ in range(2):
        assert_alike(tagger.analyse(texts), plain.analyse(texts), atol=1e-5 if numbers == "float32" else 1e-4)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_texts_are_tagged_by_learned_steps_as_without_the_kernel(scheme):
    tagger, plain = pair(tame_model(decoder="transitions", scheme=scheme))
    texts = generated_texts(200, seed=6)
    assert_alike(tagger.analyse(texts), plain.analyse(texts))


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_texts_whose_words_agree_are_tagged_as_without_the_kernel(scheme):
    tagger, plain = pair(tame_model(agreement=True, scheme=scheme))
    texts = generated_texts(200, seed=7)
    assert_alike(tagger.analyse(texts), plain.analyse(texts))


@pytest.mark.parametrize("agreement", [False, True])
def test_explanations_are_those_without_the_kernel(agreement):
    tagger, plain = pair(tame_model(agreement=agreement))
    text = "Rose met Ada Lovelace. The rose, said Siemens in Munich, was ITO's. " * 3 + "in " * 130 + "Ada"
    for token in range(len(tokenize(text))):
        ours, theirs = tagger.explain(text, token), plain.explain(text, token)
        assert ours.token[:4] == theirs.token[:4]
        assert ours.token == tagger.analyse([text])[0].tokens[token]
        assert [share[:4] for share in ours.shares] == [share[:4] for share in theirs.shares]
        np.testing.assert_allclose([s.share for s in ours.shares], [s.share for s in theirs.shares], atol=1e-4)
        assert ours.document == pytest.approx(theirs.document, abs=1e-4)


# ── the library ──


def test_a_build_of_other_sources_is_refused(tmp_path, monkeypatch):
    room = library.FOLDER.parent
    for path in [path for path in room.rglob("*") if path.suffix in (".c", ".h", ".so")]:
        copy = tmp_path / path.relative_to(room)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "text" / "text.c").write_text("/* changed */")
    monkeypatch.setattr(library, "FOLDER", tmp_path / "engine")
    with pytest.warns(RuntimeWarning, match="other sources"):
        assert list(library.builds()) == []


def test_without_a_build_torch_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    try:
        tagger = Tagger(MODEL, device="cpu")
        assert tagger.kernel is None
        assert tagger.tag(["Ada met Siemens."]) == Tagger(MODEL, device="cpu", compiled=False).tag(["Ada met Siemens."])
    finally:
        library.load.cache_clear()


def test_steps_tell_tokens_once():
    steps = list(Tagger(MODEL, device="cpu").steps(["Ada met Ito."] * 2000))
    assert sum(step.tokens for step in steps if isinstance(step, Step)) == 8000
