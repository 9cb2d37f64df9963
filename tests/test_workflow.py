"""The workflow runs the gate on every Python that the package is for."""

from __future__ import annotations

import copy
import re

from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from tests.commands import REPOSITORY

TEXT = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
WORKFLOW = YAML(typ="safe", pure=True).load(TEXT)
GATE = WORKFLOW["jobs"]["gate"]
PYTHONS = GATE["strategy"]["matrix"]["python"]


def test_it_is_a_workflow_and_a_misspelt_key_is_noticed() -> None:
    validator = Draft7Validator(get_builtin_schema("vendor.github-workflows"))
    validator.validate(WORKFLOW)
    misspelt = copy.deepcopy(WORKFLOW)
    misspelt["concurrency"]["cancel-on-progress"] = misspelt["concurrency"].pop("cancel-in-progress")
    assert not validator.is_valid(misspelt)


def test_the_gate_runs_on_each_python_from_the_oldest_that_is_accepted() -> None:
    oldest = re.search(r'requires-python = ">=3\.(\d+)"', (REPOSITORY / "pyproject.toml").read_text())
    assert oldest is not None
    assert [f"3.{minor}" for minor in range(int(oldest[1]), 14)] == PYTHONS
    *_, set_up, gate = GATE["steps"]
    assert set_up["uses"].startswith("actions/setup-python@")
    assert set_up["with"]["python-version"] == "${{ matrix.python }}"
    assert gate == {"run": "bash .ci/run"}


def test_what_it_names_is_there() -> None:
    assert set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", TEXT)) == set(GATE["strategy"]["matrix"])
    (path,) = (step["with"]["cache-dependency-path"] for step in GATE["steps"] if "with" in step)
    assert (REPOSITORY / path).exists()


def test_no_run_goes_on_for_ever_or_for_nothing() -> None:
    assert GATE["timeout-minutes"] <= 60
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
