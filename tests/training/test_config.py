"""Configuration: what is wrong is named, before any work."""

import re
from pathlib import Path

import pytest

from fenestra.model.errors import ConfigError
from fenestra.training.config import (
    differences,
    dump_config,
    load_config,
    parse_config,
    publishable_config,
    write_config,
)
from fenestra.training.sources import available

GOOD = {"data": {"train": ["a"], "dev": ["b"]}, "model": {"labels": ["PER"]}}
SHIPPED = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))


def with_(section, **values):
    return {**GOOD, section: {**GOOD.get(section, {}), **values}}


def with_crf(**training):
    return {
        **GOOD,
        "model": {**GOOD["model"], "decoder": "transitions"},
        "training": {"loss": "sentence", **training},
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**GOOD, "modle": {}}, "modle: unknown field"),
        (with_("model", hiden=[3]), "model.hiden: unknown field"),
        (with_("model", features={"cas": 3}), "model.features.cas: unknown field"),
        (with_("model", context=-1), "model.context: expected between 0 and 50"),
        (with_("model", hidden=[]), "model.hidden: expected one or more layers"),
        (with_("model", labels=[]), "model.labels: expected one or more different labels"),
        (with_("model", labels=["A", "A"]), "model.labels: expected one or more different labels"),
        (with_("model", activation="relux"), "model.activation: .*'relu'"),
        (with_("model", features={"vectors": False, "case": 0}), "model.features: expected at least one feature"),
        (with_("model", features={"vectors": False, "topic": True}), "model.features.topic: expected vectors"),
        (with_("model", features={"sentence": False}), "model.features.sentence: unknown field"),
        (with_("training", learning_rate="fast"), "training.learning_rate: .*number"),
        (with_("training", learning_rate=float("inf")), "training.learning_rate"),
        (with_("training", keep="last", patience=3), 'training.patience: expected 0 with training.keep = "last"'),
        (with_("training", epochs=0), "training.epochs: .*greater than or equal to 1"),
        (with_("training", input_dropout=1.0), "training.input_dropout: .*less than 1"),
        ({"model": GOOD["model"]}, "data: .*required"),
        (with_("data", dev=[]), "data.dev: .*at least 1"),
        (with_("data", drop_mentions=["c"]), "data.drop_mentions: 'c' is none of the corpora of data.train"),
        (with_("data", drop_mentions="maybe"), "data.drop_mentions"),
        (with_("model", labels=[""]), "model.labels"),
        (with_("training", learning_rate=1e60), "training.learning_rate: .*less than or equal"),
        ({**GOOD, "seed": -1}, "seed"),
        (with_("model", decoder="beam"), "model.decoder: .*'beam'"),
        (
            with_("training", loss="sentence"),
            'training.loss: expected "cross_entropy" or "focal" for model.decoder = "s',
        ),
        (
            with_("model", decoder="transitions"),
            'training.loss: expected "sentence" for .*"transitions", got "cross_ent',
        ),
        ({**GOOD, "augmentation": {"contexts": 5}}, "augmentation.contexts: expected together with .*contexts_file"),
        ({**GOOD, "augmentation": {"contexts_file": "a"}}, "augmentation.contexts: expected together with"),
        ({**GOOD, "augmentation": {"share": 0.5}}, "augmentation.share: .*expected together with renamed"),
        ({**GOOD, "augmentation": {"small": 0.2}}, "augmentation.small: .*expected together with renamed"),
        ({**GOOD, "augmentation": {"names": ["a"]}}, "augmentation.names: .*expected together with renamed"),
        ({**GOOD, "augmentation": {"renamed": -1}}, "augmentation.renamed: .*greater than or equal to 0"),
        (with_crf(loss="focal"), 'training.loss: expected "sentence" for model.decoder = "transitions", got "focal"'),
        (with_crf(label_smoothing=0.1), 'training.label_smoothing: not with training.loss = "sentence"'),
        (with_crf(class_weights="balanced"), 'training.class_weights: not with training.loss = "sentence"'),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(values, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


def test_sentences_and_transitions_go_together():
    config = parse_config(with_crf(oversample=2.0, join_sentences=0.1))
    assert (config.model.decoder, config.training.loss) == ("transitions", "sentence")
    assert parse_config(dump_config(config)) == config
    assert parse_config(GOOD).model.decoder == "softmax"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_are_valid_and_survive_a_round_trip(path):
    config = load_config(path)
    assert parse_config(dump_config(config)) == config


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_begin_with_the_commands_that_run_them(path):
    """What they need is fetched there first; where the files of a corpus lie is said on the command line."""
    head = re.split(r"\n(?:name|extends) = ", path.read_text(encoding="utf-8"))[0]
    config = load_config(path)
    names = [*config.data.train, *config.data.dev, *config.data.test]
    needed = {config.vectors.source, config.reference.clusters, *config.reference.all_lists}
    needed |= {name.partition(":")[0] for name in names}
    fetched = set(re.findall(r"fenestra data fetch ([\w-]+)", head))
    assert fetched == needed & set(available())
    assert re.search(rf"^#   fenestra train training/configs/{path.name} .*--output ", head, re.MULTILINE)
    assert ("data.root=CORPORA" in head) == (Path(config.data.root) == path.parent / "corpora")


@pytest.mark.parametrize("value", ["true", '["b.conll"]', "b.conll"])
def test_an_override_names_the_corpora_whose_user_names_are_left_out(tmp_path, monkeypatch, value):
    """As it names those to learn from: from the current folder on."""
    file = tmp_path / "job.toml"
    file.write_text('[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n')
    monkeypatch.chdir(tmp_path)
    config = load_config(file, ["data.dev=b.conll", f"data.drop_mentions={value}"])
    here = str(tmp_path / "b.conll")
    assert config.data.dev == (here,)
    assert config.data.drop_mentions == (True if value == "true" else (here,))
    assert parse_config(dump_config(config)) == config


def written(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


BASE = """
seed = 7
[data]
train = ["a"]
dev = ["b"]
[model]
labels = ["PER"]
[model.features]
word = 5
case = 6
[reference]
lists = ["names", "mine.tsv"]
"""


def test_a_file_may_extend_another_field_by_field(tmp_path):
    base = written(tmp_path / "base", base=BASE, middle='extends = "base.toml"\n[model]\ncontext = 3\n')
    text = 'extends = "../base/middle.toml"\nname = "x"\n[data]\ndev = ["c"]\n[model.features]\nword = 9\n'
    config = load_config(written(tmp_path / "own", job=text) / "job.toml")
    assert (config.seed, config.name, config.model.context) == (7, "x", 3)
    assert (config.model.features.word, config.model.features.case) == (9, 6)
    assert config.data.dev == ("c",)
    assert config.reference.lists == ("names", str(base / "mine.tsv"))
    assert config.data.root == str(base)


@pytest.mark.parametrize(("base", "message"), [
    ("self", "expected the name of another file, got 'self.toml'"),
    ("first", "second.toml: extends: expected the name of another file, got 'first.toml'"),
    ("none", "none.toml: cannot be read"),
])  # fmt: skip
def test_a_file_that_extends_itself_or_nothing_is_refused(tmp_path, base, message):
    files = {
        name: f'extends = "{of}.toml"\n' for name, of in (("self", "self"), ("first", "second"), ("second", "first"))
    }
    written(tmp_path, **files, job=f'extends = "{base}.toml"\n' + BASE)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / ("job.toml" if base != "self" else "self.toml"))


def test_corpora_of_a_file_that_extends_one_without_corpora_start_at_its_own_folder(tmp_path):
    written(tmp_path / "base", model='[model]\nlabels = ["PER"]\n')
    text = 'extends = "../base/model.toml"\n[data]\ntrain = ["a"]\ndev = ["b"]\n'
    assert load_config(written(tmp_path / "own", job=text) / "job.toml").data.root == str(tmp_path / "own")


def test_a_file_written_elsewhere_finds_lists_clusters_and_teachers_again(tmp_path):
    text = BASE + 'clusters = "my.txt"\n[training]\nteachers = ["runs/t"]\n'
    text = text.replace('dev = ["b"]', 'dev = ["b"]\nunlabelled = ["c"]')
    config = load_config(written(tmp_path / "own", job=text) / "job.toml")
    written(tmp_path / "study", best=write_config(config, tmp_path / "study"))
    again = load_config(tmp_path / "study" / "best.toml")
    assert again.reference == config.reference
    assert again.reference.clusters == str(tmp_path / "own" / "my.txt")
    assert again.training.teachers == config.training.teachers == (str(tmp_path / "own" / "runs" / "t"),)


def test_what_extends_is_a_name(tmp_path):
    with pytest.raises(ConfigError, match="expected the name of another file, got 5"):
        load_config(written(tmp_path, job="extends = 5\n" + BASE) / "job.toml")


def test_files_of_augmentation_start_where_other_files_do(tmp_path, monkeypatch):
    """Those of a file at its folder, those of an override at the current one, and they are found from anywhere else."""
    file = tmp_path / "jobs" / "job.toml"
    file.parent.mkdir()
    file.write_text(
        '[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n'
        '[augmentation]\ncontexts = 1\ncontexts_file = "short.txt"\nnames = ["a"]\n'
    )
    monkeypatch.chdir(tmp_path)
    config = load_config(file)
    assert config.augmentation.contexts_file == str(tmp_path / "jobs/short.txt")
    assert publishable_config(config)["augmentation"]["contexts_file"] == "short.txt"
    assert load_config(file, ["augmentation.names=c.conll"]).augmentation.names == (str(tmp_path / "c.conll"),)
    moved = tmp_path / "runs"
    moved.mkdir()
    (moved / "best.toml").write_text(write_config(config, moved))
    assert load_config(moved / "best.toml").augmentation == config.augmentation


def test_an_override_wins_and_is_read_as_toml(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n')
    config = load_config(file, ["model.hidden=[5, 4]", "training.learning_rate=0.5", "name=Mine", "data.test=c.conll"])
    assert config.model.hidden == (5, 4)
    assert config.training.learning_rate == 0.5
    assert config.name == "Mine"
    assert config.data.test == (str(Path.cwd() / "c.conll"),)


@pytest.mark.parametrize("override", ["seed", "=3", "model..context=3", "seed.x=1"])
def test_an_override_of_another_form_is_refused(override, tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('seed = 1\n[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n')
    with pytest.raises(ConfigError):
        load_config(file, [override])


def test_broken_toml_and_missing_files_are_named(tmp_path):
    (tmp_path / "bad.toml").write_text("[data\n")
    with pytest.raises(ConfigError, match=r"bad\.toml: not valid TOML: .*line 1"):
        load_config(tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_config(tmp_path / "none.toml")


def test_files_named_in_a_configuration_lie_beside_it(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(
        '[data]\nroot = "corpora"\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n'
        '[vectors]\nsource = "checkpoint:../model"\n'
    )
    config = load_config(file)
    assert config.data.root == str(tmp_path / "corpora")
    assert config.vectors.source == f"checkpoint:{tmp_path.parent / 'model'}"


@pytest.mark.parametrize(
    ("source", "kept"),
    [("glove", "glove"), ("none", "none"), ("bundled", "bundled"), ("bundled:russian", "bundled:russian"),
     ("gensim:glove-wiki-gigaword-100", None), ("v.txt", "HERE/v.txt"), ("deep/v.bin", "HERE/deep/v.bin")],
)  # fmt: skip
def test_only_vectors_that_are_files_start_beside_the_configuration(source, kept, tmp_path):
    (tmp_path / "job.toml").write_text(
        f'[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n[vectors]\nsource = "{source}"\n'
    )
    assert load_config(tmp_path / "job.toml").vectors.source == (kept or source).replace("HERE", str(tmp_path))


def test_files_on_the_command_line_start_at_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.toml").write_text('[data]\ntrain = ["a"]\ndev = ["b"]\n[model]\nlabels = ["PER"]\n')
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("jobs/job.toml"), ["data.train=mine.conll", 'data.dev=["conll2003:dev", "x.conll"]'])
    assert config.data.train == (str(tmp_path / "mine.conll"),)
    assert config.data.dev == ("conll2003:dev", str(tmp_path / "x.conll"))


@pytest.mark.parametrize("source", ["glove", "v.txt", "deep/v.bin", "checkpoint:../model", "gensim:glove.6B", "none"])
@pytest.mark.parametrize("root", ["", "corpora", ".."])
def test_a_written_configuration_is_read_back_from_another_folder(source, root, tmp_path):
    (tmp_path / "job.toml").write_text(
        f'description = """\nA "quoted"\nline."""\n[data]\nroot = "{root}"\ntrain = ["a"]\ndev = ["b"]\n'
        f'rename = {{"a b" = "PER"}}\n[model]\nlabels = ["PER"]\n[vectors]\nsource = "{source}"\n'
    )
    config = load_config(tmp_path / "job.toml")
    there = tmp_path / "deep" / "runs"
    there.mkdir(parents=True)
    text = write_config(config, there)
    (there / "job.toml").write_text(text)
    assert load_config(there / "job.toml") == config
    assert str(tmp_path) not in text


def test_differences_are_listed_by_dotted_field():
    before, after = dump_config(parse_config(GOOD)), dump_config(parse_config(with_("training", epochs=7)))
    assert differences(before, after) == ["training.epochs: 20 → 7"]
    assert differences(before, before) == []
