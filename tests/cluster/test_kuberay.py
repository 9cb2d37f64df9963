"""The RayJob, checked offline against what KubeRay's definition of it says of the fields that it uses."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

import distmarl
from distmarl.sweep.__main__ import main
from tests.cluster.kubernetes_schemas import PERSISTENT_VOLUME_CLAIM, RAY_JOB
from tests.cluster.running import REPOSITORY

IMAGE = f"distmarl:{distmarl.__version__}"


@pytest.fixture
def documents() -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(REPOSITORY / "cluster" / "kuberay-rayjob.yaml"))


@pytest.fixture
def cluster(documents) -> dict[str, Any]:
    return documents[1]["spec"]["rayClusterSpec"]


def at(section: Any, path: Iterable[str | int]) -> Any:
    for key in path:
        section = section[key]
    return section


HEAD = ("spec", "rayClusterSpec", "headGroupSpec")
WORKER = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)


def test_the_files_have_known_fields_only(documents):
    claim, job = documents
    jsonschema.validate(claim, PERSISTENT_VOLUME_CLAIM)
    jsonschema.validate(job, RAY_JOB)


@pytest.mark.parametrize(
    "path",
    [
        ("spec",),
        ("spec", "rayClusterSpec"),
        HEAD,
        (*HEAD, "template", "spec", "containers", 0),
        WORKER,
        (*WORKER, "template", "spec"),
        (*WORKER, "template", "spec", "tolerations", 0),
    ],
)
def test_a_misspelt_field_is_refused(documents, path):
    at(documents[1], path)["idelTimeoutSeconds"] = 1
    with pytest.raises(jsonschema.ValidationError, match="'idelTimeoutSeconds' was unexpected"):
        jsonschema.validate(documents[1], RAY_JOB)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (("spec",), "backoffLimit", "5"),
        (("metadata",), "name", "DistMARL"),
        ((*HEAD, "rayStartParams"), "num-cpus", 0),
        ((*WORKER, "template", "spec", "tolerations", 0), "effect", "NoSchedules"),
        ((*WORKER, "template", "spec", "nodeSelector"), "cloud.google.com/gke-spot", True),
    ],
)
def test_a_wrong_value_is_refused(documents, path, name, value):
    at(documents[1], path)[name] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(documents[1], RAY_JOB)


def test_token_authentication_is_on_and_nothing_reaches_outside(cluster):
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_the_head_runs_no_tasks_and_keeps_off_spot_machines(cluster):
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0"}
    (term,) = at(head, ("template", "spec", "affinity", "nodeAffinity")).popitem()[1]["nodeSelectorTerms"]
    (worker,) = cluster["workerGroupSpecs"]
    (spot_label,) = worker["template"]["spec"]["nodeSelector"]
    assert term == {"matchExpressions": [{"key": spot_label, "operator": "DoesNotExist"}]}
    assert "tolerations" not in head["template"]["spec"]


def test_workers_run_on_spot_machines_that_others_keep_off(cluster):
    (worker,) = cluster["workerGroupSpecs"]
    pod = worker["template"]["spec"]
    ((label, value),) = pod["nodeSelector"].items()
    assert pod["tolerations"] == [{"key": label, "operator": "Equal", "value": value, "effect": "NoSchedule"}]
    assert worker["minReplicas"] < worker["maxReplicas"]


def test_a_retry_finds_the_results_of_the_job_before(documents, cluster):
    claim, job = documents
    assert job["spec"]["backoffLimit"] > 0
    pod = cluster["headGroupSpec"]["template"]["spec"]
    (mount,), (volume,) = pod["containers"][0]["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    words = shlex.split(job["spec"]["entrypoint"])
    assert PurePosixPath(words[words.index("--out") + 1]).is_relative_to(mount["mountPath"])


def test_the_sweep_can_be_planned(documents, tmp_path):
    python, module, name, sweep_file, out, _ = shlex.split(documents[1]["spec"]["entrypoint"])
    assert (python, module, name, out) == ("python", "-m", "distmarl.sweep", "--out")
    in_repository = REPOSITORY / PurePosixPath(sweep_file).relative_to("/home/ray")
    assert main([str(in_repository), "--plan", "--out", str(tmp_path / "results")]) == 0


def test_every_pod_runs_our_image_without_privileges(cluster):
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == IMAGE
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
