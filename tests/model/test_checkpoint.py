"""The checkpoint folder: what is saved comes back, what is damaged is refused, nothing in it can run."""

import hashlib
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import safetensors.numpy

from fenestra.model import checkpoint
from fenestra.model.errors import CheckpointError, ConfigError, StorageError
from fenestra.model.network.parameters import NOT_LEARNED, Parameters
from fenestra.model.tagger import Tagger
from fenestra.model.words.lexicon import Lexicon
from tests.model.conftest import small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]


@pytest.fixture
def folder(model, tmp_path):
    checkpoint.save(model, tmp_path / "saved", {"README.md": "A card"})
    return tmp_path / "saved"


def arrays_of(model):
    """The arrays of a model by name, as they are in its checkpoint."""
    return model.parameters.to_arrays(model.config.weights)


def stored(folder):
    """The arrays of a checkpoint by name."""
    return safetensors.numpy.load_file(folder / "weights.safetensors")


def rewrite(folder, name, data):
    """Replace a file and list it correctly in the manifest: damage that the sums do not show."""
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
    assert before.tag_tokens([SENTENCE]) == after.tag_tokens([SENTENCE])
    assert after.config == model.config
    assert after.calibration == model.calibration


def test_learned_numbers_take_half_the_room_as_float16(tmp_path):
    """What is not learned keeps its digits: scales of vectors may be far too small for float16."""
    models = {
        weights: small_model(weights=weights, documents=True, storage="int8") for weights in ("float32", "float16")
    }
    for weights, model in models.items():
        checkpoint.save(model, tmp_path / weights)
    wide, narrow = (stored(tmp_path / weights) for weights in models)
    learned = set(wide) - {*NOT_LEARNED, "vectors.codes"}
    assert {name for name in wide if wide[name].dtype != narrow[name].dtype} == learned
    found = checkpoint.load(tmp_path / "float16").parameters.to_arrays("float32")
    for name, array in wide.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-3 if name in learned else 0, atol=1e-7)
    with pytest.raises(ConfigError, match=r"model\.weights: expected one of float32, float16"):
        small_model(weights="float64")


@pytest.mark.parametrize("agreement", [False, True])
def test_weights_of_label_consistency_are_stored_where_there_are_any(agreement, tmp_path):
    model = small_model(agreement=agreement)
    checkpoint.save(model, tmp_path / "saved")
    values = json.loads((tmp_path / "saved" / "config.json").read_text())["calibration"]
    assert list(values)[5:] == ["same_tag", "same_label", "tag_by_tag"] * agreement
    assert checkpoint.load(tmp_path / "saved").calibration == model.calibration
    items = ["Ada met Siemens. SIEMENS met Ada."]
    after = Tagger.load(tmp_path / "saved", device="cpu")
    assert after.tag(items) == Tagger(model, device="cpu").tag(items)


def test_a_configuration_from_before_label_consistency_is_read_as_it_was(model, folder):
    settings = json.loads((folder / "config.json").read_text())
    del settings["model"]["agreement"]
    rewrite(folder, "config.json", json.dumps(settings).encode())
    found = checkpoint.load(folder)
    assert found.config == model.config
    assert not found.calibration.has_label_consistency


def test_weights_of_label_consistency_that_is_switched_off_are_refused(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["calibration"]["same_label"] = 1.5
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match=r"calibration: same_tag, same_label or tag_by_tag .* no use for"):
        checkpoint.load(folder)


@pytest.mark.parametrize("rows", [[[0.1]], [[0.1, 0.2], [0.3]], [["much", 0.1], [0.1, 0.1]], 7, "ab"])
def test_weights_of_pairs_of_tags_that_do_not_fit_are_refused(rows, tmp_path):
    checkpoint.save(small_model(agreement=True), tmp_path / "saved")
    settings = json.loads((tmp_path / "saved" / "config.json").read_text())
    settings["calibration"]["tag_by_tag"] = rows
    rewrite(tmp_path / "saved", "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match="the parts do not fit together"):
        checkpoint.load(tmp_path / "saved")


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


def test_calibrations_of_before_say_what_they_said(folder):
    """``strange`` is what checkpoints call the number for out-of-vocabulary words, and older ones have less."""
    settings = json.loads((folder / "config.json").read_text())
    assert list(settings["calibration"]) == ["temperature", "slope", "offset", "length", "strange"]
    settings["calibration"] = {"temperature": 1.2, "slope": 0.6, "offset": 0.9, "strange": -0.4}
    rewrite(folder, "config.json", json.dumps(settings).encode())
    found = checkpoint.load(folder).calibration
    assert (found.temperature, found.slope, found.offset, found.length, found.oov) == (1.2, 0.6, 0.9, 0.0, -0.4)


@pytest.mark.parametrize("options", [{}, {"documents": True, "hidden": (9, 5, 3)}, {"decoder": "transitions"},
                                     {"vectors": False, "ngram": 0}], ids=str)  # fmt: skip
@pytest.mark.parametrize("number", ["float32", "float16"])
def test_taking_arrays_apart_and_together_changes_nothing(options, number):
    model = small_model(weights=number, **options)
    arrays = arrays_of(model)
    again = Parameters.from_arrays(model.config, model.lexicon, arrays).to_arrays(number)
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


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


def test_other_users_may_read_a_checkpoint(folder):
    """A service runs as another user than training did."""
    assert folder.stat().st_mode & 0o777 == 0o755
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o004, path.name


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


def test_what_is_packed_is_unpacked_byte_for_byte(folder, tmp_path):
    files = checkpoint.pack(folder)
    assert list(files)[-1] == "manifest.json"
    checkpoint.unpack(files, tmp_path / "copy")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert all((folder / name).read_bytes() == (tmp_path / "copy" / name).read_bytes() for name in names)
    assert checkpoint.load(tmp_path / "copy").version == checkpoint.load(folder).version


@pytest.mark.parametrize("name", ["weights.safetensors", "README.md"])
def test_a_damaged_file_is_not_packed(name, folder):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: sha256 "):
        checkpoint.pack(folder)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/b", "", ".."])
def test_a_name_that_leads_out_of_the_folder_is_not_unpacked(name, folder, tmp_path):
    with pytest.raises(CheckpointError, match="is not a plain file name"):
        checkpoint.unpack(checkpoint.pack(folder) | {name: b"no"}, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved"]


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


@pytest.mark.parametrize("digest", [1, None])
def test_a_sum_that_is_not_a_string_is_refused(digest, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["words.txt"]["sha256"] = digest
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"words\.txt: sha256"):
        checkpoint.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["manifest.json", "words.txt"])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(name, folder):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CheckpointError, match="not a regular file"):
        checkpoint.load(folder)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_format_version_is_refused_by_name(folder, version):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format_version"] = version
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=f"format version {version!r}, this program reads version 1"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 1, "files": []}', '{"a":' * 20_000]
)
def test_a_manifest_of_another_shape_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["../secret", "..", "", "a\0b", "\ud800"])
def test_a_manifest_cannot_reach_outside_its_folder(name, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "", "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="plain file name"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors.codes", lambda x: x[:, :, None]),
        ("vectors.codes", lambda x: x.astype(np.float16)),
        ("vectors.codes", lambda x: x[:-1]),
        ("vectors.scale", lambda _: np.ones((3, 1), np.float32)),
        ("pad", lambda x: x.astype(np.float16)),
        ("fields.shape.weight", lambda x: x.astype(np.float64)),
        ("ngrams.weight", lambda x: x.astype(np.int32)),
        ("project.weight", lambda x: x.T),
        ("output.bias", lambda x: x[:-1]),
        ("bias", lambda x: x * np.float32("inf")),
    ],
)
def test_weights_of_another_shape_or_number_type_are_refused(name, change, model):
    """The kernel reads them by address, so nothing may be other than it is said to be."""
    arrays = arrays_of(model)
    with pytest.raises(ValueError, match=f"^{name} "):
        Parameters.from_arrays(model.config, model.lexicon, {**arrays, name: change(arrays[name])})


@pytest.mark.parametrize("name", ["vectors.codes", "vectors.scale", "pad", "topic_scale"])
def test_a_missing_array_is_named(name, model):
    arrays = arrays_of(model)
    del arrays[name]
    with pytest.raises(ValueError, match=f"^{name} is missing"):
        Parameters.from_arrays(model.config, model.lexicon, arrays)


def test_an_array_that_no_such_network_has_is_named(model):
    arrays = {**arrays_of(model), "rest.0.weight": np.zeros((16, 16), np.float32)}
    with pytest.raises(ValueError, match=r"^rest\.0\.weight is not a part of such a network"):
        Parameters.from_arrays(model.config, model.lexicon, arrays)


def test_vectors_of_a_model_without_are_refused():
    """They would be written beyond the row that they are no part of."""
    model = small_model(vectors=False)
    arrays = {**arrays_of(model), "vectors.codes": np.ones((1, 3000), np.float32)}
    with pytest.raises(ValueError, match=r"vectors\.codes"):
        Parameters.from_arrays(model.config, model.lexicon, arrays)


def test_a_word_or_value_that_is_listed_twice_is_refused(model):
    arrays = arrays_of(model)
    twice = Lexicon.of(model.config.features, [*list(model.lexicon.vector_rows)[:-1], "ada"], model.lexicon.field_rows)
    with pytest.raises(ValueError, match="twice"):
        Parameters.from_arrays(model.config, twice, arrays)
    known = {name: [*rows, next(iter(rows))] for name, rows in model.lexicon.field_rows.items()}
    twice = Lexicon.of(model.config.features, list(model.lexicon.vector_rows), known)
    with pytest.raises(ValueError, match="twice"):
        Parameters.from_arrays(model.config, twice, arrays)


def test_weights_that_are_nan_are_refused(model, tmp_path):
    model.parameters.bias_H[0] = float("nan")
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
        ("config.json", b'{"a":' * 20_000),
        ("features.json", b"[" * 20_000),
        ("weights.safetensors", b"\x00" * 40),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_even_with_correct_sums(folder, name, data):
    rewrite(folder, name, data)
    with pytest.raises(CheckpointError, match="do not fit together"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation", "swish"), ("activation", None), ("scheme", "IOB9"), ("labels", [1, 2, 3]), ("labels", "PER"),
        ("context", 2.0), ("hidden", [16.0]), ("features.word", 4.0), ("features.ngram_buckets", 50.0),
        ("features.ngram_sizes", [3.0, 4, 5]), ("features.prefixes", [2, 3, "4"]), ("features.cluster_prefixes", [2.0]),
    ],
)  # fmt: skip
def test_a_configuration_of_other_types_is_refused_by_field(field, value, folder):
    settings = json.loads((folder / "config.json").read_text())
    *sections, name = field.split(".")
    place = settings["model"]
    for section in sections:
        place = place[section]
    place[name] = value
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match=f"model.{field}: expected"):
        checkpoint.load(folder)


@pytest.mark.parametrize("value", [None, [], 1])
def test_a_calibration_of_another_shape_is_refused(value, folder):
    settings = json.loads((folder / "config.json").read_text())
    settings["calibration"] = value
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match="do not fit together"):
        checkpoint.load(folder)


def test_what_is_known_of_words_is_read_back(model, folder):
    assert checkpoint.load(folder).lexicon == model.lexicon


@pytest.mark.parametrize("name", ["clusters.tsv", "lists.tsv"])
def test_gazetteers_are_missed_only_by_a_model_that_asks_for_them(model, folder, name, tmp_path):
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


def test_a_file_of_torch_is_refused(folder, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(1)}, tmp_path / "old.pt")
    rewrite(folder, "weights.safetensors", (tmp_path / "old.pt").read_bytes())
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "old.pt")


def test_a_number_type_that_numpy_lacks_is_refused(folder):
    """bfloat16, which torch writes."""
    header = json.dumps({"pad": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}).encode()
    rewrite(folder, "weights.safetensors", len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointError, match="do not fit together"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("activation", "relux", r"model\.activation: expected one of sigmoid, tanh, relu, gelu, silu"),
        ("scheme", "BILOU", r"model\.scheme: expected one of IOB2, BIOES, IO"),
        ("storage", "int2", r"model\.features\.storage: expected one of float32, float16, int8, int4"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_by_field(folder, field, value, message):
    settings = json.loads((folder / "config.json").read_text())
    place = settings["model"]["features"] if field == "storage" else settings["model"]
    place[field] = value
    rewrite(folder, "config.json", json.dumps(settings).encode())
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(folder)
