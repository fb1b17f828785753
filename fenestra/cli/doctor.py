"""The verb ``doctor``: on one screen, what Fenestra finds on this machine, and what to do about what is amiss."""

import argparse
import json
from dataclasses import asdict

from fenestra.cli.shell import Verbs, add_verb, say

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def add_doctor(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "doctor",
        _doctor,
        "check this installation and this machine: kernel, models, extras, memory, port; exit code 1 if one fails",
        examples="  fenestra doctor\n  fenestra doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _doctor(options: argparse.Namespace) -> int:
    from fenestra.cli.checks import check_all

    found = check_all()
    if options.json:
        say(json.dumps({"ok": all(one.state != "fail" for one in found), "checks": [*map(asdict, found)]}, indent=1))
    else:
        for one in found:
            say(f"{_MARKS[one.state]}  {one.name:<12} {one.text}" + (f"\n{'':19}→ {one.remedy}" if one.remedy else ""))
    return int(any(one.state == "fail" for one in found))
