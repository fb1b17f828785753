"""Streams and batches: every window once, in whole sentences, the same from the same seed."""

import random
from collections import Counter
from itertools import accumulate, pairwise

import pytest
import torch

from fenestra.model.config import FeatureConfig, ModelConfig
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.data.stream import Stream
from fenestra.training.fit.batches import Sampling, TaggedStream, packed
from fenestra.training.vectors.quantise import VectorTable
from tests.model.conftest import elsewhere

CONFIG = ModelConfig(labels=("LOC",), context=1, features=FeatureConfig(vectors=False, word=3))
CASED = ModelConfig(labels=("LOC",), context=1, features=FeatureConfig(vectors=False, word=3, case=2))
NO_VECTORS = VectorTable.pack(torch.zeros(0, 0), "float32")
SENTENCES = [
    Sentence(("in", "Kiel", "."), ("O", "B-LOC", "O"), 0, 1),
    Sentence(("no", "name"), ("O", "O"), 0, 5),
    Sentence(("New", "York"), ("B-LOC", "I-LOC"), 1, 8),
]


@pytest.fixture
def stream():
    return TaggedStream.build(SENTENCES, build_lexicon(CONFIG.features, [], WORDS, 1), NO_VECTORS, CONFIG)


def surfaces(batch):
    """Windows of a batch as words, by way of the rows."""
    names = {row: word for word, row in build_lexicon(CONFIG.features, [], WORDS, 1).field_rows["word"].items()}
    rows = [None, *(names[row] for row in batch.rows.field_UF[:, 0].tolist())]
    return [tuple(rows[i] for i in window) for window in batch.windows.word_NW.tolist()]


WORDS = [word for sentence in SENTENCES for word in sentence.words]


def test_a_batch_has_every_window_of_its_sentences_and_its_tag(stream):
    batch = stream.batch([0, 2], [3, 2], [False, False])
    assert surfaces(batch) == [
        (None, "in", "kiel"), ("in", "kiel", "."), ("kiel", ".", None),
        (None, "new", "york"), ("new", "york", None),
    ]  # fmt: skip
    assert batch.gold_N.tolist() == [0, 1, 0, 1, 2]
    assert batch.length_S.tolist() == [3, 2]


def test_joined_sentences_are_one_sentence(stream):
    """For the windows, for the loss of a sentence and for its best path."""
    runs = [[0, 1], [2]]
    (batch,) = stream.batches(runs, 100, random.Random(1))
    assert batch.length_S.tolist() == [5, 2]
    assert batch.gold_N.tolist() == [0, 1, 0, 0, 0, 1, 2]


def epoch(stream, seed, batch_tokens=100, sampling=Sampling(), isolate=0.0):  # noqa: B008 - frozen
    rng = random.Random(seed)
    return list(stream.batches(stream.shuffled(rng, sampling), batch_tokens, rng, isolate))


def test_an_epoch_has_every_window_once_in_another_order(stream):
    def windows(seed):
        return [window for batch in epoch(stream, seed, 3) for window in surfaces(batch)]

    orders = {tuple(windows(seed)) for seed in range(20)}
    assert len(orders) > 1
    assert len({frozenset(Counter(order).items()) for order in orders}) == 1
    assert windows(5) == windows(5)


def test_oversampling_repeats_sentences_with_an_entity_only(stream):
    counts = Counter()
    for seed in range(400):
        for batch in epoch(stream, seed, sampling=Sampling(oversample=2.5)):
            counts.update(window[1] for window in surfaces(batch))
    assert counts["no"] == 400
    assert counts["kiel"] / 400 == pytest.approx(2.5, abs=0.1)


def test_the_length_of_an_epoch_is_known_before_it_begins(stream):
    """The learning rate falls with the share of the epoch that is done, oversampled or not."""
    rng = random.Random(1)
    runs = stream.shuffled(rng, Sampling(oversample=3.0, join=0.5))
    assert stream.tokens(runs) == sum(len(batch.gold_N) for batch in stream.batches(runs, 3, rng)) > 7


def test_joining_lets_windows_see_the_next_sentence_of_the_document_only(stream):
    """Sentences one and two are one document here, the third is another."""
    joined = Sampling(join=0.5)
    seen = {w for seed in range(50) for batch in epoch(stream, seed, sampling=joined) for w in surfaces(batch)}
    assert {("kiel", ".", "no"), ("kiel", ".", None), (".", "no", "name"), (None, "no", "name")} <= seen
    assert all((before, middle) != ("name", "new") for before, middle, _ in seen)


def test_packed_batches_are_whole_runs():
    assert list(packed([5, 3, 4], 8)) == [[0, 1], [2]]
    assert list(packed([], 8)) == []


DOCUMENTS = ModelConfig(labels=("LOC",), context=1, features=FeatureConfig(word=3, elsewhere=True, topic=True))
REPORT = [
    Sentence(("Rose", "grew"), ("O", "O"), 0, 1),
    Sentence(("a", "rose"), ("O", "O"), 0, 4),
    Sentence(("Rose", "grew"), ("O", "O"), 1, 7),
]


def test_a_sentence_is_read_in_its_document_or_as_a_document_of_its_own():
    """The lower-case rose of the second sentence is evidence for the Rose of the first, unless that is isolated."""
    lexicon = build_lexicon(DOCUMENTS.features, ["rose", "a"], ["rose"], 1)
    vectors = VectorTable.pack(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "float32")
    stream = TaggedStream.build(REPORT, lexicon, vectors, DOCUMENTS, isolate=True)
    together, isolated, another = (
        stream.batch([sentence], [2], [alone]) for sentence, alone in ((0, False), (0, True), (2, False))
    )
    assert together.windows.elsewhere_NW[0, 1] - 1 == 1 + 8
    assert isolated.windows.elsewhere_NW[0, 1] - 1 == 8
    assert together.windows.topic_PD.tolist() == [pytest.approx([2 / 23, 1 / 23])]
    assert isolated.windows.topic_PD.tolist() == [pytest.approx([1 / 21, 0])]
    for ours, other in zip(isolated.windows, another.windows, strict=True):
        assert torch.equal(ours, other)


def test_the_share_of_isolated_sentences_is_kept():
    lexicon = build_lexicon(DOCUMENTS.features, ["rose", "a"], ["rose"], 1)
    vectors = VectorTable.pack(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "float32")
    stream = TaggedStream.build(REPORT, lexicon, vectors, DOCUMENTS, isolate=True)
    topics = [
        tuple(batch.windows.topic_PD[0].tolist())
        for seed in range(300)
        for batch in epoch(stream, seed, 1, isolate=0.25)
    ]
    assert len(set(topics)) == 3
    assert topics.count((pytest.approx(2 / 23), pytest.approx(1 / 23))) / 600 == pytest.approx(0.75, abs=0.05)


def test_joined_sentences_are_never_isolated():
    """A window that sees two sentences of a document is of that document."""
    lexicon = build_lexicon(DOCUMENTS.features, ["rose", "a"], ["rose"], 1)
    vectors = VectorTable.pack(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "float32")
    stream = TaggedStream.build(REPORT, lexicon, vectors, DOCUMENTS, isolate=True)
    (batch,) = stream.batches([[0, 1], [0], [1]], 100, random.Random(1), isolate=1.0)
    of_document, first, second = ([2 / 23, 1 / 23], [1 / 21, 0], [1 / 22, 1 / 22])
    expected = map(pytest.approx, (of_document, of_document, first, second))
    assert batch.windows.topic_PD.tolist() == list(expected)


def test_sentences_split_into_other_documents_equal_sentences_read_as_those():
    """Words are looked up once, document features computed again: the same numbers as from the beginning."""
    lexicon = build_lexicon(DOCUMENTS.features, ["rose", "a"], ["rose"], 1)
    vectors = VectorTable.pack(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "float32")
    words = [sentence.words for sentence in REPORT]
    whole = Stream.read([words], lexicon, vectors, DOCUMENTS)
    for sizes in ([1, 1, 1], [2, 1], [1, 2], [3]):
        begins = list(accumulate(sizes, initial=0))
        documents = [words[begin:end] for begin, end in pairwise(begins)]
        parted, read = whole.split_into(sizes, vectors, DOCUMENTS), Stream.read(documents, lexicon, vectors, DOCUMENTS)
        assert parted.elsewhere_T.tolist() == [kind for document in documents for kind in elsewhere(document)]
        assert torch.equal(parted.elsewhere_T, read.elsewhere_T)
        assert torch.equal(parted.topic_PD, read.topic_PD)
        assert torch.equal(parted.document_T, read.document_T)


class TestVariants:
    lexicon = build_lexicon(CASED.features, [], ["in", "Kiel", "NEW"], 1)

    @pytest.fixture
    def varied(self):
        other = [
            [s._replace(words=tuple(map(change, s.words))) for s in SENTENCES] for change in (str.upper, str.title)
        ]
        return TaggedStream.build(SENTENCES, self.lexicon, NO_VECTORS, CASED, variants=other)

    def test_without_a_share_the_corpus_is_unchanged(self, varied):
        plain = TaggedStream.build(SENTENCES, self.lexicon, NO_VECTORS, CASED)
        for ours, theirs in zip(epoch(varied, 3), epoch(plain, 3), strict=True):
            assert all(torch.equal(*both) for both in zip(ours.rows, theirs.rows, strict=True))
            assert torch.equal(ours.windows.word_NW, theirs.windows.word_NW)
            assert torch.equal(ours.gold_N, theirs.gold_N)

    def test_every_sentence_comes_once_in_one_of_its_variants(self, varied):
        for seed in range(10):
            rng = random.Random(seed)
            runs = varied.shuffled(rng, Sampling(varied=(0.3, 0.3)))
            assert sorted(sentence % 3 for run in runs for sentence in run) == [0, 1, 2]
            assert varied.tokens(runs) == 7

    def test_variants_come_as_often_as_their_shares_say(self, varied):
        rng = random.Random(1)
        drawn = Counter(run[0] // 3 for _ in range(1000) for run in varied.shuffled(rng, Sampling(varied=(0.5, 0.2))))
        assert drawn[1] / 3000 == pytest.approx(0.5, abs=0.04)
        assert drawn[2] / 3000 == pytest.approx(0.2, abs=0.04)

    def test_a_run_stays_together_in_its_variant(self, varied):
        sampling = Sampling(join=0.9, varied=(0.5, 0.4))
        runs = {tuple(run) for seed in range(50) for run in varied.shuffled(random.Random(seed), sampling)}
        assert {(3, 4), (6, 7)} <= runs
        assert all(len({sentence // 3 for sentence in run}) == 1 for run in runs)

    def test_a_variant_has_its_own_letters_and_the_same_tags(self, varied):
        upper, title = varied.batch([3], [3], [False]), varied.batch([6], [3], [False])
        words, cases = ([sorted(batch.rows.field_UF[:, n].tolist()) for batch in (upper, title)] for n in (0, 1))
        assert words[0] == words[1]
        assert cases[0] != cases[1]
        assert upper.gold_N.tolist() == title.gold_N.tolist() == [0, 1, 0]


class TestTeachers:
    PROBABILITIES = torch.tensor([[0.75, 0.25, 0.0], [0.125, 0.0, 0.875]], dtype=torch.float16)

    @pytest.fixture
    def taught(self):
        """The last sentence, of two words, has teacher probabilities; a variant of all three follows."""
        lexicon = build_lexicon(CONFIG.features, [], WORDS, 1)
        again = [[sentence._replace(words=tuple(map(str.upper, sentence.words))) for sentence in SENTENCES]]
        return TaggedStream.build(SENTENCES, lexicon, NO_VECTORS, CONFIG, variants=again, teacher_TK=self.PROBABILITIES)

    def test_targets_are_tags_where_there_are_any_and_else_teacher_probabilities(self, taught):
        for shift in (0, 3):  # as it is, and written otherwise
            batch = taught.batch([shift + 1, shift + 2], [2, 2], [False, False])
            assert batch.target_NK[:2].tolist() == [[1, 0, 0], [1, 0, 0]]
            assert torch.equal(batch.target_NK[2:], self.PROBABILITIES.float())
            assert batch.gold_N.tolist() == [0, 0, 0, 2]

    def test_the_share_of_their_sentences_is_drawn_anew(self, taught):
        rng = random.Random(2)
        met = Counter(run[0] for _ in range(2000) for run in taught.shuffled(rng, Sampling(unlabelled=0.3)))
        assert met[0] == met[1] == 2000
        assert met[2] / 2000 == pytest.approx(0.3, abs=0.04)

    def test_without_teachers_there_are_no_targets(self, stream):
        assert not stream.batch([0], [3], [False]).target_NK.numel()
