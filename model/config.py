"""What a model is: features, window, network, tags. Frozen, plain, stored in the checkpoint as JSON."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, get_args

from fenestra.model.errors import ConfigError
from fenestra.model.tags import OUTSIDE, Scheme

Kind = Literal["window", "recurrent"]
Activation = Literal["sigmoid", "tanh", "relu", "gelu", "silu"]
Decoder = Literal["softmax", "transitions"]
Storage = Literal["float32", "float16", "int8", "int4"]
Weights = Literal["float32", "float16"]

# A configuration may come from a stranger: what takes memory or time beyond the files beside it has limits.
_MOST_UNITS = 10_000
_MOST_LAYERS = 16
_MOST_LABELS = 256
_LONGEST_LABEL = 200
_MOST_BUCKETS = 1 << 31
_MOST_SEQUENCE = 10_000
_WIDTHS = ("word", "case", "shape", "affix", "cluster", "lists", "ngram")
_JOINERS = {0x200C: None, 0x200D: None}  # not printable to Python, but letters of Persian and Hindi words need them


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """The parts of e(w), the row of a word. A width of 0 switches a part off."""

    vectors: bool = True
    """The pretrained vector of the word."""
    storage: Storage = "float32"
    """Number type of the vectors in the checkpoint; int8 and int4, two to a byte, keep one scale for each word."""
    word: int = 0
    """Width of a learned row for each word seen often enough in training."""
    case: int = 8
    """Width of the learned row of the word's capitalisation class."""
    shape: int = 0
    """Width of the learned row of the word's shape (``Xxx-dd``)."""
    affix: int = 0
    """Width of the learned row of each prefix and suffix."""
    prefixes: tuple[int, ...] = (2, 3, 4)
    """Prefix lengths, in characters."""
    suffixes: tuple[int, ...] = (2, 3, 4)
    """Suffix lengths, in characters."""
    cluster: int = 0
    """Width of the learned row of each beginning of the word's path in the tree of word clusters. Needs clusters."""
    cluster_prefixes: tuple[int, ...] = (4, 6, 10, 20)
    """Lengths of those beginnings, in bits."""
    lists: int = 0
    """Width of the learned row of the kinds of names that the word is in a gazetteer. Needs name lists."""
    ngram: int = 0
    """Width of the mean of the learned rows of the word's character n-grams."""
    ngram_sizes: tuple[int, ...] = (3, 4, 5)
    """Lengths of the n-grams, in characters, counting the marks of the word's two ends."""
    ngram_buckets: int = 20_000
    """Rows that the n-grams are hashed into."""
    elsewhere: bool = False
    """A row of its own for how the rest of the document writes the word: small, capitalised, in capitals."""
    topic: bool = False
    """The mean vector of the document's words, seen by every window in it. Needs vectors."""

    def widths(self) -> dict[str, int]:
        """Width of each one-valued field that is switched on, by name."""
        sizes = {"word": self.word, "case": self.case, "shape": self.shape}
        sizes |= {f"prefix{size}": self.affix for size in self.prefixes}
        sizes |= {f"suffix{size}": self.affix for size in self.suffixes}
        sizes |= {f"cluster{size}": self.cluster for size in self.cluster_prefixes}
        sizes["lists"] = self.lists
        return {name: width for name, width in sizes.items() if width}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentConfig:
    """What only a model of `model.kind = "recurrent"` has."""

    character: int = 30
    """Width of the learned row of each character; 0 leaves the characters out."""
    filters: int = 50
    """Filters of the convolution over the characters of a word: the width of what it says of the word."""
    filter_width: int = 3
    """Characters that a filter sees, an odd number; each word has a mark at either end."""
    sequence: int = 0
    """Sentences of a document are read in one go until they have this many tokens; 0 reads each by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The whole architecture. With the defaults: the lecture's window of vectors, one hidden layer, a softmax."""

    kind: Kind = "window"
    """How words meet: in a window, or (recurrent) in an LSTM that reads the sentence both ways. A recurrent model is
    slow and only teaches others, by `training.teachers`: nothing serves it."""
    labels: tuple[str, ...]
    """Entity labels, such as PER."""
    scheme: Scheme = "IOB2"
    """How the network writes spans as tags inside. Outside it is always IOB2."""
    context: int = 2
    """C, the words seen on each side of the one that is tagged; 0 for a recurrent model, which sees the sentence."""
    hidden: tuple[int, ...] = (300,)
    """Units of each hidden layer; of each LSTM, in either direction, for a recurrent model."""
    activation: Activation = "tanh"
    """The hidden units' nonlinearity."""
    decoder: Decoder = "softmax"
    """What is learned of tags: each by its window alone (softmax), or also how well one follows another (transitions);
    the latter goes with `training.loss = "sentence"`."""
    agreement: bool = False
    """Whether tokens of a word with a capital heed the others of it in their document before tags are decided."""
    weights: Weights = "float32"
    """Number type of what was learned in the checkpoint. float16 takes half the room; in memory it is float32 again."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)

    def __post_init__(self) -> None:
        for name, (holds, expected) in self.rules().items():
            if not holds:
                raise ConfigError(f"model.{name}: expected {expected}")

    def rules(self) -> dict[str, tuple[bool, str]]:
        """Whether each field is as it has to be, by its name, and what is expected of it."""
        features, recurrent = self.features, self.recurrent
        rules = {
            "context": (_whole(self.context, 0, 50), "between 0 and 50"),
            "hidden": (
                isinstance(self.hidden, list | tuple)
                and 1 <= len(self.hidden) <= _MOST_LAYERS
                and all(_whole(units, 1) for units in self.hidden),
                f"one or more layers, {_MOST_LAYERS} at most, of 1 to {_MOST_UNITS} units",
            ),
            "labels": (
                isinstance(self.labels, tuple)
                and 1 <= len(self.labels) <= _MOST_LABELS
                and all(is_label(label) for label in self.labels)
                and len(set(self.labels)) == len(self.labels),
                f"one or more different labels, {_MOST_LABELS} at most, of 1 to {_LONGEST_LABEL} printable characters, "
                "none of them O",
            ),
            "agreement": (
                isinstance(self.agreement, bool) and (not self.agreement or self.decoder == "softmax"),
                'false with model.decoder = "transitions", which it would pass by',
            ),
            "features": (
                features.vectors or features.ngram > 0 or bool(features.widths()),
                "at least one feature switched on",
            ),
            "features.topic": (features.vectors or not features.topic, "vectors, which it is the mean of"),
            "features.ngram_buckets": (_whole(features.ngram_buckets, 1, _MOST_BUCKETS), f"1 to {_MOST_BUCKETS}"),
            "recurrent.character": (_whole(recurrent.character), f"a width from 0 to {_MOST_UNITS}"),
            "recurrent.filters": (_whole(recurrent.filters, 1), f"1 to {_MOST_UNITS}"),
            "recurrent.filter_width": (
                _whole(recurrent.filter_width, 1, 15) and recurrent.filter_width % 2 == 1,
                "an odd number from 1 to 15",
            ),
            "recurrent.sequence": (_whole(recurrent.sequence, 0, _MOST_SEQUENCE), f"0 to {_MOST_SEQUENCE} tokens"),
        }
        choices: dict[str, tuple[str, Any]] = {
            "kind": (self.kind, Kind),
            "scheme": (self.scheme, Scheme),
            "activation": (self.activation, Activation),
            "decoder": (self.decoder, Decoder),
            "weights": (self.weights, Weights),
            "features.storage": (features.storage, Storage),
        }
        for name, (value, kind) in choices.items():
            rules[name] = (value in get_args(kind), f"one of {', '.join(get_args(kind))}")
        for name in _WIDTHS:
            rules[f"features.{name}"] = (_whole(getattr(features, name)), f"a width from 0 to {_MOST_UNITS}")
        for name in ("vectors", "elsewhere", "topic"):
            if not isinstance(getattr(features, name), bool):
                rules[f"features.{name}"] = (False, "true or false")
        for name in ("prefixes", "suffixes", "ngram_sizes"):
            rules[f"features.{name}"] = (_lengths(getattr(features, name), 12), "different lengths from 1 to 12")
        rules["features.cluster_prefixes"] = (
            _lengths(features.cluster_prefixes, 64),
            "different lengths from 1 to 64",
        )
        if self.kind == "recurrent":
            rules |= {
                "context": (self.context == 0, '0 with model.kind = "recurrent", which has no window'),
                "activation": (self.activation == "tanh", 'tanh with model.kind = "recurrent", that of an LSTM'),
                "agreement": (self.agreement is False, 'false with model.kind = "recurrent", which nothing tags with'),
            }
        else:
            rules["recurrent"] = (recurrent == RecurrentConfig(), 'no such section without model.kind = "recurrent"')
        return rules

    def widened(self, members: int) -> Self:
        """The network that as many window networks are together: their rows and hidden units side by side.

        Raises:
            ConfigError: it would be wider than a network may be.
        """
        widths = {name: members * getattr(self.features, name) for name in _WIDTHS}
        hidden = tuple(members * units for units in self.hidden)
        return replace(self, hidden=hidden, features=replace(self.features, **widths))

    def to_json(self) -> dict[str, object]:
        """As plain values for ``config.json``; those of a window model as they were before there was another kind."""
        values = asdict(self)
        if self.kind == "window":
            del values["kind"], values["recurrent"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read back what :meth:`to_json` wrote, also before ``features.sentence`` was removed.

        Raises:
            ConfigError: a field is unknown or missing, or a value is out of range.
        """

        def frozen(value: Any) -> Any:  # noqa: ANN401 - JSON
            return tuple(value) if isinstance(value, list) else value

        try:
            sections = ("features", "recurrent")
            rest = {name: frozen(value) for name, value in values.items() if name not in sections}
            parts = {name: frozen(value) for name, value in values["features"].items()}
            if parts.pop("sentence", False):
                raise ConfigError("model.features.sentence: is true, and this version no longer has that feature")
            features, recurrent = FeatureConfig(**parts), RecurrentConfig(**values.get("recurrent", {}))
            return cls(**rest, features=features, recurrent=recurrent)
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"model configuration: {error}") from error


def _whole(number: object, least: int = 0, most: int = _MOST_UNITS) -> bool:
    """Whether something, which may come from a file, is a whole number in a range."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def _lengths(numbers: tuple[int, ...], most: int) -> bool:
    """Whether all are different whole numbers from 1 to ``most``."""
    return (
        isinstance(numbers, list | tuple)
        and all(_whole(number, 1, most) for number in numbers)
        and len(set(numbers)) == len(numbers)
    )


def is_label(label: object) -> bool:
    """Whether something is a label that can stand in a line of any file, in a log and in a metric, as it is."""
    return (
        isinstance(label, str)
        and 1 <= len(label) <= _LONGEST_LABEL
        and label != OUTSIDE
        and label == label.strip()
        and label.translate(_JOINERS).isprintable()
    )
