"""What Label Studio sends, as far as it is looked at; all else is passed over."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MOST_TASKS = 10_000

ProjectId = int | str
_Tasks = Annotated[list["Task"], Field(max_length=MOST_TASKS)]


class Payload(BaseModel):
    """Base of all; error messages never repeat what was sent."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Task(Payload):
    """A task; its id is not needed, for answers keep the order."""

    data: dict[str, Any] = Field(default_factory=dict)


class Setup(Payload):
    """Of ``/setup``. The host's name and the user's token are not even read."""

    project: ProjectId
    label_config: str = Field("", alias="schema")


class Predict(Payload):
    """Of ``/predict``."""

    tasks: _Tasks
    project: ProjectId | None = None
    label_config: str | None = None


class Validate(Payload):
    """Of ``/validate``."""

    config: str


class Project(Payload):
    """Of an event."""

    id: ProjectId
    label_config: str | None = None


class Event(Payload):
    """Of ``/webhook``; ``events`` reads the rest of it."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    action: str
    project: Project | None = None


class Train(Payload):
    """Of ``/train``, which Label Studio calls if its webhook for that is switched off."""

    project: ProjectId
    label_config: str
    annotations: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_TASKS)
