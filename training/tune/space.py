"""A space of configurations: TOML → the fields of a job that are searched, and the domain of each.

The file looks like a configuration with a range or a list of choices in the place of a value, and a section
``[study]`` with the options of the search:

    [training]
    learning_rate = {low = 1e-3, high = 1e-2, log = true}

A misspelt field, a value that is invalid in a job, and an invalid range are refused before any work, with the dotted
name of the field.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictFloat, StrictInt, TypeAdapter
from pydantic.dataclasses import dataclass

from fenestra.model.errors import ConfigError
from fenestra.model.suggest import did_you_mean
from fenestra.training.config import (
    STRICT,
    Count,
    NotNegative,
    RunConfig,
    Whole,
    anchored_source,
    dump_config,
    parse_config,
    publishable_source,
    read_toml,
    validated,
)

Pruning = Literal["median", "none"]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Number: TypeAlias = StrictInt | StrictFloat
Values = dict[str, Any]
"""Dotted name of each searched field → a plain value."""

SOURCE = "vectors.source"
_SEARCHED = ("model.", "training.", SOURCE, "vectors.standardise")
_FIXED = ("model.labels", "training.members")
_DIGITS = 6  # of a sampled number, so that the number shown is exactly the one used


@dataclass(config=STRICT, kw_only=True, frozen=True)
class StudyConfig:
    """How a space is searched."""

    trials: Count = 50
    """Trials in all, including pruned and failed ones."""
    seeds: tuple[Seed, ...] = ()
    """Each trial trains once with each of these seeds, and its score is their mean; the configuration's own if none."""
    pruning: Pruning = "median"
    """Stop a trial whose best dev F1 so far is below the median of the complete trials at the same epoch; decided by
    the first seed."""
    pruning_trials: Whole = 5
    """Complete trials before the first that may be pruned."""
    pruning_epochs: Whole = 2
    """Epochs of a trial that are never pruned."""
    random_trials: Whole = 10
    """Trials with random values before the sampler uses the results."""
    sampler_seed: Seed = 1
    """Seed of the sampler. Same seed, space and data: same trials, interrupted or not."""
    minutes: NotNegative = 0.0
    """No trial begins when all trials together have taken this long; 0 sets no limit."""


@dataclass(config=STRICT, kw_only=True, frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, both included; whole ones if the field holds whole numbers."""

    low: Number
    high: Number
    step: Number | None = None
    """Only ``low``, ``low`` + ``step``, … up to ``high``."""
    log: StrictBool = False
    """Draw evenly on a logarithmic scale: between 1 and 10 as often as between 10 and 100."""

    def ends(self) -> tuple[Number, ...]:
        """The values that are validated against the job; if they are valid, so are those between."""
        return self.low, self.high

    def holds(self, value: object) -> bool:
        """Whether a value is one of these."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step is None or _divides(self.step, self.low, value)

    def drawn(self, parameter: int | float | str) -> Any:  # noqa: ANN401 - a value of a configuration
        """From the parameter of the sampler to the value of a configuration."""
        if isinstance(self.low, int):
            return int(parameter)
        return min(max(float(f"{float(parameter):.{_DIGITS}g}"), float(self.low)), float(self.high))

    def parameter(self, value: Any) -> Any:  # noqa: ANN401 - a value of a configuration
        """The inverse of :meth:`drawn`."""
        return value


@dataclass(config=STRICT, kw_only=True, frozen=True)
class Choices:
    """Several values of any kind, without an order."""

    choices: Annotated[tuple[Any, ...], Field(min_length=1)]

    def ends(self) -> tuple[Any, ...]:
        """The values that are validated against the job."""
        return self.choices

    def holds(self, value: object) -> bool:
        """Whether a value is one of these."""
        return self.parameter(value) in map(self.parameter, self.choices)

    def drawn(self, parameter: int | float | str) -> Any:  # noqa: ANN401 - a value of a configuration
        """From the parameter of the sampler to the value of a configuration."""
        return json.loads(str(parameter))

    def parameter(self, value: Any) -> str:  # noqa: ANN401 - a value of a configuration
        """The inverse of :meth:`drawn`: a text, which the record of a search can hold whatever the value is."""
        return json.dumps(value, ensure_ascii=False, default=str)


Domain: TypeAlias = Range | Choices

_STUDY, _RANGE, _CHOICES = TypeAdapter(StudyConfig), TypeAdapter(Range), TypeAdapter(Choices)


@dataclass(config=STRICT, kw_only=True, frozen=True)
class Space:
    """The searched fields, and the options of the search."""

    study: StudyConfig
    domains: dict[str, Domain]
    """Dotted name of each searched field → its domain."""

    def fingerprint(self) -> dict[str, Any]:
        """What the trials depend on, as JSON; their number is not part of it."""
        study = {key: value for key, value in asdict(self.study).items() if key not in ("trials", "minutes")}
        return {"study": {**study, "seeds": list(self.study.seeds)}, "domains": self.describe()}

    def holds(self, values: Values) -> bool:
        """Whether all of these values are in the space."""
        return all(domain.holds(values[name]) for name, domain in self.domains.items())

    def describe(self) -> dict[str, Any]:
        """The domains as JSON, without the folders that vectors lie in."""
        domains: dict[str, Any] = json.loads(
            json.dumps({name: asdict(domain) for name, domain in self.domains.items()})
        )
        if SOURCE in domains:
            domains[SOURCE]["choices"] = [publishable_source(source) for source in domains[SOURCE]["choices"]]
        return domains


def load_space(path: Path, config: RunConfig, trials: int | None = None) -> Space:
    """Read a space and make sure that every value in it is valid in the job.

    Args:
        path: a TOML file. Files of vectors that it names start at its folder.
        config: the job.
        trials: their number, in place of the one in the file.

    Raises:
        ConfigError: names the file and the dotted field, and what was expected.
    """
    values = read_toml(path)
    try:
        study = _study(values.pop("study", {}), config)
        found = Space(
            study=replace(study, trials=trials) if trials else study,
            domains={name: _accepted(name, domain, config) for name, domain in _domains(values, config, path.parent)},
        )
        if not found.domains:
            raise ConfigError("expected fields to search, such as training.learning_rate = {low = 1e-3, high = 1e-2}")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return found


def configure(config: RunConfig, values: Values) -> RunConfig:
    """A configuration with other values in some fields.

    Raises:
        ConfigError: they do not go with each other, or with the rest.
    """
    changed = dump_config(config)
    for dotted, value in values.items():
        *sections, key = dotted.split(".")
        place = changed
        for section in sections:
            place = place[section]
        place[key] = value
    return parse_config(changed)


def standing(config: RunConfig, space: Space) -> Values:
    """The values that the searched fields have in a configuration."""
    dumped = dump_config(config)
    return {name: _current(name, dumped) for name in space.domains}


def shown(value: object) -> str:
    """A value as it is written in TOML, numbers to six digits.

    >>> shown([300, 100]), shown(0.00372618), shown(True), shown("relu")
    ('[300, 100]', '0.00372618', 'true', '"relu"')
    """
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _study(values: object, config: RunConfig) -> StudyConfig:
    """Validate the section ``[study]``; without seeds, the seed of the job is used."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"study: expected a section, got {values!r}")
    study = validated(_STUDY, values, "study")
    if len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"study.seeds: expected different ones, got {list(study.seeds)}")
    return study if study.seeds else replace(study, seeds=(config.seed,))


def _domains(values: Mapping[str, Any], config: RunConfig, folder: Path) -> Iterator[tuple[str, Domain]]:
    """Validate every entry of a file; a field that is named twice, once with quotes, is refused."""
    seen: set[str] = set()
    dumped = dump_config(config)
    for dotted, given in _entries(values):
        if dotted in seen:
            raise ConfigError(f"{dotted}: is named twice")
        seen.add(dotted)
        yield dotted, _domain(dotted, given, _current(dotted, dumped), folder)


def _entries(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and their entries, whether the file writes them in sections, dotted, or quoted."""
    for key, value in values.items():
        if isinstance(value, Mapping) and not {"low", "high", "step", "log", "choices"} & set(value):
            yield from _entries(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _current(dotted: str, config: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a value of a configuration
    """The value of a field in the job.

    Raises:
        ConfigError: there is no such field, or trials that differ in it could not be compared.
    """
    place: Any = config
    for part in dotted.split("."):
        if not isinstance(place, Mapping) or part not in place:
            known = [*place] if isinstance(place, Mapping) else []
            raise ConfigError(f"{dotted}: unknown field{did_you_mean(part, known)}")
        place = place[part]
    if isinstance(place, Mapping):
        raise ConfigError(f"{dotted}: is a section, expected a field of it")
    if dotted in _FIXED or not dotted.startswith(_SEARCHED):
        raise ConfigError(
            f"{dotted}: cannot be searched; expected a field of training or model but labels and members, "
            "vectors.source or vectors.standardise"
        )
    return place


def _domain(dotted: str, given: object, current: object, folder: Path) -> Domain:
    """Validate the entry of one field, by its value in the job."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{dotted}: expected {{low = …, high = …}} or {{choices = […]}}, got {given!r}")
    if "choices" in given:
        choices = validated(_CHOICES, given, dotted)
        if dotted == SOURCE:
            choices = replace(choices, choices=tuple(anchored_source(source, folder) for source in choices.choices))
        return choices
    if isinstance(current, bool) or not isinstance(current, int | float):
        raise ConfigError(f"{dotted}: is no number, expected {{choices = […]}}")
    return _checked(dotted, validated(_RANGE, given, dotted), whole=isinstance(current, int))


def _accepted(dotted: str, domain: Domain, config: RunConfig) -> Domain:
    """The domain, if its values are valid in the job; choices as the job stores them, such as 1.0 for 1.

    Raises:
        ConfigError: an end of the range or a choice is invalid, or two choices are equal.
    """
    held = tuple(_current(dotted, dump_config(configure(config, {dotted: value}))) for value in domain.ends())
    if isinstance(domain, Range):
        return domain
    texts = [domain.parameter(value) for value in held]
    if len(set(texts)) < len(texts):
        raise ConfigError(f"{dotted}.choices: expected different ones, got {', '.join(texts)}")
    return Choices(choices=held)


def _checked(dotted: str, domain: Range, *, whole: bool) -> Range:
    """A range as whole numbers or as fractions, if it is valid."""
    numbers = {"low": domain.low, "high": domain.high} | ({} if domain.step is None else {"step": domain.step})
    for key, number in numbers.items():
        if whole and not isinstance(number, int):
            raise ConfigError(f"{dotted}.{key}: expected a whole number, got {number}")
        if not math.isfinite(number):
            raise ConfigError(f"{dotted}.{key}: expected a finite number, got {number}")
    if not whole:
        domain = Range(**{key: float(number) for key, number in numbers.items()}, log=domain.log)
    rules = {
        "high": (domain.low < domain.high, f"more than low, {domain.low}"),
        "log": (not domain.log or domain.low > 0, "low above 0 for a logarithmic scale"),
        "step": (
            domain.step is None
            or (not domain.log and domain.step > 0 and _divides(domain.step, domain.low, domain.high)),
            "a whole number of steps from low to high, and no log",
        ),
    }
    for key, (holds, expected) in rules.items():
        if not holds:
            raise ConfigError(f"{dotted}.{key}: expected {expected}")
    return domain


def _divides(step: float, low: float, high: float) -> bool:
    """Whether it is a whole number of steps from one number to another, as decimal fractions and not as binary ones."""
    return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0
