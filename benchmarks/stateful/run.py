"""Runs so many sequences."""

import traceback
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.stateful.machine import ServiceMachine
from benchmarks.stateful.world import World


class Found(NamedTuple):
    """What came of it."""

    sequences: int
    restarts: int
    violation: str
    """What was wrong, and the steps that lead to it; empty if nothing was."""


def run(sequences: int, steps: int, number: int, *, shrink: bool = False, without: str = "") -> Found:
    """Run sequences until one is violated.

    Args:
        sequences: at most.
        steps: of each.
        number: makes the same sequences again.
        shrink: whether to look for a short sequence when one was found.
        without: the safeguard to take away.
    """
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    how = settings(
        max_examples=sequences, stateful_step_count=steps, deadline=None, database=None, phases=phases,
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    with World(without=without) as world:
        machine = type("Machine", (ServiceMachine,), {"world": world, "sequences": 0})
        violation = ""
        try:
            seed(number)(run_state_machine_as_test)(machine, settings=how)
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", []))
            violation = f"{''.join(traceback.format_exception_only(error))}\n{notes}"
        return Found(machine.sequences, world.restarts, violation)  # type: ignore[attr-defined]
