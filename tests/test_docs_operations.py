"""What the pages for operators say is what the code does."""

import asyncio
import hashlib
import json
import logging
import re
import shutil
import subprocess
import types

import httpx
import pytest
import yaml
from starlette.responses import Response
from starlette.routing import Route, Router

from docs.website import service_settings
from fenestra.app.codes import STATUS
from fenestra.app.middleware.observe import ObserveMiddleware
from fenestra.app.middleware.request_id import RequestIdMiddleware
from fenestra.app.observability import logs
from fenestra.app.observability.metrics import REFUSALS, Metrics
from fenestra.app.settings import PREFIX, Settings
from tests.conftest import ROOT
from tests.test_docs_deploy import EXPOSED

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def table(header):
    """The rows of the table that begins with this header, as lists of cells."""
    lines = OPERATIONS.partition(f"\n{header}\n")[2].splitlines()[1:]
    rows = lines[: lines.index("")] if "" in lines else lines
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


class TestSettings:
    def test_every_setting_is_there_once_with_an_effect(self):
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", SETTINGS, re.MULTILINE)
        assert [name for name, *_ in rows] == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
        assert all(effect.endswith(".") for *_, effect in rows)

    def test_what_is_counted_has_a_unit(self):
        numbers = {name for name, field in Settings.model_fields.items() if type(field.default) in (int, float)}
        assert {name for name in numbers if service_settings.unit(name) == "–"} == {"port"}

    def test_a_default_that_the_page_tells_is_one_that_can_be_set(self, monkeypatch):
        for name, default in re.findall(r"^\| `(\w+)` \| [^|]+ \| `([^`]+)` \|", SETTINGS, re.MULTILINE):
            monkeypatch.setenv(name, default)
        assert Settings() == Settings.model_construct()


class TestOperations:
    def test_every_metric_is_explained_as_the_code_explains_it(self):
        told = {}
        for name, meaning, todo in table("| metric | counts | what to do about it |"):
            assert todo
            found = re.fullmatch(r"`(\w+)`(?: by ([\w, ]+))?", name)
            told[found[1]] = meaning, set((found[2] or "").split(", ")) - {""}
        known = {}
        for family in Metrics().registry.collect():
            if family.name.startswith("fenestra_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                series = f"{family.name}_bucket" if family.type == "histogram" else name
                known[name] = family.documentation, EXPOSED[series] - {"le"}
        assert told == known

    def test_every_reason_of_a_refusal_is_explained(self):
        (row,) = [row for row in table("| metric | counts | what to do about it |") if "fenestra_refused" in row[0]]
        assert set(re.findall(r"`(\w+)`", row[2])) == set(REFUSALS)

    def test_every_error_is_explained_with_its_status(self):
        rows = table("| status | code | because | what to do |")
        assert {code.strip("`"): int(status) for status, code, *_ in rows} == STATUS

    def test_every_alert_is_explained_as_it_explains_itself(self):
        rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))
        assert table("| alert | how bad | what it means |") == [
            [f"`{rule['alert']}`", rule["labels"]["severity"], rule["annotations"]["description"]]
            for group in rules["groups"]
            for rule in group["rules"]
        ]

    def test_every_setting_that_is_named_exists(self):
        named = set(re.findall(r"\bFENESTRA_\w+", OPERATIONS))
        assert len(named) > 15
        assert named <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}

    def test_every_metric_that_is_named_exists(self):
        known = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
        known |= {f"{family.name}_total" for family in Metrics().registry.collect() if family.type == "counter"}
        known |= {family.name for family in Metrics().registry.collect()}
        assert set(re.findall(r"\bfenestra_\w+", OPERATIONS)) <= known

    def test_every_path_that_is_named_is_served(self):
        from fenestra.app.main import ROUTERS

        served = {route.path for router in ROUTERS for route in router.routes}
        named = set(re.findall(r"`(?:GET |POST )?(/[\w{}/]+)`", OPERATIONS))
        assert {"/readyz", "/livez", "/metrics", "/tag/stream"} <= named
        assert named <= served
        assert "/models/{name}/reload" in served
        assert "localhost:8000/models/english/reload" in OPERATIONS

    def test_files_that_are_named_exist(self):
        named = re.findall(r"`(deploy/[\w./-]+)`", OPERATIONS) + re.findall(r"-f (deploy/\S+)", OPERATIONS)
        assert len(named) > 3
        assert [name for name in named if not (ROOT / name).is_file()] == []

    def test_a_key_is_hashed_as_the_service_hashes_it(self):
        from fenestra.app.middleware.api_keys import ApiKeys

        if not (shutil.which("openssl") and shutil.which("sha256sum")):
            pytest.skip("openssl or sha256sum is not installed")
        script = re.search(r"^    (KEY=.+)\n    (printf .+)$", OPERATIONS, re.MULTILINE)
        key, digest = subprocess.run(
            ["sh", "-c", f'{script[1]}; echo "$KEY"; {script[2]}'], capture_output=True, check=True, timeout=60
        ).stdout.split()
        assert digest.decode() == hashlib.sha256(key).hexdigest()
        (accepted,) = Settings(api_keys=digest.decode()).api_keys
        assert ApiKeys((accepted,)).check([b"Bearer " + key]) == accepted

    def test_the_line_of_the_log_that_is_shown_has_the_fields_of_a_real_one(self):
        shown = json.loads(re.search(r"```json\n(.+)\n```", OPERATIONS)[1])
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(logs._Json().format(record))
        log = logging.getLogger("uvicorn.error")
        before = log.level
        log.addHandler(handler)
        log.setLevel("INFO")
        try:
            asyncio.run(
                ask(
                    RequestIdMiddleware(
                        ObserveMiddleware(Router([Route("/tag", lambda request: Response())]), Metrics())
                    )
                )
            )
        finally:
            log.removeHandler(handler)
            log.setLevel(before)
        (real,) = map(json.loads, lines)
        assert list(real) == list(shown)
        assert [type(value) for value in real.values()] == [type(value) for value in shown.values()]


async def ask(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
        await http.get("/tag")


class TestManual:
    def test_a_docstring_and_a_range_make_an_effect(self):
        field = types.SimpleNamespace(description="How  many\n``x``.", annotation=int, metadata=[])
        assert service_settings.effect(field) == "How many `x`."
        assert service_settings.effect(Settings.model_fields["batch_tokens"]).endswith("Allowed: 64 to 65536.")
        assert service_settings.effect(Settings.model_fields["log_format"]).endswith(
            "Allowed: `auto`, `json` or `text`."
        )
        assert service_settings.unit("max_header_bytes") == "bytes"
