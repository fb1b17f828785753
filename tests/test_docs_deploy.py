"""The files that put the service to work elsewhere: the image, compose, Prometheus, Grafana. They parse, they are
valid, and what they name is there. (Kubernetes: tests/test_kubernetes.py.)"""

import json
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from fenestra.app.main import ROUTERS
from fenestra.app.observability import traces
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import PREFIX, Settings
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "fenestra.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def paths():
    """Every path that answers GET."""
    return {route.path for router in ROUTERS for route in router.routes if "GET" in route.methods}


def test_the_packages_of_the_image_are_locked_with_hashes():
    lock = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", lock, re.MULTILINE))
    entries = re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for wanted in map(Requirement, [*project["dependencies"], *extras["serve"], *extras["otel"]]):
        assert wanted.specifier.contains(pinned[wanted.name]), wanted
    assert "torch" not in pinned
    assert "--require-hashes -r /requirements/requirements.lock" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def settings_of(environment):
    """The settings that a container gets."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if value is not None}
    return Settings(**given)


def stop_seconds(settings):
    """How long a stop takes at most."""
    return settings.drain_seconds + settings.grace_seconds + traces._FLUSH_SECONDS


class TestCompose:
    services = COMPOSE["services"]

    @pytest.mark.parametrize("name", ["api", "api-gpu"])
    def test_what_is_passed_on_is_a_setting_and_the_common_ones_are(self, name):
        passed = set(self.services[name]["environment"])
        assert {name for name in passed if not name.startswith("OTEL_")} <= VARIABLES
        assert passed >= {
            "FENESTRA_MODEL", "FENESTRA_MODELS", "FENESTRA_WATCH_SECONDS", "FENESTRA_API_KEYS", "FENESTRA_RATE_LIMIT",
            "FENESTRA_MAX_WAITING", "FENESTRA_BATCH_TOKENS", "FENESTRA_LOG_LEVEL", "FENESTRA_LOG_FORMAT",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["api", "api-gpu"])
    def test_a_stop_is_given_its_time(self, name):
        assert int(self.services[name]["stop_grace_period"].removesuffix("s")) > stop_seconds(Settings())

    @pytest.mark.parametrize("name", ["api", "api-gpu"])
    def test_the_service_is_published_on_loopback_unless_told_otherwise(self, name):
        assert self.services[name]["ports"] == ["${BIND:-127.0.0.1}:${PORT:-8000}:8000"]

    def test_the_base_image_can_be_named_by_its_digest(self):
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
        stages = set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE))
        assert bases - stages == {"${PYTHON_IMAGE}", "scratch"}
        for name in ("api", "api-gpu"):
            assert self.services[name]["build"]["args"]["PYTHON_IMAGE"].startswith("${PYTHON_IMAGE:-python:3.11-slim")

    @pytest.mark.parametrize("name", ["prometheus", "grafana"])
    def test_what_watches_is_pinned_and_is_shown_to_this_machine_only(self, name):
        service = self.services[name]
        assert service["profiles"] == ["observe"]
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
        assert [port for port in service["ports"] if not port.startswith("127.0.0.1:")] == []

    @pytest.mark.parametrize("name", ["prometheus", "grafana"])
    def test_what_is_mounted_is_there_and_read_only(self, name):
        mounts = [volume.split(":") for volume in self.services[name]["volumes"] if volume.startswith(".")]
        assert mounts
        for source, _, mode in mounts:
            assert (ROOT / source).exists(), source
            assert mode == "ro"
        kept = [volume.split(":")[0] for volume in self.services[name]["volumes"] if not volume.startswith(".")]
        assert set(kept) <= set(COMPOSE["volumes"])

    def test_prometheus_reads_the_files_that_are_mounted(self):
        (mount,) = [volume for volume in self.services["prometheus"]["volumes"] if volume.startswith(".")]
        folder, target, _ = mount.split(":")
        assert f"--config.file={target}/prometheus.yaml" in self.services["prometheus"]["command"]
        assert [name for name in PROMETHEUS["rule_files"] if not (ROOT / folder / name).is_file()] == []

    def test_prometheus_asks_the_service_and_grafana_asks_prometheus(self):
        (job,) = PROMETHEUS["scrape_configs"]
        assert job["static_configs"] == [{"targets": ["api:8000"]}]
        assert job.get("metrics_path", "/metrics") in paths()
        source = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text(encoding="utf-8"))["datasources"][0]
        assert source["url"] == "http://prometheus:9090"
        assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
        used = {panel["datasource"]["uid"] for panel in PANELS}
        assert used == {source["uid"]}

    def test_grafana_finds_the_dashboard(self):
        targets = {volume.split(":")[1]: volume.split(":")[0] for volume in self.services["grafana"]["volumes"]}
        provider = yaml.safe_load((DEPLOY / "grafana" / "provider.yaml").read_text(encoding="utf-8"))["providers"][0]
        folder = provider["options"]["path"]
        home = self.services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert home.startswith(folder)
        assert (ROOT / targets[folder] / home.removeprefix(f"{folder}/")).is_file()


# ── queries: a small reader of PromQL, enough to tell metrics and labels from all else ──

FUNCTIONS = frozenset({"avg_over_time", "rate", "increase", "deriv", "histogram_quantile", "sum", "max", "count"})
WORDS = frozenset({"and", "or", "unless", "bool", "offset"})
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)?\s*\{((?:[^}"]|"[^"]*")*)\}')
TARGET_LABELS = frozenset({"instance", "job"})  # which Prometheus adds


def read_query(query):
    """The metrics of a query, each with the labels that it is selected by; and the labels it is grouped by."""
    query = query.replace("$__rate_interval", "5m")
    assert query.count("(") == query.count(")"), query
    grouped = {label.strip() for _, labels in GROUPING.findall(query) for label in labels.split(",") if label.strip()}
    query = GROUPING.sub(" ", query)
    selected = {
        name: set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"', matchers))
        for name, matchers in SELECTOR.findall(query)
    }
    rest = re.sub(r"\[[^\]]*\]|\boffset \w+", " ", SELECTOR.sub(" ", query))
    for name, call in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\()?", re.sub(r"\b[\d.]+(e\d+)?\b", " ", rest)):
        if call:
            assert name in FUNCTIONS, f"{name}() in {query}"
        elif name not in WORDS:
            selected.setdefault(name, set())
    return selected, grouped


def exposed():
    """Every series name that the service has, with its labels; and those that Prometheus makes itself."""
    metrics = Metrics()
    metrics.answered({"method": "GET"}, 200, 0.01)
    metrics.model_loaded("english", "v1")
    metrics._entities.of("PER")
    found = {"up": set()}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


EXPOSED = exposed()
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
QUERIES += [(rule["alert"], rule["expr"]) for rule in RULES]


class TestQueries:
    @pytest.mark.parametrize(("title", "query"), QUERIES, ids=lambda text: re.sub(r"\W+", "-", text)[:40])
    def test_every_metric_and_label_of_a_query_is_exposed(self, title, query):
        metrics, grouped = read_query(query)
        assert metrics, query
        for name, labels in metrics.items():
            assert name in EXPOSED, f"{title}: {name}"
            assert labels <= EXPOSED[name] | TARGET_LABELS, f"{title}: {name} {labels}"
        assert grouped <= set().union(*(EXPOSED[name] for name in metrics)) | TARGET_LABELS, title

    def test_a_misspelt_metric_label_or_function_would_be_noticed(self):
        assert read_query('sum by (route) (rate(fenestra_typo{status="1"}[5m])) / up > 1e3') == (
            {"fenestra_typo": {"status"}, "up": set()}, {"route"}
        )  # fmt: skip
        with pytest.raises(AssertionError):
            read_query("rat(fenestra_requests_total[5m])")

    def test_every_metric_of_ours_is_on_the_dashboard(self):
        drawn = {name for panel in PANELS for target in panel["targets"] for name in read_query(target["expr"])[0]}
        families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in EXPOSED if name.startswith("fenestra_")}
        missing = {name for name in families if not any(used.startswith(name) for used in drawn)}
        assert missing == {"fenestra_reload_failures_total"}  # which fenestra_reloads_total draws; alerts use it

    def test_labels_that_are_filtered_on_have_the_values_that_are_meant(self):
        """A filter on a route or a reason that does not exist finds nothing, silently."""
        from fenestra.app.observability.metrics import REFUSALS

        known = {route.path for router in ROUTERS for route in router.routes}
        for title, query in QUERIES:
            for pattern in re.findall(r'route[=!]~?"([^"]*)"', query):
                assert set(pattern.split("|")) <= known, title
            for pattern in re.findall(r'reason=~?"([^"]*)"', query):
                assert set(pattern.split("|")) <= set(REFUSALS), title

    def test_legends_name_labels_that_the_result_has(self):
        for panel in PANELS:
            for target in panel["targets"]:
                shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                _, grouped = read_query(target["expr"])
                assert shown <= (grouped or TARGET_LABELS), panel["title"]

    def test_panels_do_not_lie_on_top_of_each_other(self):
        taken = set()
        for panel in BOARD["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self):
        for rule in RULES:
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}
            assert set(rule["annotations"]) == {"summary", "description"}
            _, grouped = read_query(rule["expr"])
            shown = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
            assert shown <= (grouped or TARGET_LABELS), rule["alert"]
