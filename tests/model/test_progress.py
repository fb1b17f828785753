"""A large request is worked on in pieces, control is yielded between them, and the answer is the same."""

from collections import Counter

import pytest

from fenestra.model.engine import native, reader, reference, stages
from fenestra.model.engine.stages import PIECE, grouped
from fenestra.model.errors import InputError
from fenestra.model.progress import Progress, finish, parts
from fenestra.model.results import TokenTable
from fenestra.model.tagger import Tagger
from tests.model.conftest import ENGINES, by_turns, small_model

MODEL = small_model(documents=True, scheme="BIOES")
TAGGERS = {}
STAGES = ["tokenize", "rows", "network", "decode"]


@pytest.fixture(params=ENGINES)
def tagger(request):
    """Every test with the kernel, and with the reference."""
    name = request.param
    TAGGERS[name] = TAGGERS.get(name) or Tagger(MODEL, device="cpu", engine=name)
    return TAGGERS[name]


def in_turn(stages):
    """Stages without those that are the same as the one before."""
    return [stage for stage, before in zip(stages, [None, *stages], strict=False) if stage != before]


def test_texts_and_sentences_of_words_may_be_mixed(tagger):
    items = ["Ada met Ito. He left.", ["Ada", "met", "Ito"], "", [], "Munich"]
    assert finish(tagger.work(items)) == [
        *tagger.tag(items[:1]), *tagger.tag_tokens([items[1]]), *tagger.tag([""]), *tagger.tag_tokens([[]]),
        *tagger.tag(items[4:]),
    ]  # fmt: skip


def test_a_small_batch_goes_through_the_stages_once(tagger):
    done = list(tagger.work(["Ada met Ito."] * 32))
    assert in_turn([piece.stage for piece in done]) == STAGES
    assert [piece.tokens for piece in done if piece.tokens] == [32 * 4]


def test_every_token_counts_once_and_words_without_a_vector_are_told(tagger):
    """Four of five words have a vector."""
    done = list(tagger.work(["ada met Siemens nowhere ."] * 3000))
    assert sum(piece.tokens for piece in done) == 15_000
    assert sum(piece.unknown for piece in done) == 3_000
    assert {piece.stage for piece in done if piece.tokens} == {"rows"}


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
def test_a_large_item_is_worked_on_in_many_pieces(item, tagger):
    """Reading and scoring, which take the time, yield for about every piece of tokens."""
    done, work = Counter(), tagger.work([item])
    try:
        while True:
            done[next(work).stage] += 1
    except StopIteration as end:
        (result,) = end.value
    pieces = len(result.tokens) // PIECE
    # The reference takes words that are given as they are; there is nothing to read.
    assert done["tokenize"] >= (1 if isinstance(item, list) and tagger.engine == "reference" else pieces)
    assert done["network"] >= pieces
    assert done["rows"] == 1
    assert done["decode"] >= 1


def test_the_size_of_a_piece_changes_no_answer(tagger, monkeypatch):
    """A large item among small ones, in pieces of about 100 tokens and in those of 4,096."""
    items = ["Ada met Ito.", "Ada Lovelace met Siemens in Munich. " * 1500, ["Rose", "met", "Ada"] * 700]
    expected = tagger.tag(items[:2]) + tagger.tag_tokens(items[2:])
    few = sum(1 for _ in tagger.work(items))
    for module in (native, reader, reference, stages):
        monkeypatch.setattr(module, "PIECE", 100)
    if tagger.engine != "reference":
        monkeypatch.setattr(tagger._engine._scorer, "piece", 100, raising=False)
    work, many = tagger.work(items), 0
    try:
        while True:
            next(work)
            many += 1
    except StopIteration as end:
        found = end.value
    assert many > 4 * few
    for ours, theirs in zip(found, expected, strict=True):
        assert [entity[:4] for entity in ours] == [entity[:4] for entity in theirs]
        assert [token[:4] for token in ours.tokens] == [token[:4] for token in theirs.tokens]
        assert [t.score for t in ours.tokens] == pytest.approx([t.score for t in theirs.tokens], abs=1e-6)


def test_many_sentences_are_decoded_a_few_thousand_tokens_at_a_time(tagger):
    done = Counter(piece.stage for piece in tagger.work(["Ada met Ito. " * 5000]))
    assert done["decode"] > 20_000 // PIECE


def test_a_long_item_is_alone_in_its_batch_and_the_order_holds(tagger):
    items = ["Ada met Ito.", "one " * 5000, "Munich", ["in"] * 5000, ["Ada"]]
    assert finish(tagger.work(items)) == [finish(tagger.work([item]))[0] for item in items]


@pytest.mark.parametrize("engine", ENGINES)
def test_two_requests_may_take_turns(engine):
    """Piece by piece, with a row cache so small that each evicts the other's words."""
    tagger, ample = (Tagger(MODEL, device="cpu", cache_mb=size, engine=engine) for size in (0.05, 96))
    items = [[" ".join(f"{head}{n % 700}" for n in range(4000))] for head in ("a", "B")]
    expected = [finish(ample.work(item)) for item in items]
    found = by_turns([tagger.work(item) for item in items])
    assert found == expected


def test_an_empty_word_is_refused_wherever_it_stands(tagger):
    with pytest.raises(InputError, match="empty word"):
        finish(tagger.work(["Ada", ["a"] * 5000 + [""]]))


def test_tokens_are_made_when_they_are_asked_for(tagger):
    tokens = tagger("Ada met Siemens in Munich.").tokens
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


def test_work_that_is_finished_returns_what_it_returned():
    def work():
        yield Progress("rows", 3, 1)
        yield Progress("network")
        return 3

    assert list(work()) == [Progress("rows", 3, 1), Progress("network", 0, 0)]
    assert finish(work()) == 3


@pytest.mark.parametrize(("count", "size", "sizes"), [(0, 3, []), (3, 3, [3]), (7, 3, [3, 3, 1])])
def test_parts_cover_everything_once(count, size, sizes):
    found = list(parts(count, size))
    assert [place for part in found for place in range(count)[part]] == list(range(count))
    assert [part.stop - part.start for part in found] == sizes


def test_neighbours_share_a_batch_until_it_is_full_and_a_large_item_is_alone():
    small, large = "Ada met Ito.", "one " * 7000
    assert list(grouped([small, [["a"]], large, small, small])) == [[small, [["a"]]], [large], [small, small]]
    assert list(grouped([])) == []
    assert [len(group) for group in grouped([[["a"] * 999]] * 9)] == [4, 4, 1]
    assert sum(map(len, grouped([""] * 10_000))) == 10_000


def test_documents_are_put_together_and_never_cut():
    documents = [[["a"] * 2000] * 2, [["a"] * 90], [["a"] * 5000, ["a"] * 4000], [["a"]], []]
    assert list(grouped(documents)) == [documents[:2], documents[2:3], documents[3:]]
    assert [len(group) for group in grouped([[]] * 10_000)] == [4096, 4096, 1808]
