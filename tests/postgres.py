"""A PostgreSQL server of one's own, for a test or a benchmark: on a free port of this machine, gone afterwards."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

PASSWORD = "s3cret/{of}@ours"  # with what a URL, a format string or a configuration file would stumble over


def why_not() -> str:
    """What is missing; empty if nothing is."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install 'fenestra-ner[postgresql]'"
    if _programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and not (shutil.which("runuser") and _user_exists("nobody")):
        return "PostgreSQL does not run as root, and there is no other user"
    return ""


@contextmanager
def own_folder() -> Iterator[Path]:
    """An empty folder that another user may enter, which those of pytest are not."""
    with TemporaryDirectory(prefix="fenestra-postgres-") as folder:
        yield Path(folder)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server in an empty folder; yields the URL of a database there, password and all."""
    programs, port = _programs(), _free_port()
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (folder, password):
            shutil.chown(path, "nobody")
        folder.chmod(0o755)
    make = [f"{programs}/initdb", "-D", data, "-U", "tuner", "--pwfile", password, "-A", "scram-sha-256", "--no-sync"]
    _run(make)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    _run([f"{programs}/pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start"])
    try:
        quoted = PASSWORD.replace("/", "%2F").replace("@", "%40").replace("{", "%7B").replace("}", "%7D")
        yield f"postgresql+psycopg://tuner:{quoted}@127.0.0.1:{port}/postgres"
    finally:
        _run([f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"])


def _run(command: list[object]) -> None:
    as_other = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_other, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)


def _programs() -> Path | None:
    """The folder of initdb, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    there = shutil.which("initdb")
    return found[-1].parent if found else Path(there).parent if there else None


def _user_exists(name: str) -> bool:
    return subprocess.run(["id", name], capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
