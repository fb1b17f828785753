"""Every entry of cases.yaml, on a real server."""

import json
from itertools import chain

import pytest

from benchmarks.soak import TRIALS
from tests.faults import scenarios_body, scenarios_checkpoint, scenarios_http, scenarios_life, scenarios_load
from tests.faults.cases import CASES, CLOSED, SECTIONS, exchange
from tests.faults.world import ask, check_refusal

NUMBERS = {"body": 19, "http": 14, "load": 9, "life": 12, "checkpoint": 6}
SCENARIOS = {
    name: scenario
    for module in (scenarios_body, scenarios_http, scenarios_load, scenarios_life, scenarios_checkpoint)
    for name, scenario in vars(module).items()
    if callable(scenario)
}
SETTLE = 3  # runs of a case before memory is compared: the first ones fill caches and buffers


def cases_with(kind):
    """A parameter for each case that has exchanges, or a scenario."""
    return [
        pytest.param(case, id=case.identifier, marks=[pytest.mark.load] if case.load else [])
        for case in CASES
        if getattr(case, kind)
    ]


EXCHANGES = [pytest.param(case, name, id=f"{case.identifier}-{name}") for case in CASES for name in case.exchanges]


def test_the_file_has_every_case_of_every_section():
    expected = chain.from_iterable(
        [f"{SECTIONS[section]}{number:02}" for number in range(1, count + 1)] for section, count in NUMBERS.items()
    )
    assert [case.identifier for case in CASES] == list(expected)
    assert all(bool(case.exchanges) + bool(case.scenario) + bool(case.where) == 1 for case in CASES)
    assert {case.scenario for case in CASES if case.scenario} <= set(SCENARIOS)
    assert {case.soak for case in CASES if case.soak} <= set(TRIALS)


@pytest.mark.parametrize(("case", "name"), EXCHANGES)
def test_exchange(world, case, name):
    server = world.server(case.server)
    entry = case.exchanges[name]
    wanted = exchange(**entry)
    world.repeat = lambda: ask(server, wanted.raw)
    answer, closed = ask(server, wanted.raw)
    if answer is None:
        assert CLOSED in wanted.allowed
        return
    assert answer.status in wanted.allowed, answer.body[:500]
    assert len(answer.body) <= wanted.most or answer.status < 300
    if answer.status >= 300:
        check_refusal(answer, wanted.raw)
    if wanted.code:
        assert answer.code == wanted.code
    if wanted.results is not None:
        assert json.loads(answer.body)["results"] == wanted.results
    if wanted.closes:
        assert closed


@pytest.mark.parametrize("case", [case for case in CASES if case.grows], ids=lambda case: case.identifier)
def test_memory_does_not_grow(world, case):
    """The exchanges of the case again, after caches and buffers are filled.

    Compared with the most that was held before: how much is given back in between depends on when it is freed.
    """
    server = world.server(case.server)
    before = 0
    for entry in case.exchanges.values():
        for _ in range(SETTLE):
            ask(server, exchange(**entry).raw)
            before = max(before, server.usage().rss)
    for entry in case.exchanges.values():
        ask(server, exchange(**entry).raw)
    assert server.usage().rss - before <= case.grows * 2**20


@pytest.mark.parametrize("case", cases_with("scenario"))
def test_scenario(world, case):
    SCENARIOS[case.scenario](world, case.server, **case.arguments)
