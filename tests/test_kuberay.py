"""The job for KubeRay. No package carries the schema of it: the fields are those of KubeRay's types of Go, v1."""

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

from fenestra.cli.main import _parser
from tests.conftest import ROOT

RAY = yaml.safe_load((ROOT / "deploy" / "kuberay.yaml").read_text(encoding="utf-8"))
GROUP = {"rayStartParams", "template"}
CLUSTER = RAY["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]


def test_fields_and_their_types_are_those_of_a_job():
    assert (RAY["apiVersion"], RAY["kind"]) == ("ray.io/v1", "RayJob")
    types = {
        "entrypoint": str, "backoffLimit": int, "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int,
        "rayClusterSpec": dict,
    }  # fmt: skip
    assert {name: type(value) for name, value in RAY["spec"].items()} == types
    assert set(CLUSTER) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    head, *workers = GROUPS
    assert set(head) == GROUP
    for group in workers:
        assert set(group) == GROUP | {"groupName", "replicas", "minReplicas", "maxReplicas"}
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in GROUPS:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("group", GROUPS, ids=["head", "workers"])
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_every_pod_is_valid_to_the_letter(group, version):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
    kubernetes_validate.validate(pod, version, strict=True)


def test_the_command_is_one_that_the_program_takes():
    words = RAY["spec"]["entrypoint"].replace("s3://", "memory://").split()  # which needs no package of its own
    options = _parser().parse_args(words[1:])
    assert (options.engine, options.address) == ("ray", "auto")


def test_ray_is_of_the_version_that_is_tested():
    tested = (ROOT / "tests" / "integrations" / "environments" / "ray.txt").read_text()
    (wanted,) = [line for line in tested.splitlines() if line.startswith("ray>")]
    assert Requirement(wanted).specifier.contains(CLUSTER["rayVersion"])
