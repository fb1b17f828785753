"""The checkpoint folder: what is saved comes back, what is damaged is refused, nothing in it can run."""

import hashlib
import json
import os
import pickle
import shutil

import pytest
import safetensors.torch
import torch

from fenestra.model import checkpoint
from fenestra.model.errors import CheckpointError, ConfigError, StorageError
from fenestra.model.tagger import Tagger
from fenestra.model.words.lexicon import Lexicon
from tests.model.conftest import small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


@pytest.fixture
def folder(model, tmp_path):
    checkpoint.save(model, tmp_path / "saved", {"README.md": "A card"})
    return tmp_path / "saved"


def rewrite(folder, name, data):
    """Replace a file and list it rightly in the manifest: damage that the sums do not show."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_a_saved_model_says_the_same_bit_for_bit(storage, scheme, tmp_path):
    model = small_model(storage=storage, scheme=scheme, documents=True)
    checkpoint.save(model, tmp_path / "saved")
    before, after = Tagger(model, device="cpu"), Tagger.load(tmp_path / "saved", device="cpu")
    assert (before.log_probabilities([[SENTENCE]]) == after.log_probabilities([[SENTENCE]])).all()
    assert before.analyse_tokens([SENTENCE]) == after.analyse_tokens([SENTENCE])
    assert after.config == model.config
    assert after.calibration == model.calibration


def test_what_was_learned_takes_half_the_room_if_it_is_to(tmp_path):
    """What is not learned keeps its digits: scales of vectors may be far too small for float16."""
    models = {
        weights: small_model(weights=weights, documents=True, storage="int8") for weights in ("float32", "float16")
    }
    for weights, model in models.items():
        checkpoint.save(model, tmp_path / weights)
    wide, narrow = (safetensors.torch.load_file(tmp_path / weights / "weights.safetensors") for weights in models)
    learned = dict(models["float32"].network.named_parameters())
    assert {name for name in wide if wide[name].dtype != narrow[name].dtype} == set(learned)
    found = checkpoint.load(tmp_path / "float16").network.state_dict()
    for name, tensor in wide.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=1e-3 if name in learned else 0, atol=1e-7)
    with pytest.raises(ConfigError, match=r"model\.weights: expected one of float32, float16"):
        small_model(weights="float64")


@pytest.mark.parametrize("agreement", [False, True])
def test_how_much_tokens_heed_each_other_is_stored_where_they_do(agreement, tmp_path):
    model = small_model(agreement=agreement)
    checkpoint.save(model, tmp_path / "saved")
    stored = json.loads((tmp_path / "saved" / "config.json").read_text())["calibration"]
    assert list(stored)[5:] == ["same_tag", "same_label"] * agreement
    assert checkpoint.load(tmp_path / "saved").calibration == model.calibration
    items = ["Ada met Siemens. SIEMENS met Ada."]
    after = Tagger.load(tmp_path / "saved", device="cpu")
    assert after.analyse(items) == Tagger(model, device="cpu").analyse(items)


def test_a_configuration_from_before_tokens_heeded_each_other_is_read_as_it_was(model, folder):
    settings = json.loads((folder / "config.json").read_text())
    del settings["model"]["agreement"]
    rewrite(folder, "config.json", json.dumps(settings).encode())
    found = checkpoint.load(folder)
    assert found.config == model.config
    assert found.calibration.agreement == (0, 0)


def test_numbers_of_an_agreement_that_is_switched_off_are_refused(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["calibration"]["same_label"] = 1.5
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match=r"calibration: same_tag and same_label .* no use for"):
        checkpoint.load(folder)


def test_a_checkpoint_from_when_there_was_a_sentence_feature_loads_unless_it_was_on(folder):
    config = json.loads((folder / "config.json").read_text())
    assert "sentence" not in config["model"]["features"]
    config["model"]["features"]["sentence"] = False
    rewrite(folder, "config.json", json.dumps(config).encode())
    assert "sentence" not in checkpoint.load(folder).config.to_json()["features"]
    config["model"]["features"]["sentence"] = True
    rewrite(folder, "config.json", json.dumps(config).encode())
    with pytest.raises(CheckpointError, match=r"model\.features\.sentence: .*no longer"):
        checkpoint.load(folder)


def test_the_version_follows_the_content(model, folder, tmp_path):
    checkpoint.save(model, tmp_path / "again", {"README.md": "A card"})
    checkpoint.save(model, tmp_path / "other", {"README.md": "Another card"})
    versions = [checkpoint.load(place).version for place in (folder, tmp_path / "again", tmp_path / "other")]
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 12


def test_the_manifest_lists_every_file_with_its_sum(folder):
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(listed) | {"manifest.json"} == {path.name for path in folder.iterdir()}
    for name, entry in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]


def test_saving_into_a_folder_with_files_is_refused_and_leaves_them(model, tmp_path):
    (tmp_path / "kept.txt").write_text("precious")
    with pytest.raises(StorageError, match=r"needed .* bytes, free .* bytes"):
        checkpoint.save(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), OSError(13, "Permission denied"),
                                   OSError(5, "Input/output error")])  # fmt: skip
def test_a_disk_that_refuses_leaves_nothing_behind_and_is_named(fault, model, tmp_path, monkeypatch):
    written = []

    def refuse(handle):
        written.append(handle)
        if len(written) == 3:
            raise fault

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=f"saved: {fault.strerror}; needed [0-9,]+ bytes, free [0-9,]+ bytes"):
        checkpoint.save(model, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_is_found(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: sha256 .* expected"):
        checkpoint.load(folder)


def test_a_truncated_file_is_found(folder):
    path = folder / "words.txt"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=r"words\.txt: \d+ bytes, expected \d+"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "manifest.json", "README.md"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_format_version_is_refused_by_name(folder, version):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format_version"] = version
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=f"format version {version!r}, this program reads version 1"):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 1, "files": []}'])
def test_a_manifest_of_another_shape_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        checkpoint.load(folder)


def test_a_manifest_cannot_reach_outside_its_folder(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"sha256": "", "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="plain file name"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors.codes", lambda x: x[:, :, None]),
        ("vectors.codes", lambda x: x.half()),
        ("vectors.scale", lambda _: torch.ones(3, 1)),
        ("pad", lambda x: x.half()),
        ("fields.shape.weight", lambda x: x.double()),
        ("ngrams.weight", lambda x: x.bfloat16()),
    ],
)
def test_weights_of_another_shape_or_number_type_are_refused(name, change, model, tmp_path):
    """The kernel reads them by address, so nothing may be other than it is said to be."""
    weights = {key: tensor.contiguous() for key, tensor in model.network.state_dict().items()}
    weights[name] = change(weights[name]).contiguous()
    with pytest.raises(ValueError, match=name):
        checkpoint._assemble(model.config, model.lexicon, weights)


def test_vectors_of_a_model_without_are_refused():
    """They would be written beyond the row that they are no part of."""
    model = small_model(vectors=False)
    weights = {**model.network.state_dict(), "vectors.codes": torch.ones(1, 3000)}
    with pytest.raises(ValueError, match=r"vectors\.codes"):
        checkpoint._assemble(model.config, model.lexicon, weights)


def test_a_word_or_value_that_is_listed_twice_is_refused(model):
    weights = dict(model.network.state_dict())
    twice = Lexicon.of(model.config.features, [*list(model.lexicon.vector_rows)[:-1], "ada"], model.lexicon.field_rows)
    with pytest.raises(ValueError, match="twice"):
        checkpoint._assemble(model.config, twice, weights)
    known = {name: [*rows, next(iter(rows))] for name, rows in model.lexicon.field_rows.items()}
    twice = Lexicon.of(model.config.features, list(model.lexicon.vector_rows), known)
    with pytest.raises(ValueError, match="twice"):
        checkpoint._assemble(model.config, twice, weights)


def test_weights_that_are_not_numbers_are_refused(model, tmp_path):
    model.network.bias.data[0] = float("nan")
    checkpoint.save(model, tmp_path / "saved")
    with pytest.raises(CheckpointError, match="bias holds a value that is not finite"):
        checkpoint.load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("words.txt", b"one\nword\n"),
        ("features.json", b"{}"),
        ("clusters.tsv", b"01\tada\n10\tada\n"),
        ("lists.tsv", b"first\n"),
        ("config.json", b'{"model": {}}'),
        ("config.json", b"\xff"),
        ("weights.safetensors", b"\x00" * 40),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_even_with_right_sums(folder, name, data):
    rewrite(folder, name, data)
    with pytest.raises(CheckpointError, match="do not fit together"):
        checkpoint.load(folder)


def test_what_is_known_of_words_is_read_back(model, folder):
    assert checkpoint.load(folder).lexicon == model.lexicon


@pytest.mark.parametrize("name", ["clusters.tsv", "lists.tsv"])
def test_a_reference_work_is_missed_only_by_a_model_that_asks_for_it(model, folder, name, tmp_path):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=f"{name} is not listed"):
        checkpoint.load(folder)
    checkpoint.save(small_model(cluster=0, lists=0), tmp_path / "plain")
    assert not (tmp_path / "plain" / name).exists()
    checkpoint.load(tmp_path / "plain")


def test_a_configuration_from_the_future_is_refused_by_field(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["model"]["attention"] = True
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match="attention"):
        checkpoint.load(folder)


class Sentinel:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("place", ["folder", "weights.safetensors", "manifest.json"])
def test_a_pickle_is_refused_and_never_run(place, folder, tmp_path):
    sentinel = tmp_path / "executed"
    payload = pickle.dumps(Sentinel(sentinel))
    if place == "folder":
        shutil.rmtree(folder)
        folder.write_bytes(payload)
    elif place == "manifest.json":
        (folder / place).write_bytes(payload)
    else:
        rewrite(folder, place, payload)
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)
    assert not sentinel.exists()


def test_a_legacy_torch_file_is_refused(folder, tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "old.pt")
    rewrite(folder, "weights.safetensors", (tmp_path / "old.pt").read_bytes())
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "old.pt")
