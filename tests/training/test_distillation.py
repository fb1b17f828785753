"""Teachers: their probabilities for text without tags, and a job that learns from them."""

import gzip
import json
from dataclasses import replace

import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.errors import ConfigError, DataError
from fenestra.model.tagger import Tagger
from fenestra.training.config import DataConfig, load_config, parse_config, publishable_config
from fenestra.training.data.corpus import Corpus, documents_of, without_tags
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.unlabelled import read_unlabelled
from fenestra.training.fit.distillation import load_teachers, teacher_probabilities
from fenestra.training.job import train
from tests.training.networks import small_network

SENTENCES = [
    Sentence(("Ada", "met", "Ito", "."), ("B-PER", "O", "B-PER", "O"), 0, 1),
    Sentence(("in", "Munich"), ("O", "B-LOC"), 0, 6),
    Sentence(("Siemens",), ("B-ORG",), 1, 9),
]


@pytest.fixture
def teachers(tmp_path):
    folders = []
    for number, scale in enumerate((1.0, 0.5)):
        model = small_network(documents=True)
        model.network.output.weight.data *= scale
        checkpoint.save(model.checkpoint(), folder := tmp_path / f"teacher{number}")
        folders.append(str(folder))
    return folders


def test_teacher_probabilities_are_the_mean_of_the_teachers(teachers):
    config = small_network(documents=True).config
    found = teacher_probabilities(load_teachers(teachers, config, "cpu"), SENTENCES)
    alone = [Tagger.load(folder, device="cpu").log_probabilities(documents_of(SENTENCES)) for folder in teachers]
    mean = torch.stack([torch.from_numpy(log_TK).exp() for log_TK in alone]).mean(0)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), mean, atol=1e-3, rtol=0)
    assert not torch.allclose(torch.from_numpy(alone[0]), torch.from_numpy(alone[1]))


@pytest.mark.parametrize("change", [{"labels": ("LOC", "PER")}, {"scheme": "BIOES"}, {"decoder": "transitions"}])
def test_a_teacher_of_other_tags_is_refused(teachers, change):
    config = replace(small_network().config, **change)
    with pytest.raises(ConfigError, match=r"training\.teachers: .*teacher0"):
        load_teachers(teachers, config, "cpu")


def test_text_without_tags_keeps_its_documents_and_joins_no_other():
    bare = without_tags(Corpus("x", tuple(SENTENCES), "0")).sentences
    assert [s.words for s in bare] == [s.words for s in SENTENCES]
    assert {tag for s in bare for tag in s.tags} == {"O"}
    assert bare[0].document == bare[1].document != bare[2].document
    assert all(s.document < 0 for s in bare)


@pytest.mark.parametrize(
    ("training", "data", "message"),
    [
        ({"teachers": ["x"]}, {}, r"training\.teachers: expected together with data\.unlabelled"),
        ({}, {"unlabelled": ["x"]}, r"training\.teachers: expected together with data\.unlabelled"),
        ({"teachers": ["x"], "loss": "focal"}, {"unlabelled": ["x"]}, r"training\.teachers: not with training\.loss"),
    ],
)
def test_what_does_not_go_together_is_refused(training, data, message):
    with pytest.raises(ConfigError, match=message):
        parse_config({"data": {"train": ["a"], "dev": ["b"], **data}, "model": {"labels": ["A"]}, "training": training})


def test_folders_of_teachers_start_at_the_file_and_are_not_published(tmp_path):
    (tmp_path / "job.toml").write_text(
        '[data]\ntrain = ["a"]\ndev = ["b"]\nunlabelled = ["c"]\n[model]\nlabels = ["A"]\n'
        '[training]\nteachers = ["runs/big"]\n'
    )
    config = load_config(tmp_path / "job.toml")
    assert config.training.teachers == (str(tmp_path / "runs/big"),)
    assert publishable_config(config)["training"]["teachers"] == ["big"]


def test_teachers_are_checked_before_corpora_are_read(teachers, quick_job, tmp_path):
    """Corpora, vectors and lists may take minutes to read."""

    def job(*folders):
        data = replace(quick_job.data, train=("missing.conll",), unlabelled=("missing.txt",))
        return replace(quick_job, data=data, training=replace(quick_job.training, teachers=folders))

    for folders, message in (
        ((str(tmp_path / "none"),), r"training\.teachers: .*none: not a checkpoint"),
        ((teachers[0], teachers[0]), r"training\.teachers: .*teacher0 comes twice"),
        (
            (teachers[0],),
            r"training\.teachers: .*teacher0 has the labels .*, expected LOC, MISC, ORG, PER as the model",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            train(job(*folders), tmp_path / "pupil")
        assert not (tmp_path / "pupil").exists()


def test_a_missing_file_of_contexts_is_named_before_corpora_are_read(quick_job, tmp_path):
    wanted = replace(quick_job.augmentation, contexts=5, contexts_file=str(tmp_path / "none.txt"))
    config = replace(quick_job, augmentation=wanted, data=replace(quick_job.data, train=("missing.conll",)))
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        train(config, tmp_path / "model")


def test_text_without_labels_may_be_plain_a_text_a_line(tmp_path):
    text = "Ada met Ito. She left.\n\n  Siemens, Munich\n"
    (tmp_path / "news.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "news.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("news.txt", "news.txt.gz"):
        found = read_unlabelled([str(tmp_path / name)], DataConfig(train=("a",), dev=("b",)))
        assert [(s.words, s.document, s.line) for s in found.sentences] == [
            (("Ada", "met", "Ito", "."), -2, 1),
            (("She", "left", "."), -2, 1),
            (("Siemens", ",", "Munich"), -4, 3),
        ]
        assert {tag for sentence in found.sentences for tag in sentence.tags} == {"O"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", r"x\.txt: holds no text"),
        (b"Ada\n\xff\n", r"x\.txt:2: is not UTF-8"),
        (None, r"x\.txt: cannot be read"),
    ],
)
def test_plain_text_that_cannot_be_read_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_unlabelled(["x.txt"], DataConfig(train=("a",), dev=("b",), root=str(tmp_path)))


def test_a_job_learns_from_its_teacher(quick_job, tmp_path):
    """The text has no tags, and a name that the annotated corpus lacks: only the teacher knows it."""
    teacher = train(quick_job, tmp_path / "teacher")
    config = replace(
        quick_job,
        data=replace(quick_job.data, unlabelled=quick_job.data.dev),
        training=replace(quick_job.training, teachers=(str(teacher),), unlabelled_sentences=1.0),
    )
    folder = train(config, tmp_path / "pupil")
    job, report = (json.loads((folder / name).read_text()) for name in ("job.json", "report.json"))
    assert job["teachers"] == [Tagger.load(teacher).version]
    assert report["corpora"]["unlabelled"]["entities"] == {}
    card = (folder / "README.md").read_text()
    assert "The text of `unlabelled` was learnt from as `teacher` tags it." in " ".join(card.split())
    assert (folder / "weights.safetensors").read_bytes() != (teacher / "weights.safetensors").read_bytes()
