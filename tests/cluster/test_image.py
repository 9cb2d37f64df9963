"""The lock file and the Dockerfile, checked without a Docker engine."""

from __future__ import annotations

import re
import shlex
from collections import deque
from importlib import metadata
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

import distmarl
from tests.cluster.running import REPOSITORY

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings it
    import tomli as tomllib

CLUSTER = REPOSITORY / "cluster"
PYTHON = "3.11"
# What the lock file is for: markers are evaluated as they would be there.
PLATFORM = {
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


def read_lock() -> dict[str, Version]:
    lines = (CLUSTER / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def read_project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def read_yaml(name: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(CLUSTER / name))


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions as (keyword, rest)."""
    text = (CLUSTER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def arguments(keyword: str) -> list[list[str]]:
    return [shlex.split(rest) for word, rest in instructions() if word == keyword]


def unmet(roots: list[Requirement], lock: dict[str, Version]) -> list[str]:
    """Return what is needed and not locked: by the roots, and by every locked version that is installed here."""
    missing = []
    seen: set[str] = set()
    waiting = deque(roots)
    while waiting:
        needed = waiting.popleft()
        if str(needed) in seen:
            continue
        seen.add(str(needed))
        name = canonicalize_name(needed.name)
        if name not in lock or not needed.specifier.contains(lock[name], prereleases=True):
            missing.append(str(needed))
        elif Version(metadata.version(name)) == lock[name]:
            further = map(Requirement, metadata.requires(name) or [])
            extras = needed.extras or {""}
            waiting += [
                each
                for each in further
                if each.marker is None or any(each.marker.evaluate({**PLATFORM, "extra": extra}) for extra in extras)
            ]
    return missing


@pytest.fixture
def run_time_requirements() -> list[Requirement]:
    project = read_project()["project"]
    return [*map(Requirement, project["dependencies"]), *map(Requirement, project["optional-dependencies"]["cluster"])]


def test_every_line_of_the_lock_file_is_one_exact_version():
    lines = (CLUSTER / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9][\w.-]*==[0-9][\w.]*", line)] == []
    assert len(read_lock()) == len(pins)


def test_the_lock_file_has_all_that_is_needed_in_the_declared_ranges(run_time_requirements):
    assert unmet(run_time_requirements, read_lock()) == []


def test_a_lock_file_with_a_hole_or_a_wrong_version_is_noticed(run_time_requirements):
    lock = read_lock()
    without_rich = {name: version for name, version in lock.items() if name != "rich"}
    assert {Requirement(each).name for each in unmet(run_time_requirements, without_rich)} == {"rich"}
    old_ray = {**lock, "ray": Version("2.51.1")}
    assert {Requirement(each).name for each in unmet(run_time_requirements, old_ray)} == {"ray"}


def test_images_and_cluster_files_agree_on_ray_and_python():
    ray = read_lock()["ray"]
    _, job = read_yaml("kuberay-rayjob.yaml")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == str(ray)
    (config,) = read_yaml("ray-cluster.yaml")
    assert config["docker"]["image"] == f"rayproject/ray:{ray}-py{PYTHON.replace('.', '')}-cpu"
    assert arguments("FROM") == [[f"python:{PYTHON}-slim"]]
    assert f"Python {PYTHON}" in (CLUSTER / "requirements.lock").read_text()


def test_the_dockerfile_has_known_instructions_and_begins_with_a_base():
    keywords = [keyword for keyword, _ in instructions()]
    assert keywords[0] == "FROM"
    assert set(keywords) <= {"FROM", "ARG", "COPY", "ENV", "RUN", "USER", "WORKDIR"}


def test_the_image_has_all_that_its_instructions_name():
    project = read_project()
    copied = {source: target for *sources, target in arguments("COPY") for source in sources}
    assert [source for source in copied if not (REPOSITORY / source).exists()] == []
    package = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]]
    package += project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert all(copied[name].startswith("/opt/distmarl/") for name in package)


def test_the_image_installs_the_locked_versions_and_nothing_else():
    installs = [command for command in arguments("RUN") if command[:2] == ["pip", "install"]]
    wanted = [["--requirement", "/opt/distmarl/cluster/requirements.lock"], ["/opt/distmarl", "&&", "pip", "check"]]
    assert installs == [["pip", "install", "--no-cache-dir", "--no-deps", *each] for each in wanted]
    assert ["cluster/requirements.lock", "/opt/distmarl/cluster/"] in arguments("COPY")


def test_the_image_does_not_run_as_root_and_asks_for_the_token():
    assert [user for (user,) in arguments("USER")][-1] == "ray"
    assert any(command[0] == "useradd" and command[-1] == "ray" for command in arguments("RUN"))
    keywords = [keyword for keyword, _ in instructions()]
    assert "RUN" not in keywords[keywords.index("USER") :]
    assert any("RAY_AUTH_MODE=token" in assignments for assignments in arguments("ENV"))


def test_the_image_is_named_after_the_version():
    assert f"-t distmarl:{distmarl.__version__} " in (CLUSTER / "Dockerfile").read_text()
