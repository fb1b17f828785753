"""Answers are batch-invariant: the same bits alone and in a batch, with one thread and two, cached and not."""

import random

import pytest

from fenestra.model.engine.self_test import TEXTS, check
from fenestra.model.errors import RunError
from fenestra.model.network.network import ACTIVATIONS
from fenestra.model.results import Result
from fenestra.model.tagger import Tagger
from tests.model.conftest import ENGINES, small_model

WORDS = [
    *"Ada Lovelace met Siemens in Munich . , \" ' ; the The THE a 1996-08-22 3.5 % U.S. didn't".split(),
    *"München 東京 🙂 J. Smith".split(),
    *(f"{head}{tail}" for head in "Bcdefg" for tail in ("ana", "ELTA", "irm", "oxes", "-x", "'s")),
]  # fmt: skip


def generated_texts(count, seed):
    """Texts of 0 to 40 words, and one of 3,000."""
    rng = random.Random(seed)
    lengths = [rng.choice([0, 1, 2, 5, 12, 12, 12, 40]) for _ in range(count)]
    lengths[count // 2] = 3000
    return [rng.choice([" ", " ", "\n"]).join(rng.choices(WORDS, k=length)) for length in lengths]


def batches(count, sizes):
    """Batches of some sizes, each of other texts at other positions; together they cover all texts many times."""
    rng = random.Random(7)
    for size in sizes:
        yield rng.sample(range(count), size)


def assert_batch_invariant(taggers, texts, sizes):
    """All taggers give every text the bits that the first gives it alone, in batches of these sizes and of all."""
    alone = [taggers[0].tag([text])[0] for text in texts]
    for tagger in taggers:
        assert tagger.tag(texts) == alone
        for chosen in batches(len(texts), sizes):
            assert tagger.tag([texts[number] for number in chosen]) == [alone[number] for number in chosen]


def with_threads(model, engine):
    """The same tagger with one thread and with two; the reference does not ask for any."""
    counts = (1, 2) if engine == "native" else (1,)
    return [Tagger(model, device="cpu", engine=engine, threads=count) for count in counts]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_batch_gives_each_text_the_bits_that_it_has_alone(activation, engine):
    """Batches of 1 to 200; odd widths, so that no vector register is filled evenly."""
    model = small_model(activation=activation, hidden=(37, 11), documents=True, scheme="BIOES")
    native = engine == "native"
    texts = generated_texts(1000 if native else 250, seed=1)
    step = 1 if native and activation == "relu" else 9 if native else 37
    assert_batch_invariant(with_threads(model, engine), texts, range(1, 201, step))


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_are_consistent_within_a_text_and_not_beyond(engine):
    """The words of one text are those of the next, so that whatever crossed over would show."""
    model = small_model(hidden=(37, 11), documents=True, scheme="BIOES", agreement=True)
    assert_batch_invariant(
        [Tagger(model, device="cpu", engine=engine)], generated_texts(300, seed=4), range(1, 201, 23)
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_a_crf_gives_each_text_the_bits_that_it_has_alone(scheme, engine):
    model = small_model(decoder="transitions", scheme=scheme, documents=True)
    model.parameters.output.weight_OI[:] *= 0.1
    tagger = Tagger(model, device="cpu", engine=engine)
    tagger.self_test()
    assert_batch_invariant([tagger], generated_texts(120, seed=8), [7, 60])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_wide_layers_keep_their_bits_on_two_threads(activation, engine):
    """Wide enough for a library to share the work of one product among threads."""
    model = small_model(activation=activation, hidden=(1111, 513), documents=True)
    assert_batch_invariant(
        with_threads(model, engine), generated_texts(60 if engine == "native" else 20, seed=2), [7, 13]
    )


@pytest.mark.parametrize("numbers", ["float32", "int16", "int8"])
@pytest.mark.parametrize("slots", [0, 1, 2, 9, 40, 4000])
@pytest.mark.parametrize("engine", ENGINES[:1])
def test_the_row_cache_changes_no_bit(slots, numbers, engine):
    """None, so small that no batch fits, so small that words are evicted all the time, and ample."""
    model = small_model(documents=True)
    megabytes = slots * 4 * 5 * 32 / 1e6
    tagger, oracle = (
        Tagger(model, device="cpu", cache_mb=size, cache_numbers=numbers, engine=engine) for size in (megabytes, 0)
    )
    texts = generated_texts(300, seed=3)
    expected = [oracle.tag([text])[0] for text in texts]
    for _ in range(2):
        assert [tagger.tag([text])[0] for text in texts] == expected
    assert tagger.tag(texts) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_documents_have_the_bits_alone_that_they_have_among_many_sentences(engine):
    """More tokens than are worked on at once, long sentences, documents of one sentence, empty ones."""
    tagger = Tagger(small_model(documents=True, hidden=(37,)), device="cpu", engine=engine)
    rng = random.Random(5)
    shapes = [[3, 0, 150], [1], [7] * 900, [], [5000], *[[9]] * 700]
    documents = [[rng.choices(WORDS, k=length) for length in lengths] for lengths in shapes]
    together, token = tagger.log_probabilities(documents), 0
    for document in documents[:20]:
        tokens = sum(map(len, document))
        assert (tagger.log_probabilities([document]) == together[token : token + tokens]).all()
        token += tokens


@pytest.mark.parametrize("engine", ENGINES)
def test_sentences_of_words_have_the_bits_of_the_text_that_they_make(engine):
    tagger = Tagger(small_model(documents=True), device="cpu", engine=engine)
    (text,), (words,) = tagger.tag(["Ada met Munich"]), tagger.tag_tokens([["Ada", "met", "Munich"]])
    assert [(t.tag, t.score) for t in text.tokens] == [(t.tag, t.score) for t in words.tokens]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_self_test_passes_here(engine):
    Tagger(small_model(documents=True), device="cpu", engine=engine).self_test()


def with_tokens(result, tokens):
    """A result with other tokens."""
    return Result(list(result), tokens, result.source)


def careless(change):
    """Tagging that changes the first token of a batch of several texts."""
    tagger = Tagger(small_model(), device="cpu")

    def tag(texts):
        first, *rest = tagger.tag(texts)
        tokens = list(first.tokens)
        if tokens and rest:
            tokens[0] = change(tokens[0])
        return [with_tokens(first, tokens), *rest]

    return tag


def test_the_self_test_notices_one_bit():
    """A score that depends on the place in the batch, by as little as a float32 can say."""
    with pytest.raises(RunError, match="otherwise in a batch than alone"):
        check(careless(lambda token: token._replace(score=token.score * (1 + 2**-23))))


@pytest.mark.parametrize("score", [float("inf"), float("nan")])
def test_the_self_test_notices_a_score_that_is_not_finite(score):
    tagger = Tagger(small_model(), device="cpu")

    def broken(texts):
        return [with_tokens(found, [t._replace(score=score) for t in found.tokens]) for found in tagger.tag(texts)]

    with pytest.raises(RunError, match="finite"):
        check(broken)


def test_the_self_test_has_texts_that_are_empty_and_that_are_longer_than_a_block():
    assert "" in TEXTS
    assert max(len(found.tokens) for found in Tagger(small_model(), device="cpu").tag(TEXTS)) > 64


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "damaged",
    [
        lambda p: p.output.bias_O, lambda p: p.output.weight_OI, lambda p: p.hidden[0].bias_O, lambda p: p.bias_H,
        lambda p: p.first_HX, lambda p: p.pad_E, lambda p: p.elsewhere_CWH, lambda p: p.topic.weight_HD,
    ],
    ids=["output.bias", "output.weight", "rest.bias", "bias", "project", "pad", "elsewhere", "topic"],
)  # fmt: skip
def test_damaged_weights_give_an_error_and_no_answer(damaged, engine):
    """Wherever the damage is."""
    model = small_model(documents=True, hidden=(16, 8))
    damaged(model.parameters).reshape(-1)[0] = float("nan")
    with pytest.raises(RunError, match="scores are NaN"):
        Tagger(model, device="cpu", engine=engine).self_test()


def test_the_self_test_of_a_gpu_lets_no_other_tag_pass():
    """However near the scores are."""
    with pytest.raises(RunError, match="in a batch than alone"):
        check(careless(lambda token: token._replace(tag="O" if token.tag != "O" else "B-PER")), 1e-3)


def test_the_self_test_of_a_gpu_lets_the_last_digits_pass_and_no_more():
    tagger = Tagger(small_model(), device="cpu")

    def off_by(error):
        def tag(texts):
            found = tagger.tag(texts)
            return [
                Result(
                    list(one), [t._replace(score=t.score + error * (len(texts) > 1)) for t in one.tokens], one.source
                )
                for one in found
            ]

        return tag

    check(off_by(1e-5), 1e-3)
    with pytest.raises(RunError, match="in a batch than alone"):
        check(off_by(1e-5))
    with pytest.raises(RunError, match="in a batch than alone"):
        check(off_by(1e-2), 1e-3)
