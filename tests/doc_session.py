"""Runs a page of the documentation as a reader would: its Python, its commands, the files that it shows.

    ```python   typed in, and compared with what is shown, as doctest does: `...` stands for anything
    ```console  lines that begin with `$ ` are run by bash; the lines behind one are what it prints
    ```toml     whose first line is `# NAME.toml` is written to that file

`fenestra serve` runs in the background on a free port until the page ends; localhost:8000 is written as that port.
A block below `<!-- not run: why -->` is not run; one below `<!-- needs: PROGRAM -->` only where that program is.
"""

import contextlib
import doctest
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from tests.conftest import ROOT
from tests.pages import blocks, commands

FLAGS = doctest.ELLIPSIS


def has(program):
    """Whether a program is there; of two words, such as ``docker compose``, also its subcommand."""
    words = program.split()
    found = shutil.which(words[0]) is not None
    return found and (len(words) == 1 or subprocess.run([*words, "version"], capture_output=True).returncode == 0)


class Session:
    """One page, in a folder that looks like the top of the repository."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.names = {"__name__": "__main__"}
        self.servers = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for place in ("data", "training", "model", "docs", "benchmarks", "deploy", "compose.yaml"):
            (folder / place).symlink_to(ROOT / place)
        (folder / "bin").mkdir()
        for program, module in (("fenestra", ["-m", "fenestra"]), ("python", [])):
            script = folder / "bin" / program
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(module)} "$@"\n')
            script.chmod(0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("FENESTRA_")} | {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def run(self, page):
        """Run all of it, in order. Returns how many blocks were run and the reasons why others were not."""
        done, left = 0, []
        try:
            with contextlib.chdir(self.folder):
                for block in blocks(page):
                    if block.mark == "not run" or (block.mark == "needs" and not has(block.why)):
                        left.append(block.why)
                    elif runner := getattr(self, f"_{block.kind}", None):
                        runner(block)
                        done += 1
        finally:
            self.close()
        return done, left

    def close(self):
        for server in self.servers:
            server.terminate()
            server.wait(timeout=30)

    def _python(self, block):
        if not block.text.startswith(">>>"):
            exec(compile(self._here(block.text), f"{self.name}:{block.line}", "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(self._here(block.text), self.names, self.name, self.name, block.line)
        told = []
        outcome = doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=told.append, clear_globs=False)
        self.names.update(test.globs)
        assert outcome.failed == 0, "".join(told)

    def _console(self, block):
        for command, shown in commands(self._here(block.text)):
            if re.match(r"(\w+=.* )?fenestra serve\b", command):
                self._serve(command)
                continue
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, encoding="utf-8",
                timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, f"{self.name}: {command}\n{done.stderr}"
            same = not shown or doctest.OutputChecker().check_output(shown, f"{done.stdout.rstrip()}\n", FLAGS)
            assert same, f"{self.name}: {command}\nexpected {shown}got {done.stdout}{done.stderr}"

    def _toml(self, block):
        if name := re.match(r"# (\w+\.toml)", block.text):
            (self.folder / name[1]).write_text(block.text, encoding="utf-8")

    def _here(self, text):
        return text.replace("localhost:8000", f"127.0.0.1:{self.port}")

    def _serve(self, command):
        """Start it, and wait until it is ready. One that serves already makes room."""
        self.close()
        environment = {**self.environment, "FENESTRA_PORT": str(self.port)}
        self.servers = [subprocess.Popen(["bash", "-c", f"exec env {command}"], cwd=self.folder, env=environment)]
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2).close()
                return
            assert self.servers[0].poll() is None, f"{self.name}: {command} ended"
            time.sleep(0.1)
        raise AssertionError(f"{self.name}: {command} is not ready")
