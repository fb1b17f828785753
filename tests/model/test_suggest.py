"""What an unknown name may have meant."""

import pytest

from fenestra.app.settings import PREFIX, Settings
from fenestra.model.suggest import did_you_mean, near

VERBS = ["serve", "tag", "train", "tune", "evaluate", "data"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("trian", "train"), ("Tag", "tag"), ("tga", "tag"), ("evalute", "evaluate"), ("dta", "data"), ("serv", "serve")],
)
def test_a_slip_of_the_fingers_is_understood(name, meant):
    assert near(name, VERBS) == [meant]


@pytest.mark.parametrize("name", ["", "x", "bogus", "bag", "delete", "train-a-model-for-me", "данные"])
def test_what_is_far_from_all_is_not_guessed_at(name):
    assert near(name, VERBS) == []
    assert did_you_mean(name, VERBS) == ""


def test_no_setting_is_taken_for_another_for_their_common_beginning():
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    assert did_you_mean("FENESTRA_ZZZZ", names, prefix=PREFIX) == ""
    assert did_you_mean("FENESTRA_WROKERS", names, prefix=PREFIX) == "; did you mean FENESTRA_WORKERS?"


def test_the_nearest_comes_first_and_no_more_than_asked_for():
    assert near("munih", ["munich", "munch", "mu"], n=2) == ["munich", "munch"]
