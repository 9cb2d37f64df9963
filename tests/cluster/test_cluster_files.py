"""The launch files, checked offline: nothing here starts a machine or needs a cloud account."""

from __future__ import annotations

import copy
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ray.runtime_env import RuntimeEnv
from ruamel.yaml import YAML

from distmarl.results.provenance import COMMIT_VARIABLE
from tests.cluster.running import REPOSITORY


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def check_as_ray_up_does(config: dict[str, Any]) -> None:
    """Fill in Ray's defaults for the provider, then check against its schema."""
    try:
        # Private, but it is the very check that `ray up` makes, and its schema is published nowhere else.
        from ray.autoscaler._private.util import prepare_config, validate_config
    except ImportError as error:
        pytest.fail(f"Ray {metadata.version('ray')} has moved its check of `ray up` files: {error}", pytrace=False)
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.fixture
def config() -> dict[str, Any]:
    return read_yaml(REPOSITORY / "cluster" / "ray-cluster.yaml")


def test_ray_accepts_the_cluster_file(config):
    check_as_ray_up_does(config)


@pytest.mark.parametrize(
    ("path", "misspelt"),
    [((), "max_wokers"), (("docker",), "run_option"), (("available_node_types", "worker"), "min_wokers")],
)
def test_ray_refuses_the_cluster_file_with_a_misspelt_key(config, path, misspelt):
    section = config
    for key in path:
        section = section[key]
    section[misspelt] = 1
    with pytest.raises(Exception, match=f"'{misspelt}' was unexpected"):
        check_as_ray_up_does(config)


def test_token_authentication_is_on_in_every_container(config):
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_dashboard_listens_on_loopback_only(config):
    (start_head,) = (command for command in config["head_start_ray_commands"] if "--head" in command)
    assert "--dashboard-host=127.0.0.1" in start_head.split()


def test_head_is_on_demand_and_runs_no_tasks(config):
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


def test_workers_are_spot_machines(config):
    worker = config["available_node_types"]["worker"]
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_every_synced_file_exists(config):
    sources = [source for source in config["file_mounts"].values() if not source.startswith("~")]
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []


def test_every_machine_gets_the_locked_versions(config):
    assert config["setup_commands"] == ["pip install -r ~/distmarl/requirements.lock ~/distmarl"]
    assert config["file_mounts"]["~/distmarl/requirements.lock"] == "cluster/requirements.lock"


@pytest.fixture
def runtime_env() -> dict[str, Any]:
    return read_yaml(REPOSITORY / "cluster" / "runtime-env.yaml")


def test_ray_accepts_the_runtime_environment(runtime_env):
    assert set(runtime_env) <= set(RuntimeEnv.known_fields)  # Ray itself ignores what it does not know
    RuntimeEnv(**runtime_env)


@pytest.mark.parametrize(("key", "wrong"), [("working_dir", 1), ("excludes", "results"), ("env_vars", {"A": 1})])
def test_ray_refuses_a_runtime_environment_with_a_wrong_value(runtime_env, key, wrong):
    with pytest.raises(TypeError):
        RuntimeEnv(**{**runtime_env, key: wrong})


def test_submitted_code_is_not_taken_for_that_of_an_image(runtime_env):
    assert runtime_env["env_vars"][COMMIT_VARIABLE] == ""
