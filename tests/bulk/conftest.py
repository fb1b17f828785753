"""What tests of bulk tagging share: a tagger, the command, and units that are small."""

import subprocess
import sys

import pytest

from fenestra.cli.bulk import units
from fenestra.cli.main import main
from fenestra.model.bundled import bundled_model
from fenestra.model.tagger import Tagger

LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="session")
def english():
    return Tagger.load(bundled_model(), device="cpu", threads=1)


@pytest.fixture
def small_units(monkeypatch):
    """Units that are stored hold a few lines."""
    monkeypatch.setattr(units, "_LEAST_BYTES", 200)


@pytest.fixture
def tag(english, monkeypatch, capsys):
    """Run the command in this process; gives the exit code, standard output, and the lines of standard error."""
    monkeypatch.setattr(Tagger, "load", lambda *_, **__: english)

    def run(*words):
        code = main(["tag", "--workers", "1", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, [line.removeprefix("fenestra: ") for line in err.splitlines() if line[:7] != "tagged "]

    return run


@pytest.fixture
def process():
    """Start the command as a process of its own; those that a test leaves are killed."""
    started = []

    def start(*words, **options):
        command = [sys.executable, "-c", LAUNCH, "tag", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        started.append(subprocess.Popen(command, **pipes))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """A file of several units of the usual size, and the result of one worker."""
    path = tmp_path_factory.mktemp("large") / "large.txt"
    path.write_text("".join(f"Anna Berg number {n} met Tom Kerr in Oslo and went to Paris.\n" for n in range(20_000)))
    expected = path.with_name("expected")
    command = [sys.executable, "-c", LAUNCH, "tag", str(path), "-o", str(expected), "--workers", "1"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return path, expected
