"""The program: ``fenestra label-studio``."""

import ipaddress
import logging
import socket
from contextlib import suppress
from pathlib import Path

import uvicorn

from fenestra.app.observability import logs
from fenestra.app.server import bind, signals, url_of
from fenestra.app.settings import Settings
from fenestra.integrations.label_studio import access
from fenestra.integrations.label_studio.projects import Options, Projects
from fenestra.integrations.label_studio.routes import create_app
from fenestra.model.bundled import bundled_model
from fenestra.model.storage import storage_error
from fenestra.training.config import load_config

log = logging.getLogger("fenestra.label_studio")

_DRAIN = 10  # seconds that requests have when the program ends
_CONNECTIONS = 100  # at once; further ones get 503


def serve(
    settings: Settings, output: Path, *, job: Path | None, label_map: dict[str, str], after: int, most_texts: int
) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: model, address and device; those of ``fenestra serve``.
        output: folder for annotations and models.
        job: of the operator; see :mod:`fenestra.integrations.label_studio.retraining`.
        label_map: label of the model → label of the project.
        after: changed annotations that start a training.
        most_texts: texts that are kept for each project.

    Raises:
        InputError: the model, the job or the address is not usable.
        StorageError: the folder is not.
    """
    credentials = access.from_environment()
    if job:
        load_config(job)
    try:
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(output, 0, error) from error
    logs.configure(settings)
    chosen = {"device": settings.device, "threads": settings.threads, "cache_mb": settings.cache_mb}
    model = settings.model or bundled_model()
    options = Options(output.absolute(), model, job, label_map, after, most_texts, chosen)
    app = create_app(Projects(options), credentials)
    with bind(settings.host, settings.port) as listener, signals():
        _say(listener, protected=credentials is not None)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=_DRAIN,
            limit_concurrency=_CONNECTIONS,
        )
        server = uvicorn.Server(config)
        with suppress(SystemExit):
            server.run(sockets=[listener])
        return 0 if server.started else 2


def _say(listener: socket.socket, *, protected: bool) -> None:
    """Log where the backend listens, and that anybody may use it, if so."""
    log.info("%s is what to connect in Label Studio", url_of(listener))
    if not protected and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        log.warning("anybody who reaches this port may train the model: set %s and %s", access.USER, access.PASSWORD)
