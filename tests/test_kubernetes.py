"""The manifests: valid to the letter, and what they name is there, in themselves, the service and the documents."""

import os
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from tests.conftest import ROOT
from tests.test_docs_deploy import DEPLOY, EXPOSED, VARIABLES, paths, read_query, settings_of, stop_seconds

KUBERNETES = DEPLOY / "kubernetes"
VERSIONS = ["1.30", kubernetes_validate.latest_version()]
COMPONENTS = ["queue-depth", "traces"]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


class Manifests:
    """What would be applied."""

    def __init__(self, text):
        self.all = [one for one in yaml.safe_load_all(text) if one]
        self.deployment = self.spec("Deployment")
        self.autoscaler = self.spec("HorizontalPodAutoscaler")
        self.policy = self.spec("NetworkPolicy")
        self.labels = self.deployment["template"]["metadata"]["labels"]
        self.pod = self.deployment["template"]["spec"]
        (self.container,) = self.pod["containers"]
        self.environment = {entry["name"]: entry.get("value") for entry in self.container["env"]}
        self.settings = settings_of({name: value for name, value in self.environment.items() if name in VARIABLES})

    def one(self, kind):
        (found,) = [one for one in self.all if one["kind"] == kind]
        return found

    def spec(self, kind):
        return self.one(kind)["spec"]

    @property
    def port_names(self):
        return {port["name"] for port in self.container["ports"]}

    def metrics(self):
        """The kind and name of what the autoscaler looks at, with its target."""
        for metric in self.autoscaler["metrics"]:
            source = metric[metric["type"].lower()]
            yield metric["type"], source.get("name") or source["metric"]["name"], source["target"]


def kustomize(folder):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return Manifests(made.stdout)


BASE = Manifests((KUBERNETES / "base" / "fenestra.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=["fenestra.yaml", "base", "production"])
def applied(request):
    return BASE if request.param == "fenestra.yaml" else kustomize(KUBERNETES / request.param)


@pytest.fixture(scope="module")
def production():
    return kustomize(KUBERNETES / "production")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_to_the_letter(applied, version):
    assert len(applied.all) == 5
    for manifest in applied.all:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_would_notice_a_misspelling():
    wrong = yaml.safe_load(yaml.safe_dump(BASE.one("PodDisruptionBudget")).replace("maxUnavailable", "maxUnavailible"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_base_is_the_file_that_can_be_applied_alone():
    made = kustomize(KUBERNETES / "base")
    assert sorted(made.all, key=lambda one: one["kind"]) == sorted(BASE.all, key=lambda one: one["kind"])


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_can_be_taken_alone(tmp_path, component):
    where = os.path.relpath(KUBERNETES, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{where}/base]\ncomponents: [{where}/{component}]\n", encoding="utf-8"
    )
    made = kustomize(tmp_path)
    changed = {one["kind"] for one in made.all if one not in BASE.all}
    assert changed == {"queue-depth": {"HorizontalPodAutoscaler"}, "traces": {"Deployment", "NetworkPolicy"}}[component]
    for manifest in made.all:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_the_folder_to_copy_shows_every_component():
    told = yaml.safe_load((KUBERNETES / "production" / "kustomization.yaml").read_text(encoding="utf-8"))
    assert told["components"] == [f"../{component}" for component in COMPONENTS]
    folders = {path.parent.name for path in KUBERNETES.glob("*/kustomization.yaml")}
    assert folders == {"base", "production", *COMPONENTS}


def test_all_of_them_mean_the_same_pods_in_one_namespace(applied):
    labels = applied.labels
    assert applied.deployment["selector"]["matchLabels"] == labels
    assert applied.spec("Service")["selector"] == labels
    assert applied.spec("PodDisruptionBudget")["selector"]["matchLabels"] == labels
    assert applied.policy["podSelector"]["matchLabels"] == labels
    (spread,) = applied.pod["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == labels
    target, deployment = applied.autoscaler["scaleTargetRef"], applied.one("Deployment")
    assert {**target, "name": ""} == {"apiVersion": deployment["apiVersion"], "kind": deployment["kind"], "name": ""}
    assert target["name"] == deployment["metadata"]["name"]
    assert len({one["metadata"].get("namespace") for one in applied.all}) == 1


def test_ports_are_those_of_the_container(applied):
    (port,) = applied.spec("Service")["ports"]
    (rule,) = applied.policy["ingress"]
    assert {port["targetPort"]} == {one["port"] for one in rule["ports"]} == applied.port_names
    (number,) = [one["containerPort"] for one in applied.container["ports"]]
    annotations = applied.deployment["template"]["metadata"]["annotations"]
    assert {str(number), applied.environment["FENESTRA_PORT"], annotations["prometheus.io/port"]} == {str(number)}
    assert annotations["prometheus.io/path"] in paths()


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/readyz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
)
def test_probes_ask_what_they_mean(applied, probe, path):
    asked = applied.container[probe]["httpGet"]
    assert asked["path"] == path
    assert path in paths()
    assert asked["port"] in applied.port_names


def test_a_stuck_model_ends_the_process_before_the_probe_gives_up_on_it(applied):
    """The process ends itself and says why; the probe is for when it cannot even do that."""
    probe = applied.container["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= applied.settings.stuck_seconds


def test_the_pod_is_given_the_time_that_a_stop_takes(applied):
    assert applied.pod["terminationGracePeriodSeconds"] > stop_seconds(applied.settings)


def test_the_pod_leaves_the_service_before_it_stops_answering(applied):
    probe = applied.container["readinessProbe"]
    assert applied.settings.drain_seconds > probe["periodSeconds"] * probe["failureThreshold"]


def test_it_sets_what_the_service_knows(applied):
    standard = {name for name in applied.environment if name.startswith("OTEL_")}
    assert set(applied.environment) - standard <= VARIABLES


def test_nothing_else_is_injected_that_the_service_would_refuse(applied):
    """A Service named fenestra makes Kubernetes set FENESTRA_PORT=tcp://… unless told not to."""
    assert applied.one("Service")["metadata"]["name"] == "fenestra"
    assert applied.pod["enableServiceLinks"] is False


def test_the_container_may_do_next_to_nothing(applied):
    assert applied.pod["securityContext"]["runAsNonRoot"] is True
    assert applied.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert applied.container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert applied.pod["automountServiceAccountToken"] is False
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    ids = applied.pod["securityContext"]
    assert (ids["runAsUser"], ids["runAsGroup"]) == tuple(map(int, user.groups()))


def test_a_roll_out_takes_none_away_before_the_next_is_ready(applied):
    assert applied.deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in applied.deployment, "it would fight with the autoscaler at every apply"
    assert 1 < applied.autoscaler["minReplicas"] < applied.autoscaler["maxReplicas"]


def test_a_node_can_always_be_emptied_and_never_takes_the_last_replica(applied):
    budget = applied.spec("PodDisruptionBudget")
    assert budget["maxUnavailable"] == 1  # so one eviction is allowed, however many replicas there are
    assert "minAvailable" not in budget
    assert applied.autoscaler["minReplicas"] - budget["maxUnavailable"] >= 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_cpu_is_measured_against_a_request_and_never_throttled(applied):
    assert ("Resource", "cpu", {"type": "Utilization", "averageUtilization": 70}) in applied.metrics()
    assert "cpu" in applied.container["resources"]["requests"]
    assert set(applied.container["resources"]["limits"]) == {"memory"}


class TestQueueDepth:
    rule = yaml.safe_load((DEPLOY / "prometheus" / "adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]

    def test_the_autoscaler_asks_for_a_metric_that_the_service_has(self, production):
        (asked,) = [(name, target) for kind, name, target in production.metrics() if kind == "Pods"]
        name, target = asked
        assert name in EXPOSED
        assert EXPOSED[name] == set(), "a series for each pod, so that a mean over pods is one"
        assert target["type"] == "AverageValue"
        assert 1 < float(target["averageValue"]) < production.settings.max_waiting / 2

    def test_the_adapter_gives_it_that_name(self, production):
        (rule,) = self.rule
        assert rule["name"]["as"] in {name for kind, name, _ in production.metrics() if kind == "Pods"}
        labels = rule["resources"]["overrides"]
        assert {part["resource"] for part in labels.values()} == {"namespace", "pod"}
        (selected,), _ = read_query(rule["seriesQuery"])
        assert selected in EXPOSED
        assert all(f'{label}!=""' in rule["seriesQuery"] for label in labels)

    def test_its_query_is_one_of_prometheus(self):
        (rule,) = self.rule
        (series,), _ = read_query(rule["seriesQuery"])
        filled = {"Series": series, "LabelMatchers": 'namespace="x",pod=~"a|b"', "GroupBy": "pod"}
        query = re.sub(r"<<\.(\w+)>>", lambda found: filled[found[1]], rule["metricsQuery"])
        assert read_query(query) == ({series: {"namespace", "pod"}}, {"pod"})

    def test_it_covers_several_scrapes(self):
        scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
        interval = int(scraped["global"]["scrape_interval"].removesuffix("s"))
        minutes = int(re.search(r"\[(\d+)m\]", self.rule[0]["metricsQuery"])[1])
        assert 60 * minutes >= 4 * interval


class TestNetwork:
    def test_only_clients_that_are_named_may_come_in(self, applied):
        (rule,) = applied.policy["ingress"]
        assert rule["from"]
        assert all(selector for peer in rule["from"] for selector in peer.values()), "an empty selector is everybody"
        namespaces = {peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
                      for peer in rule["from"] if "namespaceSelector" in peer}  # fmt: skip
        assert namespaces == {"ingress-nginx", "monitoring"}

    def test_nothing_goes_out(self):
        assert BASE.policy["policyTypes"] == ["Ingress", "Egress"]
        assert BASE.policy["egress"] == []
        assert not any(name.startswith("OTEL_") for name in BASE.environment)

    def test_with_traces_the_way_to_names_and_to_the_collector_is_open_and_no_other(self, production):
        names, collector = production.policy["egress"]
        assert names["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
        (resolver,) = names["to"]
        assert set(resolver) == {"namespaceSelector", "podSelector"}
        endpoint = urlsplit(production.environment["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert collector["ports"] == [{"protocol": "TCP", "port": endpoint.port}]
        namespace = endpoint.hostname.split(".")[1]
        assert collector["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]


def test_the_kustomization_names_the_image_and_changes_nothing_else_of_the_pod(production):
    base, made = BASE.container, production.container
    assert made["image"] != base["image"]
    assert {name: value for name, value in made.items() if name not in ("image", "env")} == {
        name: value for name, value in base.items() if name not in ("image", "env")
    }
    assert BASE.environment.items() <= production.environment.items()


def values_of(key, found):
    """Every value of a key, however deep."""
    if isinstance(found, dict):
        yield from ([str(found[key])] if key in found else [])
        found = list(found.values())
    if isinstance(found, list):
        for part in found:
            yield from values_of(key, part)


def test_the_numbers_of_the_page_are_those_of_the_manifests(production):
    rows = re.findall(r"^\| `(\w+)` of (\w+) \| `([^`]+)` \|", OPERATIONS, re.MULTILINE)
    assert len(rows) > 8
    for key, kind, value in rows:
        one = production.one(kind)
        found = [production.environment[key]] if key.startswith("FENESTRA_") else list(values_of(key, one))
        assert value in found, f"{kind}: {key}"


class TestKServe:
    runtime, service = yaml.safe_load_all((DEPLOY / "kserve.yaml").read_text(encoding="utf-8"))
    container = runtime["spec"]["containers"][0]

    def test_the_container_is_a_valid_one_by_the_name_that_kserve_looks_for(self):
        assert self.container["name"] == "kserve-container"
        spec = {"containers": [self.container], "volumes": self.runtime["spec"]["volumes"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)
        assert [mount["name"] for mount in self.container["volumeMounts"]] == [one["name"] for one in spec["volumes"]]

    def test_it_is_asked_at_paths_that_are_served(self):
        environment = {entry["name"]: entry["value"] for entry in self.container["env"]}
        assert set(environment) <= VARIABLES
        (port,) = [one["containerPort"] for one in self.container["ports"]]
        assert environment["FENESTRA_PORT"] == str(port)
        for probe in ("livenessProbe", "readinessProbe"):
            asked = self.container[probe]["httpGet"]
            assert asked["path"] in paths()
            assert asked["port"] == port

    def test_the_model_is_served_where_kserve_puts_it_under_the_name_of_the_service(self):
        environment = {entry["name"]: entry["value"] for entry in self.container["env"]}
        environment["FENESTRA_MODELS"] = environment["FENESTRA_MODELS"].replace(
            "{{.Name}}", self.service["metadata"]["name"]
        )
        (served,) = settings_of(environment).served
        assert (served.name, str(served.folder)) == ("english", "/mnt/models")

    def test_runtime_and_service_fit(self):
        model, spec = self.service["spec"]["predictor"]["model"], self.runtime["spec"]
        assert model["runtime"] == self.runtime["metadata"]["name"]
        assert model["protocolVersion"] in spec["protocolVersions"]
        (known,) = spec["supportedModelFormats"]
        assert model["modelFormat"] == {name: known[name] for name in ("name", "version")}
