"""Builds the image for real and runs it, where a script is named that can do so.

``TRY_IMAGE`` names it. It is called with the project's folder, builds the Dockerfile's default target, runs the image
with ``TRY_RUN_ARGS``, and fails unless it answers ``/readyz`` as a user other than root, its health check tells an
answering service from a frozen one, and SIGTERM ends it. It exits with 0 when all is well, 1 when not, and 2 when it
cannot try on this machine.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFINED = "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges"
CANNOT_TRY = 2


def test_the_image_serves_confined_and_without_a_network():
    """No root, no capability, nothing to write on but /tmp, no network: as a careful operator would run it."""
    script = os.environ.get("TRY_IMAGE")
    if not script:
        pytest.skip("builds an image: set TRY_IMAGE to a script that can")
    run = subprocess.run(
        [script, str(ROOT)],
        env={**os.environ, "TRY_RUN_ARGS": CONFINED},
        check=False,
        capture_output=True,
        text=True,
        timeout=3000,
    )
    if run.returncode == CANNOT_TRY:
        pytest.skip(run.stdout.strip())
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr[-4000:]}"
