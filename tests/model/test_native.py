"""The native engine against the reference: other code, the same answers."""

import contextlib
import random
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import read_paths
from fenestra.model.engine import library, vocabulary
from fenestra.model.engine.gpu import torch_scorer
from fenestra.model.engine.native import Native
from fenestra.model.engine.reader import Reader
from fenestra.model.engine.reference import Reference, crf_of
from fenestra.model.engine.vocabulary import Vocabulary
from fenestra.model.errors import InputError, RunError
from fenestra.model.network.network import ACTIVATIONS
from fenestra.model.results import Places
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.model.text.canonical import canonical
from fenestra.model.text.language import codes, language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize
from fenestra.model.words.surface import ngrams
from tests.model.conftest import ENGINES, batch_of, by_turns, log_probabilities, small_model, tame_model
from tests.model.test_batch_invariance import generated_texts
from tests.model.test_network import BY_MATH
from tests.model.test_sentences import CASES, PIECES

pytestmark = pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")

BUILDS = list(library.builds())
MODEL = tame_model()
FLOAT = {"cache_numbers": "float32"}
LETTERS = st.sampled_from(
    [*"abzABZ019 .,;:!?'\"’`()[]{}-–—_/@#&%$€+\n\t\r\x0b\x1c\x85\xa0\u2028\u3000\u200d\u0301ÄäßİıДд東🙂🇩🇪", "\ud800",
     "J. ", "Mr. ", "U.S. ", "n't ", "'s ", "\n\n", "  ", "http://", "1996-08-22 ", "3.5 ", "The ", "the ", " \" ",
     "А. ", "Å. ", "A\u030a. ", "X. He ", "X.\u00a0Ito ", "г. ", "ул. ", "Он ", "Phil. ", "Dr.Kerr", "J.K.Moss",
     "\u00ad", "\u2060", "\ufe0f", "&nbsp;", "&amp;", "&#x301;", "’s ", "‑", "¹", "†", "_", "\t", "\u2029", " — ",
     "ª", "ﬁ", "Ａ"]
)  # fmt: skip
TEXT = st.lists(LETTERS, max_size=60).map("".join)


def pair(model, **options):
    """The same model in both engines."""
    return (
        Tagger(model, device="cpu", engine="native", **{**FLOAT, **options}),
        Tagger(model, device="cpu", engine="reference"),
    )


def native(model=MODEL, build=None, **options):
    """The native engine alone."""
    return Native(build or library.load(), model, **{"cache_mb": 1, "numbers": "float32", **options})


def assert_alike(natives, references, *, atol=1e-5):
    for ours, theirs in zip(natives, references, strict=True):
        tokens, oracle = list(ours.tokens), list(theirs.tokens)
        assert [token[:4] for token in tokens] == [token[:4] for token in oracle]
        assert [entity[:4] for entity in ours] == [entity[:4] for entity in theirs]
        np.testing.assert_allclose([t.score for t in tokens], [t.score for t in oracle], atol=atol)
        np.testing.assert_allclose([e.score for e in ours], [e.score for e in theirs], atol=10 * atol)


# ── text ──


def test_white_space_is_what_python_calls_so():
    """Of all code points."""
    white = library.load().short.is_whitespace
    assert [code for code in range(sys.maxunicode + 1) if bool(white(code)) != chr(code).isspace()] == []


ENGLISH = language()


def read(texts, of=ENGLISH):
    """Words, starts and sentences of texts by the kernel."""
    reader = Reader(library.load(), Vocabulary(library.load(), replace(MODEL.lexicon, language=of)))
    list(reader.read(texts))
    batch, layout = reader.batch, reader.batch.layout
    words = [batch.text(number) for number in batch.word_T.tolist()]
    lengths = iter(batch.lengths.tolist())
    found, begin = [], 0
    for size, sentences, text in zip(batch.sizes.tolist(), batch.sentences.tolist(), texts, strict=True):
        here = slice(begin, begin + size)
        place = Places(text, layout.start_T[here], layout.width_T[here])
        places = [place.of(token, token + 1) for token in range(size)]
        assert [canonical(text) for _, _, text in places] == words[begin : begin + size]
        found.append((places, [next(lengths) for _ in range(sentences)]))
        begin += size
    return found


@pytest.mark.parametrize("code", codes())
@settings(max_examples=300)
@given(st.lists(TEXT | st.text(max_size=40), max_size=6))
def test_text_is_cut_and_parted_as_in_python(code, texts):
    for text, (places, lengths) in zip(texts, read(texts, language(code)), strict=True):
        tokens = tokenize(text, language(code))
        assert places == [(token.start, token.end, token.text) for token in tokens]
        assert lengths == sentence_lengths(text, tokens, language(code))


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_breaks_fall_where_a_reader_puts_them(text, expected):
    ((places, lengths),) = read([text])
    words = iter([word for _, _, word in places])
    assert [" ".join(next(words) for _ in range(length)) for length in lengths] == expected


@given(st.lists(st.lists(PIECES, max_size=30).map(" ".join), max_size=4))
def test_sentences_end_where_they_do_in_python(texts):
    for text, (_, lengths) in zip(texts, read(texts), strict=True):
        assert lengths == sentence_lengths(text, tokenize(text))


@pytest.mark.parametrize(
    "text",
    ["a " * 20_000, "!" * 20_000, "x" * 20_000 + " y", "Ab 1\n" * 5000, " ".join(f"w{n}." for n in range(9000)),
     "Prof. J. Б. Smith met A. Ä. He left.", "x" * 64 + " " + "y" * 65 + ".", "don't " * 3000,
     "He left" + 300 * "\n" + "X" * 65 + " met him"],
    ids=["words", "signs", "one long word", "lines", "all different", "initials", "longest run", "clitics",
         "a long word after many line breaks"],
)  # fmt: skip
def test_long_and_odd_texts_are_cut_as_in_python(text):
    ((places, lengths),) = read([text])
    tokens = tokenize(text)
    assert places == [(token.start, token.end, token.text) for token in tokens]
    assert lengths == sentence_lengths(text, tokens)


def known(found):
    """The words that a vocabulary knows, by number."""
    return {number: found.text(number) for number in np.flatnonzero(found.known * (found._bytes > 0)).tolist()}


def test_a_full_vocabulary_forgets_word_by_word():
    """More words and runs than it has room for, in many texts; words that are read again and again keep their rows."""
    tagger, plain = pair(MODEL)
    engine = tagger._engine
    engine._vocabulary = found = engine._new_vocabulary(most_words=400)
    rng = random.Random(4)
    for turn in range(60):
        texts = [" ".join(f"W{rng.randrange(turn * 9, turn * 9 + 40)}.x" for _ in range(30)) for _ in range(4)]
        texts.append("ada met Siemens in Munich. " * 20)
        assert_alike(tagger.tag(texts), plain.tag(texts))
        held = np.flatnonzero(engine._cache._pair >= 0)
        assert found.slots[engine._cache._pair[held]].tolist() == held.tolist()
    assert engine._vocabulary is found
    assert len(found.used) == 400
    assert {"Munich", "Siemens", "ada"} < set(known(found).values())
    assert "W1.x" not in known(found).values()


def test_a_large_text_makes_a_vocabulary_grow_until_it_is_read():
    tagger, plain = pair(MODEL)
    engine = tagger._engine
    engine._vocabulary = large = engine._new_vocabulary(most_words=50)
    huge = " ".join(f"{n}th" for n in range(3000)) + " met Ada"
    assert_alike(tagger.tag([huge]), plain.tag([huge]))
    assert len(large.used) >= 3000
    assert large.is_large
    assert_alike(tagger.tag(["Ada met 7th"]), plain.tag(["Ada met 7th"]))
    assert engine._vocabulary is not large
    assert len(engine._vocabulary.used) == 50
    assert len(engine._cache) == 3


def test_the_words_of_a_batch_are_kept_while_it_lives():
    found = Vocabulary(library.load(), MODEL.lexicon, most_words=64)
    reader = Reader(library.load(), found)
    list(reader.read(["Ada met Ito"]))
    for turn in range(20):
        list(Reader(library.load(), found).read([" ".join(f"w{turn}x{n}" for n in range(20))]))
    batch = reader.batch
    assert [batch.text(number) for number in batch.word_T.tolist()] == ["Ada", "met", "Ito"]
    assert len(found.used) == 64


def test_a_request_goes_on_with_the_vocabulary_that_it_began_with():
    """Large texts by turns, while the vocabulary changes between their pieces."""
    tagger, plain = pair(MODEL)
    tagger._engine._vocabulary = tagger._engine._new_vocabulary(most_words=20)
    items = [[" ".join(f"{head}{n % 900}" for n in range(9000))] for head in ("a", "B", "Mc")]
    found = by_turns([tagger.work(item) for item in items])
    for item, results in zip(items, found, strict=True):
        assert_alike(results, plain.tag(item))


def test_words_over_64_bytes_take_no_room():
    tagger, plain = pair(MODEL)
    texts = ["x" * 100_000 + " Ada " + "İ" * 33 + " " + "i̇" * 33, "x" * 100_001, "ж" * 32 + " " + "ж" * 33]
    for _ in range(2):
        assert_alike(tagger.tag(texts), plain.tag(texts))
        assert_alike(tagger.tag_tokens([texts]), plain.tag_tokens([texts]))
    kept = known(tagger._engine._vocabulary).values()
    assert "ж" * 32 in kept
    assert "ж" * 33 not in kept
    assert max(len(word.encode()) for word in kept if word) <= 64


def test_runs_that_are_not_remembered_yield_control_too():
    found = Vocabulary(library.load(), MODEL.lexicon, most_runs=40)
    for text in (" ".join(f"w{n}.x" for n in range(6000)), " ".join(f"{n:066}" for n in range(2000))):
        assert len(list(Reader(library.load(), found).read([text]))) >= 25


@pytest.mark.parametrize(
    "text",
    [" ".join(f"{n:x>62}.x" for n in range(50)), " ".join("()" * 25 + f"{n}.x" for n in range(50))],
    ids=["letters", "words"],
)
def test_a_vocabulary_without_room_for_the_letters_or_words_of_a_run_reads_on(text):
    """It has room for twelve a run; these have about 64 letters, or 51 words."""
    reader = Reader(library.load(), Vocabulary(library.load(), MODEL.lexicon, most_words=1000, most_runs=40))
    pieces = list(islice(reader.read([text]), 1000))
    assert len(pieces) < 1000, "reading never ends"
    batch = reader.batch
    assert [batch.text(number) for number in batch.word_T.tolist()] == [token.text for token in tokenize(text)]


def test_items_of_a_batch_share_their_numbers():
    tagger = Tagger(MODEL, device="cpu", engine="native")
    for results in (tagger.tag(["Ada met."] * 500), tagger.tag_tokens([["Ada", "met"]] * 500)):
        assert len({id(result.tokens._places.start_T.base) for result in results}) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_word_of_a_document_is_refused_every_time(engine):
    tagger = Tagger(MODEL, device="cpu", engine=engine)
    for _ in range(2):
        with pytest.raises(InputError, match="empty word"):
            tagger.tag_documents([[["Ada", ""]]])


# ── interruptions: Ctrl-C may come anywhere ──


@pytest.mark.parametrize("name", ["case_evidence", "canonical"])
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
            tagger.tag([text])
    monkeypatch.undo()
    assert_alike(tagger.tag([text]), plain.tag([text]))


@pytest.mark.parametrize("call", range(8))
def test_an_interrupted_growth_leaves_a_vocabulary_as_it_was(call, monkeypatch):
    found = Vocabulary(library.load(), MODEL.lexicon, most_words=64)
    reader = Reader(library.load(), found)
    list(reader.read(["Ada met Ito"]))
    real, calls = np.zeros, []

    def interrupted(*shape):
        calls.append(shape)
        if len(calls) == call + 1:
            raise KeyboardInterrupt
        return real(*shape)

    monkeypatch.setattr(vocabulary.np, "zeros", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found._grow(4096)
    monkeypatch.undo()
    sizes = {len(getattr(found, name)) for name in ("lowered", "evidence", "role", "size", "seen", "key", "vector")}
    assert sizes == {64} == {found.table.most}
    assert [found.text(number) for number in reader.batch.word_T.tolist()] == ["Ada", "met", "Ito"]


@pytest.mark.parametrize("name", ["forget_words", "forget", "_clear_runs"])
def test_an_interrupted_eviction_leaves_no_row_to_another_word(name, monkeypatch):
    tagger, plain = pair(MODEL)
    engine = tagger._engine
    engine._vocabulary = engine._new_vocabulary(most_words=300)
    texts = [" ".join(f"W{n}" for n in range(start, start + 90)) for start in (0, 90)]
    for text in texts:
        tagger.tag([text])

    def interrupt(*_):
        raise KeyboardInterrupt

    owner = {"forget_words": library.load().long, "forget": engine._vocabulary}.get(name, engine._vocabulary)
    monkeypatch.setattr(owner, "_forget" if name == "forget" else name, interrupt)
    others = (tagger.tag([" ".join(f"V{n}" for n in range(at, at + 90))]) for at in range(180, 900, 90))
    with pytest.raises(KeyboardInterrupt):
        list(others)
    monkeypatch.undo()
    for text in [*texts, " ".join(f"V{n}" for n in range(180, 900))]:
        assert_alike(tagger.tag([text]), plain.tag([text]))


def test_a_failure_to_compute_rows_costs_no_slot(monkeypatch):
    tagger, plain = pair(MODEL)
    cache = tagger._engine._cache
    free = len(cache._free)
    monkeypatch.setattr(cache._weights, "project", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        tagger.tag(["Ada met"])
    monkeypatch.undo()
    assert len(cache._free) == free
    assert_alike(tagger.tag(["Ada met"]), plain.tag(["Ada met"]))


# ── the network ──


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
        {"topic": False, "storage": "int8"},
        {"storage": "int4"},
        {"vectors": False, "documents": False},
        {"ngram": 0, "word": 0, "shape": 0, "affix": 0, "case": 0},
        *({"activation": name} for name in ACTIVATIONS if name != "relu"),
    ],
    ids=str,
)
def test_every_build_gives_the_scores_of_the_reference(build, numbers, options):
    model = tame_model(**options)
    check_scores(native(model, build, cache_mb=96, numbers=numbers), Reference(model), numbers, DOCUMENTS)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("hidden", [(16,), (40, 17), (33, 16, 5)])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_build_has_every_activation_at_every_depth(activation, hidden, build):
    model = tame_model(activation=activation, hidden=hidden)
    reference = Reference(model)
    for numbers in ("float32", "int16"):
        check_scores(native(model, build, numbers=numbers), reference, numbers, DOCUMENTS[:3])


def check_scores(engine, reference, numbers, documents):
    ours, theirs = (log_probabilities(one, documents) for one in (engine, reference))
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(np.exp(ours).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        np.exp(ours), np.exp(theirs), atol={"float32": 1e-5, "int16": 1e-4, "int8": 0.1}[numbers]
    )
    if numbers == "float32":
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_an_activation_is_that_of_the_articles(activation, build):
    """A network that does nothing else: no word counts, and the score of tag k beside that of O is f(bₖ)."""
    labels = tuple(f"L{n}" for n in range(47))
    model = small_model(activation=activation, hidden=(47,), scheme="IO", labels=labels)
    p = model.parameters
    p.first_HX[:], p.output.weight_OI[:], p.output.bias_O[:] = 0, 0, 0
    p.bias_H[:] = np.concatenate([np.linspace(-9, 9, 37), [-90, -30, -15, -1e-3, -1e-6, 0, 1e-6, 1e-3, 15, 30]])
    np.fill_diagonal(p.output.weight_OI[1:], 1)
    model = replace(model, calibration=Calibration())
    (log_K,) = log_probabilities(native(model, build), [[["Ada"]]]).astype(float)
    expected = [BY_MATH[activation](float(z)) for z in p.bias_H]
    # Of what is as large as the largest of them, a float32 knows the last digit but one.
    np.testing.assert_allclose(log_K[1:] - log_K[0], expected, atol=5e-7 * max(1, *expected))


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_hidden_units_of_any_size_have_the_activation_that_the_reference_gives(activation, build):
    """Far into the tails of every activation: first sums of up to hundreds, then a quiet output."""
    model = small_model(activation=activation, hidden=(64,), documents=True)
    model.parameters.bias_H[:] = np.linspace(-300, 300, 64) * np.linspace(-1, 1, 64) ** 2
    model.parameters.output.weight_OI[:] *= 0.01
    ours, theirs = (log_probabilities(one, DOCUMENTS[:3]) for one in (native(model, build), Reference(model)))
    np.testing.assert_allclose(np.exp(ours), np.exp(theirs), atol=1e-5)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("column", [0, 1])
def test_a_network_that_is_certain_of_a_tag_gives_the_log_p_that_the_reference_gives(column, build):
    """Far beyond what e to that power fits into a float32; O, column 0, has a path of its own."""
    model = tame_model()
    model.parameters.output.bias_O[column] += 300
    ours, theirs = (log_probabilities(one, DOCUMENTS[:3]) for one in (native(model, build), Reference(model)))
    assert theirs.min() < -200
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [{}, {"hidden": (33, 7)}, {"documents": False}, *({"activation": name} for name in ACTIVATIONS if name != "relu")],
    ids=str,
)
@pytest.mark.parametrize("cache_mb", [0, 0.05, 96])
def test_the_scorer_of_a_gpu_gives_the_scores_of_the_reference(cache_mb, options):
    """On torch's CPU device: the same code but for the copies."""
    pytest.importorskip("torch")
    model = tame_model(**options)
    engine = native(model, cache_mb=cache_mb, scorer=torch_scorer(model, "cpu"))
    for _ in range(2):
        check_scores(engine, Reference(model), "float32", DOCUMENTS)


def test_a_tagger_may_score_with_torch_from_text_to_entity(monkeypatch):
    """Everything but the device, as ``device="cuda"`` sets it up."""
    pytest.importorskip("torch")
    tagger, plain = pair(MODEL)
    tagger._engine = native(MODEL, scorer=torch_scorer(MODEL, "cpu"))
    texts = generated_texts(60, seed=9)
    assert_alike(tagger.tag(texts), plain.tag(texts))
    damaged = tame_model()
    damaged.parameters.output.bias_O[0] = float("nan")
    with pytest.raises(RunError, match="NaN"):
        log_probabilities(native(damaged, scorer=torch_scorer(damaged, "cpu")), DOCUMENTS[:1])


@pytest.mark.parametrize("options", [{}, {"topic": False}], ids=str)
@pytest.mark.parametrize("size", [37, 128, 1000])
def test_a_bag_may_begin_and_end_in_the_middle_of_a_sentence(size, options):
    """Its windows see what they see in bags of another size, and have the same bits."""
    model = tame_model(**options)
    engine, reference = native(model, cache_mb=96), Reference(model)
    expected, oracle = (log_probabilities(one, DOCUMENTS) for one in (engine, reference))
    engine._scorer.piece = size
    np.testing.assert_array_equal(log_probabilities(engine, DOCUMENTS), expected)
    tokens = len(expected)
    for begin, end in ((0, 1), (8000, 8300), (9100, tokens), (tokens - 1, tokens)):
        np.testing.assert_array_equal(log_probabilities(engine, DOCUMENTS, begin, end), expected[begin:end])
        np.testing.assert_array_equal(log_probabilities(reference, DOCUMENTS, begin, end), oracle[begin:end])


def test_integers_cost_what_is_said_of_them():
    """Of a model whose rows are of usual size: int16 below 1e-4, int8 a few hundredths."""
    model = tame_model(hidden=(64,))
    exact = Tagger(model, device="cpu", **FLOAT).log_probabilities(DOCUMENTS)
    for numbers, most in (("int16", 1e-4), ("int8", 0.05)):
        found = Tagger(model, device="cpu", cache_numbers=numbers).log_probabilities(DOCUMENTS)
        assert 0 < np.abs(np.exp(found) - np.exp(exact)).max() < most


@settings(max_examples=150)
@given(st.lists(st.lists(st.lists(st.sampled_from("Rose rose ROSE Ito ito 1996 . I iPhone".split()), max_size=6),
                         max_size=4), max_size=4))  # fmt: skip
def test_documents_say_the_same_of_their_words(documents):
    engine, reference = native(), Reference(MODEL)
    batches = [batch_of(one, documents) for one in (engine, reference)]
    (ours, unknown), (theirs, oracle) = engine.look_up(batches[0]), reference.look_up(batches[1])
    assert ours.class_T.tolist() == theirs.class_T.tolist()
    assert unknown == oracle
    assert ours.document_T.tolist() == [p for p, size in enumerate(batches[1].sizes) for _ in range(size)]
    np.testing.assert_allclose(ours.topic_PD, theirs.topic_PD, atol=1e-6)
    assert engine.is_oov(batches[0]).tolist() == reference.is_oov(batches[1]).tolist()


@given(st.lists(st.lists(st.lists(st.sampled_from("Rose rose ROSE 1996 .".split()), max_size=6), max_size=3),
                min_size=1, max_size=3))  # fmt: skip
def test_the_window_of_a_token_is_the_same(documents):
    engine, reference = native(), Reference(MODEL)
    batches = [batch_of(one, documents) for one in (engine, reference)]
    contexts = [one.look_up(batch)[0] for one, batch in zip((engine, reference), batches, strict=True)]
    for token in range(batches[0].tokens):
        ours, theirs = engine.window(batches[0], contexts[0], token), reference.window(batches[1], contexts[1], token)
        assert ours.words == theirs.words
        assert ours.class_W.tolist() == theirs.class_W.tolist()
        np.testing.assert_allclose(ours.topic_D, theirs.topic_D, atol=1e-6)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5), st.sampled_from([1, 7, 20_000]))
def test_ngrams_fall_into_the_buckets_that_python_says(words, buckets):
    model = small_model(ngram_buckets=buckets)
    sizes, weights = model.config.features.ngram_sizes, native(model)._weights
    for word, row in zip(words, weights._hash_ngrams(words, sizes, buckets).tolist(), strict=True):
        assert [bucket for bucket in row if bucket] == ngrams(word, sizes, buckets)


# ── paths ──


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_paths_are_those_of_the_search_in_python(build, decoder, scheme):
    """Scores at random, so that most sentences have an illegal best tag somewhere; ties too."""
    model = replace(small_model(scheme=scheme, decoder=decoder), calibration=Calibration(2.0))
    engine, tags = native(model, build), tag_set(model.config.labels, scheme)
    learned = crf_of(model)
    rng = np.random.default_rng(1)
    for sharp in (0.1, 3.0, 30.0):
        lengths = [*rng.integers(0, 12, size=400).tolist(), 1, 700]
        z_TK = (sharp * rng.standard_normal((sum(lengths), len(tags)))).astype(np.float32)
        z_TK[::7] = np.round(z_TK[::7])
        log_TK = (
            z_TK - np.log(np.exp(z_TK - z_TK.max(1, keepdims=True)).sum(1, keepdims=True)) - z_TK.max(1, keepdims=True)
        )
        ours, theirs = engine.decode(log_TK, lengths), read_paths(log_TK, lengths, tags, scheme, learned)
        for name in ("column_T", "tag_T", "begin_M", "end_M", "label_M"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_allclose(ours.probability_T, theirs.probability_T, atol=1e-6)
        np.testing.assert_allclose(ours.log_product_M, theirs.log_product_M, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("decoder", ["softmax", "transitions"])
def test_a_very_long_sentence_is_searched_as_in_python(decoder):
    """Longer than anything that is worked on at once."""
    model = replace(tame_model(decoder=decoder), calibration=Calibration())
    tags = tag_set(model.config.labels, "BIOES")
    log_TK = np.log(np.random.default_rng(2).dirichlet(np.ones(len(tags)), size=20_000)).astype(np.float32)
    ours, theirs = native(model).decode(log_TK, [20_000]), Reference(model).decode(log_TK, [20_000])
    np.testing.assert_array_equal(ours.column_T, theirs.column_T)
    np.testing.assert_allclose(ours.log_product_M, theirs.log_product_M, rtol=1e-5, atol=1e-9)


# ── from text to entity ──


@pytest.mark.parametrize("numbers", ["float32", "int16"])
@pytest.mark.parametrize("cache_mb", [0, 0.01, 96])
def test_texts_are_tagged_as_by_the_reference(numbers, cache_mb):
    tagger, plain = pair(MODEL, cache_numbers=numbers, cache_mb=cache_mb)
    texts = generated_texts(300, seed=5)
    for _ in range(2):
        assert_alike(tagger.tag(texts), plain.tag(texts), atol=1e-5 if numbers == "float32" else 1e-4)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_texts_are_tagged_with_a_crf_as_by_the_reference(scheme):
    tagger, plain = pair(tame_model(decoder="transitions", scheme=scheme))
    texts = generated_texts(200, seed=6)
    assert_alike(tagger.tag(texts), plain.tag(texts))


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_texts_are_tagged_with_label_consistency_as_by_the_reference(scheme):
    tagger, plain = pair(tame_model(agreement=True, scheme=scheme))
    texts = generated_texts(200, seed=7)
    assert_alike(tagger.tag(texts), plain.tag(texts))


@pytest.mark.parametrize("agreement", [False, True])
def test_explanations_are_those_of_the_reference(agreement):
    tagger, plain = pair(tame_model(agreement=agreement))
    text = "Rose met Ada Lovelace. The rose, said Siemens in Munich, was ITO's. " * 3 + "in " * 130 + "Ada"
    tokens = tagger(text).tokens[:]
    for token in range(len(tokenize(text))):
        ours, theirs = tagger.explain(text, token), plain.explain(text, token)
        assert ours.token[:4] == theirs.token[:4]
        assert ours.token == tokens[token]
        assert [share[:4] for share in ours.shares] == [share[:4] for share in theirs.shares]
        np.testing.assert_allclose([s.share for s in ours.shares], [s.share for s in theirs.shares], atol=1e-4)
        assert ours.document == pytest.approx(theirs.document, abs=1e-4)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_activation_tags_texts_as_the_reference_does(activation):
    tagger, plain = pair(tame_model(activation=activation, hidden=(24, 12)))
    texts = generated_texts(100, seed=11)
    assert_alike(tagger.tag(texts), plain.tag(texts))


def test_tokens_are_told_once():
    done = list(Tagger(MODEL, device="cpu", engine="native").work(["Ada met Ito."] * 2000))
    assert sum(piece.tokens for piece in done) == 8000


def test_without_a_build_the_reference_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    try:
        tagger = Tagger(MODEL, device="cpu")
        assert tagger.engine == "reference"
        assert tagger("Ada met Siemens.") == Tagger(MODEL, device="cpu", engine="reference")("Ada met Siemens.")
        with pytest.raises(InputError, match="no compiled kernel can be used here"):
            Tagger(MODEL, device="cpu", engine="native")
    finally:
        library.load.cache_clear()


def test_an_activation_that_only_python_knows_is_no_silent_answer():
    """Whatever number C is given that it has no case for, scores are NaN, and those are refused."""
    engine = Native(library.load(), MODEL, cache_mb=1, numbers="float32")
    engine._weights.network.activation = 99
    with pytest.raises(RunError, match="NaN"):
        log_probabilities(engine, [[["Ada", "met", "Munich", "."]]])
