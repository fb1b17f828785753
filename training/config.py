"""The description of a training job: TOML and ``section.key=value`` → one frozen, validated RunConfig.

A misspelt key or a value out of range stops the job before any work, with the field's dotted name.
The configuration is stored in the checkpoint it made.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fenestra.model.config import ModelConfig
from fenestra.model.errors import ConfigError
from fenestra.model.suggest import did_you_mean
from fenestra.model.text.language import DEFAULT, language

Loss = Literal["cross_entropy", "focal", "sentence"]
ClassWeights = Literal["none", "balanced", "sqrt_balanced"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["float32", "bfloat16"]
Keep = Literal["best", "last"]
ReadScheme = Literal["auto", "IOB1", "IOB2", "BIOES", "BILOU", "BMES", "IO", "lenient"]
FormatName = Literal[
    "conll", "conllu", "jsonl", "doccano", "prodigy", "spacy-json", "label-studio", "brat", "hf-jsonl", "hf-parquet",
    "spacy",
]  # fmt: skip
ReadFormat = Literal["auto"] | FormatName
Misaligned = Literal["expand", "drop", "refuse"]
VectorFormat = Literal["auto", "word2vec", "word2vec-text", "glove", "fasttext", "kv"]
NotUtf8 = Literal["refuse", "skip", "replace"]

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]

Names = Annotated[tuple[str, ...], Field(min_length=1)]

STRICT = ConfigDict(extra="forbid")

_T = TypeVar("_T")


@dataclass(config=STRICT, kw_only=True, frozen=True)
class ReadingConfig:
    """How corpora are read; the formats are described in docs/formats.md."""

    format: ReadFormat = "auto"
    """Format of the files; auto tells it for each file from its name and contents."""
    scheme: ReadScheme = "auto"
    """How the files write spans as tags; auto finds out for each file. `lenient` reads broken sequences as conlleval
    does, and `IO` labels without a prefix; auto refuses both."""
    word_column: int | str = "auto"
    """The column of the word: its index from 0 (-1 is the last), or its name where the file names its columns. auto is
    the first; FORM in CoNLL-U; `tokens` in files of Hugging Face."""
    tag_column: int | str = "auto"
    """The column of the tag, likewise. auto is the last; `NE=` or `NER=` of MISC in CoNLL-U, where a name may be any
    other key of MISC; `ner_tags` in files of Hugging Face."""
    comments: Annotated[str, Field(min_length=1)] = "auto"
    """What comments of a CoNLL file begin with. auto skips lines that begin with # and cannot be a token and its tag;
    `none` skips nothing."""
    class_names: tuple[str, ...] = ()
    """Tags by their number, such as `["O", "B-PER", "I-PER"]`, for files that hold numbers and do not name them."""
    misaligned: Misaligned = "expand"
    """What becomes of spans of characters that do not fall on token borders: widened to whole tokens, left out, or
    refused."""
    language: str = DEFAULT
    """Code of the language of the texts, such as `en`: which abbreviations the model knows when it reads raw text, and
    with which words its sentences begin. Texts that are read as corpora are parted into tokens so."""

    def __post_init__(self) -> None:
        try:
            language(self.language)
        except ConfigError as error:
            raise ConfigError(f"data.{error}") from None


@dataclass(config=STRICT, kw_only=True, frozen=True)
class DataConfig(ReadingConfig):
    """Which sentences to learn from, and how their labels are read."""

    train: Names
    """Corpora to learn from: files, or NAME:SPLIT of a corpus that `fenestra data fetch NAME` brought."""
    dev: Names
    """Corpora that decide: early stopping, calibration."""
    test: tuple[str, ...] = ()
    """Corpora that are only reported on, once, at the end."""
    unlabelled: tuple[str, ...] = ()
    """Text that the teachers tag: files of one text a line, whose names end in `.txt`, or corpora, whose tags are
    ignored. Needs training.teachers, or training.start, which then teaches what it says of it."""
    root: str = ""
    """Folder that relative file names start from; the folder of the configuration file when empty."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Label → label, applied while reading; O drops it. Other labels that the model has not are errors."""
    drop_mentions: bool | tuple[str, ...] = False
    """Leave out user names of social media: `@name`, or `@` and the token after it. A list leaves them out of the
    corpora it names only, where one corpus marks them as persons and the others do not."""
    titles_outside: bool = False
    """Take a title off the persons of the corpora that are learnt from, as most corpora do: `Mr. [Ito]`,
    `President [Ito]`. Corpora that decide or are reported on keep what they have."""

    def leaves_out_mentions(self, corpus: str) -> bool:
        """Whether user names are left out of a corpus, by its name in the job."""
        return corpus in self.drop_mentions if isinstance(self.drop_mentions, tuple) else self.drop_mentions


@dataclass(config=STRICT, kw_only=True, frozen=True)
class VectorsConfig:
    """Where the pretrained word vectors come from."""

    source: str = "glove"
    """`none`, a fetched set (`glove`), `bundled`, `bundled:russian` or `checkpoint:FOLDER` (those of a model),
    `gensim:NAME` (gensim's downloader), or a file."""
    format: VectorFormat = "auto"
    """Format of a file; auto detects it from the name and the first bytes."""
    not_utf8: NotUtf8 = "refuse"
    """A word of a file that is not UTF-8: refuse the file, skip the word, or replace its bytes by U+FFFD. Not for
    fastText's `.bin` and gensim's `.kv`, which gensim reads."""
    limit: Whole = 0
    """Keep this many words: those of the training corpus first, then in the order of the source; 0 keeps all."""
    width: Whole = 0
    """Compress the vectors to this many numbers, their principal components; 0 keeps them as they are."""
    standardise: bool = True
    """Shift and scale every dimension to mean 0, variance 1 over the words of the training corpus."""
    allow_pickle: bool = False
    """Open gensim's `.kv` files. They are pickles: opening one runs whatever code is in it."""


@dataclass(config=STRICT, kw_only=True, frozen=True)
class ReferenceConfig:
    """Sources of word clusters and name lists (gazetteers)."""

    clusters: str = "none"
    """`none`, a fetched set (`brown`, `brown-es`, `brown-de`), or a file of `word<TAB>path` lines, the most frequent
    words first."""
    limit: Whole = 0
    """Keep the clusters of this many words: those of the training corpus first, then in the order of the source; 0
    keeps all."""
    lists: str | tuple[str, ...] = "none"
    """`none`, a fetched set (`names`, `names-ru`, `brands`, `brands-ru`), or a file of `kind<TAB>name` lines; or a list
    of such."""

    @property
    def all_lists(self) -> tuple[str, ...]:
        """The sources of name lists; none of them is `none`."""
        given = (self.lists,) if isinstance(self.lists, str) else self.lists
        return tuple(source for source in given if source != "none")


@dataclass(config=STRICT, kw_only=True, frozen=True)
class AugmentationConfig:
    """Names in other contexts: what is learnt from besides the corpora. Each field is a switch; 0 or empty is off."""

    renamed: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Copies of each sentence with an entity, on average, in which most names are others of the same label."""
    fragments: Annotated[float, Field(ge=0, le=10)] = 0.0
    """The same of which only a name and a few words around it are left, as in a list or a chat."""
    headlines: Annotated[float, Field(ge=0, le=10)] = 0.0
    """The same in the manner of a headline: without articles, forms of to be, and the stop; half of them capitalised.
    For English."""
    contexts: Whole = 0
    """Short texts that are made of contexts_file."""
    contexts_file: str = ""
    """Patterns of short texts, such as `configs/contexts/english.txt`; `training/data/contexts.py` describes them."""
    small: Fraction = 0.0
    """Share of all these that are written in small letters."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of all these that each epoch uses, drawn anew for each."""
    names: tuple[str, ...] = ()
    """Corpora labelled by machine whose names are used besides those of data.train and of reference.lists, if they
    come four times or more and nearly always with the same label; nothing else is learnt from them."""
    listed: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the names that come from reference.lists, where it has some of their label: of its kinds, `first` and
    `last` for a label of persons (PER, person), `city`, `country` and `region` for one of places (LOC, GPE,
    location), `company` and `brand` for one of organisations (ORG, corporation). Other kinds are for contexts_file."""

    def __post_init__(self) -> None:
        if bool(self.contexts) != bool(self.contexts_file):
            raise ConfigError("augmentation.contexts: expected together with augmentation.contexts_file")
        if not (self.renamed or self.fragments or self.headlines or self.contexts):
            for name in ("small", "share", "names", "listed"):
                if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                    raise ConfigError(
                        f"augmentation.{name}: says how what is made is written; expected together with renamed, "
                        "fragments, headlines or contexts"
                    )


@dataclass(config=STRICT, kw_only=True, frozen=True)
class TrainingConfig:
    """How the weights are found."""

    start: Annotated[str, Field(pattern=r"^(none|bundled(:.+)?|checkpoint:.+)$")] = "none"
    """What the weights are at first: drawn at random (`none`), or those of a trained model: `bundled`,
    `bundled:russian` or `checkpoint:FOLDER`. `model` then has to be that of its config.json, but may name further
    labels. Its words, vectors and calibration stay; `vectors` and `reference` are not looked at."""
    epochs: Count = 20
    """Passes over the training corpus at most."""
    members: Annotated[int, Field(ge=1, le=16)] = 1
    """Networks that are trained one after another, with other random numbers, and averaged: together they are one
    network as many times as wide. More accurate, and as many times as slow. For window models."""
    patience: Whole = 0
    """Stop after this many epochs without a better dev F1; 0 never stops early."""
    batch_tokens: Count = 300
    """Windows in a batch: whole sentences, until there are this many tokens."""
    keep: Keep = "best"
    """Which epoch's weights are kept: those with the best dev F1, or the last. The last is better where dev is so small
    that its F1 is mostly noise."""
    min_count: Count = 2
    """Occurrences in the training corpus from which a feature value gets a row of its own."""
    forget_contacts: bool = False
    """Give no row of their own to mail and web addresses and to words of seven digits or more, so that the checkpoint
    does not contain personal contact data of the corpus."""
    join_sentences: Fraction = 0.0
    """Share of sentence ends inside a document that windows see through, as if a sentence break in raw text was
    missed."""
    isolate_sentences: Fraction = 0.0
    """Share of the sentences that are isolated from their document, like a single sentence in a request; joined
    sentences never are."""
    lower_sentences: Fraction = 0.0
    """Share of the sentences that are written in lower case, with their document."""
    upper_sentences: Fraction = 0.0
    """The same in upper case."""
    typo_sentences: Fraction = 0.0
    """The same with typing errors, one in each of a tenth of the longer words."""
    initials: Fraction = 0.0
    """Share of the sentences that are learnt from once more with the first names of persons of two words as initials,
    before the last name or behind it; those without such a person are passed over."""
    foreign: Fraction = 0.0
    """Share of the sentences that are learnt from once more with made-up words of scripts that write without spaces,
    such as Chinese, around their entities."""
    bare: Fraction = 0.0
    """Share of the sentences of which an entity is learnt from once more by itself, as in a cell of a table."""
    teachers: tuple[str, ...] = ()
    """Folders of checkpoints with the same tags; their mean probabilities are the targets in the unlabelled corpora.
    Where there are none, and training.start is given, those of the network that training starts with are."""
    unlabelled_sentences: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the sentences of the unlabelled corpora that each epoch uses, drawn anew for each."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often an epoch uses each annotated sentence, where they are few beside the unlabelled ones."""
    loss: Loss = "cross_entropy"
    """The loss that is minimised: of each window, or (sentence) of the tags of a sentence together, which goes with
    `model.decoder = "transitions"`."""
    focal_gamma: NotNegative = 2.0
    """γ of the focal loss: the larger, the less a window counts that is already right."""
    label_smoothing: Fraction = 0.0
    """Share of the target that is spread over all tags."""
    class_weights: ClassWeights = "none"
    """Weights of the tags in the loss against their imbalance, by (the root of) inverse frequency."""
    entity_margin: NotNegative = 0.0
    """By how many log odds O is learned lower than its true probability. More entities are found, and more of them are
    wrong; for a corpus with low recall. It is part of the training loss, also for the targets of teachers, and not of
    the dev loss."""
    oversample: Annotated[float, Field(ge=1, le=100)] = 1.0
    """How often an epoch uses a sentence with an entity; one without is used once."""
    optimizer: Optimizer = "adamw"
    """The update rule."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 1e-3
    """Largest learning rate of the schedule."""
    momentum: Fraction = 0.9
    """Momentum of SGD and RMSProp."""
    weight_decay: NotNegative = 0.01
    """L2 penalty; decoupled from the gradient in AdamW (Loshchilov & Hutter 2019)."""
    clip_norm: NotNegative = 0.0
    """Largest norm of the gradient of all weights together; 0 does not clip."""
    schedule: Schedule = "cosine"
    """How the learning rate falls: not at all, along a cosine to 0, or by step_factor every step_epochs."""
    warmup_steps: Whole = 300
    """Updates over which the learning rate first rises from 0; a tenth of all epochs at most."""
    step_epochs: Count = 5
    """Epochs between the drops of the step schedule."""
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Factor of each drop of the step schedule."""
    input_dropout: Fraction = 0.3
    """Share of the components of e(w) that are set to 0 in training."""
    field_dropout: Fraction = 0.0
    """Share of words for which a whole learned field, case excepted, is set to 0 in training. An unseen word lacks such
    fields, too."""
    word_dropout: Fraction = 0.0
    """Share of the tokens of which a recurrent model is shown nothing but their place in training."""
    hidden_dropout: Fraction = 0.5
    """Share of the hidden units that are set to 0 in training; of a recurrent model the same ones for a sequence."""
    average: Fraction = 0.999
    """Decay of the moving average of the weights that is evaluated and kept; 0 keeps the last weights."""
    precision: Precision = "float32"
    """Number type that the factors of the first layer's product are rounded to in training. bfloat16 takes a third of
    the time on a CPU with AMX, and means float32 elsewhere. Sums, weights and all other products are always float32."""


@dataclass(config=STRICT, kw_only=True, frozen=True)
class RunConfig:
    """One training job."""

    data: DataConfig
    model: ModelConfig
    vectors: VectorsConfig = field(default_factory=VectorsConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Same seed, machine, thread count and torch: same weights."""
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """CPU threads."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:N."""
    name: str = ""
    """Title of the model card."""
    description: str = ""
    """Text about the model for its model card, in Markdown."""

    def __post_init__(self) -> None:
        dropping, corpora = self.data.drop_mentions, {*self.data.train, *self.data.dev, *self.data.test}
        if isinstance(dropping, tuple) and (unknown := [name for name in dropping if name not in corpora]):
            raise ConfigError(f"data.drop_mentions: {unknown[0]!r} is none of the corpora of data.train, dev and test")
        training, has_crf = self.training, self.model.decoder == "transitions"
        if has_crf != (training.loss == "sentence"):
            needed = '"sentence"' if has_crf else '"cross_entropy" or "focal"'
            raise ConfigError(
                f'training.loss: expected {needed} for model.decoder = "{self.model.decoder}", got "{training.loss}"'
            )
        of_windows = {
            "label_smoothing": training.label_smoothing > 0,
            "class_weights": training.class_weights != "none",
        }
        if has_crf and (wrong := [name for name, given in of_windows.items() if given]):
            raise ConfigError(
                f'training.{wrong[0]}: not with training.loss = "sentence", which has no loss of a window'
            )
        if training.lower_sentences + training.upper_sentences + training.typo_sentences > 1:
            raise ConfigError("training: expected lower_, upper_ and typo_sentences that add up to 1 at most")
        if training.keep == "last" and training.patience:
            raise ConfigError(
                'training.patience: expected 0 with training.keep = "last", which waits for no better epoch'
            )
        if bool(training.teachers) != bool(self.data.unlabelled) and (training.teachers or training.start == "none"):
            raise ConfigError("training.teachers: expected together with data.unlabelled, the text that they tag")
        if self.data.unlabelled and training.loss != "cross_entropy":
            raise ConfigError(f'training.teachers: not with training.loss = "{training.loss}"')
        self._check_kind()
        for name, width, given in (
            ("clusters", self.model.features.cluster, self.reference.clusters != "none"),
            ("lists", self.model.features.lists, self.reference.all_lists),
        ):
            if width and not given and self.training.start == "none":
                raise ConfigError(f"reference.{name}: expected a source, as the features of the model ask for {name}")

    def _check_kind(self) -> None:
        """Refuse what only a model of the other kind has."""
        training = self.training
        if self.model.kind == "window":
            wrong = {"word_dropout": training.word_dropout > 0}
        else:
            wrong = {
                "precision": training.precision != "float32",
                "join_sentences": training.join_sentences > 0,
                "members": training.members > 1,
                "start": training.start != "none",
            }
        if training.members > 1 and training.start != "none":
            raise ConfigError("training.members: expected 1 with training.start")
        if found := [name for name, given in wrong.items() if given]:
            raise ConfigError(f'training.{found[0]}: not with model.kind = "{self.model.kind}"')
        try:
            self.model.widened(training.members)
        except ConfigError as error:
            raise ConfigError(f"training.members: {training.members} networks are too wide as one: {error}") from None


_ADAPTER = TypeAdapter(RunConfig)
_CORPORA = {("data", field) for field in ("train", "dev", "test", "unlabelled", "drop_mentions")}
_CORPORA |= {("augmentation", "names")}
"""Fields that name corpora."""


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file, apply overrides, and validate.

    ``extends = "other.toml"`` at its top takes over what another file says and this one does not, field by field, also
    in tables such as ``data.rename``; so corpora are looked for where those of the other file are.
    Relative corpus and vector files start at the folder of the configuration file, or at ``data.root``;
    those of an override start at the current folder.

    Raises:
        ConfigError: names the file and line, or the dotted field, and what was expected.
    """
    values = _read_extended(path)
    for override in overrides:
        _apply(values, override)
    return parse_config(values)


def _read_extended(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a file over those of the file that it extends, if it does.

    Args:
        path: of the file.
        below: the files that extend this one.
    """
    values = read_toml(path)
    base, data = values.pop("extends", None), values.get("data")
    if base is None:
        _anchor(values, path.parent)
        return values
    other = path.parent / str(base)
    if not isinstance(base, str) or other.resolve() in (resolved := (*below, path.resolve())):
        raise ConfigError(f"{path}: extends: expected the name of another file, got {base!r}")
    inherited = _read_extended(other, resolved)
    has_root = isinstance(inherited.get("data"), dict)
    takes_root = isinstance(data, dict) and "root" not in data and has_root
    _anchor(values, path.parent)
    if takes_root:
        del values["data"]["root"]
    return _over(values, inherited)


def _over(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What both say, field by field; the first where they differ."""
    both = {
        name: _over(value, base[name]) if isinstance(value, Mapping) and isinstance(base.get(name), Mapping) else value
        for name, value in values.items()
    }
    return {**base, **both}


def any_config(config: Path | str | Mapping[str, Any] | RunConfig, overrides: Sequence[str] = ()) -> RunConfig:
    """A job from a TOML file, from what such a file holds as nested dictionaries, or as it is.

    Relative files in dictionaries start at the current folder.

    Raises:
        ConfigError: as :func:`load_config`; overrides are given beside a job that is complete.
    """
    if isinstance(config, RunConfig):
        if overrides:
            raise ConfigError("overrides: expected none beside a RunConfig; use dataclasses.replace")
        return config
    if not isinstance(config, Mapping):
        return load_config(Path(config), overrides)
    values = deepcopy(dict(config))
    for override in overrides:
        _apply(values, override)
    return parse_config(values)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file of settings as plain values.

    Raises:
        ConfigError: it cannot be read or is no TOML; names the file and line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Validate plain values.

    Raises:
        ConfigError: one line that names each wrong field.
    """
    return validated(_ADAPTER, values)


def validated(adapter: TypeAdapter[_T], values: Mapping[str, Any], section: str = "") -> _T:
    """Validate plain values against any type of ours.

    Args:
        adapter: of the type.
        values: to be validated.
        section: dotted name of what they are the fields of.

    Raises:
        ConfigError: one line that names each wrong field.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        schema = adapter.json_schema()
        raise ConfigError("; ".join(_complaint(detail, section, schema) for detail in error.errors()[:5])) from error


def field_names() -> list[str]:
    """Every field of a job by its dotted name, such as ``training.epochs``; a table of any keys is one field."""
    schema = _ADAPTER.json_schema()

    def below(path: tuple[str, ...]) -> Iterator[str]:
        names = _fields_at(schema, path)
        for name in names:
            yield from below((*path, name))
        if not names:
            yield ".".join(path)

    return [*below(())]


def dump_config(config: RunConfig) -> dict[str, Any]:
    """As plain JSON values; :func:`parse_config` reads them back."""
    dumped: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    return dumped


def write_config(config: RunConfig, folder: Path) -> str:
    """The whole of a configuration as the text of a TOML file for :func:`load_config`.

    Args:
        config: to be written.
        folder: where the file will be; files of the configuration are named from there, so that they are found again
            wherever the two of them are moved together.
    """
    values = dump_config(config)
    values["data"]["root"] = os.path.relpath(config.data.root or ".", folder)

    def moved(source: Any) -> Any:  # noqa: ANN401 - as in JSON
        if isinstance(source, str) and (file := _file_of(source)):
            return f"{file[0]}{os.path.join('.', os.path.relpath(file[1], folder))}"  # noqa: PTH118
        return source

    values["vectors"]["source"] = moved(config.vectors.source)
    for work in ("clusters", "lists"):
        values["reference"][work] = _each(moved, values["reference"][work])
    values["training"]["start"] = moved(config.training.start)
    values["training"]["teachers"] = [os.path.relpath(teacher, folder) for teacher in config.training.teachers]
    if contexts := config.augmentation.contexts_file:
        values["augmentation"]["contexts_file"] = os.path.relpath(contexts, folder)
    return tomli_w.dumps(values, multiline_strings=True)


def publishable_config(config: RunConfig) -> dict[str, Any]:
    """As :func:`dump_config`, without the folders, which are private to one machine.

    The contents of the files are identified by their sha256, so a resumed run is compared with this, too.
    """
    dumped = dump_config(config)
    dumped["data"]["root"] = ""
    dumped["vectors"]["source"] = publishable_source(config.vectors.source)
    dumped["training"]["start"] = publishable_source(config.training.start)
    dumped["training"]["teachers"] = [Path(folder).name for folder in config.training.teachers]
    for work in ("clusters", "lists"):
        dumped["reference"][work] = _each(publishable_source, dumped["reference"][work])
    dumped["augmentation"]["contexts_file"] = Path(config.augmentation.contexts_file).name
    return dumped


def publishable_source(source: str) -> str:
    """The source of vectors without the folder it lies in.

    >>> publishable_source("checkpoint:/home/ada/models/news"), publishable_source("/data/my.txt")
    ('checkpoint:news', 'my.txt')
    """
    kind, colon, rest = source.rpartition(":")
    return source if kind == "gensim" else f"{kind}{colon}{Path(rest).name}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the dotted fields in which two dumped configurations differ, as ``field: old → new``."""
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}: {old} → {new}")
    return found


def _anchor(values: dict[str, Any], folder: Path) -> None:
    """Make the file names of a configuration file independent of the current folder."""
    data = values.get("data")
    if isinstance(data, dict):
        data["root"] = os.path.normpath(folder / str(data.get("root", "")))
    vectors = values.get("vectors")
    if isinstance(vectors, dict) and "source" in vectors:
        vectors["source"] = anchored_source(vectors["source"], folder)
    training = values.get("training")
    if isinstance(training, dict) and "start" in training:
        training["start"] = anchored_source(training["start"], folder)
    if isinstance(training, dict) and isinstance(training.get("teachers"), list):
        training["teachers"] = [os.path.normpath(folder / str(teacher)) for teacher in training["teachers"]]
    reference = values.get("reference")
    if isinstance(reference, dict):
        for work in {"clusters", "lists"} & set(reference):
            reference[work] = _each(lambda source: anchored_source(source, folder), reference[work])
    augmentation = values.get("augmentation")
    if isinstance(augmentation, dict) and augmentation.get("contexts_file"):
        augmentation["contexts_file"] = os.path.normpath(folder / str(augmentation["contexts_file"]))


def _each(change: Callable[[Any], object], sources: object) -> object:
    """What a change makes of a source, or of each of a list of sources."""
    return [change(source) for source in sources] if isinstance(sources, list) else change(sources)


def anchored_source(source: object, folder: Path) -> object:
    """The source of vectors as a file in ``folder`` names it; anything else stays as it is."""
    if isinstance(source, str) and (file := _file_of(source)):
        kind, path = file
        return f"{kind}{os.path.normpath(folder / path)}"
    return source


def _file_of(source: str) -> tuple[str, str] | None:
    """The prefix of a source of vectors, and the file or folder behind it; None where it names no file.

    >>> _file_of("glove"), _file_of("my.txt"), _file_of("checkpoint:runs/x"), _file_of("gensim:glove.6B")
    (None, ('', 'my.txt'), ('checkpoint:', 'runs/x'), None)
    """
    kind, colon, rest = source.rpartition(":")
    return (kind + colon, rest) if kind == "checkpoint" or (not colon and ("/" in rest or "." in rest)) else None


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one ``section.key=value``; the value is TOML, or a bare string."""
    dotted, equals, text = override.partition("=")
    if not equals or not all(dotted.split(".")):
        raise ConfigError(f"{override!r}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{dotted}: {section} is not a section")
    if (*sections, key) in _CORPORA and not isinstance(value, bool):
        value = [_from_here(name) for name in ([value] if isinstance(value, str) else value)]
    values[key] = value


def _from_here(name: object) -> object:
    """A file that the command line names starts at the current folder; NAME:SPLIT stays as it is."""
    return name if not isinstance(name, str) or (":" in name and not Path(name).exists()) else str(Path.cwd() / name)


def _complaint(detail: Any, section: str, schema: Mapping[str, Any]) -> str:  # noqa: ANN401 - pydantic's own record
    where = ".".join(str(part) for part in (section, *detail["loc"]) if part not in ("", "__init__"))
    if detail["type"] == "unexpected_keyword_argument":
        *path, name = detail["loc"]
        return f"{where}: unknown field{did_you_mean(name, _fields_at(schema, path))}"
    if detail["type"] == "missing_argument":
        return f"{where}: missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    hint = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        hint = did_you_mean(detail["input"], re.findall(r"'([^']+)'", detail["ctx"]["expected"]))
    return f"{where}: {message}, got {detail['input']!r}"[:300] + hint


def _fields_at(schema: Mapping[str, Any], path: Iterable[int | str]) -> list[str]:
    """The fields of the section at a path of names, out of the JSON schema of the whole."""

    def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        return part

    place = resolved(schema)
    for name in path:
        place = resolved(place.get("properties", {}).get(name, {}))
    return [*place.get("properties", ())]
