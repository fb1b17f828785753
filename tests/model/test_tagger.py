"""The Tagger: entities where they are, however texts come together, from any thread and any process."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model import checkpoint
from fenestra.model.decode.calibration import Calibration
from fenestra.model.engine.gpu import resolve_device
from fenestra.model.errors import InputError
from fenestra.model.results import Entity, Result
from fenestra.model.tagger import Tagger
from fenestra.training.data.spans import spans
from tests.model.conftest import ENGINES, small_model

MODEL = small_model(documents=True)
TAGGER = Tagger(MODEL, device="cpu")
TEXTS = [
    "Ada Lovelace met Siemens in Munich. She stayed.",
    "",
    "   \n\t",
    "Иван Петров живёт в Санкт-Петербурге.",
    "🙂 Ada 👩‍👩‍👧 в Zu\u0308rich",
    "one",
    "x" * 5000,
]


@pytest.fixture(scope="module", autouse=True, params=ENGINES)
def engine(request):
    """Every test with the kernel, and with the reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "TAGGER", Tagger(MODEL, device="cpu", engine=request.param))
        yield request.param


@pytest.fixture
def folder(tmp_path):
    checkpoint.save(MODEL, tmp_path / "saved")
    return tmp_path / "saved"


@given(st.lists(st.text(max_size=60), max_size=5))
def test_entities_and_tokens_stand_in_the_text_where_they_say(texts):
    for text, result in zip(texts, TAGGER.tag(texts), strict=True):
        assert result.source == text
        for piece in (*result, *result.tokens):
            assert text[piece.start : piece.end] == piece.text != ""
            assert 0 <= piece.score <= 1
        starts = [entity.start for entity in result]
        assert starts == sorted(starts)


def test_what_is_tagged_together_is_what_is_tagged_alone():
    together = TAGGER.tag(TEXTS)
    assert together == [TAGGER(text) for text in TEXTS] == [TAGGER.tag([text])[0] for text in TEXTS]


def test_entities_are_the_spans_of_the_tags():
    for sentence in (["Ada", "Lovelace", "met", "Siemens"], ["in"] * 30, ["Munich"]):
        (result,) = TAGGER.tag_tokens([sentence])
        found = spans([token.tag for token in result.tokens])
        assert [(e.start, e.end, e.label) for e in result] == [tuple(span) for span in found]
        assert all(e.text == " ".join(sentence[e.start : e.end]) for e in result)
        assert result.source == sentence


def test_nothing_has_no_entities():
    assert TAGGER.tag([]) == []
    assert TAGGER.tag(["", "  "]) == [[], []]
    assert TAGGER("") == []
    assert TAGGER.tag_tokens([[], []]) == [[], []]
    assert TAGGER.tag_documents([[], [[]]]) == [[], [[]]]


def test_a_document_longer_than_a_batch_is_one_document():
    """Every one of its sentences is tagged alike, and not as the same sentence alone would be."""
    sentence = ["ada", "met", "Siemens", "."]
    (found,) = TAGGER.tag_documents([[sentence] * 3000])
    assert len(found) == 3000
    assert {tuple(token.tag for token in result.tokens) for result in found} == {tuple(t.tag for t in found[0].tokens)}
    ((alone,),) = TAGGER.tag_documents([[sentence]])
    assert [t.score for t in alone.tokens] != pytest.approx([t.score for t in found[0].tokens], abs=1e-6)


def test_sentences_of_words_stand_for_themselves():
    """What is posted as tokens is tagged alike whatever else is posted with it."""
    first, *_ = TAGGER.tag_tokens([["Rose", "met", "Ada"], ["a", "rose"]])
    assert first == TAGGER.tag_tokens([["Rose", "met", "Ada"]])[0]
    ((second, _),) = TAGGER.tag_documents([[["Rose", "met", "Ada"], ["a", "rose"]]])
    assert [token.score for token in second.tokens] != [token.score for token in first.tokens]


def test_a_sentence_longer_than_a_batch_is_not_cut():
    long = ["Ada", "met", "Siemens", "in", "Munich"] * 2000
    assert len(TAGGER.tag_tokens([long])[0].tokens) == 10_000


def test_threads_may_share_a_tagger():
    expected = TAGGER.tag(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(result == expected for result in pool.map(lambda _: TAGGER.tag(TEXTS), range(64)))


# ── streams ──


def test_a_stream_is_tagged_in_order_with_the_results_of_a_list():
    items = [f"Ada met W{n}." for n in range(50)]
    for size in (1, 7, 50, 1000):
        assert list(TAGGER.pipe(iter(items), batch_size=size)) == TAGGER.tag(items)


def test_a_stream_may_hold_texts_and_sentences_of_words():
    found = list(TAGGER.pipe(["Ada met.", ["Ada", "met"], ("Siemens",), "", []], batch_size=2))
    assert found[::3] == TAGGER.tag(["Ada met.", ""])
    assert [found[1], found[2], found[4]] == TAGGER.tag_tokens([["Ada", "met"], ["Siemens"], []])


def test_a_stream_without_end_is_read_no_further_than_a_batch():
    read = []

    def endless():
        for number in count():
            read.append(number)
            yield f"Ada met W{number % 300}."

    results = TAGGER.pipe(endless(), batch_size=10)
    assert read == []
    found = list(islice(results, 25))
    assert read == list(range(30))
    assert found == TAGGER.tag([f"Ada met W{number}." for number in range(25)])


def test_results_of_a_stream_keep_their_contexts():
    pairs = [(f"Ada met W{n}.", {"id": n}) for n in range(9)]
    found = list(TAGGER.pipe(iter(pairs), batch_size=4, as_tuples=True))
    assert [context["id"] for _, context in found] == list(range(9))
    assert [result for result, _ in found] == TAGGER.tag([text for text, _ in pairs])


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_item_is_refused(size):
    with pytest.raises(ValueError, match=f"batch_size: expected 1 or more, got {size}"):
        TAGGER.pipe([], batch_size=size)


# ── what only looks like a text ──


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t(None), "text: expected a string, got None"),
        (lambda t: t(b"Ada"), "text: expected a string, got bytes; decode them first"),
        (lambda t: t(3), "text: expected a string, got int"),
        (lambda t: t(["Ada"]), r"text: expected a string, got list; for words use tag_tokens\(\[words\]\)"),
        (
            lambda t: t.tag("Ada"),
            r"texts: expected a list of strings, got one string; for one text call tagger\(text\)",
        ),
        (lambda t: t.tag(b"Ada"), "texts: expected a list of strings, got bytes"),
        (lambda t: t.tag(None), "texts: expected a list of strings, got None"),
        (lambda t: t.tag(7), "texts: expected a list of strings, got int"),
        (lambda t: t.tag(["Ada", None]), r"texts\[1\]: expected a string, got None"),
        (lambda t: t.tag([b"Ada"]), r"texts\[0\]: expected a string, got bytes"),
        (lambda t: t.tag(["a", "b", 5]), r"texts\[2\]: expected a string, got int"),
        (lambda t: t.tag([["Ada"]]), r"texts\[0\]: expected a string, got list; for sentences of words use tag_tokens"),
        (lambda t: t.tag_tokens("Ada"), "sentences: expected lists of words, got one string"),
        (lambda t: t.tag_tokens(None), "sentences: expected lists of words, got None"),
        (lambda t: t.tag_tokens(["Ada"]), r"sentences\[0\]: expected a list of words, got one string"),
        (lambda t: t.tag_tokens([["a"], None]), r"sentences\[1\]: expected a list of words, got None"),
        (lambda t: t.tag_tokens([["Ada", 3]]), r"sentences\[0\]\[1\]: expected a string, got int"),
        (lambda t: t.tag_tokens([["Ada", b"met"]]), r"sentences\[0\]\[1\]: expected a string, got bytes"),
        (lambda t: t.tag_documents(["Ada"]), "sentences: expected lists of words, got one string"),
        (lambda t: t.tag_documents([["Ada"]]), r"sentences\[0\]: expected a list of words, got one string"),
        (lambda t: t.tag_documents([[["Ada", None]]]), r"sentences\[0\]\[1\]: expected a string, got None"),
        (lambda t: t.pipe("Ada"), "items: expected an iterable of texts, got one string"),
        (lambda t: list(t.pipe(["Ada", None])), "expected texts or lists of words, got None"),
        (lambda t: list(t.pipe([b"Ada"])), "expected texts or lists of words, got bytes"),
        (lambda t: list(t.pipe([4])), "expected texts or lists of words, got int"),
        (lambda t: list(t.pipe([["Ada", 4]])), "expected a string, got int"),
    ],
)
def test_what_is_no_text_is_refused_with_what_was_expected(call, message):
    with pytest.raises(TypeError, match=message):
        call(TAGGER)


@pytest.mark.parametrize("call", [lambda t: t.tag_tokens([["Ada", ""]]), lambda t: t.tag_documents([[["", "Ada"]]]),
                                  lambda t: list(t.pipe([[""]])), lambda t: t.explain(["Ada", ""], 0)])  # fmt: skip
def test_an_empty_word_is_refused(call):
    with pytest.raises(InputError, match="empty word"):
        call(TAGGER)


# ── results ──


def test_an_entity_says_what_it_is():
    entity = Entity(4, 12, "PER", "Lovelace", 0.98765)
    assert repr(entity) == "Entity('Lovelace', PER, 4:12, 0.988)"
    assert entity.to_dict() == {"start": 4, "end": 12, "label": "PER", "text": "Lovelace", "score": 0.98765}
    assert entity == (4, 12, "PER", "Lovelace", 0.98765)
    assert entity.alternatives == ()


def test_a_result_is_a_list_of_its_entities_and_its_tokens():
    result = TAGGER(TEXTS[0])
    assert isinstance(result, list)
    assert len(result) > 0
    assert result.to_dicts() == [entity.to_dict() for entity in result]
    assert result == list(result)
    assert result == TAGGER(TEXTS[0])
    assert result != TAGGER(TEXTS[3])
    others = TAGGER(TEXTS[0].lower())
    assert Result(list(result), others.tokens, result.source) != result
    assert repr(result) == repr(list(result))
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)


@pytest.mark.parametrize("alternatives", [0, 2])
def test_a_result_is_pickled_with_its_tokens_alone(alternatives):
    """Not with those of the batch that it was tagged in."""
    results = TAGGER.tag([TEXTS[0], "Ada " * 3000], alternatives=alternatives)
    data = pickle.dumps(results[0])
    again = pickle.loads(data)
    assert again == results[0]
    assert again.source == TEXTS[0]
    assert list(again.tokens) == list(results[0].tokens)
    assert [t.alternatives for t in again.tokens] == [t.alternatives for t in results[0].tokens]
    assert [e.alternatives for e in again] == [e.alternatives for e in results[0]]
    assert len(data) < 6000


def test_words_are_pickled_too():
    (result,) = TAGGER.tag_tokens([["Ada", "met", "Siemens"]])
    again = pickle.loads(pickle.dumps(result))
    assert (again, again.source) == (result, ["Ada", "met", "Siemens"])


# ── processes ──


def test_a_tagger_is_pickled_by_its_folder(folder, engine):
    tagger = Tagger.load(folder, device="cpu", engine=engine, threads=1, cache_mb=3, cache_numbers="float32")
    data = pickle.dumps(tagger)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert again._options == tagger._options
    assert again.folder == folder
    assert again.engine == tagger.engine
    assert again.tag(TEXTS) == tagger.tag(TEXTS)


def test_a_folder_that_was_named_from_here_is_found_from_elsewhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    data = pickle.dumps(Tagger.load("saved", device="cpu"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(data)("Ada met.") == Tagger(MODEL, device="cpu")("Ada met.")


def test_processes_load_a_tagger_for_themselves(folder, engine):
    tagger = Tagger.load(folder, device="cpu", engine=engine)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(tagger, TEXTS[:4])) == tagger.tag(TEXTS[:4])


def test_a_tagger_from_memory_is_not_pickled():
    with pytest.raises(TypeError, match="pickled by its folder, and this one was not loaded from any"):
        pickle.dumps(TAGGER)


def test_a_tagger_says_what_it_is(folder):
    assert repr(TAGGER) == f"Tagger(labels=['LOC', 'ORG', 'PER'], {TAGGER.engine} on cpu)"
    assert repr(Tagger.load(folder, device="cpu")).startswith(f"Tagger('{folder}', labels=")


# ── devices and engines ──


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:99", "cuda:x", "cpu:0", ""])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    with pytest.raises(InputError, match=f"device '{name}'"):
        resolve_device(name)


def test_auto_takes_cuda_where_there_is_one():
    torch = pytest.importorskip("torch")
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_an_engine_that_is_unknown_is_refused_by_name():
    with pytest.raises(InputError, match="engine 'torch': expected auto, native or reference"):
        Tagger(MODEL, device="cpu", engine="torch")


def test_an_option_that_is_unknown_is_refused():
    with pytest.raises(TypeError, match="compiled"):
        Tagger(MODEL, device="cpu", compiled=True)


def test_the_engine_is_named(engine):
    assert TAGGER.engine == "reference" if engine == "reference" else TAGGER.engine.startswith("kernel-")


def test_cuda_and_cpu_agree():
    """Equal tags, probabilities within 1e-5."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    on_cpu = Tagger(MODEL, device="cpu", cache_numbers="float32")
    on_gpu = Tagger(MODEL, device="cuda")
    for cpu, gpu in zip(on_cpu.tag(TEXTS), on_gpu.tag(TEXTS), strict=True):
        assert [token.tag for token in cpu.tokens] == [token.tag for token in gpu.tokens]
        np.testing.assert_allclose([t.score for t in cpu.tokens], [t.score for t in gpu.tokens], atol=1e-5)


# ── scores ──


def test_the_temperature_changes_scores_and_no_tag(engine):
    hot = Tagger(replace(MODEL, calibration=Calibration(5.0)), device="cpu", engine=engine)
    plain, flat = TAGGER.tag(TEXTS), hot.tag(TEXTS)
    assert [t.tag for a in plain for t in a.tokens] == [t.tag for a in flat for t in a.tokens]
    assert [t.score for a in plain for t in a.tokens] != [t.score for a in flat for t in a.tokens]


def test_a_name_with_an_out_of_vocabulary_word_has_a_score_of_its_own(engine):
    documents = [[["Ada", "met", "Oslo"], ["Oslo", "Munich"]], [["ADA", "Kyiv", "Ada"] * 700]]
    text = "Ada met Oslo in Munich. Oslo Munich Kyiv Ada Lovelace met ADA. In Kyiv Lovelace met in Oslo Ada."
    plain, wary = (
        Tagger(replace(MODEL, calibration=replace(MODEL.calibration, oov=oov)), device="cpu", engine=engine)
        for oov in (0.0, -3.0)
    )
    flat = [word for document in documents for sentence in document for word in sentence]
    assert wary.is_oov(documents).tolist() == [word in ("Oslo", "Kyiv") for word in flat]
    both = list(zip(plain(text), wary(text), strict=True))
    known = {"ada", "met", "munich", "."}
    oov = [any(word.lower() not in known for word in entity.text.split()) for entity, _ in both]
    assert len(set(oov)) == 2
    assert [before.score > after.score for before, after in both] == oov
    assert [before[:4] for before, _ in both] == [after[:4] for _, after in both]
    nowhere = Tagger(small_model(word=0), device="cpu", engine=engine)
    assert not nowhere.is_oov(documents).any()
