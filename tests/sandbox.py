"""A folder in which commands of documents run as they are written, with stand-ins for what is far away or takes long.

The shell is real, and so is `fenestra`, which runs in this process: a shim on the path sends it what it was given.

    fenestra serve, mcp, label-studio   read their arguments and settings, and do not stay
    fenestra train, tune, learn         read the whole job; what they leave is a small model that was trained before
    fenestra data fetch, conll2003:…    a cache that holds a sample in the place of what the network would bring
    python -m benchmarks.NAME           reads its arguments
    make                                says what it would do (make -n)
    curl                                asks a service that the tests have started, in the place of localhost:8000
    pip, docker, kubectl                check that the extras and files exist that they are given
"""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import traceback
from itertools import pairwise
from pathlib import Path

from fenestra.cli import main as cli
from tests.conftest import ROOT

_SHIM = """\
#!{python} -SE
import json, os, socket, sys
piped = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read() if {reads} else b""
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    head = dict(words=[{name!r}, *sys.argv[1:]], folder=os.getcwd(), environment=dict(os.environ), size=len(piped))
    link.sendall(json.dumps(head).encode() + b"\\n" + piped)
    with link.makefile("rb") as answer:
        head = json.loads(answer.readline())
        sys.stdout.buffer.write(answer.read(head["out"]))
        sys.stderr.buffer.write(answer.read(head["err"]))
sys.exit(head["code"])
"""
_TOOLS = ("fenestra", "python", "make", "pip", "docker", "kubectl", "curl", "taskset")
_STAYING = {"mcp", "label-studio", "export"}  # of tools that are not installed where the tests run, or that stay
_CARGO = ("data", "training", "benchmarks", "docs", "deploy", "tests", "Makefile", "pyproject.toml", "compose.yaml")


class Sandbox:
    """A folder with what the repository holds, and what a reader has; ``run`` gives what is wrong, or nothing."""

    def __init__(self, folder, own, url, cargo=None):
        """Lay it out: ``own`` is the folder of the reader's files, ``cargo`` of what is there besides."""
        self.folder, self.own, self.url = folder, own, url
        for path in [ROOT / name for name in _CARGO] if cargo is None else cargo.iterdir():
            (folder / path.name).symlink_to(path)
        (folder / "runs").mkdir(exist_ok=True)
        self.address = str(folder / ".link")
        for name in _TOOLS:
            self._shim(folder / ".bin" / name, name)
        self._shim(folder / ".venv" / "bin" / "python", "python")
        (folder / ".venv" / "bin" / "activate").touch()

    def _shim(self, path, name):
        path.parent.mkdir(parents=True, exist_ok=True)
        reads = name in ("fenestra", "python")
        path.write_text(_SHIM.format(python=sys.executable, address=self.address, name=name, reads=reads))
        path.chmod(0o755)

    def give(self, script):
        """Put the files of a reader there that a script names and does not make."""
        patterns = (r"data convert \S+ (\S+)", r"data split \S+ \S+ (\S+)", r"data split \S+ \S+ \S+ (\S+)", r"> (\S+)",
                    r"--output (\S+)")  # fmt: skip
        made = {name for pattern in patterns for name in re.findall(pattern, script)}
        for name in self._owned():
            named = re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-])", script)
            source, target = self.own / name, self.folder / name
            if named and name not in made and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    def _owned(self):
        """What a reader has, by the names that scripts use: models lie below runs/."""
        for path in sorted(self.own.iterdir()):
            inner = [found.parent for found in path.rglob("manifest.json")] if path.name == "runs" else []
            yield from [str(found.relative_to(self.own)) for found in inner] or [path.name]
        yield "runs/search"

    def run(self, script):
        """Run a script; returns what it said if it failed, else an empty string."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FENESTRA_")}
        environment |= {"PATH": f"{self.folder / '.bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.folder),
                        "FENESTRA_CACHE": str(self.own / ".cache")}  # fmt: skip
        with socket.socket(socket.AF_UNIX) as door, io.BytesIO() as said:
            Path(self.address).unlink(missing_ok=True)
            door.bind(self.address)
            door.listen()
            door.settimeout(0.1)
            with (self.folder / ".said").open("wb+") as log:
                shell = subprocess.Popen(
                    ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
                while shell.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        self._serve(door.accept()[0])
                log.seek(0)
                said.write(log.read())
            return "" if shell.returncode == 0 else f"{script}exit code {shell.returncode}\n{said.getvalue().decode()}"

    def _serve(self, link):
        with link, link.makefile("rb") as asked:
            link.settimeout(None)
            head = json.loads(asked.readline())
            piped = asked.read(head["size"])
            code, out, err = self._do(head, piped)
            link.sendall(json.dumps({"code": code, "out": len(out), "err": len(err)}).encode() + b"\n" + out + err)

    def _do(self, head, piped):
        """Do what a shim was asked for, in its folder and environment."""
        streams = [io.TextIOWrapper(io.BytesIO(given), encoding="utf-8") for given in (piped, b"", b"")]
        before, here = dict(os.environ), Path.cwd()
        stdin, sys.stdin = sys.stdin, streams[0]
        os.environ.clear()
        os.environ.update(head["environment"])
        os.chdir(head["folder"])
        try:
            with contextlib.redirect_stdout(streams[1]), contextlib.redirect_stderr(streams[2]):
                name, *words = head["words"]
                try:
                    code = getattr(self, f"_{name}")(words) or 0
                except SystemExit as stop:
                    code = stop.code if isinstance(stop.code, int) else 1
                except Exception:  # the shell has to end, and the test shows what it said
                    traceback.print_exc()
                    code = 1
        finally:
            sys.stdin = stdin
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)
        for stream in streams:
            stream.flush()
        return code, streams[1].buffer.getvalue(), streams[2].buffer.getvalue()

    # ── what answers in the place of each tool ──

    def _fenestra(self, words):
        if words[0] in _STAYING:
            cli._parser().parse_args(words)
            return 0
        return cli.main(words)

    def _python(self, words):
        if words[:2] == ["-m", "fenestra"]:
            return self._fenestra(words[2:])
        if words[0] in ("-", "-c"):
            return subprocess.run([sys.executable, *words], input=sys.stdin.buffer.read(), timeout=60).returncode
        if words[:1] != ["-m"] or not words[1].startswith("benchmarks"):
            raise SystemExit(f"no stand-in for python {' '.join(words)}")
        path = ROOT.joinpath(*words[1].split("."))
        if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()):
            return 1
        with contextlib.suppress(ModuleNotFoundError):  # of a tool that is not installed
            module = importlib.import_module(words[1])
            if hasattr(module, "_parser"):
                module._parser().parse_args(words[2:])
        return 0

    def _make(self, words):
        done = subprocess.run(
            [shutil.which("make", path=os.defpath), "-n", "-C", str(ROOT), *words], capture_output=True, timeout=60
        )
        print(done.stderr.decode(), file=sys.stderr)
        return done.returncode

    def _pip(self, words):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        asked = [extra for word in words for names in re.findall(r"\[(.+?)\]", word) for extra in names.split(",")]
        return int(words[0] != "install" or not set(asked) <= set(extras))

    def _docker(self, words):
        files = [words[place + 1] for place, word in enumerate(words) if word == "-f"]
        return int(not all(Path(name).is_file() for name in files or ["compose.yaml"]))

    def _kubectl(self, words):
        pairs = list(pairwise(words))
        files = [Path(value) for option, value in pairs if option == "-f"]
        folders = [Path(value) / "kustomization.yaml" for option, value in pairs if option in ("-k", "kustomize")]
        return int(not all(path.is_file() for path in files + folders))

    def _taskset(self, words):
        return getattr(self, f"_{words[2]}")(words[3:])

    def _curl(self, words):
        asked = [word.replace("localhost:8000", self.url) for word in words]
        done = subprocess.run(
            [shutil.which("curl", path=os.defpath), "--fail", *asked], capture_output=True, timeout=60
        )
        print(done.stderr.decode(), file=sys.stderr)
        return done.returncode
