"""Runs so many sequences."""

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
        machine: type[ServiceMachine] = type(
            "Machine", (ServiceMachine,), {"world": world, "sequences": 0, "violations": []}
        )
        try:
            seed(number)(run_state_machine_as_test)(machine, settings=how)
        except Exception as error:
            at, what = machine.violations[0] if machine.violations else (machine.sequences, repr(error))
            return Found(at, world.restarts, "\n".join([what, *getattr(error, "__notes__", [])]))
        return Found(machine.sequences, world.restarts, "")
