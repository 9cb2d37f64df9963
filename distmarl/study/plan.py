"""What a sweep will do, worked out and checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from distmarl.config.checking import k_values
from distmarl.config.environments import BuiltEnvironment, build_environment, environment_keys
from distmarl.config.reading import RawSweep, split_key
from distmarl.config.settings import Setting, resolved_mapping, setting_content, setting_id, unfold_settings
from distmarl.equilibrium.nash_gap import check_gap_size
from distmarl.errors import ConfigError, InvalidArgumentError
from distmarl.model.counts import MAX_COUNT_VECTORS, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import SweepFile
from distmarl.values.exact_return import check_population_size


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A setting with its game: all that its tasks need to know.

    Attributes
    ----------
    sweep : str
        Name of the sweep.
    setting_id : str
        Hash of ``content``.
    setting : Setting
        The options of the setting.
    environment : Environment
        The game, as tables, so that no worker needs the code that made it.
    content : dict
        Everything that the setting is, as plain data.
    """

    sweep: str
    setting_id: str
    setting: Setting
    environment: Environment
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A checked sweep.

    Attributes
    ----------
    sweep : SweepFile
        The sections of the sweep file.
    jobs : sequence of Job
        One for each setting of the grid.
    resolved : dict
        The sweep file with every default filled in.
    """

    sweep: SweepFile
    jobs: Sequence[Job]
    resolved: dict[str, Any]

    @property
    def k_values(self) -> Sequence[int]:
        """Subsample sizes, in increasing order."""
        return k_values(self.sweep.experiment)

    @property
    def n_eval_seeds(self) -> int:
        """Evaluation seeds per subsample size."""
        return self.sweep.experiment.n_eval_seeds

    @property
    def n_tasks(self) -> dict[str, int]:
        """Number of tasks of each kind, with nothing done yet."""
        return count_tasks(self.sweep, len(self.jobs))


def count_tasks(sweep: SweepFile, n_settings: int) -> dict[str, int]:
    """Return the number of tasks of each kind that a sweep has.

    Parameters
    ----------
    sweep : SweepFile
        The sections of the sweep file.
    n_settings : int
        Number of its settings.
    """
    experiment, method = sweep.experiment, sweep.evaluation.method
    n_trainings = n_settings * len(k_values(experiment))
    return {
        "shared_policy": n_settings,
        "g_learn": n_trainings,
        "baselines": n_settings if experiment.baselines else 0,
        "nash_gap": n_trainings if experiment.nash_gap != "off" else 0,
        "exact_return": n_trainings if method != "rollouts" else 0,
        "evaluate": n_trainings * experiment.n_eval_seeds if method != "exact" else 0,
    }


def make_plan(raw: RawSweep) -> Plan:
    """Check a sweep, build its environments and name its settings.

    Raises
    ------
    ConfigError
        When the sweep file breaks a rule, a k is larger than some setting's population, or a population
        too large for exact values.
    EnvironmentLookupError
        When an environment cannot be built.
    """
    sweep, settings = unfold_settings(raw, environment_keys(raw))
    built: dict[str, BuiltEnvironment] = {}
    jobs: dict[str, Job] = {}
    for setting in settings:
        section = repr(sorted(setting.environment.items()))
        written = replace(raw, varied=setting.grid)
        if section not in built:
            built[section] = build_environment(setting.environment, written)
        game = built[section]
        _check_subsamples(written, sweep, setting, game.environment)
        _check_exact_values(written, sweep, setting, game.environment)
        content = setting_content(setting, game.parameters, game.digest)
        job = Job(sweep.name, setting_id(content), setting, game.environment, content)
        if job.setting_id in jobs:
            twin = jobs[job.setting_id].setting
            raise ConfigError(f"{raw.place(('grid',))}: grid: {twin.label} and {setting.label} are the same setting")
        jobs[job.setting_id] = job
    return Plan(sweep, list(jobs.values()), resolved_mapping(sweep, _resolved_environment(sweep, settings, built)))


def n_count_vectors_of(job: Job, k: int) -> int:
    """Return the number C of count vectors of k agents in a job's game."""
    return n_count_vectors(k, job.environment.n_local_states)


def _resolved_environment(
    sweep: SweepFile, settings: Sequence[Setting], built: dict[str, BuiltEnvironment]
) -> dict[str, Any]:
    """Return the environment section with its defaults, less what the grid varies."""
    varied = {key.partition(".")[2] for key in sweep.grid if key.startswith("environment.")}
    defaults = {"name": settings[0].environment["name"], **next(iter(built.values())).parameters}
    given = {**defaults, **sweep.environment} if "name" not in varied else dict(sweep.environment)
    return {key: value for key, value in given.items() if key not in varied or key in sweep.environment}


def _check_subsamples(raw: RawSweep, sweep: SweepFile, setting: Setting, environment: Environment) -> None:
    """Refuse subsamples larger than the population, or with more count vectors than can be numbered."""
    experiment = sweep.experiment
    key = "k_values" if experiment.k_values is not None else "k_range"
    sizes = {key: k_values(experiment)[-1], "reference_k": setting.reference_k}
    setting_name = f" of the setting {setting.label}" if setting.grid else ""
    for key, k in sizes.items():
        problem = None
        if k > environment.n_agents:
            problem = f"must be at most n_agents ({environment.n_agents}){setting_name}, got {k}"
        elif math.comb(k + environment.n_local_states - 1, k) > MAX_COUNT_VECTORS:
            problem = (
                f"{k} agents in {environment.n_local_states} states{setting_name} have more than "
                f"{MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
            )
        if problem:
            raise ConfigError(f"{raw.place(('experiment', key))}: experiment.{key}: {problem}")


def _check_exact_values(raw: RawSweep, sweep: SweepFile, setting: Setting, environment: Environment) -> None:
    """Refuse exact values of populations that are too large for them."""
    joint_value, method, experiment = setting.alternating.joint_value, sweep.evaluation.method, sweep.experiment
    asked = (
        ("alternating.joint_value", joint_value == "exact", "be rollouts", joint_value),
        ("evaluation.method", method != "rollouts", "be rollouts", method),
        ("experiment.nash_gap", experiment.nash_gap == "exact", "be off or estimate", experiment.nash_gap),
        (
            "experiment.baselines",
            "full_information" in experiment.baselines,
            "leave out full_information",
            list(experiment.baselines),
        ),
    )
    for key, is_asked_for, rule, value in asked:
        if not is_asked_for:
            continue
        try:
            check_population_size(environment)
            if key == "experiment.nash_gap":
                check_gap_size(environment)
        except InvalidArgumentError as error:
            place = raw.place(split_key(key))
            setting_name = f" in the setting {setting.label}" if setting.grid else ""
            raise ConfigError(f"{place}: {key}: must {rule}{setting_name}, got {value!r}: {error}") from None
