"""What many tests share: the repository, a job that takes seconds, and a model that was really trained."""

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from fenestra.training.config import RunConfig, load_config
from fenestra.training.job import train

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "training" / "configs" / "sample.toml"

settings.register_profile("untimed", deadline=None)  # a busy machine makes no answer wrong
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def quick_job() -> RunConfig:
    """The sample job without vectors, cut to three short epochs on one thread."""
    overrides = [
        "vectors.source=none", "model.features.vectors=false", "model.hidden=[32]", "training.epochs=3", "threads=1",
        "model.features.ngram_buckets=200",
    ]  # fmt: skip
    return load_config(SAMPLE, overrides)


@pytest.fixture(scope="session")
def sample_model(tmp_path_factory, worker_id) -> Path:
    """The checkpoint of the sample job, trained once for the tests of all processes that need one which has learned."""
    folder = tmp_path_factory.getbasetemp()
    model = (folder if worker_id == "master" else folder.parent) / "sample-model"
    with FileLock(f"{model}.lock"):
        return model if model.exists() else train(replace(load_config(SAMPLE), threads=1), model)


_SLOW_MARKS = ("slow", "training", "browser", "load", "wheel")
_SLOW_FILES = tuple(  # files that take ten seconds or more, and folders of them
    f"tests/{name}"
    for name in """
    test_cli.py test_docs_commands.py test_tag_files.py test_website.py bulk/ faults/ integrations/ workers/
    app/test_direct.py app/test_encodings.py app/test_http_deadlines.py app/test_http_drain.py app/test_learning.py
    app/test_reloads.py benchmarks/test_cold.py benchmarks/test_rolling_update.py benchmarks/test_service.py
    model/test_arrow.py model/test_batch_invariance.py model/test_explain.py model/test_lookups.py model/test_native.py
    model/test_progress.py model/test_untrusted.py training/test_calibrate.py training/test_embed.py
    training/test_ensemble.py training/test_job.py training/test_learn.py training/test_loop.py training/test_packed.py
    training/test_recurrent_teacher.py training/test_shared_search.py training/test_tune.py training/test_vectors.py
    """.split()
)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    """Mark the tests of files that take long: `make test-fast` leaves them out."""
    if item.nodeid.startswith(_SLOW_FILES):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the files that take long first: handed out last, one of them would keep one process busy alone."""
    slow = {item.path for item in items if any(map(item.get_closest_marker, _SLOW_MARKS))}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Let what a test printed be sent by a worker: it may hold half a character, which is no UTF-8."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report
