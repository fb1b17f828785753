"""A large request is taken in pieces, and the pieces make the same answer."""

from collections import Counter

import pytest

from fenestra.model.batch import PIECE
from fenestra.model.engine import reader as reading
from fenestra.model.errors import InputError
from fenestra.model.results import TokenTable
from fenestra.model.steps import Step, named, run
from fenestra.model.tagger import Tagger
from tests.model.conftest import WAYS, small_model

MODEL = small_model(documents=True, scheme="BIOES")
TAGGER = Tagger(MODEL, device="cpu")
STAGES = ["tokenize", "rows", "network", "decode"]


@pytest.fixture(scope="module", autouse=True, params=WAYS)
def compiled(request):
    """Every test with the kernel, and without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "TAGGER", Tagger(MODEL, device="cpu", compiled=request.param))
        yield request.param


def stages(steps):
    return [stage for stage, before in zip(steps, [None, *steps], strict=False) if stage != before]


def test_texts_and_sentences_of_words_may_be_mixed():
    items = ["Ada met Ito. He left.", ["Ada", "met", "Ito"], "", [], "Munich"]
    found = run(TAGGER.steps(items))
    assert found == [
        *TAGGER.analyse(items[:1]), *TAGGER.analyse_tokens([items[1]]), *TAGGER.analyse([""]),
        *TAGGER.analyse_tokens([[]]), *TAGGER.analyse(items[4:]),
    ]  # fmt: skip


def test_a_small_batch_goes_through_the_stages_once():
    steps = list(TAGGER.steps(["Ada met Ito."] * 32))
    assert stages([step.stage for step in steps]) == STAGES
    assert [step.tokens for step in steps if step.tokens] == [32 * 4]


def test_every_token_counts_once_and_unknown_words_are_told():
    """Four of five words have a vector."""
    steps = list(TAGGER.steps(["ada met Siemens nowhere ."] * 3000))
    assert sum(step.tokens for step in steps) == 15_000
    assert sum(step.unknown for step in steps) == 3_000
    assert {step.stage for step in steps if step.tokens} == {"rows"}


@pytest.mark.parametrize(
    "item",
    [
        "a " * 50_000,
        "!" * 100_000,
        "x" * 100_000,
        "Ab 1\n" * 20_000,
        " ".join(f"w{n}" for n in range(20_000)),
        ["a"] * 100_000,
        ["Ada", "met"] * 30_000,
    ],
    ids=["words", "signs", "one word", "lines", "all different", "given words", "one sentence"],
)
def test_a_large_item_is_taken_in_many_pieces(item):
    """In every stage about one step for a piece of tokens, so that no step holds more than a few."""
    steps = Counter()
    work = TAGGER.steps([item])
    try:
        while True:
            steps[next(work).stage] += 1
    except StopIteration as end:
        (analysis,) = end.value
    pieces = len(analysis.tokens) // (reading.PIECE if TAGGER.kernel else PIECE)
    assert steps["tokenize"] >= pieces
    assert steps["rows"] >= pieces  # of new words, or of the topic
    assert steps["network"] >= pieces
    assert steps["decode"] >= 1


def test_a_long_search_for_the_best_path_gives_way():
    """One sentence in which every best tag is illegal somewhere."""
    steps = Counter(step.stage for step in TAGGER.steps([["Ada", "met"] * 30_000]))
    assert steps["decode"] > 60_000 // PIECE


def test_a_long_item_is_alone_in_its_batch_and_the_order_holds():
    items = ["Ada met Ito.", "one " * 5000, "Munich", ["in"] * 5000, ["Ada"]]
    assert run(TAGGER.steps(items)) == [run(TAGGER.steps([item]))[0] for item in items]


def test_two_requests_may_take_turns(compiled):
    """Step by step, with a table of words so small that each drives out the other's."""
    tagger = Tagger(MODEL, device="cpu", cache_mb=0.05, compiled=compiled)
    items = [[" ".join(f"{head}{n % 700}" for n in range(4000))] for head in ("a", "B")]
    expected = [run(TAGGER.steps(item)) for item in items]
    works, found = [tagger.steps(item) for item in items], [None, None]
    while None in found:
        for place, work in enumerate(works):
            if found[place] is None:
                try:
                    next(work)
                except StopIteration as end:
                    found[place] = end.value
    assert found == expected


def test_an_empty_word_is_refused_wherever_it_stands():
    with pytest.raises(InputError, match="empty word"):
        run(TAGGER.steps(["Ada", ["a"] * 5000 + [""]]))


def test_tokens_are_made_when_they_are_asked_for():
    (analysis,) = TAGGER.analyse(["Ada met Siemens in Munich."])
    tokens = analysis.tokens
    assert isinstance(tokens, TokenTable)
    assert len(tokens) == 6
    assert tokens[-1] == tokens[5] == list(tokens)[5]
    assert tokens[1:5:2] == [tokens[1], tokens[3]]
    assert tokens[::-1] == list(tokens)[::-1]
    assert repr(tokens) == repr(list(tokens))
    assert tokens == list(tokens)
    assert tokens != list(tokens)[1:]
    with pytest.raises(IndexError):
        tokens[6]


def test_work_is_named_and_returns_what_it_returned():
    def work():
        yield
        yield
        return 3

    steps = named("rows", work())
    assert [next(steps), next(steps)] == [Step("rows"), Step("rows")]
    assert run(named("rows", work())) == 3
