from __future__ import annotations

from typing import Any

import pytest

from distmarl.config import checking, reading
from distmarl.config.checking import bind_parameters, k_values
from distmarl.config.reading import RawSweep, apply_overrides, parse_sweep
from distmarl.config.schema import sweep_schema
from distmarl.config.settings import resolved_mapping, setting_content, setting_id, unfold_settings
from distmarl.errors import ConfigError, DistmarlError
from distmarl.games.robots import robots
from distmarl.model.environment import Environment
from distmarl.study.plan import make_plan


def unfold(mapping: dict[str, Any]) -> Any:
    return unfold_settings(RawSweep(mapping, "sweep.yaml"))


def ids(mapping: dict[str, Any]) -> dict[str, str]:
    """Return the setting ids of a sweep by label, with a stand-in for the tables' digest."""
    _, settings = unfold(mapping)
    return {
        setting.label: setting_id(setting_content(setting, dict(setting.environment), "digest")) for setting in settings
    }


def test_a_list_of_wrong_values_is_not_called_too_short() -> None:
    with pytest.raises(DistmarlError) as caught:
        make_plan(RawSweep({"experiment": {"k_values": [0]}}, "sweep.yaml"))
    assert str(caught.value) == "sweep.yaml: experiment.k_values[0]: must be at least 1, got 0"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"global_agnt": {}}, "global_agnt: unknown key; did you mean 'global_agent'?"),
        ({"global_agent": {"n_mc_sample": 3}}, "global_agent.n_mc_sample: unknown key; did you mean 'n_mc_samples'?"),
        ({"global_agent": {"n_mc_samples": 3.5}}, "global_agent.n_mc_samples: must be an integer, got 3.5"),
        ({"global_agent": {"n_mc_samples": True}}, "global_agent.n_mc_samples: must be an integer, got True"),
        ({"global_agent": {"transitions": "exct"}}, "global_agent.transitions: must be "),
        ({"local_agent": {"observation": "in"}}, "local_agent.observation: must be 'outside' or 'included', got 'in'"),
        ({"alternating": {"update": "both"}}, "alternating.update: must be 'pair' or 'each', got 'both'"),
        ({"global_agent": [1]}, "global_agent: must be a mapping"),
        ({"global_agent": {"convergence_threshold": 0}}, "convergence_threshold: must be greater than 0"),
        ({"global_agent": {"convergence_threshold": float("nan")}}, "convergence_threshold: must be "),
        (
            {"local_agent": {"softmax_temperature_scale": "hot"}},
            "softmax_temperature_scale: must be a number, got 'hot'",
        ),
        ({"evaluation": {"reward": "mean"}}, "evaluation.reward: must be 'sampled' or 'expected', got 'mean'"),
        ({"experiment": {"k_range": 3}}, "experiment.k_range: must be a list, got 3"),
        ({"experiment": {"k_range": [1]}}, "experiment.k_range[1]: is missing"),
        ({"experiment": {"k_range": [1, 2, 3]}}, "experiment.k_range: must have at most 2 values, got [1, 2, 3]"),
        ({"experiment": {"k_range": [5, 2]}}, "experiment.k_range: must not end before it starts, got [5, 2]"),
        ({"experiment": {"k_values": [1, 0]}}, "experiment.k_values[1]: must be at least 1, got 0"),
        ({"experiment": {"k_values": [3, 1, 3]}}, "experiment.k_values[2]: must not repeat a value, got 3 twice"),
        ({"experiment": {"k_values": []}}, "experiment.k_values: must have at least 1 value"),
        ({"experiment": {"k_values": [1], "k_range": [1, 2]}}, "k_range and k_values say the same thing twice"),
        ({"experiment": {"seed": -1}}, "experiment.seed: must be at least 0, got -1"),
        ({"name": "a/b"}, "name: must match"),
        ({"runner": {"task_timeout_s": 0}}, "runner.task_timeout_s: must be greater than 0"),
        ({"grid": {"runner.num_cpus": [1]}}, "grid.runner.num_cpus: is not part of a setting"),
        ({"grid": {"experiment.k_values": [[1]]}}, "grid.experiment.k_values: is not part of a setting"),
        ({"grid": {"environment.opts.a": [1]}}, "grid.environment.opts.a: is not part of a setting"),
        ({"grid": {"enviroment.n_agents": [1]}}, "unknown section; did you mean 'environment'?"),
        ({"grid": {"environment": {"n_agents": [1]}}}, "write the key in full, as in environment.key: [1, 2]"),
        ({"experiment": {"welfare_starts": 10**12}}, "experiment.welfare_starts: must be at most 10000"),
        ({"runner": {"task_timeout_s": 1e20}}, "runner.task_timeout_s: must be at most 1"),
        ({"grid": {"global_agent.n_mc": [1]}}, "grid.global_agent.n_mc: unknown key"),
        ({"grid": {"evaluation.horizon": []}}, "grid.evaluation.horizon: must list at least one value"),
        (
            {"grid": {"evaluation.horizon": [5, 5]}},
            "grid.evaluation.horizon: must list at least one value, and none twice",
        ),
        ({"grid": {"evaluation.horizon": [5, -1]}}, "in the grid's setting evaluation.horizon=-1"),
    ],
)
def test_a_broken_rule_is_named_with_its_key_and_value(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unfold(mapping)
    assert message in str(caught.value)


def test_every_broken_key_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        unfold({"evaluation": {"horizon": 0, "n_rollouts": "many"}, "alternatng": {}})
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_with_two_keys_runs_on_defaults() -> None:
    sweep, (setting,) = unfold({"environment": {"n_agents": 100, "gamma": 0.99}})
    assert k_values(sweep.experiment) == range(1, 26)
    assert setting.reference_k == 25
    assert setting.global_agent.transitions == "sampled"


def test_a_grid_unfolds_to_every_combination() -> None:
    _, settings = unfold({"grid": {"environment.n_agents": [30, 100], "evaluation.horizon": [5, 6, 7]}})
    assert len(settings) == 6
    assert settings[1].label == "n_agents=30, horizon=6"
    assert {setting.evaluation.horizon for setting in settings} == {5, 6, 7}


def test_labels_name_sections_where_keys_would_be_confused() -> None:
    _, settings = unfold({"grid": {"global_agent.max_vi_iterations": [5], "local_agent.max_vi_iterations": [6]}})
    assert settings[0].label == "global_agent.max_vi_iterations=5, local_agent.max_vi_iterations=6"


def test_a_huge_range_of_k_takes_no_memory() -> None:
    with pytest.raises(ConfigError, match="got 2,000,000,000 subsample sizes"):
        unfold({"experiment": {"k_range": [1, 2_000_000_000]}})
    sweep, _ = unfold({"experiment": {"k_range": [1_000_000_000, 1_000_000_001]}})
    assert list(k_values(sweep.experiment)) == [1_000_000_000, 1_000_000_001]


def test_an_override_of_what_the_grid_varies_is_refused() -> None:
    raw = apply_overrides(RawSweep({"grid": {"evaluation.horizon": [5, 6]}}, "f"), ["evaluation.horizon=7"])
    with pytest.raises(ConfigError, match=r"--set evaluation\.horizon=7: evaluation\.horizon is varied by the grid"):
        unfold_settings(raw)


def test_a_bad_value_of_an_overridden_grid_is_blamed_on_the_override() -> None:
    raw = apply_overrides(RawSweep({}, "f"), ["grid.evaluation.horizon=[5, -6]"])
    with pytest.raises(ConfigError) as caught:
        unfold_settings(raw)
    assert str(caught.value).startswith("--set grid.evaluation.horizon=[5, -6]: evaluation.horizon: must be at least 1")


def test_a_bad_value_of_a_grid_is_blamed_on_its_line() -> None:
    raw = parse_sweep(b"grid:\n  evaluation.horizon:\n    - 5\n    - -6\n", "sweep.yaml")
    with pytest.raises(ConfigError) as caught:
        unfold_settings(raw)
    rule, setting = str(caught.value).splitlines()
    assert rule == "sweep.yaml:4: evaluation.horizon: must be at least 1, got -6"
    assert setting == "(in the grid's setting evaluation.horizon=-6)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[6, many]", "sweep.yaml:3: environment.n_agents: must be an integer, got 'many'"),
        ("[6,\n    0]", "sweep.yaml:4: environment robots: n_agents: must be from 1 to "),
    ],
)
def test_a_bad_value_of_the_environment_is_blamed_on_the_grid(values: str, message: str) -> None:
    text = f"experiment: {{k_values: [1]}}\ngrid:\n  environment.n_agents: {values}\n"
    with pytest.raises(DistmarlError) as caught:
        make_plan(parse_sweep(text.encode(), "sweep.yaml"))
    assert str(caught.value).startswith(message)


SIX_AGENTS = "experiment:\n  seed: 1\nenvironment:\n  name: robots\ngrid:\n"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            "  environment.n_agents:\n    - 30\n    - 10",
            ":8: experiment.k_range: must be at most n_agents (10) of the ",
        ),
        ("  environment.n_global_states: [5, 4]", ":6: environment robots: n_global_states, n_local_states, n_global_"),
        (
            "  environment.name: ['tests.config.test_settings:tilted']\n  environment.tilt: [0,\n    1]",
            ":8: environment tests.config.test_settings:tilted raised ValueError: no tilt (test_settings.py:",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_blamed_on_the_value_of_the_grid(grid: str, message: str) -> None:
    with pytest.raises(DistmarlError) as caught:
        make_plan(parse_sweep((SIX_AGENTS + grid).encode(), "sweep.yaml"))
    assert str(caught.value).startswith(f"sweep.yaml{message}")


def tilted(tilt: float) -> Environment:
    if tilt:
        raise ValueError("no tilt")
    return robots()


def test_a_section_whose_keys_are_all_commented_out_means_the_defaults() -> None:
    text = "environment:\n  # gamma: 0.9\nexperiment:\nrunner:\ngrid:\nevaluation: {horizon: 7}\n"
    plan = make_plan(parse_sweep(text.encode(), "sweep.yaml"))
    default = make_plan(parse_sweep(b"evaluation: {horizon: 7}", "sweep.yaml"))
    assert [job.setting_id for job in plan.jobs] == [job.setting_id for job in default.jobs]
    assert plan.resolved == default.resolved
    (changed,) = make_plan(apply_overrides(parse_sweep(text.encode(), "f"), ["experiment.seed=3"])).jobs
    assert changed.setting.seed == 3


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"environment": {"gamma": "0,95"}},
            "environment.gamma: must be a number, got '0,95'; write decimals with a ",
        ),
        (
            {"environment": {"n_agents": "1,000,000"}},
            "must be an integer, got '1,000,000'; write decimals with",
        ),
        ({"evaluation": {"horizon": "1,000"}}, "evaluation.horizon: must be an integer, got '1,000'; write decimals"),
        ({"grid": {"environment.gamma": ["0,9"]}}, "environment.gamma: must be a number, got '0,9'; write decimals wi"),
    ],
)
def test_a_comma_in_a_number_is_told_what_to_write(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(RawSweep(mapping, "f"))
    assert message in str(caught.value)
    assert "and nothing between thousands" in str(caught.value)


def test_a_large_grid_looks_up_no_line_and_builds_each_game_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a line was looked up")

    digests: list[int] = []
    digest = Environment.digest
    monkeypatch.setattr(Environment, "digest", lambda game: [digests.append(game.n_agents), digest(game)][1])
    monkeypatch.setattr(reading, "composed", refuse)
    grid = {"experiment.seed": list(range(500)), "environment.n_agents": [6, 7]}
    plan = make_plan(RawSweep({"experiment": {"k_values": [1]}, "grid": grid}, "sweep.yaml"))
    assert len(plan.jobs) == 1000
    assert digests == [6, 7]


def test_the_names_of_a_registry_are_checked_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checking.REGISTRIES, "transitions", ("sampled", "frozen"))
    _, (setting,) = unfold({"global_agent": {"transitions": "frozen"}})
    assert setting.global_agent.transitions == "frozen"
    keys = sweep_schema({})["properties"]["global_agent"]["properties"]
    assert keys["transitions"]["enum"] == ["sampled", "frozen"]
    with pytest.raises(ConfigError, match="transitions: must be 'sampled' or 'frozen', got 'exact'"):
        unfold({"global_agent": {"transitions": "exact"}})


def test_ids_depend_on_content_and_not_on_the_grid() -> None:
    alone = ids({"environment": {"n_agents": 100}})
    grid = ids({"grid": {"environment.n_agents": [30, 100]}})
    wider = ids({"grid": {"environment.n_agents": [7, 30, 100]}, "experiment": {"k_range": [1, 7], "reference_k": 25}})
    assert grid["n_agents=100"] == alone[""]
    assert wider["n_agents=100"] == alone[""]
    assert len(set(wider.values())) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": {"n_eval_seeds": 3}},
        {"experiment": {"k_values": [1, 25]}},
        {"runner": {"num_cpus": 1}},
        {"name": "other"},
        {"global_agent": {"n_mc_samples": 30}},
    ],
)
def test_what_is_no_part_of_a_setting_leaves_its_id_alone(change: dict[str, Any]) -> None:
    assert ids(change) == ids({})


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": {"seed": 1}},
        {"experiment": {"reference_k": 3}},
        {"experiment": {"k_range": [1, 26]}},
        {"evaluation": {"horizon": 51}},
        {"global_agent": {"transitions": "rounded"}},
        {"local_agent": {"policy": "greedy"}},
        {"alternating": {"update": "each"}},
        {"environment": {"gamma": 0.9}},
    ],
)
def test_what_makes_a_setting_changes_its_id(change: dict[str, Any]) -> None:
    assert ids(change) != ids({})


def test_an_edited_game_is_a_new_setting() -> None:
    _, (setting,) = unfold({})
    assert setting_id(setting_content(setting, {}, "one")) != setting_id(setting_content(setting, {}, "two"))


def test_the_resolved_sweep_reads_back_as_the_same_settings() -> None:
    mapping = {"experiment": {"k_values": [2, 1]}, "grid": {"evaluation.horizon": [5, 6]}}
    sweep, _ = unfold(mapping)
    resolved = resolved_mapping(sweep, {"name": "robots"})
    assert ids(resolved) == ids(mapping)
    assert resolved["experiment"]["reference_k"] == 2


def test_parameters_are_bound_with_their_defaults() -> None:
    bound = bind_parameters(robots, {"n_agents": 7}, RawSweep({}, "f"), "environment")
    assert bound["n_agents"] == 7
    assert bound["gamma"] == 0.95
    assert robots(**bound).n_agents == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_agent": 7}, "environment.n_agent: unknown key; did you mean 'n_agents'?"),
        ({"n_agents": "7"}, "environment.n_agents: must be an integer, got '7'"),
        ({"gamma": None}, "environment.gamma: must be a number, got None"),
        ({"reward_global": "steep"}, "environment.reward_global: must be 'flat' or 'paper', got 'steep'"),
    ],
)
def test_parameters_are_checked_against_the_signature(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bind_parameters(robots, given, RawSweep({}, "f"), "environment")
    assert message in str(caught.value)


def test_a_required_parameter_that_is_missing_is_named() -> None:
    def game(size: int) -> None: ...

    with pytest.raises(ConfigError, match=r"environment\.size: is required"):
        bind_parameters(game, {}, RawSweep({}, "f"), "environment")


def test_a_function_that_takes_any_key_gets_any_key() -> None:
    def game(**options: object) -> None: ...

    assert bind_parameters(game, {"x": [1]}, RawSweep({}, "f"), "environment") == {"x": [1]}
