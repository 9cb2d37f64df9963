"""The sweep file with every key is made from the options, and so is whatever else knows of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ruamel.yaml import YAML

from distmarl.config import checking, schema, settings, template
from distmarl.config.__main__ import main
from distmarl.config.reading import RawSweep
from distmarl.config.template import all_keys, sweep_template
from distmarl.errors import ConfigError
from distmarl.games.lookup import GAMES
from distmarl.model.checks import LARGEST_INTEGER
from distmarl.model.options import Count, Evaluation, SweepFile
from distmarl.study.plan import make_plan
from tests.conftest import REPOSITORY
from tests.sweep import test_keys


def load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_every_default_is_written_out() -> None:
    resolved = make_plan(RawSweep({}, "defaults")).resolved
    written = load(all_keys())
    assert written == {**resolved, "name": "robots"}
    assert list(written) == list(resolved)


def test_the_guide_shows_the_keys_as_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == 0
    assert capsys.readouterr().out == all_keys()
    guide = (REPOSITORY / "sweeps" / "README.md").read_text()
    assert f"```yaml\n{all_keys()}```" in guide, "copy what this prints: python -m distmarl.config keys"


def test_what_is_not_written_is_commented_out() -> None:
    written = {"name": "own", "evaluation": {"horizon": 7}, "environment": {"n_agents": 5}}
    text = sweep_template(GAMES["robots"], written)
    assert load(text) == written
    assert all(len(line) <= template.WIDTH for line in text.splitlines())


def test_what_is_commented_out_can_be_used_as_it_stands() -> None:
    """Without the marks of comments, the defaults are read as the sections that nobody has written."""
    text = sweep_template(GAMES["robots"], {"name": "own"})
    lines = [line.removeprefix("# ") for line in text.splitlines() if not line.startswith("  ")]
    assert make_plan(RawSweep(load("\n".join(lines)), "own")).sweep == SweepFile(name="own", environment=ROBOTS)


ROBOTS = {"name": "robots", **(GAMES["robots"].__kwdefaults__ or {})}


@dataclass(frozen=True, kw_only=True)
class PatientEvaluation(Evaluation):
    """What a pair is worth to the patient.

    Attributes
    ----------
    method, n_rollouts, horizon, reward
        As before.
    patience : int
        Rounds that are waited for.
    """

    patience: Count = 3


@dataclass(frozen=True, kw_only=True)
class PatientSweep(SweepFile):
    evaluation: Evaluation = PatientEvaluation()


def test_a_key_that_is_added_to_a_section_is_known_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    PatientSweep.__annotations__["evaluation"] = PatientEvaluation
    PatientSweep.__doc__ = SweepFile.__doc__
    for module in (checking, schema, settings, template):
        monkeypatch.setattr(module, "SweepFile", PatientSweep)
    section = schema.sweep_schema({})["properties"]["evaluation"]
    expected = {"description": "Rounds that are waited for.", "default": 3, "minimum": 1, "maximum": LARGEST_INTEGER}
    assert section["properties"]["patience"] == {**expected, "type": "integer"}
    assert "\n  patience: 3 " in all_keys()
    plan = make_plan(RawSweep({"grid": {"evaluation.patience": [1, 2]}}, "f"))
    assert [job.content["evaluation"]["patience"] for job in plan.jobs] == [1, 2]
    with pytest.raises(ConfigError, match=r"evaluation\.patience: must be at least 1, got 0"):
        make_plan(RawSweep({"evaluation": {"patience": 0}}, "f"))
    with pytest.raises(ConfigError, match=r"did you mean evaluation\.patience\?"):
        make_plan(RawSweep({"patience": 4}, "f"))


def test_a_key_without_an_entry_in_the_test_of_dead_knobs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(test_keys.CHANGES, "evaluation.horizon")
    with pytest.raises(AssertionError, match=r"evaluation\.horizon: "):
        test_keys.test_every_key_is_listed_here()
