"""Teachers: their probabilities for text without tags, and a job that learns from them."""

import json
from dataclasses import replace

import pytest
import torch

from fenestra.model import checkpoint
from fenestra.model.errors import ConfigError
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config, parse_config, publishable_config
from fenestra.training.data.corpus import Corpus, documents_of, without_tags
from fenestra.training.data.inspection import Sentence
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
    assert "unlabelled" in (folder / "README.md").read_text()
    assert (folder / "weights.safetensors").read_bytes() != (teacher / "weights.safetensors").read_bytes()
