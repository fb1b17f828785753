"""Settings of the service: where to serve and how much to allow. What the model *is*, its checkpoint says.

Each field is read from the environment variable ``FENESTRA_`` plus its name in capitals.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import limits
from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fenestra.app.label_map import Rename, read_rename
from fenestra.model.bundled import DEFAULT, bundled_model, find_model
from fenestra.model.engine.cores import available_cores, usable_cores
from fenestra.model.errors import InputError
from fenestra.model.suggest import did_you_mean

PREFIX = "FENESTRA_"
_OTHER_VARIABLES = frozenset({"FENESTRA_CACHE", "FENESTRA_TARGET"})  # of the training commands, of `make wheels`

NAME = r"^[A-Za-z0-9_.-]{1,64}$"
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _form(pattern: str, expected: str) -> AfterValidator:
    """Check that a value has a form; ``expected`` tells people which."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


Origin = Annotated[
    str,
    AfterValidator(str.lower),
    _form(
        r"https?://([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?",
        "origins, scheme and host without a path, such as https://app.example or http://localhost:3000",
    ),
]
HostName = Annotated[
    str,
    _form(r"\*|[A-Za-z0-9._-]{1,253}", "names of hosts, such as tagger.example, or * for all"),
    AfterValidator(str.lower),
]


class NamedFolder(NamedTuple):
    """A checkpoint folder, and the name that it is served under."""

    name: str
    folder: Path


def _split(value: object) -> object:
    """Split a comma-separated list."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _folder(value: object) -> object:
    """Read a folder, or the name of a bundled model."""
    return _found(value) if isinstance(value, str) else value


def _found(model: str) -> Path:
    """The folder of a model that is given by its folder or by the name of a bundled model."""
    try:
        return find_model(model)
    except InputError as error:
        raise ValueError(str(error)) from None


def _own_name(folder: str | Path) -> str:
    """The name of a folder; for a symbolic link, the name of the link and not of its target."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100


def _named_folder(value: object) -> object:
    """Read ``name=folder``, or a folder alone, which is served under its own name."""
    if not isinstance(value, str):
        return value
    before, equals, after = value.partition("=")
    name, folder = (before, after) if equals else (_own_name(value), value)
    if not folder or not re.fullmatch(NAME, name):
        raise ValueError("expected name=folder, or a folder alone, with a name of letters, digits, '.', '_' and '-'")
    return NamedFolder(name, _found(folder))


def _network(value: str) -> str:
    """Check that a value is an IP address or network."""
    ipaddress.ip_network(value, strict=False)
    return value


def _rate(value: str | None) -> str | None:
    """Check that a value is a rate."""
    if value is not None:
        try:
            limits.parse(value)
        except ValueError:
            raise ValueError("expected a rate, such as 100/second or 5000/hour") from None
    return value


def _workers(value: object, read: ValidationInfo) -> object:
    """Read a number of processes, or ``auto``."""
    if not isinstance(value, str):
        return value
    if value == "auto":
        return max(usable_cores() // read.data.get("threads", 1), 1)
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value):
        raise ValueError("expected a number of processes from 1 on, or auto")
    return int(value)


def _key_hash(value: str) -> str:
    """Check that a value is a SHA-256 hash, and not, by mistake, the key itself."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("expected the SHA-256 of each key, 64 hex digits, not the key: printf %s KEY | sha256sum")
    return value.lower()


KeyHash = Annotated[str, AfterValidator(_key_hash)]


Folder = Annotated[NamedFolder, BeforeValidator(_named_folder)]
OneRename = Annotated[Rename, BeforeValidator(read_rename)]
Network = Annotated[str, AfterValidator(_network)]


class Settings(BaseSettings):
    """The settings of the service, frozen. :meth:`read` reports errors in one line, for people."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # compose files pass unset variables as empty ones
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    # ── what is served ──
    model: Annotated[Path | None, BeforeValidator(_folder)] = None
    """Folder of the checkpoint to serve, or the name of a bundled model, such as ``russian``; a folder of that name in
    the current folder takes precedence. If unset, the bundled English model."""
    model_name: Annotated[str, _form(NAME, "1 to 64 letters, digits, '.', '_' and '-'")] | None = None
    """Name of the model in requests and responses. If unset, the name of its folder."""
    models: Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(_split)] = ()
    """Several models, as ``name=folder,name=folder``, instead of ``FENESTRA_MODEL``. Each is a folder or a bundled
    model, as there, and is served under its own name if none is given: ``english,russian``. The first is the default
    model of requests."""
    watch_seconds: Wait = 0.0
    """How often to check whether the files of a model's manifest have changed, and reload it then; 0 never checks."""
    label_map: Annotated[tuple[OneRename, ...], NoDecode, BeforeValidator(_split)] = ()
    """Other names for labels in the answers of ``/hf`` and ``/analyze``, as ``PER:PERSON,LOC:LOCATION``; ``MISC:``
    leaves those entities out, and ``english/PER:PERSON`` is for one model alone. A label that no model has stops the
    start, and fails a reload. If unset, ``/hf`` has the labels of the model, ``/analyze`` those of Presidio."""
    # ── learning from corrections ──
    learn_folder: Path | None = None
    """Folder for corrections of users and for models that learnt from them; made if it is missing, for its owner alone.
    Needs ``FENESTRA_API_KEYS``. If unset, the service keeps no text and learns nothing."""
    max_corrections: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Most corrections that are kept for a model; together they have 16 MiB at most."""
    learn_replay: DirectoryPath | None = None
    """Folder with ``NAME.txt``, text of the kind that the model ``NAME`` is used on, a text a line. It is replayed in
    learning, but for an eighth, which tells what was forgotten. Models of languages other than English and Russian need
    it."""
    learn_seconds: Seconds = 900.0
    """Longest time of a learning, in seconds; then it is ended, and nothing is changed."""
    learn_mb: Annotated[int, Field(ge=256)] = 2048
    """Most memory of the process that learns, in MB; on Linux."""
    # ── computing ──
    device: Annotated[str, _form(r"auto|cpu|cuda(:[0-9]+)?", "auto, cpu, cuda or cuda:N")] = "auto"
    """Where to compute: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` uses CUDA if there is a device."""
    threads: PositiveInt = 1
    """CPU threads for a large batch, at most as many as there are cores. More than one rarely helps."""
    workers: Annotated[PositiveInt, BeforeValidator(_workers)] = 1
    """Processes that serve on one port; ``auto`` for one for each core that this process may use, divided by the
    threads. More than one works on Linux and without a GPU. Queues, connections and buffers are limited in each, and
    each has a cache."""
    cache_mb: PositiveInt = 40
    """Memory for what frequent words add to the network, in MB for each model. More is faster on varied text."""
    cache_numbers: Literal["float32", "int16", "int8"] = "int16"
    """How that is kept. ``int16`` changes a probability by less than 0.0001; ``int8`` takes half the room, is faster,
    and changes one by 0.0002 on average, at worst by 0.1, and one tag in ten thousand; ``float32`` is exact."""
    batch_tokens: Annotated[int, Field(ge=64, le=65536)] = 2048
    """Most tokens in a batch. A larger request is computed in pieces, with other requests in between."""
    max_waiting: PositiveInt = 64
    """Most requests that wait for the model or are being computed. The next one is refused with 503. As many more may
    wait for a reload."""
    max_waiting_tokens: PositiveInt = 500_000
    """Most tokens, about, of these requests together. A request that would exceed it is refused with 503, unless it is
    the only one."""
    deadline_seconds: Seconds = 30.0
    """Longest time from a request's arrival in the queue to its response, in seconds; then 504."""
    stuck_seconds: Seconds = 10.0
    """Longest time of one step of the model, in seconds. After that ``/livez`` fails and the process ends, to be
    restarted."""
    # ── the address ──
    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` listens on every network interface."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port to listen on; 0 picks a free one."""
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names that the ``Host`` and ``Origin`` headers may have, separated by commas; an IP address is always allowed as
    ``Host``. If unset: ``localhost`` alone when listening on a loopback address, else every name."""
    allowed_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins of other hosts whose pages may use the service from a browser (CORS), as ``https://app.example``,
    separated by commas. If unset, none."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks of proxies whose ``X-Forwarded-For`` header is used, separated by commas. If unset, the
    header is ignored."""
    # ── API keys and rate limits ──
    api_keys: Annotated[tuple[KeyHash, ...], NoDecode, BeforeValidator(_split)] = ()
    """SHA-256 of each key, in hex, separated by commas. If set, every route but the probes requires a key."""
    rate_limit: Annotated[str | None, AfterValidator(_rate)] = None
    """Most requests of one client, such as ``100/second`` or ``5000/hour``; the next one is refused with 429. A client
    is a key, or else an address. Probes, metrics and the files of the pages do not count."""
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
    max_buffered_mb: PositiveInt = 32
    """Most memory for bodies that are being read and for responses that are being sent, all together, in MB. Beyond it,
    bodies of more than 64 kB and requests of more than one batch are refused with 503, until clients have read."""
    gzip_min_bytes: Annotated[int, Field(ge=0)] = 4096
    """Smallest response that is compressed for clients that accept gzip; 0 never compresses."""
    # ── slow and idle clients ──
    max_connections: PositiveInt = 1000
    """Most open connections. Beyond it, the one that has been idle longest is closed for a new one."""
    header_seconds: Seconds = 5.0
    """Longest time from the start of a connection, or from the first byte of a further request, to the end of the
    headers, in seconds."""
    body_seconds: Seconds = 8.0
    """Longest time from the headers to the end of the body, in seconds; for a stream, between two pieces of it."""
    write_seconds: Seconds = 8.0
    """How long a client may leave a response unread before its connection is closed, in seconds."""
    keep_alive_seconds: Seconds = 5.0
    """How long an idle connection stays open for a further request, in seconds."""
    # ── start and stop ──
    start_wait_seconds: Wait = 5.0
    """How long the start waits for the model, in seconds. After that the model goes on loading while ``/readyz`` is
    503. Several workers start when it is loaded."""
    drain_seconds: Wait = 1.0
    """How long a shutdown still serves requests while ``/readyz`` is 503, in seconds, so that load balancers notice."""
    grace_seconds: Seconds = 10.0
    """How long a shutdown then waits for requests in progress, in seconds."""
    # ── logs and traces ──
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Lowest severity that is logged. ``info`` has one line for each request."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """One JSON object a line, or text for people. ``auto`` is text on a terminal, else JSON."""
    trusted_tracers: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks of clients whose ``traceparent`` header counts, separated by commas: their requests join
    the client's trace, sampled if the client says so. If unset, it is ignored, and the sampler alone decides."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: object) -> object:
        """Refuse a misspelt variable: its default would stay in force silently."""
        known = variables()
        for variable in sorted(os.environ):
            if variable.upper().startswith(PREFIX) and variable.upper() not in known:
                raise ValueError(f"{variable}: unknown setting{did_you_mean(variable, known, prefix=PREFIX)}")
        return values

    @field_validator("threads")
    @classmethod
    def _no_more_than_cores(cls, threads: int) -> int:
        """More threads than cores only slow each other down."""
        if threads > (cores := available_cores()):
            raise ValueError(f"this machine offers {cores} cores")
        return threads

    @model_validator(mode="after")
    def _enough_cores_for_workers(self) -> Self:
        """More workers than cores only slow each other down, too."""
        if self.workers > 1 and self.workers * self.threads > (cores := available_cores()):
            threads = f" of {self.threads} threads each" if self.threads > 1 else ""
            raise ValueError(f"{PREFIX}WORKERS: {self.workers} workers{threads}: this machine offers {cores} cores")
        return self

    @field_validator("models")
    @classmethod
    def _names_differ(cls, models: tuple[NamedFolder, ...]) -> tuple[NamedFolder, ...]:
        """Two models must not have the same name."""
        if len({name for name, _ in models}) < len(models):
            raise ValueError("two models have the same name")
        return models

    @model_validator(mode="after")
    def _learns_behind_keys(self) -> Self:
        """Whoever may correct may change the model."""
        if self.learn_folder is not None and not self.api_keys:
            raise ValueError(f"{PREFIX}LEARN_FOLDER: learning changes the models, so it needs {PREFIX}API_KEYS")
        return self

    @field_validator("label_map")
    @classmethod
    def _renamed_once(cls, renames: tuple[Rename, ...]) -> tuple[Rename, ...]:
        """A label has one name."""
        if len({(model, label) for model, label, _ in renames}) < len(renames):
            raise ValueError("a label is named twice")
        return renames

    @model_validator(mode="after")
    def _model_or_models(self) -> Self:
        """``models`` excludes ``model`` and ``model_name``; a name that comes from a folder has to be printable."""
        if self.models and (self.model or self.model_name):
            raise ValueError("FENESTRA_MODELS: give either it, or FENESTRA_MODEL and FENESTRA_MODEL_NAME")
        if self.model and not self.model_name and not _own_name(self.model).isprintable():
            raise ValueError("FENESTRA_MODEL: the folder has a name that no log can show; set FENESTRA_MODEL_NAME")
        return self

    @classmethod
    def read(cls, **overrides: object) -> Self:
        """Read the environment; ``overrides`` take precedence, except those that are None.

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


def variables() -> frozenset[str]:
    """Every variable of the environment that means something to Fenestra, in capitals."""
    return frozenset(f"{PREFIX}{name.upper()}" for name in Settings.model_fields) | _OTHER_VARIABLES


def _first_line(error: ValidationError) -> str:
    """The first error, as ``FENESTRA_PORT: …``."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{str(first['loc'][0]).upper()}: {reason}" if first["loc"] else reason
