"""What the operator decides: where and how much. What the model *is*, its checkpoint says.

Each field is read from the environment as ``FENESTRA_`` and its name in capitals.
"""

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from model import InputError

PREFIX = "FENESTRA_"
_ELSEWHERE = frozenset({"FENESTRA_CACHE"})  # the training commands' folder of downloads: not ours, and not a slip

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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

    model: Path | None = None
    """Folder of the checkpoint to serve. Without one, the bundled English model."""
    model_name: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = None
    """Name of the model in requests and answers. Without one, the name of its folder."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    """Where to compute: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` takes CUDA where there is one."""
    threads: PositiveInt = 1
    """CPU threads of torch. More than one rarely helps a model of this size."""
    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` is every network interface."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port to listen on; 0 takes a free one."""
    max_body_bytes: PositiveInt = 2 * 1024 * 1024
    """Largest request body, in bytes. A larger one is refused before it is read."""
    max_texts: PositiveInt = 1000
    """Most texts, or sentences of words, in one request."""
    max_chars: PositiveInt = 100_000
    """Longest text, and longest single word of ``tokens``, in Unicode code points."""
    max_tokens: PositiveInt = 100_000
    """Most words in all sentences of one request of ``tokens`` together."""
    max_waiting: Annotated[int, Field(ge=0)] = 64
    """Requests that may wait while another one is computed. The next is refused with 503."""
    deadline_seconds: Seconds = 30.0
    """Longest time from a request's arrival at the model to its answer, in seconds; then 504."""
    start_wait_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """How long the start waits for the model, in seconds, before it goes on loading behind a ``/readyz`` of 503."""
    grace_seconds: Seconds = 10.0
    """How long a stop waits for requests under way, in seconds."""
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Least severe messages that are logged. At ``info``, one line for each request."""

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
    def name(self) -> str:
        """The name that the model is served under."""
        return self.model_name or (self.model.resolve().name if self.model else "english")


def _first_line(error: ValidationError) -> str:
    """The first thing wrong, as ``FENESTRA_PORT: …``."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{str(first['loc'][0]).upper()}: {reason}" if first["loc"] else reason
