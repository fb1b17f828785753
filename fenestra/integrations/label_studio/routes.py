"""The protocol of Label Studio's ML backends over HTTP.

GET /, /health       is it up
POST /setup          a project connects; answers with the version of its model
POST /predict        tasks → predictions
POST /validate       can a labelling configuration be used
GET, POST /versions  version of a project's model, and how its last training ended
POST /webhook        annotations were made, changed or deleted; or a training is asked for
POST /train          a training is asked for, with all annotations
GET /metrics         nothing
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fenestra.app.errors import frames
from fenestra.integrations.label_studio import events
from fenestra.integrations.label_studio.access import BasicAuthMiddleware, Credentials, refusal
from fenestra.integrations.label_studio.events import project_key
from fenestra.integrations.label_studio.label_config import LabelConfigError
from fenestra.integrations.label_studio.payloads import Event, Payload, Predict, Setup, Train, Validate
from fenestra.integrations.label_studio.predictions import predict, text_of
from fenestra.integrations.label_studio.projects import Projects, controls_of
from fenestra.integrations.label_studio.trainer import Trainer
from fenestra.model.errors import StorageError

log = logging.getLogger("fenestra.label_studio")

MOST_BYTES = 50_000_000
"""Largest body of a request."""
_P = TypeVar("_P", bound=Payload)
_T = TypeVar("_T")
_UP = {"status": "UP", "model_class": "Fenestra"}


class Backend:
    """What the routes share."""

    def __init__(self, projects: Projects, trainer: Trainer) -> None:
        self.projects, self.trainer = projects, trainer

    def setup(self, sent: Setup) -> dict[str, Any]:
        """A project connects, or its predictions are about to be asked for."""
        key = _project(sent.project)
        self._configure(key, sent.label_config)
        return {"model_version": self.projects.tagger(key).version}

    def predict(self, sent: Predict) -> dict[str, Any]:
        """Tag the texts of tasks."""
        key = _project(sent.project)
        try:
            controls = self._configure(key, sent.label_config)
        except StorageError as error:
            if not sent.label_config:
                raise
            log.error("project %s: its configuration is not kept: %s", key, error)
            controls = controls_of(sent.label_config)
        tagger, tasks = self.projects.tagger(key), [task.data for task in sent.tasks]
        self.projects.note_texts(key, controls, tasks)
        results = predict(tagger, controls, self.projects.maps(key, tagger, controls), tasks)
        try:
            self.projects.store.see(key, (text for t in tasks for c in controls if (text := text_of(t, c.field))))
        except StorageError as error:  # no reason to keep predictions back
            log.error("project %s: texts are not kept: %s", key, error)
        return {"results": results, "model_version": tagger.version}

    def validate(self, sent: Validate) -> dict[str, Any]:
        """Say which controls of a configuration are served."""
        found = controls_of(sent.config)
        return {"controls": [{"from_name": c.name, "to_name": c.text, "field": c.field} for c in found]}

    def versions(self, key: str) -> dict[str, Any]:
        """Which model serves a project, and what became of its trainings."""
        training = {"state": self.trainer.state(key), "last": self.projects.last.get(key)}
        waiting = self.projects.store.pending(key)
        return {
            "versions": [self.projects.tagger(key).version],
            "training": {**training, "changed_annotations": waiting},
        }

    def webhook(self, sent: Event) -> dict[str, Any]:
        """Learn of annotations; train when enough have changed, or when that is asked for."""
        if sent.project is None:
            return {}
        key = _project(sent.project.id)
        if sent.action == "PROJECT_DELETED":
            self.projects.forget(key)
            return {}
        label_config = sent.project.label_config or self.projects.store.label_config(key)
        if not label_config:
            return {}
        controls = self._configure(key, label_config)
        event = {**(sent.model_extra or {}), "action": sent.action}
        self.projects.store.see(key, events.texts_of(controls, event))
        changed = events.apply(self.projects.store, key, controls, event)
        after = self.projects.options.after
        enough = changed and after and self.projects.store.pending(key) >= after
        if enough or sent.action == "START_TRAINING":
            self.trainer.ask(key)
        return {"training": self.trainer.state(key)}

    def train(self, sent: Train) -> dict[str, Any]:
        """Learn from all annotations of an export."""
        key = _project(sent.project)
        controls = self._configure(key, sent.label_config)
        events.apply_export(self.projects.store, key, controls, sent.annotations)
        self.trainer.ask(key)
        return {"training": self.trainer.state(key)}

    def _configure(self, key: str, label_config: str | None) -> list[Any]:
        """The controls of a project, whose configuration is remembered."""
        if not label_config:
            label_config = self.projects.store.label_config(key)
            if not label_config:
                raise _Refused(422, "label_config: expected the labelling configuration of the project")
        controls = controls_of(label_config)
        if label_config != self.projects.store.label_config(key):
            self.projects.store.configure(key, label_config)
        return controls


class _Refused(Exception):
    """A request cannot be served."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def create_app(projects: Projects, credentials: Credentials | None = None) -> Starlette:
    """The backend as an ASGI application; its trainer runs as long as it does."""
    trainer = Trainer(projects.retrain)
    backend = Backend(projects, trainer)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        trainer.start()
        try:
            yield
        finally:
            await run_in_threadpool(trainer.close)

    routes = [
        Route("/", _health), Route("/health", _health), Route("/metrics", _metrics),
        _post("/setup", Setup, backend.setup), _post("/predict", Predict, backend.predict),
        _post("/validate", Validate, backend.validate), _post("/webhook", Event, backend.webhook, status=201),
        _post("/train", Train, backend.train, status=201),
        Route("/versions", partial(_versions, backend), methods=["GET", "POST"]),
    ]  # fmt: skip
    handlers: Mapping[Any, Any] = {
        _Refused: _on_refused, LabelConfigError: _on_label_config, HTTPException: _on_http_exception,
        ClientDisconnect: _on_disconnect,
    }  # fmt: skip
    middleware = [Middleware(BasicAuthMiddleware, credentials)] if credentials else []
    return Starlette(routes=routes, exception_handlers=handlers, middleware=middleware, lifespan=lifespan)


def _post(path: str, kind: type[_P], work: Callable[[_P], dict[str, Any]], status: int = 200) -> Route:
    """A path that takes JSON; the work is done on a thread, so that `/health` answers meanwhile."""

    async def endpoint(request: Request) -> Response:
        sent = _validated(kind, await _body(request))
        return JSONResponse(await run_in_threadpool(_safely, work, sent), status)

    return Route(path, endpoint, methods=["POST"])


async def _health(_: Request) -> Response:
    return JSONResponse(_UP)


async def _metrics(_: Request) -> Response:
    return JSONResponse({})


async def _versions(backend: Backend, request: Request) -> Response:
    """The project is named in the query, or in the body."""
    given: object = request.query_params.get("project")
    if given is None and request.method == "POST":
        given = _validated(Setup, await _body(request)).project
    if given is None:
        return JSONResponse({"versions": [backend.projects.base.version]})
    return JSONResponse(await run_in_threadpool(_safely, backend.versions, _project(given)))


async def _body(request: Request) -> bytes:
    """The body, if it is not too long."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise _Refused(413, f"the body is longer than {MOST_BYTES:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _validated(kind: type[_P], body: bytes) -> _P:
    """What was sent; the message of the refusal names fields and nothing of what they held."""
    try:
        sent = json.loads(body)
    except (RecursionError, ValueError):  # of too many brackets; of anything else, too many digits among them
        raise _Refused(400, "the body is no JSON") from None
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        names = kind.model_fields
        where = next((str(part) for part in first["loc"] if part in names or part == "schema"), "body")
        raise _Refused(422, f"{where}: not as expected ({first['type']})") from None


def _project(given: object) -> str:
    key = project_key(given)
    if key is None:
        raise _Refused(422, "project: expected an id")
    return key


async def _on_refused(_: Request, error: _Refused) -> Response:
    closing = {"Connection": "close"} if error.status == 413 else None
    return refusal(error.status, error.message, closing)


async def _on_label_config(_: Request, error: LabelConfigError) -> Response:
    return refusal(422, str(error))


async def _on_http_exception(_: Request, error: HTTPException) -> Response:
    return refusal(error.status_code, {404: "no such path", 405: "no such method"}.get(error.status_code, "refused"))


async def _on_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return refusal(400, "the connection closed before the body was complete")


def _safely(work: Callable[[_T], dict[str, Any]], sent: _T) -> dict[str, Any]:
    """Do the work; of an error that nobody foresaw, log where it was and not its message, which may quote a text."""
    try:
        return work(sent)
    except (_Refused, LabelConfigError):
        raise
    except Exception as error:
        log.error("a request failed with %s", frames(error))
        raise _Refused(500, "something went wrong here; the log says where") from None
