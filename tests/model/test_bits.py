"""An answer has the same bits alone and in company, with one thread and two, from the table and without it."""

import random
from contextlib import contextmanager

import pytest
import torch

from fenestra.model.engine.self_test import TEXTS, check
from fenestra.model.errors import RunError
from fenestra.model.network.network import ACTIVATIONS
from fenestra.model.tagger import Tagger
from tests.model.conftest import WAYS, small_model

WORDS = [
    *"Ada Lovelace met Siemens in Munich . , \" ' ; the The THE a 1996-08-22 3.5 % U.S. didn't".split(),
    *"München 東京 🙂 J. Smith".split(),
    *(f"{head}{tail}" for head in "Bcdefg" for tail in ("ana", "ELTA", "irm", "oxes", "-x", "'s")),
]  # fmt: skip


def generated_texts(count, seed):
    """Texts of 0 to 40 words, a few much longer."""
    rng = random.Random(seed)
    lengths = [rng.choice([0, 1, 2, 5, 12, 12, 12, 40]) for _ in range(count)]
    lengths[count // 2] = 3000
    return [rng.choice([" ", " ", "\n"]).join(rng.choices(WORDS, k=length)) for length in lengths]


def batches(count, sizes):
    """Batches of some sizes, each of other texts at other positions; together they cover all texts many times."""
    rng = random.Random(7)
    for size in sizes:
        yield rng.sample(range(count), size)


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_batch_gives_each_text_the_bits_that_it_has_alone(activation, compiled):
    """1,000 texts, batches of 1 to 200; odd widths, so that no vector register comes out even."""
    model = small_model(activation=activation, hidden=(37, 11), documents=True, scheme="BIOES")
    tagger = Tagger(model, device="cpu", compiled=compiled)
    texts = generated_texts(1000, seed=1)
    with threads(1):
        alone = [tagger.analyse([text])[0] for text in texts]
        assert tagger.analyse(texts) == alone
    sizes = range(1, 201, 1 if activation == "relu" and compiled else 9)
    for count in (1, 2):
        with threads(count):
            for chosen in batches(len(texts), sizes):
                assert tagger.analyse([texts[number] for number in chosen]) == [alone[number] for number in chosen]


@pytest.mark.parametrize("compiled", WAYS)
def test_tokens_that_heed_each_other_do_so_in_their_own_text_alone(compiled):
    """The words of one text are those of the next, so that whatever crossed over would show."""
    tagger = Tagger(
        small_model(hidden=(37, 11), documents=True, scheme="BIOES", agreement=True), device="cpu", compiled=compiled
    )
    texts = generated_texts(300, seed=4)
    alone = [tagger.analyse([text])[0] for text in texts]
    assert tagger.analyse(texts) == alone
    for chosen in batches(len(texts), range(1, 201, 9)):
        assert tagger.analyse([texts[number] for number in chosen]) == [alone[number] for number in chosen]


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_wide_layers_keep_their_bits_on_two_threads(activation, compiled):
    """Wide enough for torch to share the work of one call among threads."""
    tagger = Tagger(
        small_model(activation=activation, hidden=(1111, 513), documents=True), device="cpu", compiled=compiled
    )
    texts = generated_texts(60, seed=2)
    with threads(1):
        alone = [tagger.analyse([text])[0] for text in texts]
    for count in (1, 2):
        with threads(count):
            assert tagger.analyse(texts) == alone


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize("numbers", ["float32", "int16", "int8"])
@pytest.mark.parametrize("slots", [0, 1, 2, 9, 40, 4000])
def test_the_table_of_words_changes_no_bit(slots, numbers, compiled):
    """None, so small that no batch fits, so small that words are driven out all the time, and ample."""
    model = small_model(documents=True)
    megabytes = slots * 4 * model.network.project.out_features / 1e6
    tagger, oracle = (
        Tagger(model, device="cpu", cache_mb=size, cache_numbers=numbers, compiled=compiled) for size in (megabytes, 0)
    )
    texts = generated_texts(300, seed=3)
    expected = [oracle.analyse([text])[0] for text in texts]
    for _ in range(2):
        assert [tagger.analyse([text])[0] for text in texts] == expected
    assert tagger.analyse(texts) == expected


@pytest.mark.parametrize("compiled", WAYS)
def test_documents_have_the_bits_alone_that_they_have_among_many_sentences(compiled):
    """More tokens than are worked on at once, sentences of several passages, documents of one sentence."""
    tagger = Tagger(small_model(documents=True, hidden=(37,)), device="cpu", compiled=compiled)
    rng = random.Random(5)
    shapes = [[3, 0, 150], [1], [7] * 900, [], [5000], *[[9]] * 700]
    documents = [[rng.choices(WORDS, k=length) for length in lengths] for lengths in shapes]
    together, token = tagger.log_probabilities(documents), 0
    for document in documents[:20]:
        tokens = sum(map(len, document))
        assert (tagger.log_probabilities([document]) == together[token : token + tokens]).all()
        token += tokens


@pytest.mark.parametrize("compiled", WAYS)
def test_sentences_of_words_have_the_bits_of_the_text_that_they_make(compiled):
    tagger = Tagger(small_model(documents=True), device="cpu", compiled=compiled)
    (text,), (words,) = tagger.analyse(["Ada met Munich"]), tagger.analyse_tokens([["Ada", "met", "Munich"]])
    assert [(t.tag, t.score) for t in text.tokens] == [(t.tag, t.score) for t in words.tokens]


def test_the_self_test_passes_here():
    Tagger(small_model(documents=True), device="cpu").self_test()


def test_the_self_test_notices_one_bit():
    """A score that depends on the place in the batch, by as little as a float32 can say."""
    tagger = Tagger(small_model(), device="cpu")

    def careless(texts):
        first, *rest = tagger.analyse(texts)
        tokens = list(first.tokens)
        if tokens and rest:
            tokens[0] = tokens[0]._replace(score=tokens[0].score * (1 + 2**-23))
        return [first._replace(tokens=tokens), *rest]

    with pytest.raises(RunError, match="alone and together"):
        check(careless)


def test_the_self_test_notices_a_score_that_is_no_number():
    tagger = Tagger(small_model(), device="cpu")

    def broken(texts):
        return [
            found._replace(tokens=[token._replace(score=float("inf")) for token in found.tokens])
            for found in tagger.analyse(texts)
        ]

    with pytest.raises(RunError, match="finite"):
        check(broken)


def test_the_self_test_has_texts_that_break_tiles_and_sentences():
    assert "" in TEXTS
    assert max(len(found.tokens) for found in Tagger(small_model(), device="cpu").analyse(TEXTS)) > 64


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize(
    "name", ["output.bias", "output.weight", "bias", "project.weight", "pad", "elsewhere", "topic", "sentence.weight"]
)
def test_damaged_weights_are_no_silent_answer(name, compiled):
    """Wherever the damage is."""
    model = small_model(documents=True)
    model.network.get_parameter(name).data.view(-1)[0] = float("nan")
    with pytest.raises(RunError, match="not numbers"):
        Tagger(model, device="cpu", compiled=compiled).self_test()
