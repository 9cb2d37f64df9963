"""What a sweep will do, worked out and checked before anything runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from distmarl.config.checking import k_values
from distmarl.config.environments import BuiltEnvironment, build_environment, environment_keys
from distmarl.config.grids import varied_keys
from distmarl.config.reading import RawSweep, split_key
from distmarl.config.settings import Setting, resolved_mapping, setting_content, setting_id, unfold_settings
from distmarl.errors import ConfigError, InvalidArgumentError
from distmarl.learning.best.starts import start_names
from distmarl.model.counts import MAX_COUNT_VECTORS
from distmarl.model.environment import Environment
from distmarl.model.options import DEFAULT_K_RANGE, SweepFile
from distmarl.results.snapshot import Snapshot
from distmarl.study.foreign import ForeignPair, digests, foreign_pairs
from distmarl.study.job import Job
from distmarl.study.pending import Pending, count_tasks, find_pending, kinds_of


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def by_id(self) -> dict[str, Job]:
        """The jobs by their settings' ids."""
        return {job.setting_id: job for job in self.jobs}

    @property
    def k_values(self) -> Sequence[int]:
        """Subsample sizes, in increasing order."""
        return k_values(self.sweep.experiment)

    @property
    def n_train_seeds(self) -> int:
        """Trainings of each setting."""
        return self.sweep.experiment.n_train_seeds

    @property
    def n_eval_seeds(self) -> int:
        """Evaluation seeds per training and subsample size."""
        return self.sweep.experiment.n_eval_seeds

    @property
    def n_tasks(self) -> Counter[str]:
        """Number of tasks of each kind, with nothing done yet."""
        return count_tasks(self.sweep, [len(job.starts) for job in self.jobs])

    def pending(self, store: Snapshot | None) -> Pending:
        """Return what is missing in the tables of its results folder, if there are any."""
        n_rollouts = {job.setting_id: job.setting.evaluation.n_rollouts for job in self.jobs}
        n_starts = {job.setting_id: len(job.starts) for job in self.jobs}
        policies = {job.setting_id: digests(job.policies) for job in self.jobs}
        return find_pending(self.sweep, n_rollouts, n_starts, store, policies)


def make_plan(raw: RawSweep, tell: Callable[[str], None] = lambda _: None) -> Plan:
    """Check a sweep, build its environments and name its settings.

    Parameters
    ----------
    raw : RawSweep
        The sweep as written.
    tell : callable
        Is told how far it is, after every setting.

    Raises
    ------
    ConfigError
        When the sweep file breaks a rule, a k is larger than some setting's population, a population too large for
        exact values, or what makes policies (``experiment.policies``) cannot be used.
    EnvironmentLookupError
        When an environment cannot be built.
    """
    sweep, settings = unfold_settings(raw, environment_keys(raw))
    built: dict[str, BuiltEnvironment] = {}
    policies: dict[str, dict[str, dict[int, ForeignPair]]] = {}
    jobs: dict[str, Job] = {}
    for setting in settings:
        section = repr(sorted(setting.environment.items()))
        written = replace(raw, varied=setting.grid)
        if section not in built:
            built[section] = build_environment(setting.environment, written)
        game = built[section]
        _check_subsamples(written, sweep, setting, game.environment)
        if section not in policies:
            policies[section] = foreign_pairs(raw, sweep.experiment, game.environment)
        content = setting_content(setting, game.parameters, game.digest)
        content["starts"] = {"names": _starts(written, setting, game.environment)}
        job = Job(
            sweep.name, setting_id(content), setting, sweep.experiment, game.environment, content, policies[section]
        )
        _check_tasks(written, sweep, job)
        if job.setting_id in jobs:
            twin = jobs[job.setting_id].setting
            raise ConfigError(f"{raw.place(('grid',))}: grid: {twin.label} and {setting.label} are the same setting")
        jobs[job.setting_id] = job
        tell(f"planned {len(jobs):,} of {len(settings):,} settings")
    return Plan(sweep, list(jobs.values()), resolved_mapping(sweep, _resolved_environment(sweep, settings, built)))


def _resolved_environment(
    sweep: SweepFile, settings: Sequence[Setting], built: dict[str, BuiltEnvironment]
) -> dict[str, Any]:
    """Return the environment section with its defaults, less what the grid varies."""
    varied = {key.partition(".")[2] for key in varied_keys(sweep.grid) if key.startswith("environment.")}
    defaults = {"name": settings[0].environment["name"], **next(iter(built.values())).parameters}
    given = {**defaults, **sweep.environment} if "name" not in varied else dict(sweep.environment)
    return {key: value for key, value in given.items() if key not in varied or key in sweep.environment}


def _starts(raw: RawSweep, setting: Setting, environment: Environment) -> list[str]:
    """Return the names of a setting's starts."""
    try:
        return start_names(setting.alternating, environment.n_global_actions)
    except InvalidArgumentError as error:
        raise ConfigError(f"{raw.place(('alternating', 'starts'))}: alternating.{error}") from None


def _check_subsamples(raw: RawSweep, sweep: SweepFile, setting: Setting, environment: Environment) -> None:
    """Refuse subsamples larger than the population, or with more count vectors than can be numbered."""
    experiment = sweep.experiment
    key = "k_values" if experiment.k_values is not None else "k_range"
    sizes = {key: k_values(experiment)[-1], "reference_k": setting.reference_k}
    setting_name = f" of the setting {setting.label}" if setting.grid else ""
    for name, k in sizes.items():
        problem = None
        states = "states" if environment.sees_states else "classes"
        if k > environment.n_agents:
            is_default = name == "k_range" and experiment.k_range is None
            got = f"and is {list(DEFAULT_K_RANGE)} by default: set it, or k_values" if is_default else f"got {k}"
            problem = f"must be at most n_agents ({environment.n_agents}){setting_name}, {got}"
        elif math.comb(k + environment.n_classes - 1, k) > MAX_COUNT_VECTORS:
            problem = (
                f"{k} agents in {environment.n_classes} {states}{setting_name} have more than "
                f"{MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
            )
        if problem:
            is_varied = f"experiment.{name}" in setting.grid
            place = None if is_varied else raw.varied_place("environment")
            raise ConfigError(f"{place or raw.place(('experiment', name))}: experiment.{name}: {problem}")


def _check_tasks(raw: RawSweep, sweep: SweepFile, job: Job) -> None:
    """Refuse tasks that could never run, such as exact values of populations that are too large for them."""
    refusal = next((refusal for kind in kinds_of(sweep) for refusal in kind.refusals(job)), None)
    if refusal is not None:
        place = raw.varied_place("environment") or raw.place(split_key(refusal.key))
        setting_name = f" in the setting {job.setting.label}" if job.setting.grid else ""
        rule = f"{refusal.key}: must {refusal.rule}{setting_name}, got {refusal.value!r}"
        raise ConfigError(f"{place}: {rule}: {refusal.reason}")
