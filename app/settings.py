"""What the operator decides: where and how much. What the model *is*, its checkpoint says.

Each field is read from the environment as ``FENESTRA_`` and its name in capitals.
"""

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import limits
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fenestra.model.bundled import DEFAULT, bundled_model, find_model
from fenestra.model.errors import InputError

PREFIX = "FENESTRA_"
_ELSEWHERE = frozenset({"FENESTRA_CACHE", "FENESTRA_TARGET"})  # of the training commands and of `make wheels`: no slips

NAME = r"^[A-Za-z0-9_.-]{1,64}$"
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HostName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9._-]{1,253})$"), AfterValidator(str.lower)]


class NamedFolder(NamedTuple):
    """A checkpoint folder, and the name that it is served under."""

    name: str
    folder: Path


def _split(value: object) -> object:
    """Read a list as the environment gives it: with commas between."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _folder(value: object) -> object:
    """Read a folder, or the name of a bundled model."""
    return _found(value) if isinstance(value, str) else value


def _found(model: str) -> Path:
    """The folder that is meant."""
    try:
        return find_model(model)
    except InputError as error:
        raise ValueError(str(error)) from None


def _own_name(folder: str | Path) -> str:
    """The name that a folder itself has: not resolve(), which would follow a link that is there to be swapped."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100


def _named_folder(value: object) -> object:
    """Read ``name=folder``, or a folder alone, which goes by its own name."""
    if not isinstance(value, str):
        return value
    before, equals, after = value.partition("=")
    name, folder = (before, after) if equals else (_own_name(value), value)
    if not folder or not re.fullmatch(NAME, name):
        raise ValueError("expected name=folder, or a folder alone, with a name of letters, digits, '.', '_' and '-'")
    return NamedFolder(name, _found(folder))


def _network(value: str) -> str:
    """Refuse what is neither an address nor a network."""
    ipaddress.ip_network(value, strict=False)
    return value


def _rate(value: str | None) -> str | None:
    """Refuse what is not a rate."""
    if value is not None:
        try:
            limits.parse(value)
        except ValueError:
            raise ValueError("expected a rate, such as 100/second or 5000/hour") from None
    return value


def _key_hash(value: str) -> str:
    """Refuse what is not a hash: the commonest slip is the key itself."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("expected the SHA-256 of each key, 64 hex digits, not the key: printf %s KEY | sha256sum")
    return value.lower()


KeyHash = Annotated[str, AfterValidator(_key_hash)]


Folder = Annotated[NamedFolder, BeforeValidator(_named_folder)]
Network = Annotated[str, AfterValidator(_network)]


class Settings(BaseSettings):
    """The service's settings, frozen. Use :meth:`read` where a person has to understand what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # compose files pass on what is unset as empty
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    # ── what is served ──
    model: Annotated[Path | None, BeforeValidator(_folder)] = None
    """Folder of the checkpoint to serve, or the name of a bundled model, such as ``russian``; a folder of that name in
    the current one goes before. Without either, the bundled English model."""
    model_name: Annotated[str | None, Field(pattern=NAME)] = None
    """Name of the model in requests and answers. Without one, the name of its folder."""
    models: Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(_split)] = ()
    """Several models, as ``name=folder,name=folder``, instead of ``FENESTRA_MODEL``. Each is a folder or a bundled
    model as there, and goes by its own name where none is given: ``english,russian``. The first answers requests that
    name none."""
    watch_seconds: Wait = 0.0
    """How often to look whether a model's folder has changed, and reload it then; 0 never looks."""
    # ── computing ──
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    """Where to compute: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` takes CUDA where there is one."""
    threads: PositiveInt = 1
    """CPU threads of torch, at most as many as there are cores. More than one rarely helps a model of this size."""
    cache_mb: PositiveInt = 50
    """Memory for what frequent words add to the network, in MB for each model. More is faster on varied text."""
    cache_numbers: Literal["float32", "int16", "int8"] = "int16"
    """How that is kept. ``int16`` changes a probability by less than 0.0001; ``int8`` takes half the room, is faster,
    and changes one by 0.0002 on average, at worst by 0.1, and one tag in ten thousand; ``float32`` is exact."""
    batch_tokens: Annotated[int, Field(ge=64, le=65536)] = 2048
    """Tokens that are tagged together at most; what is larger is taken in pieces, with others in between."""
    max_waiting: PositiveInt = 64
    """Requests that may wait for the model or be at work in it. The next is refused with 503."""
    max_waiting_tokens: PositiveInt = 500_000
    """Tokens, about, that may wait while there is work. A request that would add more is refused with 503."""
    deadline_seconds: Seconds = 30.0
    """Longest time from a request's arrival at the model to its answer, in seconds; then 504."""
    stuck_seconds: Seconds = 10.0
    """How long the model may take over one step of work, in seconds. Then ``/livez`` fails and the process ends, to be
    restarted."""
    # ── the address ──
    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` is every network interface."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port to listen on; 0 takes a free one."""
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names that requests may give as ``Host`` and ``Origin``, with commas between; IP addresses may always. Without
    any: ``localhost`` alone when listening on a loopback address, else every name."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks of proxies whose ``X-Forwarded-For`` is believed, with commas between. Without any:
    nobody's."""
    # ── who may ask, and how often ──
    api_keys: Annotated[tuple[KeyHash, ...], NoDecode, BeforeValidator(_split)] = ()
    """SHA-256 of each key, in hex, with commas between. With any, every route but the probes wants a key."""
    rate_limit: Annotated[str | None, AfterValidator(_rate)] = None
    """Requests of one client, such as ``100/second`` or ``5000/hour``; the next is refused with 429. A client is a key,
    or else an address. Probes, metrics and files of pages do not count."""
    # ── the size of a request ──
    max_body_bytes: PositiveInt = 2 * 1024 * 1024
    """Largest request body, and longest line of a stream, in bytes. A larger one is refused before it is read."""
    max_header_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024)] = 16 * 1024
    """Largest head of a request, in bytes: its first line and all headers."""
    max_texts: PositiveInt = 1000
    """Most texts, or sentences of words, in one request."""
    max_chars: PositiveInt = 100_000
    """Longest text, and longest single word of ``tokens``, in Unicode code points."""
    max_tokens: PositiveInt = 100_000
    """Most words in all sentences of one request of ``tokens`` together."""
    # ── slow and idle clients ──
    max_connections: PositiveInt = 1000
    """Open connections. Beyond it the one that has been idle longest is closed for the new one."""
    header_seconds: Seconds = 5.0
    """Longest time from a connection, or from the first byte of a further request, to the end of the headers."""
    body_seconds: Seconds = 8.0
    """Longest time from the headers to the end of the body; for a stream, between two pieces of it."""
    write_seconds: Seconds = 8.0
    """How long a client may leave an answer unread before its connection is closed."""
    keep_alive_seconds: Seconds = 5.0
    """How long an idle connection stays open for a further request."""
    # ── start and stop ──
    start_wait_seconds: Wait = 5.0
    """How long the start waits for the model, in seconds, before it goes on loading behind a ``/readyz`` of 503."""
    drain_seconds: Wait = 1.0
    """How long a stop goes on taking requests with ``/readyz`` at 503, in seconds, so that load balancers notice."""
    grace_seconds: Seconds = 10.0
    """How long a stop then waits for requests under way, in seconds."""
    # ── logs ──
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Least severe messages that are logged. At ``info``, one line for each request."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """One JSON object a line, or text for people. ``auto``: text on a terminal, else JSON."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: object) -> object:
        """A misspelt variable would leave its default in force without a word."""
        known = [f"{PREFIX}{name.upper()}" for name in cls.model_fields]
        for variable in sorted(os.environ):
            if variable.upper().startswith(PREFIX) and variable.upper() not in {*known, *_ELSEWHERE}:
                near = difflib.get_close_matches(variable.upper(), known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"{variable}: unknown setting{hint}")
        return values

    @field_validator("threads")
    @classmethod
    def _no_more_than_cores(cls, threads: int) -> int:
        """Threads without a core of their own only get in each other's way."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if threads > cores:
            raise ValueError(f"this machine offers {cores} cores")
        return threads

    @field_validator("models")
    @classmethod
    def _names_differ(cls, models: tuple[NamedFolder, ...]) -> tuple[NamedFolder, ...]:
        """Two models of one name: which one answers is anybody's guess."""
        if len({name for name, _ in models}) < len(models):
            raise ValueError("two models have the same name")
        return models

    @model_validator(mode="after")
    def _model_or_models(self) -> Self:
        """One way to say what is served."""
        if self.models and (self.model or self.model_name):
            raise ValueError("FENESTRA_MODELS: give either it, or FENESTRA_MODEL and FENESTRA_MODEL_NAME")
        return self

    @classmethod
    def read(cls, **overrides: object) -> Self:
        """Read the environment; ``overrides`` win over it, and those that are None do not count.

        Raises:
            InputError: one line that names the first setting that is unknown or out of range.
        """
        try:
            return cls.model_validate({name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            raise InputError(_first_line(error)) from None

    @property
    def served(self) -> tuple[NamedFolder, ...]:
        """The models to serve, the default one first."""
        if self.models:
            return self.models
        name = self.model_name or (_own_name(self.model) if self.model else DEFAULT)
        return (NamedFolder(name, self.model or bundled_model()),)


def _first_line(error: ValidationError) -> str:
    """The first thing wrong, as ``FENESTRA_PORT: …``."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{str(first['loc'][0]).upper()}: {reason}" if first["loc"] else reason
